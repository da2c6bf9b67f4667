//! What a draft becomes, read back by another library.

use super::*;
use mail_parser::{MessageParser, MimeHeaders};

fn fixed() -> Fixed<'static> {
    Fixed {
        sender: "anna@m.example",
        display_name: Some("Anna Müller"),
        message_id: "<given@m.example>",
        now: Timestamp(1_795_460_342_000),
    }
}

fn draft(json: &str) -> Draft {
    serde_json::from_str(json).unwrap()
}

fn error(json: &str) -> MimeError {
    build(&draft(json), &fixed()).unwrap_err()
}

#[test]
fn a_draft_becomes_a_message_that_says_the_same() {
    let built = build(
        &draft(
            r#"{"to":[{"name":"Bö, Doe","address":"b@k.example"}],"cc":[{"address":"c@k.example"}],
            "bcc":[{"address":"d@k.example"},{"address":"b@k.example"}],"reply_to":[{"address":"r@m.example"}],
            "subject":"Grüße","text":"Hallo\n.\nWelt","html":"<p>Hallo</p>",
            "attachments":[{"name":"ü.txt","type":"text/plain","content":"aMO8"}]}"#,
        ),
        &fixed(),
    )
    .unwrap();
    assert_eq!(built.recipients, ["b@k.example", "c@k.example", "d@k.example"]);
    assert_eq!(built.mail_from, "anna@m.example");
    assert!(!String::from_utf8_lossy(&built.bytes).contains("d@k.example"), "bcc stays hidden");
    let read = MessageParser::new().parse(&built.bytes).unwrap();
    assert_eq!(read.subject(), Some("Grüße"));
    assert_eq!(read.message_id(), Some("given@m.example"));
    assert_eq!(read.date().unwrap().to_rfc3339(), "2026-11-23T18:59:02Z");
    assert_eq!(read.from().unwrap().first().unwrap().name(), Some("Anna Müller"));
    assert_eq!(read.to().unwrap().first().unwrap().name(), Some("Bö, Doe"));
    assert_eq!(read.body_text(0).unwrap().replace("\r\n", "\n"), "Hallo\n.\nWelt");
    assert_eq!(read.body_html(0).unwrap(), "<p>Hallo</p>");
    let file = read.attachment(0).unwrap();
    assert_eq!((file.attachment_name(), file.contents()), (Some("ü.txt"), "hü".as_bytes()));
}

#[test]
fn every_line_ends_in_crlf() {
    for text in ["a\nb", "a\r\nb\n", "", "ü\n", "long ".repeat(400).as_str()] {
        let json = serde_json::json!({"to":[{"address":"b@k.example"}],"subject":"","text":text});
        let built = build(&draft(&json.to_string()), &fixed()).unwrap();
        let mut before = 0;
        for byte in built.bytes.iter().copied() {
            assert_eq!(byte == b'\n', before == b'\r', "{text:?}");
            before = byte;
        }
        assert!(built.bytes.ends_with(b"\r\n"));
    }
}

#[test]
fn no_field_can_begin_another() {
    for (json, field) in [
        (r#"{"to":[{"address":"b@k.example"}],"subject":"a\r\nBcc: x@k.example"}"#, "subject"),
        (r#"{"to":[{"name":"a\nX: y","address":"b@k.example"}]}"#, "to[0].name"),
        (r#"{"to":[{"address":"b@k.example\r\nX: y"}]}"#, "to[0].address"),
        (
            r#"{"to":[{"address":"b@k.example"}],"from":{"name":"a\r\nb","address":"a@m.example"}}"#,
            "from.name",
        ),
        (
            r#"{"to":[{"address":"b@k.example"}],"attachments":[{"name":"a\r\nb","content":""}]}"#,
            "attachments[0].name",
        ),
        (
            r#"{"to":[{"address":"b@k.example"}],"attachments":[{"name":"a","type":"text/plain\r\nX: y","content":""}]}"#,
            "attachments[0].type",
        ),
    ] {
        assert_eq!(error(json).field, field);
    }
}

#[test]
fn what_is_wrong_is_named_by_its_field() {
    assert_eq!(error("{}").field, "to");
    assert_eq!(error(r#"{"to":[{"address":"b@k.example"},{"address":"nobody"}]}"#).field, "to[1].address");
    let file = r#"{"to":[{"address":"b@k.example"}],"attachments":[{"name":"a","content":"***"}]}"#;
    assert_eq!(error(file).field, "attachments[0].content");
    assert!(serde_json::from_str::<Draft>(r#"{"too":[]}"#).is_err(), "unknown fields are refused");
}
