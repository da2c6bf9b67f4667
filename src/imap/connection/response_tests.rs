//! How responses are read: as the standard has them, as servers write them, and damaged.

// what else there is is not expected
#![allow(clippy::wildcard_enum_match_arm)]

use crate::imap::connection::response::*;
use proptest::prelude::*;

fn read(line: &[u8]) -> Response {
    parse(&RawResponse { bytes: Bytes::copy_from_slice(line), is_cut: false })
}

fn fetched(line: &[u8]) -> FetchedMessage {
    match read(line) {
        Response::Fetch(message) => *message,
        other => panic!("{other:?}"),
    }
}

fn listed(line: &[u8]) -> (Option<String>, Vec<u8>) {
    match read(line) {
        Response::List(folder) => (folder.separator, folder.name.to_vec()),
        other => panic!("{} {other:?}", String::from_utf8_lossy(line)),
    }
}

#[test]
fn a_message_has_the_flags_that_can_be_read() {
    for (flags, expected) in [
        (&b"(\\Seen \"quoted kw\")"[..], &["\\Seen"][..]),
        (b"(50%)", &["50%"]),
        (b"(K\x80 \\Seen)", &["\\Seen"]),
        (b"NIL", &[]),
        (b"( \\Seen)", &["\\Seen"]),
        (b"(\\Seen  \\Answered)", &["\\Answered", "\\Seen"]),
        (b"(\\Seen )", &["\\Seen"]),
        (b"(a[b])", &["a[b]"]),
        (b"()", &[]),
        (b"(NIL)", &[]),
        (b"(*)", &[]),
        (b"(\\*)", &[]),
        (b"(\\)", &[]),
        (b"(\\sEEN (x) \"kw\")", &["\\Seen", "kw"]),
    ] {
        let line = [b"* 1 FETCH (FLAGS ", flags, b" UID 7)\r\n"].concat();
        let message = fetched(&line);
        assert_eq!(
            message.flags.unwrap().iter().collect::<Vec<_>>(),
            expected,
            "{}",
            String::from_utf8_lossy(flags)
        );
        assert_eq!((message.uid, message.is_whole), (Some(7), true), "{}", String::from_utf8_lossy(flags));
    }
}

#[test]
fn folders_of_every_spelling_have_their_name() {
    for (line, separator, name) in [
        (&b"\"/\" \"a \\\"quoted\\\" name\""[..], Some("/"), &b"a \"quoted\" name"[..]),
        (b"\"/\" \"back\\\\slash\"", Some("/"), b"back\\slash"),
        (b"\"\\\\\" \"a\\\\b\"", Some("\\"), b"a\\b"),
        (b"\"\\\" \"a\\b\"", Some("\\"), b"a\\b"),
        (b"NIL INBOX", None, b"INBOX"),
        (b"\"/\" {5}\r\nab\"\\c", Some("/"), b"ab\"\\c"),
        (b"\"/\" inbox/sub", Some("/"), b"inbox/sub"),
        (b"\"/\" Sent Items", Some("/"), b"Sent Items"),
        (b"\"/\" \"caf\xe9\"", Some("/"), b"caf\xe9"),
        (b"\"/\" caf\xc3\xa9", Some("/"), b"caf\xc3\xa9"),
        (b"\"/\" \" x \"", Some("/"), b" x "),
        (b"/ INBOX", Some("/"), b"INBOX"),
        (b"INBOX", None, b"INBOX"),
        (b"\"/\" \"\"", Some("/"), b""),
        (b"\"/\"\t\"a%*\" ", Some("/"), b"a%*"),
    ] {
        let line = [b"* LIST (\\HasNoChildren) ", line, b"\r\n"].concat();
        assert_eq!(
            listed(&line),
            (separator.map(String::from), name.to_vec()),
            "{}",
            String::from_utf8_lossy(&line)
        );
    }
    let Response::List(folder) = read(b"* list ( \\NoSelect  \\NONEXISTENT ) \"/\" x\r\n") else { panic!() };
    assert_eq!(folder.attributes, ["\\noselect", "\\nonexistent"]);
}

#[test]
fn odd_lines_say_what_they_say() {
    let told = |status, text: &str| Response::Condition { status, text: text.into() };
    let done = |tag: &str, status, text: &str| Response::Done { tag: tag.into(), status, text: text.into() };
    for (line, expected) in [
        (&b"*  3 EXISTS\r\n"[..], Response::Exists(3)),
        (b"*\t3\texists\n", Response::Exists(3)),
        (b"* 3 EXISTS\r", Response::Exists(3)),
        (
            b"* CAPABILITY IMAP4rev1  IDLE \r\n",
            Response::Capabilities(vec!["IMAP4REV1".into(), "IDLE".into()]),
        ),
        (b"* ID (\"name\" \"x\" )\r\n", Response::Id("(\"name\" \"x\" )".into())),
        (b"* OK\r\n", told(Status::Ok, "")),
        (b"* ok still here\r\n", told(Status::Ok, "still here")),
        (b"* 1 RECENT\r\n", Response::Other),
        (b"* 1 EXPUNGE\r\n", Response::Expunge),
        (b"* ESEARCH (TAG \"x\") UID\r\n", Response::Other),
        (b"* SEARCH\r\n", Response::Search(vec![])),
        (b"* SEARCH 3 x 5\r\n", Response::Search(vec![3, 5])),
        (b"* BYE\r\n", told(Status::Bye, "")),
        (b"+\r\n", Response::Continue),
        (b"+ go ahead\r\n", Response::Continue),
        (b"a1 OK\r\n", done("a1", Status::Ok, "")),
        (b"A1 no [X] not {5}\r\n", done("A1", Status::No, "[X] not {5}")),
        (b"Server Unavailable. 15\r\n", Response::Strange("line")),
        (b"* Server Unavailable. 15\r\n", Response::Strange("untagged line")),
        (b"* 4711 WHAT\r\n", Response::Strange("numbered line")),
        (b"* LIST \"/\" x\r\n", Response::Strange("LIST")),
        (b"\r\n", Response::Other),
    ] {
        assert_eq!(read(line), expected, "{}", String::from_utf8_lossy(line));
    }
}

#[test]
fn counts_of_a_folder_come_with_any_spelling_of_its_name() {
    let counts = FolderStatus {
        messages: Some(1),
        uid_next: None,
        highest_modseq: Some(9),
        ..FolderStatus::default()
    };
    for (name, expected) in [
        (&b"Entwurf"[..], &b"Entwurf"[..]),
        (b"Sent (old) Items", b"Sent (old) Items"),
        (b"\"a (b)\"", b"a (b)"),
        (b"{3}\r\na b", b"a b"),
    ] {
        let line =
            [b"* STATUS ", name, b" (MESSAGES 1 UIDNEXT 0 SIZE NIL X (y z)  HIGHESTMODSEQ 9)\r\n"].concat();
        assert_eq!(read(&line), Response::FolderStatus(Bytes::from_static(expected), counts));
    }
}

#[test]
fn messages_come_with_what_is_unknown_beside_them() {
    let line =
        b"* 3 FETCH (X-GM-LABELS (\"\\\\Inbox\" (a)) UID 103 INTERNALDATE \" 7-Feb-1994 22:43:04 -0800\" \
        RFC822.SIZE 4294967296 BODY[]<0.100> {3}\r\na)b MODSEQ (12))\r\n";
    let message = fetched(line);
    assert_eq!((message.sequence, message.uid, message.size), (3, Some(103), Some(1 << 32)));
    assert_eq!(message.internal_date, Some(Timestamp(760_689_784_000)));
    assert_eq!(
        message.body,
        Some(Section { bytes: Bytes::from("a)b"), origin: Some(0), is_nil: false, is_cut: false })
    );
    assert!(message.is_whole);
    assert!(fetched(b"* 3 FETCH (UID 1 BODY[] NIL)\r\n").body.unwrap().is_nil);
    assert_eq!(fetched(b"* 3 FETCH (UID 1 BODY[] \"\")\r\n").body.unwrap().bytes, "");
    assert!(!fetched(b"* 3 FETCH (UID 1 BODY[] {2}\r\nab\r\n").is_whole);
    assert_eq!(fetched(b"* 3 FETCH (FLAGS () UID 4294967295)\r\n").uid, Some(u32::MAX));
    assert_eq!(fetched(b"* 3 FETCH (FLAGS () UID 4294967296)\r\n").uid, None);
    assert!(fetched(b"* 3 FETCH (FLAGS () UID 4 MODSEQ (5))\r\n").is_flags_only);
}

#[test]
fn dates_that_there_are_not_are_none() {
    let date = |text: &str| internal_date(text);
    assert_eq!(date(" 7-Feb-1994 22:43:04 -0800"), Some(Timestamp(760_689_784_000)));
    assert_eq!(date("07-Feb-1994 22:43:04 -0800"), Some(Timestamp(760_689_784_000)));
    assert_eq!(date("08-Feb-1994 06:43:04 GMT"), Some(Timestamp(760_689_784_000)));
    for none in [
        "00-Jan-0000 00:00:00 +0000",
        "29-Feb-2025 10:00:00 +0000",
        "01-Feb-2026 24:00:00 +0000",
        "01-Feb-2026 10:00:00 +2500",
        "yesterday",
        "",
    ] {
        assert_eq!(date(none), None, "{none}");
    }
}

#[test]
fn codes_have_their_numbers() {
    assert_eq!(code_number("[UIDVALIDITY 7] fixed", "UIDVALIDITY"), Some(7_u32));
    assert_eq!(code_number("[uidnext  4294967295]", "UIDNEXT"), Some(u32::MAX));
    assert_eq!(code_number::<u32>("[UIDNEXT 0] none", "UIDNEXT"), None);
    assert_eq!(code_number::<u32>("UIDNEXT 5", "UIDNEXT"), None);
}

#[test]
fn a_message_that_is_not_understood_has_its_number() {
    let cut = RawResponse { bytes: Bytes::from_static(b"* 3 FETCH (FLAGS (a b"), is_cut: true };
    let Response::Fetch(message) = parse(&cut) else { panic!() };
    assert_eq!((message.sequence, message.uid, message.is_whole), (3, None, false));
    let damaged = fetched(b"* 3 FETCH (UID 1x3 FLAGS ())\r\n");
    assert_eq!((damaged.sequence, damaged.uid, damaged.is_whole), (3, None, false));
    let cut = RawResponse { bytes: Bytes::from_static(b"* LIST () \"/\" aaa"), is_cut: true };
    assert_eq!(parse(&cut), Response::Strange("line that is too long"));
}

fn damage() -> impl Strategy<Value = Vec<(u8, usize, u8)>> {
    proptest::collection::vec((0_u8..4, any::<usize>(), any::<u8>()), 1..4)
}

fn damaged(line: &[u8], damage: &[(u8, usize, u8)]) -> Vec<u8> {
    let mut line = line.to_vec();
    for (kind, place, byte) in damage {
        let place = place % line.len().max(1);
        match kind {
            0 => line.insert(place, *byte),
            1 if line.len() > 1 => drop(line.remove(place)),
            2 => line.insert(place, line[place]),
            _ => line[place] ^= 0x20,
        }
    }
    line
}

proptest! {
    /// Whatever is done to a line: it is read in time proportional to its length, without a panic.
    #[test]
    fn any_damage_is_read(
        line in proptest::sample::select(vec![
            &b"* 3 FETCH (UID 103 FLAGS (\\Seen $x) RFC822.SIZE 12 INTERNALDATE \"07-Feb-2026 22:43:04 +0000\" BODY[]<0> {3}\r\nabc)\r\n"[..],
            b"* LIST (\\HasNoChildren) \"/\" \"a \\\"quoted\\\" name\"\r\n",
            b"* STATUS \"a b\" (MESSAGES 1 UIDNEXT 5 UIDVALIDITY 7 UNSEEN 0)\r\n",
            b"* OK [UIDVALIDITY 7] fixed\r\n", b"A0001 OK done\r\n", b"* SEARCH 1 2 3\r\n", b"* CAPABILITY IMAP4rev1 IDLE\r\n",
        ]),
        damage in damage(),
    ) {
        let line = damaged(line, &damage);
        for is_cut in [false, true] {
            let raw = RawResponse { bytes: Bytes::from(line.clone()), is_cut };
            let _ = parse(&raw);
        }
    }
}

#[test]
fn of_a_response_that_was_cut_in_a_literal_its_beginning_counts() {
    let bytes = Bytes::from_static(b"* 4 FETCH (UID 5 BODY[HEADER] {1000}\r\nSubject: x UID 7)");
    let Response::Fetch(message) = parse(&RawResponse { bytes, is_cut: true }) else { panic!() };
    let bytes_of_it = Bytes::from("Subject: x UID 7)");
    assert_eq!(message.body, Some(Section { bytes: bytes_of_it, origin: None, is_nil: false, is_cut: true }));
    assert_eq!((message.uid, message.is_whole), (Some(5), false));
}
