//! The state's file is lost under a daemon that signed in, stored mail and was told to send: a start refuses by name, a
//! rebuild brings everything back, and the next start goes on without anybody signing in.

use crate::daemon::{Daemon, Site, draft, world_with};
use crate::world::SeedOptions;
use serde_json::Value;
use std::process::Command;

const ANNA: &str = "anna@makler.test";

/// Id, folder, UID and size of all messages.
fn messages(daemon: &Daemon) -> Vec<String> {
    let listed = daemon.get("/v1/mailboxes/anna/messages?limit=100");
    let items = listed["items"].as_array().unwrap();
    assert!(items.len() == 40 && listed["next"].is_null(), "{listed}");
    let line = |item: &Value| format!("{} {} {} {}", item["id"], item["folder"], item["uid"], item["size"]);
    items.iter().map(line).collect()
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
    let rebuilt = Command::new(env!("CARGO_BIN_EXE_stafette"))
        .env("STAFETTE_DATA_DIR", site.data_dir())
        .args(["fsck", "--rebuild"])
        .output()
        .unwrap();
    let said = String::from_utf8(rebuilt.stdout).unwrap();
    assert!(rebuilt.status.success() && said.contains("back from the journal"), "{said}");

    let daemon = site.start();
    daemon.until_live("anna");
    assert_eq!(messages(&daemon), before, "by the ids they had");
    assert_eq!(daemon.events("message.new").len(), 0, "what is known is not announced again");
    assert_eq!(daemon.try_submit("anna", "key", &later).unwrap(), accepted, "asked again, it is the same");
    let waiting = daemon.get("/v1/mailboxes/anna/outbox");
    assert_eq!(waiting["items"].as_array().unwrap().len(), 1, "{waiting}");
}
