//! What a draft becomes, read back by another library.

use super::*;
use crate::domain::Timestamp;
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

#[test]
fn a_domain_beyond_ascii_is_ascii_in_the_header_and_kept_in_the_envelope() {
    let to = vec![
        Person { name: Some("Jürgen".into()), address: "b@köln.example".into() },
        Person { name: None, address: "b@Köln.example".into() },
    ];
    let draft = Draft { to, text: Some("hello".into()), ..Draft::default() };
    let built = build(&draft, &fixed()).unwrap();
    let text = String::from_utf8(built.bytes).unwrap();
    assert!(text.is_ascii() && text.contains("<b@xn--kln-sna.example>"), "{text}");
    assert_eq!(built.recipients[0], "b@köln.example");
}

#[test]
fn whatever_a_draft_holds_its_lines_can_be_carried() {
    let to = vec![Person { name: None, address: "b@k.example".into() }];
    let long = ["x".repeat(5000), "ü".repeat(5000), "y".repeat(998)];
    for text in long.into_iter().chain(["a\0b\rc\nd\r\ne".into(), "\r\r\n\n".into()]) {
        let file =
            DraftAttachment { name: "a.txt".into(), media_type: None, content: STANDARD.encode(&text) };
        let subject = text.chars().filter(|c| !c.is_control()).take(900).collect();
        let (html, attachments) = (Some(format!("<p>{text}</p>")), vec![file]);
        let draft = Draft {
            to: to.clone(),
            subject,
            text: Some(text.clone()),
            html,
            attachments,
            ..Draft::default()
        };
        let built = build(&draft, &fixed()).unwrap();
        let bytes = built.bytes.as_slice();
        let bare = bytes.windows(2).any(|two| (two[0] == b'\r') != (two[1] == b'\n'));
        assert!(!bare && !bytes.contains(&0), "{}", String::from_utf8_lossy(bytes));
        let parsed = MessageParser::new().parse(bytes).unwrap();
        assert_eq!(parsed.attachment(0).unwrap().contents(), text.as_bytes(), "a file stays as it is");
    }
    let subject = "z".repeat(3000);
    let refused = build(&Draft { to, subject, ..Draft::default() }, &fixed()).unwrap_err();
    assert_eq!(refused.field, "subject");
}

#[test]
fn a_header_of_many_recipients_is_folded_and_says_the_same() {
    let person = |number: usize| Person {
        name: number.is_multiple_of(3).then(|| format!("Doe, Jane {number}")),
        address: format!("person.{number}@customer{number}.example"),
    };
    let subject = "many words ".repeat(200);
    let draft = Draft { to: (0..100).map(person).collect(), subject: subject.clone(), ..Draft::default() };
    let built = build(&draft, &fixed()).unwrap();
    let longest = built.bytes.split(|byte| *byte == b'\n').map(<[u8]>::len).max().unwrap();
    assert!(longest < LONGEST_LINE, "{longest}");
    let parsed = MessageParser::new().parse(&built.bytes).unwrap();
    let to: Vec<(Option<&str>, &str)> =
        parsed.to().unwrap().iter().map(|who| (who.name(), who.address().unwrap())).collect();
    let expected: Vec<Person> = (0..100).map(person).collect();
    let expected: Vec<(Option<&str>, &str)> =
        expected.iter().map(|who| (who.name.as_deref(), who.address.as_str())).collect();
    assert_eq!(to, expected);
    assert_eq!(parsed.subject().unwrap().trim_end(), subject.trim_end());
}
