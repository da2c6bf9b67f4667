//! A folder that the server lists and does not open, in all the ways that servers have: it is set apart, visibly, and
//! everything else is in step.

use crate::support::anna::{anna, anna_with};
use crate::support::scripted::{Act, Mail, Mailbox, Server};
use serde_json::{Value, json};
use stafette::events::EventType;
use std::time::Duration;

fn two() -> Server {
    Server::start([
        Mailbox::new("INBOX", [Mail::new(1, "in")]),
        Mailbox::new("Odd", [Mail::new(1, "odd")]),
        Mailbox::new("Sent", [Mail::new(1, "sent")]),
    ])
}

const REST: &[(&str, &str)] = &[("INBOX", "in"), ("Sent", "sent")];

#[test]
fn a_folder_that_refuses_is_set_apart_and_the_rest_is_live() {
    for (answer, code) in [
        ("BAD Command Argument Error. 11", Value::Null),
        ("NO [NONEXISTENT] Mailbox doesn't exist", Value::Null),
        ("NO [SERVERBUG] Internal error occurred. Refer to server log", Value::Null),
        ("NO [INUSE] somebody else", Value::Null),
        ("NO [LIMIT] too many", Value::Null),
        ("NO [UNAVAILABLE] later", Value::Null),
        ("NO [NOPERM] not yours", json!("folder_denied")),
        ("NO [CANNOT] not a mailbox", Value::Null),
        ("NO Mailbox does not exist", Value::Null),
        ("NO Permission denied", json!("folder_denied")),
        ("NO Unknown error", Value::Null),
    ] {
        let server = two();
        let refusal = format!("{{tag}} {answer}\r\n");
        server.answers("SELECT \"Odd\"", &refusal).answers("STATUS \"Odd\"", &refusal);
        let anna = anna(&server);
        anna.until_stored(REST);
        anna.until_live();
        let folder =
            anna.wait("set apart", || Some(anna.folder("Odd")).filter(|it| it["state"] == "set_apart"));
        let said = answer.split_once(' ').unwrap().1;
        assert_eq!((&folder["reason"], &folder["diagnosis"]["code"]), (&json!(said), &code), "{folder}");
        assert!(folder["since"].is_string() && folder["next_try"].is_string(), "{folder}");
        assert_eq!(anna.folder("INBOX")["state"], "in_step");
        anna.assert_live();
        assert_eq!(anna.shown()["attention"], true);
        anna.rounds(3);
        assert_eq!(anna.events(EventType::FolderSetApart).len(), 1, "{answer}: told once");
        // and comes back by itself
        server.state().rules.clear();
        anna.until_stored(&[("INBOX", "in"), ("Odd", "odd"), ("Sent", "sent")]);
        anna.wait("restored", || (anna.folder("Odd")["state"] == "in_step").then_some(()));
        assert_eq!(anna.events(EventType::FolderRestored).len(), 1);
        assert_eq!(
            (&anna.folder("Odd")["reason"], &anna.shown()["attention"]),
            (&Value::Null, &json!(false))
        );
        assert_eq!(server.state().connections, 1, "{answer}: nobody had to connect again");
    }
}

#[test]
fn a_listing_that_is_refused_sets_its_folder_apart() {
    for answer in ["{tag} NO [SERVERBUG] cannot read the index\r\n", "{tag} BAD no\r\n"] {
        let server = two();
        server.rule("SELECT \"Odd\"", usize::MAX, Act::Before(b"* 9 EXISTS\r\n".to_vec()));
        let anna = {
            server.state().change = Some(Box::new(|line| line));
            server.answers("UID FETCH 1:* (UID FLAGS", answer);
            server.answers("FETCH", answer);
            anna(&server)
        };
        // every folder refuses: that is the mailbox's
        anna.running.until(anna.mailbox, "a diagnosis", |status| status.diagnosis.is_some());
        assert!(anna.folders().iter().all(|folder| folder["state"] != "set_apart"), "{:?}", anna.folders());
        server.state().rules.clear();
        anna.until_stored(&[("INBOX", "in"), ("Odd", "odd"), ("Sent", "sent")]);
    }
}

#[test]
fn a_folder_that_ends_every_connection_is_set_apart() {
    let ways: [(&str, Act); 3] = [
        ("closes", Act::Close),
        ("says goodbye", Act::Answer(b"* BYE internal error\r\n".to_vec())),
        ("is silent", Act::Silence),
    ];
    for (way, act) in ways {
        let server = two();
        server.rule("SELECT \"Odd\"", usize::MAX, act);
        let anna = anna_with(&server, impatient);
        anna.until_stored(REST);
        let apart = || Some(anna.folder("Odd")).filter(|it| it["state"] == "set_apart");
        let folder = anna.wait(&format!("set apart, {way}"), apart);
        assert!(folder["reason"].is_string(), "{folder}");
        anna.until_live();
    }
}

fn impatient(config: &mut stafette::config::Config) {
    config.timing.command = Duration::from_millis(400);
    config.timing.logout = Duration::from_millis(50);
}

#[test]
fn a_folder_whose_counts_end_every_connection_is_selected_instead() {
    for act in [Act::Close, Act::Silence] {
        let server = two();
        server.rule("STATUS \"Odd\"", usize::MAX, act);
        let anna = anna_with(&server, impatient);
        anna.until_stored(&[("INBOX", "in"), ("Odd", "odd"), ("Sent", "sent")]);
        anna.running.wait("the last try", || (server.state().count("STATUS \"Odd\"") >= 4).then_some(()));
        server.state().folder("Odd").mails.push(Mail::new(2, "later"));
        anna.until_stored(&[("INBOX", "in"), ("Odd", "odd"), ("Odd", "later"), ("Sent", "sent")]);
        anna.until_live();
        let so_far =
            |state: &crate::support::scripted::State| (state.count("STATUS \"Odd\""), state.connections);
        let before = so_far(&server.state());
        anna.rounds(5);
        anna.assert_live();
        assert_eq!(so_far(&server.state()), before);
        assert_eq!(anna.folder("Odd")["state"], "in_step");
    }
}

#[test]
fn a_mailbox_whose_every_folder_is_refused_is_not_live() {
    let server = two();
    server.answers("SELECT", "{tag} NO Unknown error\r\n");
    let anna = anna(&server);
    let status = anna.running.until(anna.mailbox, "a diagnosis", |status| status.diagnosis.is_some());
    assert_eq!(status.diagnosis.unwrap().code, "server_refused");
    assert_eq!(anna.shown()["state"], "retrying");
    server.state().rules.clear();
    anna.until_stored(&[("INBOX", "in"), ("Odd", "odd"), ("Sent", "sent")]);
    anna.until_live();
}

#[test]
fn an_inbox_whose_counts_end_every_connection_is_selected_instead() {
    let others =
        (0..12).map(|number| Mailbox::new(&format!("F{number:02}"), [Mail::new(1, &format!("f{number}"))]));
    let server = Server::start([Mailbox::new("INBOX", [Mail::new(1, "in")])].into_iter().chain(others));
    server.rule("STATUS \"INBOX\"", usize::MAX, Act::Close);
    // a round takes so long that the inbox is looked at meanwhile
    server.state().change = Some(Box::new(|line| {
        std::thread::sleep(Duration::from_millis(20));
        line
    }));
    let anna = anna(&server);
    anna.running.wait("everything", || (anna.stored().len() == 13).then_some(()));
    anna.until_live();
}
