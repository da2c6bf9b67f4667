//! What a raw message says of itself: the part of its header that lists and events show. Pure, bounded,
//! and never the reason why a message is not stored.
// the library's enums name far more than we use
#![allow(clippy::wildcard_enum_match_arm)]

use super::bounds;
use crate::domain::Timestamp;
use crate::domain::message::{Address, Envelope};
use mail_parser::{HeaderName, MessageParser, MimeHeaders};
use std::sync::LazyLock;

/// Bounds that keep a record far below what a value of the store may hold.
const SUBJECT: usize = 400;
const NAME: usize = 80;
const ADDRESS: usize = 254;
/// Bytes of names and addresses in one list.
const LIST: usize = 450;
const MESSAGE_ID: usize = 250;

/// Reads only what an envelope shows: most fields of a header are not used.
static HEADER: LazyLock<MessageParser> = LazyLock::new(|| {
    let parser = MessageParser::new().with_minimal_headers().header_id(HeaderName::MessageId);
    parser.default_header_ignore()
});

/// Reads the structure of a message. It knows no transfer encodings, so that nothing is decoded to be counted.
static STRUCTURE: LazyLock<MessageParser> = LazyLock::new(|| {
    let parser = MessageParser::new().header_content_type(HeaderName::ContentType);
    parser.header_content_type(HeaderName::ContentDisposition).default_header_ignore()
});

/// Parses a raw message's header. Whatever is missing or broken is absent; nothing panics: the parser is
/// cut off from the caller.
#[must_use]
pub fn parse(raw: &[u8]) -> Envelope {
    std::panic::catch_unwind(|| parse_unguarded(raw)).unwrap_or_default()
}

fn parse_unguarded(raw: &[u8]) -> Envelope {
    let header = bounds::header(raw);
    let Some(message) = HEADER.parse_headers(&*header) else { return Envelope::default() };
    Envelope {
        message_id: message.message_id().map(|id| format!("<{}>", cut(id, MESSAGE_ID))),
        date: message.date().map(|date| Timestamp(date.to_timestamp().saturating_mul(1000))),
        from: addresses(message.from()),
        to: addresses(message.to()),
        cc: addresses(message.cc()),
        subject: message.subject().map(|subject| cut(subject, SUBJECT)),
        has_attachments: has_attachments(&message, raw),
    }
}

/// Only containers other than alternatives can hold attachments: the rest is not parsed further.
fn has_attachments(header: &mail_parser::Message<'_>, raw: &[u8]) -> bool {
    let Some(kind) = header.content_type() else { return false };
    let subtype = kind.subtype().unwrap_or_default().to_ascii_lowercase();
    match kind.ctype().to_ascii_lowercase().as_str() {
        "multipart" if subtype != "alternative" => {
            STRUCTURE.parse(&bounds::structure(raw)).is_some_and(|message| message.attachment_count() > 0)
        }
        "multipart" | "text" => false,
        _ => true,
    }
}

fn addresses(list: Option<&mail_parser::Address<'_>>) -> Vec<Address> {
    let Some(list) = list else { return Vec::new() };
    let mut room = LIST;
    list.iter()
        .filter_map(|entry| {
            let address = cut(entry.address()?, ADDRESS);
            Some(Address { name: entry.name().map(|name| cut(name, NAME)), address })
        })
        .take_while(|entry| {
            let bytes = entry.address.len() + entry.name.as_ref().map_or(0, String::len);
            let fits = bytes <= room;
            room = room.saturating_sub(bytes);
            fits
        })
        .collect()
}

/// The text without control characters, at most `limit` bytes of it.
fn cut(text: &str, limit: usize) -> String {
    let mut kept = String::with_capacity(text.len().min(limit));
    for letter in text.trim().chars().filter(|letter| !letter.is_control()) {
        if kept.len() + letter.len_utf8() > limit {
            break;
        }
        kept.push(letter);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_words_and_addresses_are_decoded() {
        let raw =
            b"Message-ID: <a@b>\r\nFrom: =?utf-8?q?M=C3=BCller?= <a@kunde.example>\r\nTo: b@x.example\r\n\
            Subject: =?utf-8?b?R3LDvMOfZQ==?=\r\nDate: Mon, 23 Nov 2026 19:00:00 +0100\r\n\r\nHi";
        let envelope = parse(raw);
        assert_eq!(envelope.message_id.as_deref(), Some("<a@b>"));
        assert_eq!(envelope.subject.as_deref(), Some("Grüße"));
        assert_eq!(envelope.from[0].name.as_deref(), Some("Müller"));
        assert_eq!(envelope.to[0].address, "b@x.example");
        assert_eq!(envelope.date, Timestamp::from_rfc3339("2026-11-23T18:00:00Z"));
        assert!(!envelope.has_attachments);
    }

    #[test]
    fn attachments_are_seen_where_there_are_some() {
        let with = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\ntext\r\n--x\r\n\
            Content-Type: application/pdf\r\nContent-Disposition: attachment; filename=a.pdf\r\n\r\nPDF\r\n--x--\r\n";
        assert!(parse(with).has_attachments);
        let encoded = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\ntext\r\n--x\r\n\
            Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--x--\r\n";
        assert!(parse(encoded).has_attachments);
        let without = b"Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\n\r\ntext\r\n--x--\r\n";
        assert!(!parse(without).has_attachments);
        let nested = b"Content-Type: multipart/mixed; boundary=x\r\n\r\npreamble\r\n--x\r\n\
            Content-Type: multipart/alternative; boundary=y\r\n\r\n--y\r\n\r\ntext\r\n\r\n-- \r\nAnna\r\n--y\r\n\
            Content-Type: text/html\r\n\r\n<p>\r\n--y--\r\n\r\n--x\r\nContent-Type: image/png\r\n\r\nPNG\r\n--x--\r\n";
        assert!(parse(nested).has_attachments);
        let cut: Vec<u8> = nested.iter().copied().take(nested.len() - 50).collect();
        assert!(!parse(&cut).has_attachments);
    }

    #[test]
    fn the_largest_envelope_fits_a_record() {
        let name = "ü".repeat(500);
        let list = vec![format!("\"{name}\" <{}@x.example>", "a".repeat(300)); 50].join(", ");
        let raw = format!("From: {list}\r\nTo: {list}\r\nCc: {list}\r\nSubject: {name}{name}\r\n\r\n");
        let envelope = parse(raw.as_bytes());
        assert!(postcard::to_allocvec(&envelope).unwrap().len() < 2200);
        assert!(!envelope.from.is_empty());
    }

    /// Seconds without the bounds: the parser's time is quadratic in what continues a parameter.
    #[test]
    fn an_attachment_is_seen_beside_what_is_cut() {
        let parameters: String = (0..25_000).map(|number| format!(";a*{number}=b")).collect();
        let part = "--x\r\nContent-Type: image/png\r\n\r\nPNG\r\n";
        let raw = format!(
            "Content-Type: multipart/mixed; boundary=x{parameters}\r\nSubject: seen\r\n\r\n{}--x--\r\n",
            part.repeat(5000)
        );
        let envelope = parse(raw.as_bytes());
        assert!(envelope.has_attachments && envelope.subject.as_deref() == Some("seen"));
    }

    #[test]
    fn garbage_is_an_empty_envelope() {
        assert_eq!(parse(&[0xff, 0, 1, 2]).message_id, None);
        assert_eq!(parse(b""), Envelope::default());
    }
}
