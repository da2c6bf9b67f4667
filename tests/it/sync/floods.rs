//! Servers and senders that flood: what they send is bounded before it is held or parsed, the mailbox says so, and the others
//! do not wait.

use crate::api::frame::deaf;
use crate::support::anna::{Anna, anna};
use crate::support::api::Api;
use crate::support::engine::{Running, bare_config};
use crate::support::hostile::{self, crafted_mails, many_folders};
use crate::support::scripted::{Act, Mail, Mailbox, Rule, Server};
use crate::sync::bad_servers::{anna_at, imap, say};
use serde_json::Value;
use stafette::domain::Incarnation;
use stafette::events::EventType;
use std::time::Duration;

/// Waits until the mailbox shows this diagnosis.
fn until_diagnosed(running: &Running, mailbox: Incarnation, code: &str) {
    running.until(mailbox, code, |status| status.diagnosis.as_ref().is_some_and(|found| found.code == code));
}

#[test]
fn an_answer_that_never_ends_is_given_up_however_prompt_its_lines_are() {
    let data = tempfile::tempdir().unwrap();
    let mut config = bare_config(data.path());
    config.timing.command = Duration::from_millis(100);
    let (running, api) = Running::serve(&config);
    let mailbox = anna_at(&running, &api, |line, stream| {
        imap(line, stream, |stream, _| {
            while say(stream, "* OK still here\r\n") {
                std::thread::sleep(Duration::from_millis(20));
            }
            false
        })
    });
    until_diagnosed(&running, mailbox, "server_silent");
}

#[test]
fn a_server_that_floods_idle_is_given_up_and_polled() {
    let server = Server::start([Mailbox::new("INBOX", [Mail::new(1, "one")])]);
    server.rule("IDLE", usize::MAX, hostile::idle_flood(20_000));
    let anna = anna(&server);
    until_diagnosed(&anna.running, anna.mailbox, "server_limit_exceeded");
    let polls = || (server.state().count("NOOP") > 0).then_some(());
    anna.running.wait("polls", polls);
    server.change(|state| state.folder("INBOX").mails.push(Mail::new(2, "two")));
    anna.until_stored(&[("INBOX", "one"), ("INBOX", "two")]);
}

#[test]
fn a_list_of_one_name_without_end_is_cut_off_and_one_of_many_lines_is_one_folder() {
    let line = "* LIST () \"/\" INBOX\r\n";
    let server = Server::start([Mailbox::new("INBOX", [Mail::new(1, "one")])]);
    server.rule("LIST", 1, hostile::one_name(20 << 20));
    server.rule("LIST", 1, Act::Answer(format!("{}{{tag}} OK done\r\n", line.repeat(100_000)).into_bytes()));
    let anna = anna(&server);
    until_diagnosed(&anna.running, anna.mailbox, "server_limit_exceeded");
    anna.until_stored(&[("INBOX", "one")]);
    anna.until_live();
    assert_eq!(anna.folders().len(), 1);
}

#[test]
fn more_folders_than_are_taken_are_left_out_and_said_to_be() {
    let inbox = Mailbox::new("INBOX", [Mail::new(1, "one")]);
    let server = Server::start(many_folders("f", 20_050).chain([inbox]));
    let anna = anna(&server);
    let shown = |anna: &Anna| anna.shown()["diagnosis"]["code"].clone();
    anna.until_stored(&[("INBOX", "one")]);
    anna.until_live();
    assert_eq!(shown(&anna), "too_many_folders");
    assert_eq!(anna.shown()["attention"], true);
    let stored = || anna.running.store.folders(anna.mailbox).unwrap().len();
    // INBOX is not among the first, and is there all the same
    assert!((20_000..=20_001).contains(&stored()), "{}", stored());
    // others than those that were taken come first now: nothing is deleted because of that
    server.change(|state| state.folders.rotate_left(10_000));
    anna.rounds(2);
    server.change(|state| state.folder("INBOX").mails.push(Mail::new(2, "two")));
    anna.until_stored(&[("INBOX", "one"), ("INBOX", "two")]);
    assert_eq!(anna.events(EventType::FolderDeleted).len(), 0);
    server.change(|state| {
        let keep =
            |folder: &Mailbox| folder.name == b"INBOX" || folder.name.as_slice() < b"f19900".as_slice();
        state.folders.retain(keep);
    });
    anna.running.until(anna.mailbox, "no diagnosis", |status| status.diagnosis.is_none());
    anna.assert_live();
}

/// More folders go at once than one commit takes.
#[test]
fn folders_that_go_by_thousands_are_all_told_once() {
    let inbox = Mailbox::new("INBOX", [Mail::new(1, "one")]);
    let server = Server::start(many_folders("f", 1050).chain([inbox]));
    let anna = anna(&server);
    anna.until_stored(&[("INBOX", "one")]);
    anna.until_live();
    server.change(|state| state.folders.retain(|folder| folder.name == b"INBOX"));
    let gone = || (anna.events(EventType::FolderDeleted).len() >= 1050).then_some(());
    anna.wait("folders are gone", gone);
    let names: std::collections::BTreeSet<String> = anna
        .events(EventType::FolderDeleted)
        .iter()
        .map(|event| event.data["folder_id"].to_string())
        .collect();
    assert_eq!((names.len(), anna.events(EventType::FolderDeleted).len()), (1050, 1050));
    anna.assert_live();
}

/// The worst that a server can answer to what it is asked.
fn attack(server: &Server) {
    server.rule(hostile::HEADERS, 2, hostile::endless_parameters());
    server.rule("LIST", 2, hostile::one_name(20 << 20));
    server.rule("SELECT", 1, hostile::long_lines(24));
    server.rule("IDLE", 1, hostile::idle_flood(200_000));
}

/// A mailbox at a server, over the API.
fn add(running: &Running, api: &Api, id: &str, server: &Server) -> Incarnation {
    let mut mailbox = deaf(id);
    mailbox["imap"] = server.endpoint();
    mailbox["smtp"] = Value::Null;
    api.post("/v1/mailboxes", &mailbox).ok(201);
    running.stored(id).incarnation
}

/// Two arbiters and more: of the good mailboxes one lives beside the hostile one.
#[test]
fn the_worst_of_servers_and_senders_keeps_no_arbiter_and_nobodys_mail_waiting() {
    let data = tempfile::tempdir().unwrap();
    let mut config = bare_config(data.path());
    config.timing.quarantine_retry = Duration::from_secs(3600);
    let (running, api) = Running::serve(&config);
    let evil = Server::start([Mailbox::new("INBOX", crafted_mails())]);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let good: Vec<Server> = (0..=cores).map(|_| Server::start([Mailbox::new("INBOX", [])])).collect();
    let mailbox = add(&running, &api, "evil", &evil);
    for (number, server) in good.iter().enumerate() {
        let good = add(&running, &api, &format!("good{number}"), server);
        running.until(good, "a good mailbox", |status| status.synced);
    }
    let mut uid = 0;
    let mut mail_comes = |count: u32| {
        for _ in 0..count {
            uid += 1;
            for server in &good {
                let mail = Mail::new(uid, &format!("m{uid}"));
                server.change(|state| state.folder("INBOX").mails.push(mail));
            }
            let name = format!("<m{uid}@kunde.test>");
            let told = || {
                running
                    .events_of(EventType::MessageNew)
                    .iter()
                    .filter(|event| event.data["message_id"] == name)
                    .count()
            };
            running.wait("good mail", || (told() == good.len()).then_some(()));
        }
    };
    mail_comes(3);
    println!("crafted messages: {:?}", running.lags());
    let stored = || {
        let folder = running.folder(mailbox, "INBOX");
        running.store.uid_entries(mailbox, folder.id, folder.incarnation).unwrap().len()
    };
    running.wait("crafted messages", || (stored() == 7).then_some(()));
    println!("crafted messages stored: {:?}", running.lags());
    attack(&evil);
    evil.change(|state| {
        state.folder("INBOX").uid_validity = 8;
        state.folders.extend(many_folders("f", 22_000));
    });
    evil.hang_up();
    mail_comes(5);
    for begins in ["LIST", "UID FETCH", "SELECT", "IDLE"] {
        let is_left = |rule: &Rule| rule.begins.starts_with(begins) && rule.times > 0;
        let is_met = || (!evil.state().rules.iter().any(is_left)).then_some(());
        let commands =
            || format!("{begins} {:?}", evil.state().commands.iter().rev().take(20).collect::<Vec<_>>());
        running.wait_or("an attack that is met", is_met, commands);
    }
    mail_comes(2);
    println!("all: {:?}", running.lags());
    assert!(running.lags().into_iter().all(|lag| lag < Duration::from_millis(250)), "{:?}", running.lags());
    assert_eq!(running.restarts(mailbox), 0);
}
