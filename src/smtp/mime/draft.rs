//! From a draft (the API's JSON) to a message: headers by lettre's builder, Message-ID and Date given by the
//! caller, Bcc in the envelope only. Pure.

use super::lines::{LONGEST_LINE, can_be_carried};
use super::message::{Built, Fixed, MimeError, address, no_control};
use crate::smtp::address::on_the_wire;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::address::Envelope;
use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Attachment, Body, Mailbox, MultiPart, SinglePart};
use lettre::{Address, Message};
use serde::Deserialize;
use std::time::{Duration, UNIX_EPOCH};

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
    let (to, cc, _, reply_to) = (to?, cc?, bcc?, reply_to?);
    let mut recipients: Vec<Address> = Vec::new();
    let people = [("to", &draft.to), ("cc", &draft.cc), ("bcc", &draft.bcc)];
    for (field, person) in people.into_iter().flat_map(|(field, of)| of.iter().map(move |who| (field, who))) {
        let who = address(field, &person.address)?;
        if !recipients.contains(&who) {
            recipients.push(who);
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
    let mut bytes = folded(&message.formatted());
    if !bytes.ends_with(b"\r\n") {
        bytes.extend(b"\r\n");
    }
    // a subject need not have a space to fold at
    can_be_carried(&bytes)
        .map_err(|error| MimeError::new(error.field.to_ascii_lowercase(), error.problem))?;
    Ok(Built {
        mail_from: sender.to_string(),
        recipients: recipients.iter().map(ToString::to_string).collect(),
        message_id: String::from(fixed.message_id),
        bytes,
    })
}

/// Folds header lines that are too long to be carried (RFC 5322 §2.2.3): lettre writes a list of addresses as one.
fn folded(message: &[u8]) -> Vec<u8> {
    let mut folded = Vec::with_capacity(message.len() + 1024);
    let mut rest = message;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (line, after) = rest.split_at(end + 1);
        if line == b"\r\n" {
            break;
        }
        let is_long = line.len() > LONGEST_LINE;
        fold(line, if is_long { FOLD_AT } else { usize::MAX }, &mut folded);
        rest = after;
    }
    folded.extend(rest);
    folded
}

/// Where a folded line ends if it can (RFC 5322 §2.1.1).
const FOLD_AT: usize = 78;

/// A line break before a space that words follow says the same: a reader takes the line break out again.
fn fold(mut line: &[u8], at_most: usize, folded: &mut Vec<u8>) {
    while line.len() > at_most {
        let ends = line.windows(2).enumerate().skip(1);
        let mut ends = ends.filter(|(_, two)| matches!(two, [b' ', next] if !next.is_ascii_whitespace()));
        let first = ends.next().map(|(at, _)| at);
        let best = ends.map(|(at, _)| at).take_while(|at| *at <= at_most).last().or(first);
        let Some(end) = best else { break };
        let (head, tail) = line.split_at(end);
        folded.extend(head);
        folded.extend(b"\r\n");
        line = tail;
    }
    folded.extend(line);
}

enum Content {
    Single(SinglePart),
    Multi(MultiPart),
}

fn content(draft: &Draft) -> Result<Content, MimeError> {
    let text = match (&draft.text, &draft.html) {
        (text, None) => {
            Content::Single(text_part(ContentType::TEXT_PLAIN, text.as_deref().unwrap_or_default()))
        }
        (None, Some(html)) => Content::Single(text_part(ContentType::TEXT_HTML, html)),
        (Some(text), Some(html)) => Content::Multi(
            MultiPart::alternative()
                .singlepart(text_part(ContentType::TEXT_PLAIN, text))
                .singlepart(text_part(ContentType::TEXT_HTML, html)),
        ),
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

/// Lines end in CRLF whatever the draft's end in: servers take a CR alone for different things.
fn text_part(content_type: ContentType, text: &str) -> SinglePart {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let builder = SinglePart::builder().header(content_type);
    if text.contains('\0') { builder.body(as_base64(text.into_bytes())) } else { builder.body(text) }
}

/// What lettre would choose lets NUL and foreign line ends through as they are.
fn as_base64(content: Vec<u8>) -> Body {
    let encoded = Body::new_with_encoding(content, ContentTransferEncoding::Base64);
    // base64 takes any bytes
    encoded.unwrap_or_else(Body::new)
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
    Ok(Attachment::new(file.name.clone()).body(as_base64(content), content_type))
}

fn mailboxes(field: &str, people: &[Person]) -> Result<Vec<Mailbox>, MimeError> {
    people.iter().enumerate().map(|(at, person)| mailbox(&format!("{field}[{at}]"), person)).collect()
}

fn mailbox(field: &str, person: &Person) -> Result<Mailbox, MimeError> {
    if let Some(name) = &person.name {
        no_control(&format!("{field}.name"), name)?;
    }
    let field = format!("{field}.address");
    let email = address(&field, &person.address)?;
    // a header field without SMTPUTF8 is ASCII (RFC 5322 §2.2); a domain has such a form, a local part has none
    let email = if email.user().is_ascii() { address(&field, &on_the_wire(&person.address))? } else { email };
    Ok(Mailbox::new(person.name.clone().filter(|name| !name.is_empty()), email))
}

#[cfg(test)]
#[path = "draft_tests.rs"]
mod tests;
