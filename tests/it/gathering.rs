//! First windows of small folders share commits, and memory for bodies with everybody else.

use crate::anna::anna;
use crate::scripted::{Mail, Mailbox, Server};
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

#[test]
fn mailboxes_that_gather_do_not_wait_for_each_other() {
    let server = |seed| {
        let mails: Vec<Mail> = (1..=50).map(|uid| noise(uid, seed, 250_000)).collect();
        let server = Server::start([Mailbox::new("INBOX", mails)]);
        // all of them at the same pace
        server.state().change = Some(Box::new(|line| {
            std::thread::sleep(Duration::from_millis(if line.len() > 1000 { 50 } else { 0 }));
            line
        }));
        server
    };
    let servers: Vec<Server> = (1..=4).map(server).collect();
    let anna = anna(&servers[0]);
    for (number, server) in servers.iter().enumerate().skip(1) {
        let mut mailbox = crate::http::deaf(&format!("m{number}"));
        mailbox["imap"] = server.endpoint();
        mailbox["smtp"] = Value::Null;
        anna.api.post("/v1/mailboxes", &mailbox).ok(201);
    }
    anna.running.wait("everything", || (anna.events(EventType::MessageNew).len() == 200).then_some(()));
}
