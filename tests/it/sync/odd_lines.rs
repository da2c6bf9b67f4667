//! Lines that a strict parser refuses: one that is needed costs its message or its folder at most, any other is passed over.

use crate::support::anna::anna;
use crate::support::scripted::{Act, Mail, Mailbox, Server};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use stafette::events::EventType;

fn three() -> Server {
    let mails = [Mail::new(1, "one"), Mail::new(2, "two"), Mail::new(3, "three")];
    Server::start([Mailbox::new("INBOX", mails), Mailbox::new("Sent", [Mail::new(1, "sent")])])
}

const ALL: &[(&str, &str)] = &[("INBOX", "one"), ("INBOX", "two"), ("INBOX", "three"), ("Sent", "sent")];

#[test]
fn flags_that_a_strict_parser_refuses_cost_nothing() {
    let flags: [&[u8]; 14] = [
        b"(\\Seen \"quoted kw\")",
        b"(50%)",
        b"(K\x80)",
        b"NIL",
        b"( \\Seen)",
        b"(\\Seen  \\Answered)",
        b"(\\Seen )",
        b"(a[b])",
        b"()",
        b"(NIL)",
        b"(*)",
        b"(\\*)",
        b"(\\)",
        b"(\\Seen\t$x)",
    ];
    let mails = flags.iter().enumerate().map(|(at, flags)| {
        let uid = at as u32 + 1;
        Mail { flags: flags.to_vec(), ..Mail::new(uid, &format!("m{uid}")) }
    });
    let server = Server::start([Mailbox::new("INBOX", mails)]);
    let anna = anna(&server);
    let subjects: Vec<String> = (1..=flags.len()).map(|uid| format!("m{uid}")).collect();
    anna.until_stored(&subjects.iter().map(|subject| ("INBOX", subject.as_str())).collect::<Vec<_>>());
    anna.until_live();
    anna.rounds(3);
    assert_eq!(anna.folder("INBOX")["quarantined"], 0);
    assert_eq!(anna.events(EventType::MessageFlagsChanged).len(), 0, "read alike each time");
    let shown = anna.api.get("/v1/mailboxes/anna/messages?limit=50").ok(200);
    let of = |subject: &str| {
        let items = shown["items"].as_array().unwrap();
        items.iter().find(|message| message["subject"] == subject).unwrap()["flags"].clone()
    };
    assert_eq!(of("m1"), serde_json::json!(["\\Seen"]));
    assert_eq!(of("m6"), serde_json::json!(["\\Answered", "\\Seen"]));
    assert_eq!(of("m8"), serde_json::json!(["a[b]"]));
}

#[test]
fn odd_lines_before_any_answer_are_passed_over() {
    let long = [b"* LIST () \"/\" ", &*vec![b'x'; 3 << 20], b"\r\n"].concat();
    let lines: Vec<Vec<u8>> = [
        &b"*  3 EXISTS\r\n"[..],
        b"* CAPABILITY IMAP4rev1  IDLE \r\n",
        b"* ID (\"name\" \"x\" )\r\n",
        b"* STATUS Entwurf (MESSAGES 1)\r\n",
        b"* STATUS Ent wurf (MESSAGES 1)\r\n",
        b"* OK\r\n",
        b"* 1 RECENT\r\n* 1 RECENT\r\n",
        b"* 2 FETCH (FLAGS ())\r\n",
        b"*\t3\tEXISTS\r\n",
        b"* ok hello\r\n",
        b"* 3 exists\n",
        b"* 3 EXISTS\r* 1 RECENT\r\n",
        b"+\r\n",
        b"* SEARCH\r\n",
        b"* ESEARCH (TAG \"x\") UID\r\n",
        b"Server Unavailable. 15\r\n",
        b"* Server Unavailable. 15\r\n",
        b"\r\n",
        b"* NEWS of tomorrow\r\n",
        b"* 7 WHAT\r\n",
        b"* LIST nonsense\r\n",
        b"* 3 FETCH (\r\n",
        &long,
    ]
    .iter()
    .map(|line| line.to_vec())
    .collect();
    let server = three();
    for begins in ["LOGIN", "CAPABILITY", "LIST", "SELECT", "UID FETCH", "STATUS", "FETCH"] {
        for line in &lines {
            server.rule(begins, 1, Act::Before(line.clone()));
        }
        // one command meets one rule: each gets all of them at once, too
        server.rule(begins, 1, Act::Before(lines.concat()));
    }
    let anna = anna(&server);
    anna.until_stored(ALL);
    anna.until_live();
    anna.rounds(40);
    anna.assert_live();
    anna.until_stored(ALL);
    assert_eq!(anna.events(EventType::MessageNew).len(), 4, "each told once");
    assert_eq!(anna.events(EventType::FolderDeleted).len(), 0);
    assert_eq!(server.state().connections, 1, "{:?}", server.state().commands);
}

#[test]
fn a_session_in_small_letters_with_bare_line_ends_is_a_session() {
    for change in [
        // names are no words
        (|line| if line.starts_with(b"* LIST") { line } else { line.to_ascii_lowercase() })
            as fn(Vec<u8>) -> Vec<u8>,
        |line| [line.strip_suffix(b"\r\n").unwrap_or(&line), b"\n"].concat(),
        |line| match line.iter().position(|byte| *byte == b' ') {
            // no text behind the status
            Some(at) if line.starts_with(b"A0") && line[at..].starts_with(b" OK") => {
                [&line[..at + 3], b"\r\n"].concat()
            }
            _ => line,
        },
    ] {
        let server = three();
        // bodies keep their bytes
        server.state().change =
            Some(Box::new(
                move |line| if line.windows(5).any(|it| it == b"BODY[") { line } else { change(line) },
            ));
        let anna = anna(&server);
        anna.until_stored(ALL);
        anna.until_live();
        assert_eq!(server.state().connections, 1);
    }
}

#[test]
fn a_message_whose_answer_cannot_be_understood_is_counted() {
    let server = three();
    server.state().change = Some(Box::new(|line| match line.starts_with(b"* 2 FETCH") {
        true => b"* 2 FETCH (?)\r\n".to_vec(),
        false => line,
    }));
    let anna = anna(&server);
    anna.until_stored(&[("INBOX", "one"), ("INBOX", "three"), ("Sent", "sent")]);
    anna.wait("the quarantine", || (anna.folder("INBOX")["quarantined"] == 1).then_some(()));
    anna.until_live();
    assert_eq!(server.state().connections, 1);
}

/// What is done to a line.
#[derive(Clone, Debug)]
enum Damage {
    Insert(usize, u8),
    Remove(usize),
    Double(usize),
    Blank(usize),
    Case(usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let place = 0_usize..200;
    prop_oneof![
        (place.clone(), any::<u8>()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        place.clone().prop_map(Damage::Remove),
        place.clone().prop_map(Damage::Double),
        place.clone().prop_map(Damage::Blank),
        place.prop_map(Damage::Case),
    ]
}

fn damaged(mut line: Vec<u8>, damage: &Damage) -> Vec<u8> {
    // the line's end is what makes it a line
    let length = line.len().saturating_sub(2).max(1);
    match *damage {
        Damage::Insert(at, byte) => line.insert(at % length, byte),
        Damage::Remove(at) => drop(line.remove(at % length)),
        Damage::Double(at) => line.insert(at % length, line[at % length]),
        Damage::Blank(at) => line.insert(at % length, b' '),
        Damage::Case(at) => line[at % length] ^= 0x20,
    }
    line
}

#[test]
fn any_damage_to_any_line_costs_at_most_what_it_spoke_of() {
    let cases = std::env::var("STAFETTE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(25);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[17; 32]);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let strategy = (0_usize..40, proptest::collection::vec(damage(), 1..4));
    let tried = runner.run(&strategy, |(at, damages)| {
        let server = three();
        let mut number = 0;
        let (spoken, hit) = (damages.clone(), std::sync::Arc::new(std::sync::Mutex::new(Vec::new())));
        let seen = hit.clone();
        server.state().change = Some(Box::new(move |line| {
            number += 1;
            if number != at + 1 {
                return line;
            }
            let after = spoken.iter().fold(line, damaged);
            seen.lock().unwrap().clone_from(&after);
            after
        }));
        let anna = crate::support::anna::anna_with(&server, |config| {
            config.timing.command = std::time::Duration::from_secs(1);
            config.timing.fetch_silence = std::time::Duration::from_secs(1);
            config.timing.login = std::time::Duration::from_secs(1);
            config.timing.greeting = std::time::Duration::from_secs(1);
            config.timing.logout = std::time::Duration::from_millis(50);
            config.timing.quarantine_retry = std::time::Duration::from_millis(300);
        });
        let line = String::from_utf8_lossy(&hit.lock().unwrap()).into_owned();
        println!("line {at} {damages:?} {line:?}");
        anna.until_stored(ALL);
        anna.until_live();
        let (new, gone) =
            (anna.events(EventType::MessageNew).len(), anna.events(EventType::MessageDeleted).len());
        prop_assert!(new - gone == 4 && new <= 5, "line {at} {damages:?} {line:?}: {new} new, {gone} gone");
        Ok(())
    });
    tried.unwrap();
}
