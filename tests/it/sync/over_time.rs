//! What servers and other clients do over time: ids live through it, and nothing is told that did not happen.

use crate::support::anna::{Anna, anna, anna_with};
use crate::support::scripted::{Mail, Mailbox, Server, State};
use serde_json::{Value, json};
use stafette::events::EventType;
use std::collections::BTreeMap;
use std::time::Duration;

fn mails(name: &str, count: u32) -> Vec<Mail> {
    (1..=count).map(|uid| Mail::new(uid, &format!("{name}{uid}"))).collect()
}

/// Ids by subject.
fn ids(anna: &Anna) -> BTreeMap<String, Vec<String>> {
    let mut ids: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in anna.running.store.folders(anna.mailbox).unwrap() {
        let folder = row.value;
        for entry in anna.running.store.uid_entries(anna.mailbox, folder.id, folder.incarnation).unwrap() {
            let message = anna.running.store.message(anna.mailbox, entry.message).unwrap().unwrap();
            ids.entry(message.envelope.subject.unwrap_or_default()).or_default().push(message.id.to_string());
        }
    }
    ids
}

fn count(anna: &Anna, kind: EventType) -> usize {
    anna.events(kind).len()
}

/// Puts a message into another folder, as a MOVE does.
fn relocate(state: &mut State, from: &str, subject: &str, to: &str) {
    let is_it =
        |mail: &Mail| String::from_utf8_lossy(&mail.body).contains(&format!("Subject: {subject}\r\n"));
    let place = state.folder(from).mails.iter().position(is_it).unwrap();
    let mut mail = state.folder(from).mails.remove(place);
    let uid = state.folder(to).mails.iter().map(|mail| mail.uid).max().unwrap_or(0) + 1;
    mail.uid = uid;
    state.folder(to).mails.push(mail);
}

fn rename(state: &mut State, from: &str, to: &str) {
    let named = Mailbox::new(to, []);
    let folder = state.folder(from);
    (folder.name, folder.listed) = (named.name, named.listed);
}

fn remove(state: &mut State, name: &str) {
    state.folders.retain(|folder| folder.name != name.as_bytes());
}

/// A mailbox in step: INBOX with three messages, X with one, Z empty, Trash empty; each folder its own UIDVALIDITY.
fn settled() -> (Anna, BTreeMap<String, Vec<String>>) {
    let mut folders = vec![
        Mailbox::new("INBOX", mails("in", 3)),
        Mailbox::new("X", mails("x", 1)),
        Mailbox::new("Z", []),
        Mailbox::new("Trash", []),
    ];
    for (number, folder) in folders.iter_mut().enumerate() {
        folder.uid_validity = 100 + number as u32;
        folder.uid_next = Some(50);
    }
    let anna = anna(&Server::start(folders));
    anna.until_stored(&[("INBOX", "in1"), ("INBOX", "in2"), ("INBOX", "in3"), ("X", "x1")]);
    anna.until_live();
    let before = ids(&anna);
    (anna, before)
}

/// Asserts that one message moved and nothing else was told of messages.
fn assert_one_move(anna: &Anna, before: &BTreeMap<String, Vec<String>>, what: &str) {
    anna.rounds(6);
    anna.until_live();
    assert_eq!(&ids(anna), before, "{what}");
    let told = [EventType::MessageMoved, EventType::MessageNew, EventType::MessageDeleted]
        .map(|kind| count(anna, kind));
    assert_eq!(told, [1, 4, 0], "{what}: moved, new, deleted");
}

#[test]
fn folders_that_are_gone_for_a_moment_cost_nothing() {
    let folder = |name| Mailbox::new(name, mails(name, 30));
    let server = Server::start([folder("INBOX"), folder("A"), folder("B"), folder("C")]);
    let anna = anna_with(&server, |config| config.timing.mass_delete_confirm = Duration::from_secs(2));
    anna.running.wait("everything", || (anna.stored().len() == 120).then_some(()));
    anna.until_live();
    let mut before = ids(&anna);
    let mut away = Vec::new();
    server.change(|state| {
        away = state.folders.split_off(1);
        state.folder("INBOX").mails.remove(0);
    });
    for _ in 0..3 {
        server.hang_up();
        anna.rounds(2);
    }
    server.change(|state| state.folders.append(&mut away));
    server.hang_up();
    anna.rounds(12);
    anna.until_live();
    before.remove("INBOX1");
    assert_eq!(ids(&anna), before);
    assert_eq!((count(&anna, EventType::FolderDeleted), count(&anna, EventType::FolderCreated)), (0, 4));
    assert_eq!((count(&anna, EventType::MessageMoved), count(&anna, EventType::MessageNew)), (0, 120));
    assert_eq!(count(&anna, EventType::MessageDeleted), 1);
}

#[test]
fn a_folder_that_another_client_deletes_is_gone_a_moment_later() {
    let (anna, _) = settled();
    anna.server.change(|state| remove(state, "X"));
    anna.running.wait("the end of X", || (count(&anna, EventType::FolderDeleted) == 1).then_some(()));
    anna.running.wait("the end of its mail", || (count(&anna, EventType::MessageDeleted) == 1).then_some(()));
    anna.until_live();
    assert_eq!(anna.server.state().connections, 2, "another connection has shown it");
    assert!(anna.server.state().count("SELECT \"X\"") <= 3);
}

#[test]
fn a_restored_snapshot_hides_nothing_behind_known_uids() {
    for caught_up in [false, true] {
        let server = Server::start([Mailbox::new("INBOX", mails("old", 10))]);
        let anna = anna(&server);
        anna.running.wait("everything", || (anna.stored().len() == 10).then_some(()));
        anna.until_live();
        server.change(|state| {
            let inbox = state.folder("INBOX");
            inbox.mails.truncate(7);
            let more = if caught_up { 6 } else { 2 };
            inbox.mails.extend((8..8 + more).map(|uid| Mail {
                date: format!("03-Mar-2026 10:00:{uid:02} +0000"),
                ..Mail::new(uid, &format!("new{uid}"))
            }));
        });
        server.hang_up();
        let mut all: Vec<String> = (1..=7).map(|uid| format!("old{uid}")).collect();
        all.extend((8..if caught_up { 14 } else { 10 }).map(|uid| format!("new{uid}")));
        anna.until_stored(&all.iter().map(|subject| ("INBOX", subject.as_str())).collect::<Vec<_>>());
        anna.running.wait("what was lost", || (count(&anna, EventType::MessageDeleted) == 3).then_some(()));
        anna.until_live();
        assert_eq!(count(&anna, EventType::MessageNew), 10 + all.len() - 7, "nothing is announced again");
    }
}

#[test]
fn a_rename_that_changes_uidvalidity_keeps_every_id() {
    let (anna, before) = settled();
    anna.server.change(|state| {
        rename(state, "X", "Y");
        let folder = state.folder("Y");
        folder.uid_validity = 999;
        folder.mails[0].uid = 1;
    });
    anna.running.wait("Y", || anna.stored().contains(&(String::from("Y"), String::from("x1"))).then_some(()));
    anna.rounds(6);
    assert_eq!(ids(&anna), before);
    assert_eq!((count(&anna, EventType::MessageNew), count(&anna, EventType::MessageDeleted)), (4, 0));
}

#[test]
fn two_commands_directly_after_each_other_are_a_move() {
    type Doing = fn(&mut State);
    let cases: [(&str, Doing); 5] = [
        ("MOVE X Trash, DELETE X", |state| {
            relocate(state, "X", "x1", "Trash");
            remove(state, "X");
        }),
        ("MOVE X Trash, RENAME X Y", |state| {
            relocate(state, "X", "x1", "Trash");
            rename(state, "X", "Y");
        }),
        ("RENAME X Xr, MOVE INBOX Xr", |state| {
            rename(state, "X", "Xr");
            relocate(state, "INBOX", "in2", "Xr");
        }),
        ("CREATE New, MOVE INBOX New, DELETE Z", |state| {
            state.folders.push(Mailbox { uid_validity: 200, ..Mailbox::new("New", []) });
            relocate(state, "INBOX", "in2", "New");
            remove(state, "Z");
        }),
        ("CREATE New, MOVE X New, DELETE X", |state| {
            state.folders.push(Mailbox { uid_validity: 200, ..Mailbox::new("New", []) });
            relocate(state, "X", "x1", "New");
            remove(state, "X");
        }),
    ];
    for (what, doing) in cases {
        let (anna, before) = settled();
        anna.server.change(doing);
        anna.running.wait_or(
            what,
            || (count(&anna, EventType::MessageMoved) == 1).then_some(()),
            || format!("{what}: {:?}", anna.server.state().commands),
        );
        assert_one_move(&anna, &before, what);
    }
}

#[test]
fn of_two_copies_the_one_that_vanished_is_the_one_that_moved() {
    let (anna, _) = settled();
    anna.server.change(|state| {
        let copy = Mail { uid: 9, ..state.folder("INBOX").mails[1].clone() };
        state.folder("X").mails.push(copy);
    });
    anna.until_stored(&[("INBOX", "in1"), ("INBOX", "in2"), ("INBOX", "in3"), ("X", "x1"), ("X", "in2")]);
    let before = ids(&anna);
    assert_eq!(before["in2"].len(), 2);
    anna.server.change(|state| relocate(state, "X", "in2", "Trash"));
    anna.until_stored(&[("INBOX", "in1"), ("INBOX", "in2"), ("INBOX", "in3"), ("X", "x1"), ("Trash", "in2")]);
    anna.rounds(4);
    let sorted = |ids: BTreeMap<String, Vec<String>>| {
        ids.into_values().flatten().collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(sorted(ids(&anna)), sorted(before));
    assert_eq!((count(&anna, EventType::MessageMoved), count(&anna, EventType::MessageDeleted)), (1, 0));
    // the original goes and its copy moves, at once
    anna.server.change(|state| {
        state.folder("INBOX").mails.remove(1);
        relocate(state, "Trash", "in2", "Z");
    });
    anna.until_stored(&[("INBOX", "in1"), ("INBOX", "in3"), ("X", "x1"), ("Z", "in2")]);
    let told = || {
        [EventType::MessageMoved, EventType::MessageNew, EventType::MessageDeleted]
            .map(|kind| count(&anna, kind))
    };
    anna.wait("moved, new, deleted", || (told() == [2, 5, 1]).then_some(()));
    anna.rounds(4);
    assert_eq!(told(), [2, 5, 1], "and nothing else");
}

#[test]
fn a_message_without_a_message_id_moves_and_what_is_old_does_not_arrive() {
    let (anna, _) = settled();
    let scan = Mail {
        body: b"From: scanner@makler.test\r\nSubject: scan\r\n\r\nx\r\n".to_vec(),
        date: String::from("01-Jan-2020 10:00:00 +0000"),
        ..Mail::new(60, "")
    };
    anna.server.change(|state| {
        state.folder("INBOX").mails.push(scan);
        state.folder("INBOX").uid_next = Some(61);
    });
    let new =
        anna.running.until_event(EventType::MessageNew, "the scan", |event| event.data["subject"] == "scan");
    assert_eq!(new.data["origin"], "history", "it is older than what was seen");
    let before = ids(&anna);
    anna.server.change(|state| relocate(state, "INBOX", "scan", "X"));
    anna.running.wait("the move", || (count(&anna, EventType::MessageMoved) == 1).then_some(()));
    anna.rounds(4);
    assert_eq!(ids(&anna), before);
    assert_eq!(count(&anna, EventType::MessageDeleted), 0);
}

#[test]
fn folders_that_only_look_like_calendars_are_folders_and_a_person_decides() {
    let folders = || {
        [
            Mailbox::new("INBOX", mails("in", 2)),
            Mailbox::new("Notes", mails("note", 1)),
            Mailbox::new("Notes/2026", mails("sub", 1)),
        ]
    };
    let plain = anna(&Server::start(folders()));
    plain.until_stored(&[("INBOX", "in1"), ("INBOX", "in2"), ("Notes", "note1"), ("Notes/2026", "sub1")]);
    // on Exchange the folder itself is left out, not what is in it
    let server = Server::start(folders());
    server.state().capabilities = String::from("IMAP4rev1 IDLE ID");
    server.answers("ID", "* ID (\"name\" \"Microsoft.Exchange.Imap4.Imap4Server\")\r\n{tag} OK done\r\n");
    let anna = anna(&server);
    anna.until_stored(&[("INBOX", "in1"), ("INBOX", "in2"), ("Notes/2026", "sub1")]);
    anna.until_live();
    assert_eq!(
        (&anna.folder("Notes")["included"], &anna.folder("Notes")["state"]),
        (&json!(false), &json!("excluded"))
    );
    // what is filed there has left
    server.change(|state| relocate(state, "INBOX", "in2", "Notes"));
    let left =
        anna.running.until_event(EventType::MessageLeft, "what left", |event| event.data["subject"] == "in2");
    assert_eq!((&left.data["folder"], &left.data["from_folder"]), (&json!("Notes"), &json!("INBOX")));
    assert_eq!(count(&anna, EventType::MessageDeleted), 0);
    let id = anna.folder("Notes")["id"].as_str().unwrap().to_owned();
    let shown =
        anna.api.patch(&format!("/v1/mailboxes/anna/folders/{id}"), &json!({"included": true})).ok(200);
    assert_eq!(shown["included"], true);
    anna.until_stored(&[("INBOX", "in1"), ("Notes", "note1"), ("Notes", "in2"), ("Notes/2026", "sub1")]);
    // and out again; a person's word counts more than LIST
    let shown =
        anna.api.patch("/v1/mailboxes/anna/folders/Notes%2F2026", &json!({"included": false})).ok(200);
    assert_eq!(shown["included"], false);
    anna.rounds(2); // a round under way may still look
    server.change(|state| state.folder("Notes/2026").mails.push(Mail::new(2, "unseen")));
    anna.rounds(4);
    assert!(!anna.stored().contains(&(String::from("Notes/2026"), String::from("unseen"))));
    for (body, status) in [(json!({"included": "yes"}), 422), (json!({"path": "x"}), 422), (Value::Null, 422)]
    {
        anna.api.patch(&format!("/v1/mailboxes/anna/folders/{id}"), &body).ok(status);
    }
    anna.api.patch("/v1/mailboxes/anna/folders/nowhere", &json!({"included": true})).ok(404);
}
