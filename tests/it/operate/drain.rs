//! SIGTERM: the daemon ends by itself, with exit code 0, and leaves nothing behind that the next one has to mend.

use crate::support::daemon::{ADMIN_KEY, Daemon, Site, draft, password_mailbox, world_with};
use crate::support::follow::present;
use crate::world::entra::Instead;
use crate::world::proxy::{Direction, Ending};
use crate::world::{Kind, ProxyHandle, Rotation, SeedOptions, Transport};
use serde_json::Value;
use std::io::{Read, Write};

const ANNA: &str = "anna@makler.test";
const BEN: &str = "ben@makler.test";

#[test]
fn a_first_sync_that_is_asked_to_end_ends_well_and_goes_on_at_the_next_start() {
    let world = world_with(&[ANNA]).without_postfix().start();
    let report = world.seed(ANNA, &SeedOptions::messages(300));
    let proxy = world.proxy(Kind::Imap, Transport::ImplicitTls);
    let site = Site::new(&world);
    let mut daemon = site.start();
    proxy.after_bytes(report.wire_bytes / 2, Direction::ToClient, daemon.terminator());
    daemon.post("/v1/mailboxes", &password_mailbox(ANNA, proxy.port, 1));
    let status = daemon.ended();
    assert_eq!(status.code(), Some(0), "{}", daemon.tail());
    let daemon = site.start();
    let stored = daemon.get("/v1/mailboxes/anna")["sync"]["messages"].as_u64().unwrap();
    assert!(0 < stored && stored < 300, "it ended in the middle: {stored}");
    daemon.until_live("anna");
    daemon.assert_stored(&present(&world, ANNA), "anna");
}

#[test]
fn a_mailbox_that_waits_in_idle_says_goodbye() {
    let world = world_with(&[ANNA]).without_postfix().start();
    let proxy = world.proxy(Kind::Imap, Transport::ImplicitTls);
    let mut site = Site::new(&world);
    // it stays in IDLE
    site.set("STAFETTE_TIMING__STATUS_INTERVAL", "1h");
    let mut daemon = site.start();
    daemon.post("/v1/mailboxes", &password_mailbox(ANNA, proxy.port, 1));
    daemon.until_live("anna");
    daemon.until("IDLE", || proxy.commands().iter().any(|said| said == "IDLE").then_some(()));
    assert_eq!(daemon.terminate().code(), Some(0), "{}", daemon.tail());
    assert_eq!(proxy.commands().last().map(String::as_str), Some("LOGOUT"));
}

#[test]
fn whoever_waits_for_events_is_answered_and_waited_for_no_longer() {
    let world = world_with(&[ANNA]).without_postfix().start();
    let site = Site::new(&world);
    let mut daemon = site.start();
    let mut waiting = daemon.connect();
    // the second request is there when the first is answered
    let request = |target: &str| {
        format!("GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_KEY}\r\n\r\n")
    };
    let both = request("/healthz") + &request("/v1/events?after=latest&wait=60");
    waiting.write_all(both.as_bytes()).unwrap();
    let mut first = [0; 15];
    waiting.read_exact(&mut first).unwrap();
    assert_eq!(daemon.terminate().code(), Some(0), "{}", daemon.tail());
    assert!(!daemon.log().iter().any(|line| line.contains("drain took too long")), "{}", daemon.tail());
    let mut answers = String::new();
    waiting.read_to_string(&mut answers).unwrap();
    assert!(answers.contains("\"items\":[]"), "{answers}");
}

fn send(daemon: &Daemon, key: &str) -> String {
    daemon.try_submit("anna", key, &draft(BEN, "Hello")).unwrap()
}

fn until(daemon: &Daemon, id: &str, states: &[&str]) -> Value {
    daemon.until("the fate of the submission", || {
        let shown = daemon.get(&format!("/v1/mailboxes/anna/outbox/{id}"));
        shown["state"].as_str().is_some_and(|state| states.contains(&state)).then_some(shown)
    })
}

/// Bytes to the server of one life that sends one message, without the final QUIT.
fn bytes_of_one(site: &Site, proxy: &ProxyHandle) -> u64 {
    let mut daemon = site.start();
    let mut anna = password_mailbox(ANNA, 1, proxy.port);
    anna["imap"] = Value::Null;
    assert_eq!(daemon.post("/v1/mailboxes", &anna).status, 201);
    let id = send(&daemon, "first");
    until(&daemon, &id, &["sent"]);
    assert!(daemon.terminate().success());
    let said: usize =
        proxy.commands().iter().filter(|command| *command == "QUIT").map(|quit| quit.len() + 2).sum();
    proxy.carried().1 - said as u64
}

#[test]
fn a_message_whose_answer_is_waited_for_is_settled_before_the_end() {
    let world = world_with(&[ANNA, BEN]).start();
    let proxy = world.proxy(Kind::Smtp, Transport::StartTls);
    let site = Site::new(&world);
    let bytes = bytes_of_one(&site, &proxy);
    let mut daemon = site.start();
    // asked to end when the final dot has left, half a second before the answer
    proxy.delay_ms(Some(500));
    proxy.after_bytes(bytes, Direction::ToServer, daemon.terminator());
    let id = send(&daemon, "second");
    assert_eq!(daemon.ended().code(), Some(0), "{}", daemon.tail());
    proxy.delay_ms(None);
    let daemon = site.start();
    let shown = until(&daemon, &id, &["sent", "unknown", "failed"]);
    assert_eq!(shown["state"], "sent", "{shown}");
    assert_eq!(shown["attempts"], 1);
}

#[test]
fn a_refresh_whose_answer_is_waited_for_is_kept_before_the_end() {
    let world = world_with(&[ANNA]).without_postfix().start();
    world.entra().set_rotation(Rotation::Strict);
    let site = Site::new(&world);
    site.add_signed_in(&world, ANNA, |anna| anna.smtp = None);
    world.entra().next("token", Instead::delay_ms(2500));
    let mut daemon = site.start();
    daemon.until("the first refresh", || (world.entra().count("token") > 1).then_some(()));
    assert_eq!(daemon.terminate().code(), Some(0), "{}", daemon.tail());
    site.start().until_live("anna");
    let refused = world.entra().log().into_iter().filter(|entry| entry.result.starts_with("AADSTS"));
    assert_eq!(refused.count(), 0, "no consumed token was sent again");
}

#[test]
fn an_answer_that_is_late_still_counts_when_its_mailbox_is_changed_meanwhile() {
    let world = world_with(&[ANNA, BEN]).start();
    let proxy = world.proxy(Kind::Smtp, Transport::StartTls);
    let mut site = Site::new(&world);
    let bytes = bytes_of_one(&site, &proxy);
    site.set("STAFETTE_TIMING__DRAIN", "100ms");
    let mut daemon = site.start();
    proxy.delay_ms(Some(700));
    // the final dot has left, and the answer comes long after everybody was told to end
    proxy.after_bytes(bytes, Direction::ToServer, daemon.poster("/v1/mailboxes/anna/pause"));
    let id = send(&daemon, "second");
    daemon.until_log(|line| line.contains("an answer is overdue"));
    assert_eq!(daemon.post("/v1/mailboxes/anna/resume", &Value::Null).status, 200);
    let shown = until(&daemon, &id, &["sent", "unknown", "failed"]);
    assert_eq!(shown["state"], "sent", "{shown}");
    assert_eq!(shown["attempts"], 1);
    proxy.delay_ms(None);
    until(&daemon, &send(&daemon, "third"), &["sent"]);
    assert_eq!(daemon.terminate().code(), Some(0), "{}", daemon.tail());
}

#[test]
fn a_message_that_has_not_left_is_cut_off_when_its_server_takes_too_long() {
    let world = world_with(&[ANNA, BEN]).start();
    let proxy = world.proxy(Kind::Smtp, Transport::StartTls);
    let mut site = Site::new(&world);
    site.set("STAFETTE_TIMING__DRAIN", "100ms");
    let daemon = site.start();
    // the server never finishes its answer to DATA
    proxy.cut_at(b"354", Direction::ToClient, 1, Ending::Stall);
    let mut anna = password_mailbox(ANNA, 1, proxy.port);
    anna["imap"] = Value::Null;
    assert_eq!(daemon.post("/v1/mailboxes", &anna).status, 201);
    let id = send(&daemon, "first");
    until(&daemon, &id, &["sending"]);
    assert_eq!(daemon.post("/v1/mailboxes/anna/pause", &Value::Null).status, 200);
    assert_eq!(daemon.post("/v1/mailboxes/anna/resume", &Value::Null).status, 200);
    let shown = until(&daemon, &id, &["sent", "unknown", "failed"]);
    assert_eq!(shown["state"], "sent", "{shown}");
    assert_eq!(shown["attempts"], 2);
}

#[test]
fn a_rotated_token_that_is_late_is_kept_when_its_mailbox_is_changed_meanwhile() {
    let world = world_with(&[ANNA]).without_postfix().start();
    world.entra().set_rotation(Rotation::Strict);
    let mut site = Site::new(&world);
    site.set("STAFETTE_TIMING__DRAIN", "100ms");
    site.add_signed_in(&world, ANNA, |anna| anna.smtp = None);
    world.entra().next("token", Instead::delay_ms(2500));
    let daemon = site.start();
    daemon.until("the first refresh", || (world.entra().count("token") > 1).then_some(()));
    assert_eq!(daemon.post("/v1/mailboxes/anna/pause", &Value::Null).status, 200);
    assert_eq!(daemon.post("/v1/mailboxes/anna/resume", &Value::Null).status, 200);
    daemon.until_log(|line| line.contains("an answer is overdue"));
    daemon.until_live("anna");
    let refused = world.entra().log().into_iter().filter(|entry| entry.result.starts_with("AADSTS"));
    assert_eq!(refused.count(), 0, "no consumed token was sent again");
}
