//! A message handed over as `message/rfc822`: taken as it is but for its line ends, Bcc, and what is missing. What no
//! server could be given so is refused rather than encoded anew, which would break signatures. Pure.

use super::lines::{LONGEST_LINE, can_be_carried};
use super::message::{Built, Fixed, MOST_RECIPIENTS, MimeError, address};
use mail_parser::{Address, HeaderName, MessageParser};

const LONGEST_ID: usize = LONGEST_LINE;

/// Takes a finished message. Its envelope is From, To, Cc and Bcc; Bcc is taken out (RFC 5322 §3.6.3); line ends
/// become CRLF; Message-ID and Date are added if missing; else not a byte changes.
///
/// # Errors
/// [`MimeError`] with the header field that is wrong or missing.
pub fn accept_raw(bytes: &[u8], fixed: &Fixed<'_>) -> Result<Built, MimeError> {
    let normal = with_crlf(bytes);
    can_be_carried(&normal)?;
    let parsed = MessageParser::new()
        .parse_headers(&normal)
        .ok_or_else(|| MimeError::new("body", "no message with header fields"))?;
    if parsed.from().is_none() {
        return Err(MimeError::new("From", "is missing"));
    }
    let mut recipients: Vec<String> = Vec::new();
    let too_many = || {
        MimeError::new("To", format!("more than {MOST_RECIPIENTS} recipients: send it to fewer at a time"))
    };
    for (field, list) in [("To", HeaderName::To), ("Cc", HeaderName::Cc), ("Bcc", HeaderName::Bcc)] {
        // a field may stand there more than once, against RFC 5322 §3.6
        for found in parsed.header_values(list) {
            for who in found.as_address().into_iter().flat_map(Address::iter) {
                let who = address(field, who.address.as_deref().unwrap_or_default())?.to_string();
                if !recipients.contains(&who) {
                    recipients.push(who);
                }
                if recipients.len() > MOST_RECIPIENTS {
                    return Err(too_many());
                }
            }
        }
    }
    if recipients.is_empty() {
        return Err(MimeError::new("To", "a message needs a recipient in To, Cc or Bcc"));
    }
    let given_id = parsed.message_id().map(|id| format!("<{id}>"));
    if given_id.as_ref().is_some_and(|id| id.len() > LONGEST_ID) {
        return Err(MimeError::new("Message-ID", format!("is longer than {LONGEST_ID} characters")));
    }
    let mut added = String::new();
    if parsed.date().is_none() {
        let date = chrono::DateTime::from_timestamp_millis(fixed.now.0).unwrap_or_default();
        added.push_str(&format!("Date: {}\r\n", date.to_rfc2822()));
    }
    if given_id.is_none() {
        added.push_str(&format!("Message-ID: {}\r\n", fixed.message_id));
    }
    Ok(Built {
        mail_from: address("From", fixed.sender)?.to_string(),
        recipients,
        message_id: given_id.unwrap_or_else(|| String::from(fixed.message_id)),
        bytes: [added.as_bytes(), &without_bcc(&normal)].concat(),
    })
}

/// CR, LF and CRLF become CRLF; the last line gets its end.
fn with_crlf(bytes: &[u8]) -> Vec<u8> {
    let mut normal = Vec::with_capacity(bytes.len() + bytes.len() / 32 + 2);
    let mut after_cr = false;
    for byte in bytes.iter().copied() {
        match byte {
            b'\n' if after_cr => {}
            b'\r' | b'\n' => normal.extend(b"\r\n"),
            other => normal.push(other),
        }
        after_cr = byte == b'\r';
    }
    if !normal.ends_with(b"\r\n") {
        normal.extend(b"\r\n");
    }
    normal
}

/// Leaves out Bcc and Resent-Bcc with their continuation lines.
fn without_bcc(normal: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(normal.len());
    let mut rest = normal;
    let mut hidden = false;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (line, after) = rest.split_at(end + 1);
        if line == b"\r\n" {
            break;
        }
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default().trim_ascii();
            hidden = name.eq_ignore_ascii_case(b"bcc") || name.eq_ignore_ascii_case(b"resent-bcc");
        }
        if !hidden {
            kept.extend(line);
        }
        rest = after;
    }
    kept.extend(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    fn fixed() -> Fixed<'static> {
        Fixed {
            sender: "anna@m.example",
            display_name: None,
            message_id: "<given@m.example>",
            now: Timestamp(1_795_460_342_000),
        }
    }

    #[test]
    fn a_whole_message_passes_byte_for_byte() {
        let raw = b"From: Anna <anna@m.example>\r\nTo: b@k.example\r\nDate: Mon, 23 Nov 2026 18:59:02 +0000\r\nMessage-ID: <own@x>\r\nX-Odd:   kept \r\n\r\n.dots\r\n\xff\r\n";
        let built = accept_raw(raw, &fixed()).unwrap();
        assert_eq!((built.bytes.as_slice(), built.message_id.as_str()), (&raw[..], "<own@x>"));
        assert_eq!(
            (built.mail_from.as_str(), built.recipients),
            ("anna@m.example", vec!["b@k.example".into()])
        );
    }

    #[test]
    fn bcc_is_in_the_envelope_and_not_in_the_message() {
        let raw = b"From: a@m.example\nBcc: x@k.example,\n y@k.example\nTo: b@k.example, B <b@k.example>\nSubject: s\n\nBcc: stays\rend";
        let built = accept_raw(raw, &fixed()).unwrap();
        assert_eq!(built.recipients, ["b@k.example", "x@k.example", "y@k.example"]);
        let text = String::from_utf8(built.bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(!head.contains("Bcc") && !head.contains("y@k.example"), "{head}");
        assert_eq!(body, "Bcc: stays\r\nend\r\n");
        assert!(
            head.starts_with(
                "Date: Mon, 23 Nov 2026 18:59:02 +0000\r\nMessage-ID: <given@m.example>\r\nFrom:"
            )
        );
    }

    #[test]
    fn what_no_record_could_hold_is_refused_by_name() {
        let id = format!("From: a@m.example\nTo: b@k.example\nMessage-ID: <{}@x>\n\nx", "a".repeat(5 << 20));
        assert_eq!(accept_raw(id.as_bytes(), &fixed()).unwrap_err().field, "Message-ID");
        let to: Vec<String> = (0..100_000).map(|number| format!("u{number}@k.example")).collect();
        let raw = format!("From: a@m.example\nTo: {}\n\nx", to.join(",\n "));
        assert_eq!(accept_raw(raw.as_bytes(), &fixed()).unwrap_err().field, "To");
    }

    #[test]
    fn what_is_missing_is_named() {
        for (raw, field) in [
            (&b"To: b@k.example\n\nx"[..], "From"),
            (b"From: a@m.example\n\nx", "To"),
            (b"From: a@m.example\nCc: nobody\n\nx", "Cc"),
        ] {
            assert_eq!(accept_raw(raw, &fixed()).unwrap_err().field, field);
        }
    }

    #[test]
    fn what_mail_does_not_carry_is_refused_with_its_line_and_a_way_out() {
        let with = |head: &str, body: &str| format!("From: a@m.example\nTo: b@k.example\n{head}\n{body}\n");
        let long = |length: usize| "x".repeat(length);
        accept_raw(with("", &long(998)).as_bytes(), &fixed()).unwrap();
        for (raw, field, words) in [
            (with("", &format!("hello\n{}", long(999))), "body", "line 5 has 999 bytes"),
            (with(&format!("Subject: {}\n", long(990)), "hello"), "Subject", "shorten or fold this field"),
            (with(&format!("Subject: a\n {}\n", long(998)), "hello"), "Subject", "line 4 has 999 bytes"),
            (with("", "hel\0lo"), "body", "NUL"),
            (with("X-Odd: a\0b\n", "hello"), "X-Odd", "NUL"),
        ] {
            let error = accept_raw(raw.as_bytes(), &fixed()).unwrap_err();
            assert_eq!(error.field, field);
            assert!(error.problem.contains(words), "{error}");
        }
    }
}
