//! Small folders are opened and read many at once; they share commits, and memory for bodies with everybody else.

use crate::support::anna::{anna, anna_with};
use crate::support::scripted::{Act, Mail, Mailbox, Server};
use serde_json::Value;
use stafette::events::EventType;
use std::time::Duration;

/// A message that cannot be compressed.
fn noise(uid: u32, seed: u64, length: usize) -> Mail {
    let mut mail = Mail::new(uid, &format!("n{seed}-{uid}"));
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(u64::from(uid)) | 1;
    while mail.body.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        mail.body.extend(state.to_le_bytes());
    }
    mail
}

/// A server of so many folders beside the inbox, with a message in each.
fn many(folders: u32) -> Server {
    let name = |number| format!("F{number:02}");
    let folders = (1..=folders).map(|number| Mailbox::new(&name(number), [Mail::new(1, &name(number))]));
    Server::start(std::iter::once(Mailbox::new("INBOX", [Mail::new(1, "in")])).chain(folders))
}

#[test]
fn whatever_is_odd_about_one_small_folder_the_others_are_read_together() {
    let server = many(30);
    {
        let mut state = server.state();
        // longer than what is asked for at first; shorter than the server says; nothing at all
        state.folder("F03").mails = vec![noise(1, 3, 600_000)];
        state.folder("F04").mails[0].size = Some(String::from("99999"));
        state.folder("F05").mails.clear();
        state.folder("F06").uid_next = Some(0);
        state.folder("F07").mails.extend((2..=60).map(|uid| Mail::new(uid, &format!("seven-{uid}"))));
    }
    server.answers("SELECT \"F08\"", "{tag} NO not today\r\n");
    // flags of another folder, in between
    server.rule("SELECT \"F09\"", 1, Act::Before(b"* 1 FETCH (FLAGS (\\Seen))\r\n".to_vec()));
    server.rule("FETCH 1:1", 1, Act::Before(b"* 1 FETCH (FLAGS (\\Seen))\r\n".to_vec()));
    let anna = anna(&server);
    anna.until_live();
    anna.wait("set apart", || (anna.folder("F08")["state"] == "set_apart").then_some(()));
    let stored: usize = anna.running.snapshot(anna.mailbox).values().map(Vec::len).sum();
    // one folder is empty, one is set apart
    assert_eq!(stored, 1 + 30 - 2 + 59);
    assert_eq!(anna.events(EventType::MessageNew).len(), stored, "each is told once");
    let state = server.state();
    // most folders needed no look of their own
    assert!(state.count("UID FETCH 1:*") < 10, "{:?}", state.commands);
    assert_eq!(state.count("SELECT \"F20\""), 1);
    assert_eq!(state.connections, 1);
}

#[test]
fn a_connection_that_ends_among_small_folders_costs_none_of_them() {
    for act in [Act::Close, Act::Silence] {
        let server = many(12);
        server.rule("FETCH 1:1", 1, act);
        let anna = anna_with(&server, |config| {
            config.timing.command = Duration::from_millis(400);
            config.timing.fetch_silence = Duration::from_millis(400);
        });
        anna.until_live();
        assert_eq!(anna.running.snapshot(anna.mailbox).values().map(Vec::len).sum::<usize>(), 13);
        assert_eq!(anna.events(EventType::MessageNew).len(), 13, "each is told once");
        assert_eq!(anna.events(EventType::FolderSetApart).len(), 0, "nobody knows at which it was");
    }
}

#[test]
fn mailboxes_that_gather_do_not_wait_for_each_other() {
    let server = |seed: u64| {
        let folder = |number: u64| {
            let mails = (1..=5).map(|uid| noise(uid, seed * 100 + number, 60_000));
            Mailbox::new(&format!("F{number:02}"), mails)
        };
        let server = Server::start((1..=40).map(folder));
        // all of them at the same pace
        server.state().change = Some(Box::new(|line| {
            std::thread::sleep(Duration::from_millis(if line.len() > 1000 { 20 } else { 0 }));
            line
        }));
        server
    };
    let servers: Vec<Server> = (1..=4).map(server).collect();
    let anna = anna(&servers[0]);
    for (number, server) in servers.iter().enumerate().skip(1) {
        let mut mailbox = crate::api::frame::deaf(&format!("m{number}"));
        mailbox["imap"] = server.endpoint();
        mailbox["smtp"] = Value::Null;
        anna.api.post("/v1/mailboxes", &mailbox).ok(201);
    }
    anna.running.wait("everything", || (anna.events(EventType::MessageNew).len() == 800).then_some(()));
}
