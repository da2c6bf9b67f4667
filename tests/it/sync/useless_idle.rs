//! IDLE that is offered and of no use: the mailbox is polled and stays live.

use crate::support::anna::{Anna, anna, anna_with};
use crate::support::scripted::{Act, Mail, Mailbox, Server};
use std::time::Duration;

fn one() -> Server {
    Server::start([Mailbox::new("INBOX", [Mail::new(1, "one")])])
}

/// Mail that comes is stored, on few connections.
fn assert_polled(anna: &Anna, connections: usize) {
    anna.until_stored(&[("INBOX", "one")]);
    anna.until_live();
    anna.server.state().folder("INBOX").mails.push(Mail::new(2, "two"));
    anna.until_stored(&[("INBOX", "one"), ("INBOX", "two")]);
    anna.until_live();
    anna.rounds(8);
    anna.assert_live();
    let state = anna.server.state();
    assert!(state.count("IDLE") <= 3, "given up: {:?}", state.commands);
    assert!(state.connections <= connections, "{} connections", state.connections);
}

#[test]
fn idle_that_is_refused_is_given_up() {
    for answer in ["{tag} NO IDLE not permitted\r\n", "{tag} BAD what?\r\n"] {
        let server = one();
        server.answers("IDLE", answer);
        assert_polled(&anna(&server), 1);
        assert_eq!(server.state().count("IDLE"), 1);
    }
}

#[test]
fn idle_that_ends_at_once_is_given_up() {
    for answer in ["{tag} OK done\r\n", "+ idling\r\n{tag} OK done\r\n"] {
        let server = one();
        server.answers("IDLE", answer);
        assert_polled(&anna(&server), 1);
        assert_eq!(server.state().count("IDLE"), 3, "thrice may be by chance");
    }
}

#[test]
fn idle_that_ends_the_connection_is_given_up() {
    let server = one();
    server.rule("IDLE", usize::MAX, Act::Close);
    assert_polled(&anna(&server), 4);
}

#[test]
fn idle_that_never_begins_is_given_up() {
    let server = one();
    server.rule("IDLE", usize::MAX, Act::Silence);
    let anna = anna_with(&server, |config| {
        config.timing.idle_start = Duration::from_millis(200);
        config.timing.logout = Duration::from_millis(50);
    });
    assert_polled(&anna, 4);
}
