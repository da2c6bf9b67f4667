//! The state's file is lost under a daemon that signed in, stored mail and was told to send: a start refuses by name, a
//! rebuild brings everything back, and the next start goes on without anybody signing in.

use crate::support::daemon::{Daemon, Site, draft, password_mailbox, without_ours, world_with};
use crate::world::SeedOptions;
use serde_json::Value;
use std::process::Command;

const ANNA: &str = "anna@makler.test";
const BEN: &str = "ben@makler.test";

/// Id, folder, UID and size of all messages.
fn messages(daemon: &Daemon) -> Vec<String> {
    let listed = daemon.get("/v1/mailboxes/anna/messages?limit=100");
    let items = listed["items"].as_array().unwrap();
    assert!(items.len() == 40 && listed["next"].is_null(), "{listed}");
    let line = |item: &Value| format!("{} {} {} {}", item["id"], item["folder"], item["uid"], item["size"]);
    items.iter().map(line).collect()
}

fn rebuild(site: &Site) {
    let rebuilt = without_ours(&mut Command::new(env!("CARGO_BIN_EXE_stafette")))
        .env("STAFETTE_DATA_DIR", site.data_dir())
        .args(["fsck", "--rebuild"])
        .output()
        .unwrap();
    let said = String::from_utf8(rebuilt.stdout).unwrap();
    assert!(rebuilt.status.success() && said.contains("back from the journal"), "{said}");
}

#[test]
fn a_daemon_whose_state_is_lost_goes_on_after_a_rebuild_without_a_sign_in() {
    let world = world_with(&[ANNA]).without_postfix().start();
    world.seed(ANNA, &SeedOptions { messages: 40, ..SeedOptions::default() });
    let site = Site::new(&world);
    site.add_signed_in(&world, ANNA, |_| {});
    let mut daemon = site.start();
    daemon.until_live("anna");
    daemon.assert_in_step(&world, "anna", ANNA);
    let mut later = draft("ben@makler.test", "later");
    later["send_at"] = "2999-01-01T00:00:00Z".into();
    let accepted = daemon.try_submit("anna", "key", &later).unwrap();
    let before = messages(&daemon);
    daemon.killer()();
    daemon.killed();
    std::fs::remove_dir_all(site.data_dir().join("state")).unwrap();

    let refused = site.start_with("");
    let said = refused.tail();
    assert!(said.contains("comes back from the journal") && said.contains("fsck --rebuild"), "{said}");
    rebuild(&site);

    let daemon = site.start();
    daemon.until_live("anna");
    assert_eq!(messages(&daemon), before, "by the ids they had");
    assert_eq!(daemon.events("message.new").len(), 0, "what is known is not announced again");
    assert_eq!(daemon.try_submit("anna", "key", &later).unwrap(), accepted, "asked again, it is the same");
    let waiting = daemon.get("/v1/mailboxes/anna/outbox");
    assert_eq!(waiting["items"].as_array().unwrap().len(), 1, "{waiting}");
}

#[test]
fn what_was_sent_is_not_sent_again_when_the_state_is_lost() {
    let world = world_with(&[ANNA, BEN]).start();
    let site = Site::new(&world);
    let mut daemon = site.start();
    let mut anna = password_mailbox(ANNA, 1, world.submission_port());
    anna["imap"] = Value::Null;
    assert_eq!(daemon.post("/v1/mailboxes", &anna).status, 201);
    let mut later = draft(BEN, "taken back");
    later["send_at"] = "2999-01-01T00:00:00Z".into();
    let asked = [("sent", draft(BEN, "sent")), ("cancelled", later)];
    let ids = asked.each_ref().map(|(key, message)| daemon.try_submit("anna", key, message).unwrap());
    let cancelled = daemon.post(&format!("/v1/mailboxes/anna/outbox/{}/cancel", ids[1]), &Value::Null);
    assert_eq!(cancelled.status, 200, "{}", cancelled.json());
    let states = |daemon: &Daemon| {
        ids.each_ref().map(|id| daemon.get(&format!("/v1/mailboxes/anna/outbox/{id}"))["state"].clone())
    };
    daemon.until("both ends", || (states(&daemon) == ["sent", "cancelled"]).then_some(()));
    daemon.killer()();
    daemon.killed();
    std::fs::remove_dir_all(site.data_dir().join("state")).unwrap();
    rebuild(&site);

    let daemon = site.start();
    assert_eq!(states(&daemon), ["sent", "cancelled"]);
    let again = asked.each_ref().map(|(key, message)| daemon.try_submit("anna", key, message).unwrap());
    assert_eq!(again, ids, "asked again, it is the same");
    let other = daemon.try_post(
        "/v1/mailboxes/anna/outbox",
        &[("Idempotency-Key", "sent")],
        &draft(BEN, "another message"),
    );
    assert_eq!(other.unwrap().status, 422, "a key stands for what was asked for with it");
    // whatever went out went out before this one
    let last = daemon.try_submit("anna", "last", &draft(BEN, "the last one")).unwrap();
    let target = format!("/v1/mailboxes/anna/outbox/{last}");
    daemon.until("the last end", || (daemon.get(&target)["state"] == "sent").then_some(()));
    let mut imap = world.imap(BEN);
    imap.command("SELECT INBOX").unwrap();
    let mut subjects = Vec::new();
    daemon.until("the last one's arrival", || {
        imap.command("NOOP").unwrap();
        let replies = imap.command("UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])").ok()?;
        let literals = replies.into_iter().flat_map(|reply| reply.literals);
        subjects = literals.map(|text| String::from_utf8(text).unwrap().trim().to_owned()).collect();
        subjects.contains(&String::from("Subject: the last one")).then_some(())
    });
    subjects.sort();
    assert_eq!(subjects, ["Subject: sent", "Subject: the last one"]);
}
