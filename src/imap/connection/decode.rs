//! Answers as errors of this program, what of literals is kept, and names as commands spell them. Pure.
// there are far more responses than any place uses
#![allow(clippy::wildcard_enum_match_arm)]

use super::response::{Response, Status};
use crate::imap::protocol::ImapError;
use crate::net::{LimitExceeded, Literals};

/// How the command with this tag ended, if this is its end. Some servers write tags in small letters.
pub(super) fn tagged(what: &'static str, tag: &str, response: &Response) -> Option<Result<(), ImapError>> {
    let Response::Done { tag: done, status, text } = response else { return None };
    if !done.eq_ignore_ascii_case(tag) {
        return None;
    }
    let text = || short(Some(text));
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
        Error::ConnectionLost => ImapError::Lost { what },
        _ => ImapError::Unreadable { what, detail: String::from("not a response of IMAP") },
    }
}

pub(in crate::imap) fn unreadable(what: &'static str, error: &std::io::Error) -> ImapError {
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

/// Bytes of the fields that tell messages apart; what is behind it tells nothing.
const HEADER: usize = 64 << 10;
/// Bytes of names and words.
const NAMES: usize = 16 << 10;

/// What is needed of the literals in the answer to a command: what was not requested is not held.
pub(super) fn needed(command: &str) -> Literals {
    let is_fetch = command.starts_with("FETCH") || command.starts_with("UID FETCH");
    match command.split_once("BODY.PEEK[").filter(|_| is_fetch) {
        Some((_, section)) if section.starts_with("HEADER.FIELDS") => Literals::UpTo(HEADER),
        Some(_) => Literals::Whole,
        None if is_fetch || command.starts_with("UID SEARCH") => Literals::UpTo(0),
        None => Literals::UpTo(NAMES),
    }
}

/// How a name is written in a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// As a quoted string (RFC 3501 §4.3); one beyond ASCII is given back as it was listed.
    Quoted(String),
    /// What no quoted string can hold, as a literal.
    Literal(Vec<u8>),
}

/// A name as a command spells it. `escapes`: whether the server takes a backslash in it for an escape.
pub(super) fn spelled(name: &[u8], escapes: bool) -> Spelling {
    match std::str::from_utf8(name) {
        Ok(text) if !text.contains(['\r', '\n', '\0']) => {
            let text = if escapes { text.replace('\\', "\\\\") } else { text.to_owned() };
            Spelling::Quoted(format!("\"{}\"", text.replace('"', "\\\"")))
        }
        Ok(_) | Err(_) => Spelling::Literal(name.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_kept_by_what_was_asked_for() {
        let kept = [
            "UID FETCH 1:* (UID FLAGS)",
            "UID FETCH 1:* (UID INTERNALDATE BODY.PEEK[HEADER.FIELDS (DATE)])",
            "UID FETCH 5 (UID BODY.PEEK[HEADER])",
            "UID FETCH 5 (UID BODY.PEEK[]<0.5>)",
            "SELECT \"BODY.PEEK[\"",
            "UID SEARCH 1:5",
        ]
        .map(needed);
        let (nothing, names) = (Literals::UpTo(0), Literals::UpTo(NAMES));
        let whole = Literals::Whole;
        assert_eq!(kept, [nothing, Literals::UpTo(HEADER), whole, whole, names, nothing]);
    }

    #[test]
    fn names_are_spelled_as_listed_and_cannot_smuggle_a_command() {
        let quoted = |name: &str, escapes| match spelled(name.as_bytes(), escapes) {
            Spelling::Quoted(text) => text,
            Spelling::Literal(_) => panic!("{name}"),
        };
        assert_eq!(quoted("a\"b\\c", true), "\"a\\\"b\\\\c\"");
        assert_eq!(quoted("a\\b", false), "\"a\\b\"");
        assert_eq!(quoted("caf\u{e9} ", true), "\"caf\u{e9} \"");
        for odd in [&b"caf\xe9"[..], b"a\r\nA1 LOGOUT"] {
            assert_eq!(spelled(odd, true), Spelling::Literal(odd.to_vec()));
        }
    }
}
