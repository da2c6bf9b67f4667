//! Dates, sizes and UIDs that lie: the message is stored, once, with one date for ever.

use crate::support::anna::{Anna, anna, anna_with};
use crate::support::scripted::{Act, Mail, Mailbox, Server};
use serde_json::Value;
use stafette::events::EventType;

fn inbox(mails: Vec<Mail>) -> Server {
    Server::start([Mailbox::new("INBOX", mails)])
}

fn date_of(anna: &Anna, subject: &str) -> Value {
    let shown = anna.api.get("/v1/mailboxes/anna/messages?limit=100").ok(200);
    let items = shown["items"].as_array().unwrap();
    items.iter().find(|message| message["subject"] == subject).unwrap()["internal_date"].clone()
}

#[test]
fn dates_that_there_are_not_are_replaced_for_ever_and_double_nothing() {
    let dates = [
        "00-Jan-0000 00:00:00 +0000",
        "29-Feb-2025 10:00:00 +0000",
        "01-Feb-2026 24:00:00 +0000",
        "01-Feb-2026 10:00:00 +2500",
        "",
        "soon",
    ];
    let mails: Vec<Mail> = dates
        .iter()
        .enumerate()
        .map(|(at, date)| Mail { date: (*date).into(), ..Mail::new(at as u32 + 1, &format!("m{at}")) })
        .chain([
            Mail { date: " 1-Feb-2026 10:00:00 +0000".into(), ..Mail::new(20, "padded") },
            Mail { date: "01-Feb-2026 10:00:00 GMT".into(), ..Mail::new(21, "gmt") },
            // neither the server nor the sender says when
            Mail {
                date: "never".into(),
                body: b"Subject: undated\r\n\r\nx\r\n".to_vec(),
                ..Mail::new(22, "")
            },
        ])
        .collect();
    let subjects: Vec<String> = (0..dates.len())
        .map(|at| format!("m{at}"))
        .chain(["padded", "gmt", "undated"].map(String::from))
        .collect();
    let all: Vec<(&str, &str)> = subjects.iter().map(|subject| ("INBOX", subject.as_str())).collect();
    let server = inbox(mails);
    let anna = anna(&server);
    anna.until_stored(&all);
    anna.until_live();
    let before: Vec<Value> = subjects.iter().map(|subject| date_of(&anna, subject)).collect();
    assert_eq!(before[0], "2026-02-01T10:00:01Z", "the header's");
    assert_eq!((&before[6], &before[7]), (&"2026-02-01T10:00:00Z".into(), &"2026-02-01T10:00:00Z".into()));
    for validity in [8, 9] {
        server.change(|state| state.folder("INBOX").uid_validity = validity);
        server.hang_up();
        let reset = || (anna.events(EventType::FolderReset).len() as u32 == validity - 7).then_some(());
        anna.running.wait("the new UIDVALIDITY", reset);
    }
    anna.rounds(3);
    anna.until_stored(&all);
    assert_eq!(anna.events(EventType::MessageNew).len(), all.len(), "nothing is announced again");
    assert_eq!(anna.events(EventType::MessageDeleted).len(), 0);
    let after: Vec<Value> = subjects.iter().map(|subject| date_of(&anna, subject)).collect();
    assert_eq!(before, after);
    assert_eq!(server.state().connections, 3, "one for each time that the server hung up");
}

#[test]
fn a_size_that_lies_decides_nothing() {
    let big = [b"Subject: big\r\n\r\n".to_vec(), vec![b'x'; 3 << 20]].concat();
    let sized = |uid, name: &str, size: &str| Mail { size: Some(size.into()), ..Mail::new(uid, name) };
    let mails = vec![
        sized(1, "zero", "0"),
        sized(2, "small", "3"),
        sized(3, "large", "3000000"),
        sized(4, "oversize", "999999999"),
        sized(5, "endless", "4294967296"),
        sized(6, "untold", ""),
        Mail { body: big.clone(), ..sized(7, "", "100") },
        Mail { body: big, ..sized(8, "", "0") },
    ];
    let all =
        ["zero", "small", "large", "oversize", "endless", "untold", "big"].map(|subject| ("INBOX", subject));
    let server = inbox(mails);
    let anna = anna(&server);
    anna.until_stored(&all);
    anna.until_live();
    let shown = anna.api.get("/v1/mailboxes/anna/messages?limit=100").ok(200);
    for message in shown["items"].as_array().unwrap() {
        assert_eq!(message["state"], "stored", "{message}");
    }
    assert_eq!(shown["items"].as_array().unwrap().len(), 8);
    assert_eq!(anna.folder("INBOX")["quarantined"], 0);
}

#[test]
fn a_message_that_is_larger_than_the_policy_wants_it_is_known_by_its_own_length() {
    let body = [b"Subject: long\r\n\r\n".to_vec(), vec![b'x'; 100_000]].concat();
    let server = inbox(vec![
        Mail { body, size: Some("200000".into()), ..Mail::new(1, "") },
        Mail { size: Some("200000".into()), ..Mail::new(2, "short") },
    ]);
    let anna = anna_with(&server, |_| {});
    anna.api.patch("/v1/mailboxes/anna", &serde_json::json!({"policy": {"max_message": 50_000}})).ok(200);
    anna.until_stored(&[("INBOX", "long"), ("INBOX", "short")]);
    let shown = anna.api.get("/v1/mailboxes/anna/messages?limit=100").ok(200);
    let state = |subject: &str| {
        let items = shown["items"].as_array().unwrap();
        items.iter().find(|message| message["subject"] == subject).unwrap()["state"].clone()
    };
    assert_eq!((state("long"), state("short")), ("headers".into(), "stored".into()));
}

#[test]
fn bodies_that_are_none_are_read_again_and_then_counted() {
    for body in ["NIL", "\"\"", "{0}\r\n"] {
        let server = inbox(vec![Mail::new(1, "one"), Mail::new(2, "two")]);
        let answer = format!(
            "* 2 FETCH (UID 2 FLAGS () INTERNALDATE \"01-Feb-2026 10:00:00 +0000\" BODY[] {body})\r\n"
        );
        let lie = |times: usize| {
            let (answer, mut left) = (answer.clone().into_bytes(), times);
            let change = move |line: Vec<u8>| {
                let is_it =
                    line.starts_with(b"* 2 FETCH") && line.windows(6).any(|it| it == b"BODY[]") && left > 0;
                left -= usize::from(is_it);
                if is_it { answer.clone() } else { line }
            };
            Some(Box::new(change) as crate::support::scripted::Change)
        };
        server.state().change = lie(1);
        let once = anna(&server);
        once.until_stored(&[("INBOX", "one"), ("INBOX", "two")]);
        assert_eq!(once.folder("INBOX")["quarantined"], 0, "{body}");
        server.state().change = lie(usize::MAX);
        let always = anna(&server);
        always.until_live();
        always.wait("the quarantine", || (always.folder("INBOX")["quarantined"] == 1).then_some(()));
        always.until_stored(&[("INBOX", "one")]);
        always.until_live();
        assert_eq!(always.shown()["attention"], true);
    }
}

#[test]
fn uids_and_counts_that_lie_cost_nothing() {
    type Lie = Box<dyn Fn(&Server)>;
    let cases: Vec<(&str, Lie)> = vec![
        (
            "UID 4294967295",
            Box::new(|server| server.state().folder("INBOX").mails.push(Mail::new(u32::MAX, "last"))),
        ),
        ("UIDNEXT 0", Box::new(|server| server.state().folder("INBOX").uid_next = Some(0))),
        ("UIDNEXT too low", Box::new(|server| server.state().folder("INBOX").uid_next = Some(2))),
        ("UIDVALIDITY 0", Box::new(|server| server.state().folder("INBOX").uid_validity = 0)),
        ("unsorted", Box::new(|server| server.state().folder("INBOX").mails.reverse())),
        (
            "EXISTS too large",
            Box::new(|server| {
                server.state().change = Some(Box::new(|line| match line.as_slice() {
                    b"* 3 EXISTS\r\n" => b"* 9 EXISTS\r\n".to_vec(),
                    _ => line,
                }));
            }),
        ),
        (
            "each told twice",
            Box::new(|server| {
                server.state().change = Some(Box::new(|line| match line.starts_with(b"* 2 FETCH") {
                    true => line.repeat(2),
                    false => line,
                }));
            }),
        ),
        (
            "no UIDNEXT",
            Box::new(|server| {
                server.state().change = Some(Box::new(|line| match line.starts_with(b"* OK [UIDNEXT") {
                    true => b"* OK nothing\r\n".to_vec(),
                    false => line,
                }));
            }),
        ),
    ];
    for (what, lie) in cases {
        let server = inbox(vec![Mail::new(1, "one"), Mail::new(2, "two"), Mail::new(5, "five")]);
        lie(&server);
        let anna = anna(&server);
        let last = (what == "UID 4294967295").then_some(("INBOX", "last"));
        let all: Vec<(&str, &str)> =
            [("INBOX", "one"), ("INBOX", "two"), ("INBOX", "five")].into_iter().chain(last).collect();
        anna.until_stored(&all);
        anna.until_live();
        anna.rounds(3);
        anna.until_stored(&all);
        let new = anna.events(EventType::MessageNew);
        assert_eq!(new.len(), all.len(), "{what}");
        assert!(new.iter().all(|event| event.data["origin"] == "history"), "{what}: {new:?}");
        assert_eq!(anna.events(EventType::FolderReset).len(), 0, "{what}");
        assert_eq!(server.state().connections, 1, "{what}");
    }
}

#[test]
fn a_piece_that_repeats_its_length_is_a_piece_and_a_server_without_pieces_is_asked_for_the_whole() {
    let big = || Mail {
        body: [b"Subject: big\r\n\r\n".to_vec(), vec![b'x'; 3 << 20]].concat(),
        ..Mail::new(1, "")
    };
    let repeats = inbox(vec![big()]);
    repeats.state().change = Some(Box::new(|line| {
        let text = String::from_utf8_lossy(&line[..line.len().min(200)]).into_owned();
        match text.split_once("BODY[]<") {
            Some((before, rest)) => {
                let (offset, _) = rest.split_once('>').unwrap();
                let at = before.len() + 7 + offset.len();
                [&line[..at], b".1048576", &line[at..]].concat()
            }
            None => line,
        }
    }));
    anna(&repeats).until_stored(&[("INBOX", "big")]);
    let whole = inbox(vec![big()]);
    whole.rule(
        "UID FETCH 1 (UID FLAGS INTERNALDATE BODY.PEEK[]<",
        usize::MAX,
        Act::Answer(b"{tag} NO no pieces\r\n".to_vec()),
    );
    anna(&whole).until_stored(&[("INBOX", "big")]);
}
