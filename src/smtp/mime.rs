//! From a draft (the API's JSON) to a message: headers by lettre's builder, Message-ID and Date given by the
//! caller, Bcc in the envelope only. Pure.

use crate::domain::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::address::Envelope;
use lettre::message::header::ContentType;
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use lettre::{Address, Message};
use serde::Deserialize;
use std::time::{Duration, UNIX_EPOCH};

pub use super::raw::accept_raw;

/// More are not looked at: a header is folded, and who is named twice is found, in a time that grows with their square.
pub const MOST_RECIPIENTS: usize = 500;

/// A message as the API takes it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Draft {
    /// The author; absent, it is the mailbox.
    pub from: Option<Person>,
    /// Recipients.
    pub to: Vec<Person>,
    /// Copies.
    pub cc: Vec<Person>,
    /// Hidden copies.
    pub bcc: Vec<Person>,
    /// Where answers go.
    pub reply_to: Vec<Person>,
    /// Subject.
    pub subject: String,
    /// The text.
    pub text: Option<String>,
    /// The same as HTML.
    pub html: Option<String>,
    /// Files.
    pub attachments: Vec<DraftAttachment>,
}

/// Somebody with an address.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Name to show.
    #[serde(default)]
    pub name: Option<String>,
    /// `local@domain`.
    pub address: String,
}

/// A file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DraftAttachment {
    /// Its name.
    pub name: String,
    /// Its media type; absent, `application/octet-stream`.
    #[serde(rename = "type", default)]
    pub media_type: Option<String>,
    /// Base64.
    pub content: String,
}

/// A message ready for the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// Envelope sender.
    pub mail_from: String,
    /// Envelope recipients, each once, in the order given.
    pub recipients: Vec<String>,
    /// `Message-ID` with its angle brackets.
    pub message_id: String,
    /// The message; lines end in CRLF, the last one too.
    pub bytes: Vec<u8>,
}

/// What is given to every message.
#[derive(Clone, Copy, Debug)]
pub struct Fixed<'a> {
    /// The mailbox's address: envelope sender, and author if none is given.
    pub sender: &'a str,
    /// Its display name.
    pub display_name: Option<&'a str>,
    /// `<left@right>`.
    pub message_id: &'a str,
    /// For Date.
    pub now: Timestamp,
}

/// What is wrong with a draft.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct MimeError {
    /// Path of the field, e.g. `to[1].address`.
    pub field: String,
    /// What is wrong with it, for a person.
    pub problem: String,
}

impl MimeError {
    pub(super) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }

    /// The draft has to be changed.
    #[must_use]
    pub fn disposition(&self) -> crate::domain::Disposition {
        crate::domain::Disposition::GiveUp
    }
}

/// Builds the message of a draft.
///
/// # Errors
/// [`MimeError`] with the field that is wrong.
pub fn build(draft: &Draft, fixed: &Fixed<'_>) -> Result<Built, MimeError> {
    let own = Person { name: fixed.display_name.map(String::from), address: String::from(fixed.sender) };
    let from = mailbox("from", draft.from.as_ref().unwrap_or(&own))?;
    let [to, cc, bcc, reply_to] =
        [("to", &draft.to), ("cc", &draft.cc), ("bcc", &draft.bcc), ("reply_to", &draft.reply_to)]
            .map(|(field, people)| mailboxes(field, people));
    let (to, cc, bcc, reply_to) = (to?, cc?, bcc?, reply_to?);
    let mut recipients: Vec<Address> = Vec::new();
    for who in to.iter().chain(&cc).chain(&bcc) {
        if !recipients.contains(&who.email) {
            recipients.push(who.email.clone());
        }
    }
    if recipients.is_empty() {
        return Err(MimeError::new("to", "a message needs a recipient in to, cc or bcc"));
    }
    no_control("subject", &draft.subject)?;
    let sender = address("from", fixed.sender)?;
    let date = UNIX_EPOCH + Duration::from_millis(u64::try_from(fixed.now.0).unwrap_or(0));
    let envelope = Envelope::new(Some(sender.clone()), recipients.clone())
        .map_err(|error| MimeError::new("to", error.to_string()))?;
    let mut builder = Message::builder()
        .from(from)
        .date(date)
        .message_id(Some(String::from(fixed.message_id)))
        .subject(draft.subject.clone())
        .envelope(envelope);
    for who in to {
        builder = builder.to(who);
    }
    for who in cc {
        builder = builder.cc(who);
    }
    for who in reply_to {
        builder = builder.reply_to(who);
    }
    let message = match content(draft)? {
        Content::Single(part) => builder.singlepart(part),
        Content::Multi(parts) => builder.multipart(parts),
    }
    .map_err(|error| MimeError::new("from", error.to_string()))?;
    let mut bytes = message.formatted();
    if !bytes.ends_with(b"\r\n") {
        bytes.extend(b"\r\n");
    }
    Ok(Built {
        mail_from: sender.to_string(),
        recipients: recipients.iter().map(ToString::to_string).collect(),
        message_id: String::from(fixed.message_id),
        bytes,
    })
}

enum Content {
    Single(SinglePart),
    Multi(MultiPart),
}

fn content(draft: &Draft) -> Result<Content, MimeError> {
    let text = match (&draft.text, &draft.html) {
        (text, None) => Content::Single(SinglePart::plain(text.clone().unwrap_or_default())),
        (None, Some(html)) => Content::Single(SinglePart::html(html.clone())),
        (Some(text), Some(html)) => {
            Content::Multi(MultiPart::alternative_plain_html(text.clone(), html.clone()))
        }
    };
    if draft.attachments.is_empty() {
        return Ok(text);
    }
    let mixed = MultiPart::mixed();
    let mut parts = match text {
        Content::Single(part) => mixed.singlepart(part),
        Content::Multi(part) => mixed.multipart(part),
    };
    for (at, file) in draft.attachments.iter().enumerate() {
        parts = parts.singlepart(attachment(at, file)?);
    }
    Ok(Content::Multi(parts))
}

fn attachment(at: usize, file: &DraftAttachment) -> Result<SinglePart, MimeError> {
    let field = |name: &str| format!("attachments[{at}].{name}");
    no_control(&field("name"), &file.name)?;
    let content = STANDARD
        .decode(file.content.as_bytes())
        .map_err(|error| MimeError::new(field("content"), format!("not base64: {error}")))?;
    let media_type = file.media_type.as_deref().unwrap_or("application/octet-stream");
    no_control(&field("type"), media_type)?;
    let content_type = ContentType::parse(media_type)
        .map_err(|_| MimeError::new(field("type"), format!("{media_type:?} is no media type")))?;
    Ok(Attachment::new(file.name.clone()).body(content, content_type))
}

fn mailboxes(field: &str, people: &[Person]) -> Result<Vec<Mailbox>, MimeError> {
    people.iter().enumerate().map(|(at, person)| mailbox(&format!("{field}[{at}]"), person)).collect()
}

fn mailbox(field: &str, person: &Person) -> Result<Mailbox, MimeError> {
    if let Some(name) = &person.name {
        no_control(&format!("{field}.name"), name)?;
    }
    let email = address(&format!("{field}.address"), &person.address)?;
    Ok(Mailbox::new(person.name.clone().filter(|name| !name.is_empty()), email))
}

pub(super) fn address(field: &str, text: &str) -> Result<Address, MimeError> {
    no_control(field, text)?;
    text.trim().parse().map_err(|error| MimeError::new(field, format!("{text:?} is no address: {error}")))
}

/// A line end in a header field would begin another field.
fn no_control(field: &str, text: &str) -> Result<(), MimeError> {
    if text.chars().any(|c| c.is_control() && c != '\t') {
        return Err(MimeError::new(field, "holds a control character"));
    }
    Ok(())
}

#[cfg(test)]
#[path = "mime_tests.rs"]
mod tests;
