//! SIGKILL while mail comes, is moved and goes: everything is there once, and was announced once.

use super::{ANNA, Make, Server, message};
use crate::support::daemon::Site;
use crate::support::rounds::randomness;
use rand::Rng;
use serde_json::json;
use std::time::Duration;

#[test]
fn a_killed_daemon_has_everything_once_on_dovecot() {
    killed_over_and_over(Make::Dovecot);
}

#[test]
fn a_killed_daemon_has_everything_once_on_exchange() {
    killed_over_and_over(Make::Exchange);
}

#[test]
fn a_killed_daemon_has_everything_once_on_cyrus() {
    killed_over_and_over(Make::Cyrus);
}

fn killed_over_and_over(make: Make) {
    let (server, mut rng) = (Server::start(make), randomness("any server"));
    let mailboxes = &server.mailboxes;
    let site = Site::trusting(&server.ca_pem);
    mailboxes.create_folder(ANNA, "Ablage");
    let mut daemon = site.start();
    let posted = json!({
        "id": "anna", "address": ANNA, "smtp": null,
        "imap": {"host": "127.0.0.1", "port": server.imaps_port, "security": "tls"},
        "auth": {"kind": "password", "user": ANNA, "password": "pass"},
    });
    let reply = daemon.post("/v1/mailboxes", &posted);
    assert_eq!(reply.status, 201, "{}", reply.json());
    daemon.until_live("anna");
    for round in 0..8 {
        let kill = daemon.killer();
        let after = Duration::from_millis(rng.random_range(0..600));
        let killing = std::thread::spawn(move || {
            std::thread::sleep(after);
            kill();
        });
        let batch: Vec<Vec<u8>> = (0..10).map(|number| message(&format!("r{round}-{number}"))).collect();
        mailboxes.deliver_all(ANNA, &batch);
        let uids: Vec<u32> = mailboxes.list(ANNA, "INBOX").iter().map(|seen| seen.uid).collect();
        mailboxes.set_flags(ANNA, "INBOX", uids[0], "+FLAGS", "\\Flagged");
        mailboxes.move_message(ANNA, "INBOX", uids[1], "Ablage");
        killing.join().unwrap();
        daemon.killed();
        daemon = site.start();
    }
    daemon.until_live("anna");
    let mut theirs = mailboxes.snapshot(ANNA);
    theirs.retain(|_, messages| !messages.is_empty());
    daemon.until("the last changes", || (daemon.snapshot("anna") == theirs).then_some(()));
    daemon.assert_stored(&theirs, "anna");
}
