//! Responses in our own words: what a FETCH, a tagged answer or an error of the library says. Pure.

// the library's enums name far more than we use
#![allow(clippy::wildcard_enum_match_arm)]

use super::protocol::ImapError;
use crate::domain::{Flags, Timestamp, Uid};
use crate::net::LimitExceeded;
use async_imap::imap_proto::{AttributeValue, NameAttribute, Response, Status};
use async_imap::types::{Capability, UnsolicitedResponse};

/// A response with its bytes where the library read them to. The library's own type cannot be named, but
/// this variant holds one.
pub(super) struct Reply(pub(super) UnsolicitedResponse);

static NOTHING: Response<'static> = Response::Capabilities(Vec::new());

impl Reply {
    pub(super) fn parsed(&self) -> &Response<'_> {
        match &self.0 {
            UnsolicitedResponse::Other(data) => data.parsed(),
            UnsolicitedResponse::Status { .. }
            | UnsolicitedResponse::Recent(_)
            | UnsolicitedResponse::Exists(_)
            | UnsolicitedResponse::Expunge(_) => &NOTHING,
        }
    }
}

/// A FETCH response with a body.
pub(super) struct FetchedMessage(pub(super) Reply);

/// The parts of a FETCH response.
#[derive(Default)]
pub(super) struct FetchedParts<'r> {
    pub(super) uid: Uid,
    pub(super) flags: Option<Flags>,
    pub(super) internal_date: Option<Timestamp>,
    pub(super) body: Option<&'r [u8]>,
    pub(super) size: Option<u32>,
    /// Where a piece of a body begins.
    pub(super) origin: Option<u32>,
}

impl FetchedMessage {
    pub(super) fn parts(&self) -> FetchedParts<'_> {
        fetched(self.0.parsed())
    }

    /// UID and length of the body that it brings, if it brings one.
    pub(super) fn delivers(&self) -> Option<(Uid, usize)> {
        let Response::Fetch(_, attributes) = self.0.parsed() else { return None };
        let (mut uid, mut length) = (None, None);
        for attribute in attributes {
            match attribute {
                AttributeValue::Uid(number) => uid = Some(*number).filter(|uid| *uid > 0),
                AttributeValue::BodySection { data, .. } => length = data.as_deref().map(<[u8]>::len),
                _ => {}
            }
        }
        uid.zip(length)
    }
}

pub(super) fn fetched<'r>(response: &'r Response<'_>) -> FetchedParts<'r> {
    let mut parts = FetchedParts::default();
    let Response::Fetch(_, attributes) = response else { return parts };
    for attribute in attributes {
        match attribute {
            AttributeValue::Uid(uid) => parts.uid = *uid,
            AttributeValue::Flags(flags) => {
                parts.flags = Some(Flags::from_server(flags.iter().map(|flag| flag.as_ref())));
            }
            AttributeValue::Rfc822Size(size) => parts.size = Some(*size),
            AttributeValue::InternalDate(text) => parts.internal_date = internal_date(text),
            AttributeValue::BodySection { data, index, .. } => {
                parts.body = data.as_deref();
                parts.origin = *index;
            }
            _ => {}
        }
    }
    parts
}

/// `date-time` of RFC 3501 §9: ` 7-Feb-1994 22:43:04 -0800`.
fn internal_date(text: &str) -> Option<Timestamp> {
    let parsed = chrono::DateTime::parse_from_str(text.trim(), "%d-%b-%Y %H:%M:%S %z").ok()?;
    Some(Timestamp(parsed.timestamp_millis()))
}

pub(super) fn tagged(
    what: &'static str,
    tag: &str,
    response: &Response<'_>,
) -> Option<Result<(), ImapError>> {
    let Response::Done { tag: done, status, outcome } = response else { return None };
    if done.0 != tag {
        return None;
    }
    let text = || short(outcome.information.as_deref());
    Some(match status {
        Status::Ok | Status::PreAuth => Ok(()),
        Status::No => Err(ImapError::No { what, text: text() }),
        Status::Bad => Err(ImapError::Bad { what, text: text() }),
        Status::Bye => Err(ImapError::Bye { text: text() }),
    })
}

/// Errors of the library, without its copies of what was on the wire.
pub(super) fn library(what: &'static str, error: async_imap::error::Error) -> ImapError {
    use async_imap::error::Error;
    match error {
        Error::Io(error) => unreadable(what, &error),
        Error::Bad(text) => ImapError::Bad { what, text: said(&text) },
        Error::No(text) => ImapError::No { what, text: said(&text) },
        Error::ConnectionLost => ImapError::Lost { what },
        Error::Parse(_) => ImapError::Unreadable { what, detail: String::from("not a response of IMAP") },
        _ => ImapError::Unreadable { what, detail: String::from("not usable") },
    }
}

/// The server's words out of the library's `code: None, info: Some("…")`.
fn said(text: &str) -> String {
    let info = text.strip_prefix("code: ").and_then(|rest| rest.split_once("info: Some(\""));
    match info.and_then(|(_, info)| info.strip_suffix("\")")) {
        Some(info) => short(Some(&info.replace("\\\"", "\"").replace("\\\\", "\\"))),
        None => short(Some(text)),
    }
}

pub(super) fn unreadable(what: &'static str, error: &std::io::Error) -> ImapError {
    use std::io::ErrorKind;
    if let Some(limit) = LimitExceeded::find(error) {
        return ImapError::Exceeded { what, limit };
    }
    match error.kind() {
        ErrorKind::UnexpectedEof
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe => ImapError::Lost { what },
        ErrorKind::Other | ErrorKind::InvalidData => {
            ImapError::Unreadable { what, detail: String::from("not a response of IMAP") }
        }
        kind => ImapError::Unreadable { what, detail: kind.to_string() },
    }
}

/// A server's words, at most 300 characters of them.
pub(super) fn short(text: Option<&str>) -> String {
    text.unwrap_or_default().trim().chars().take(300).collect()
}

/// A name as a quoted string (RFC 3501 §4.3).
pub(super) fn quoted(name: &str) -> Result<String, ImapError> {
    if name.contains(['\r', '\n', '\0']) || !name.is_ascii() {
        return Err(ImapError::Unsupported(String::from("a folder's name cannot be written in a command")));
    }
    Ok(format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"")))
}

pub(super) fn capability_name(capability: &async_imap::imap_proto::Capability<'_>) -> String {
    match Capability::from(capability) {
        Capability::Imap4rev1 => String::from("IMAP4REV1"),
        Capability::Auth(name) => format!("AUTH={}", name.to_ascii_uppercase()),
        Capability::Atom(name) => name.to_ascii_uppercase(),
    }
}

pub(super) fn attribute_name(attribute: &NameAttribute<'_>) -> String {
    let name = match attribute {
        NameAttribute::NoInferiors => "\\noinferiors",
        NameAttribute::NoSelect => "\\noselect",
        NameAttribute::Marked => "\\marked",
        NameAttribute::Unmarked => "\\unmarked",
        NameAttribute::All => "\\all",
        NameAttribute::Archive => "\\archive",
        NameAttribute::Drafts => "\\drafts",
        NameAttribute::Flagged => "\\flagged",
        NameAttribute::Junk => "\\junk",
        NameAttribute::Sent => "\\sent",
        NameAttribute::Trash => "\\trash",
        NameAttribute::Extension(name) => return name.to_ascii_lowercase(),
        _ => "",
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_server_s_own_words() {
        assert_eq!(said("code: None, info: Some(\"AUTHENTICATE failed.\")"), "AUTHENTICATE failed.");
        assert_eq!(said(r#"code: Some(Alert), info: Some("say \"please\" \\o/")"#), r#"say "please" \o/"#);
        assert_eq!(said("code: None, info: None"), "code: None, info: None");
        assert_eq!(said("anything else"), "anything else");
    }

    #[test]
    fn internal_dates_with_padding_and_zone() {
        assert_eq!(internal_date(" 7-Feb-1994 22:43:04 -0800"), Some(Timestamp(760_689_784_000)));
        assert_eq!(internal_date("07-Feb-1994 22:43:04 -0800"), Some(Timestamp(760_689_784_000)));
        assert_eq!(internal_date("yesterday"), None);
    }

    #[test]
    fn names_are_quoted_and_cannot_smuggle_a_command() {
        assert_eq!(quoted("a\"b\\c").unwrap(), "\"a\\\"b\\\\c\"");
        assert!(quoted("a\r\nA1 LOGOUT").is_err());
    }
}
