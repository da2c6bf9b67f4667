//! Another master key while the daemon runs, and when it is killed in the middle of that.

use crate::support::daemon::{Site, password_mailbox, world_with};
use crate::support::follow::present;
use crate::world::SeedOptions;
use serde_json::{Value, json};

const ANNA: &str = "anna@makler.test";

fn key_of(site: &Site) -> String {
    std::fs::read_to_string(site.data_dir().join("master.key")).unwrap()
}

#[test]
fn a_rotation_disturbs_nobody_and_the_next_start_uses_the_new_key() {
    let world = world_with(&[ANNA, "ben@makler.test"]).without_postfix().start();
    world.seed(ANNA, &SeedOptions::messages(10));
    let site = Site::new(&world);
    let mut daemon = site.start();
    daemon.post("/v1/mailboxes", &password_mailbox(ANNA, world.imaps_port(), 1));
    daemon.until_live("anna");
    let old = key_of(&site);
    let rotated = daemon.post("/v1/master-key:rotate", &Value::Null);
    assert_eq!(rotated.status, 200, "{}", rotated.json());
    assert!(rotated.json()["kept_in"].as_str().unwrap().ends_with("master.key"), "{}", rotated.json());
    assert_ne!(key_of(&site), old);
    let wrong = daemon.post("/v1/master-key:rotate", &json!({"master_key": "c2hvcnQ="}));
    assert_eq!((wrong.status, &wrong.json()["code"]), (422, &json!("invalid_master_key")));
    // what is sealed from now on opens after a restart, too
    let added = daemon.post("/v1/mailboxes", &password_mailbox("ben@makler.test", world.imaps_port(), 1));
    assert_eq!(added.status, 201, "{}", added.json());
    daemon.killer()();
    daemon.killed();
    let daemon = site.start();
    daemon.until_live("anna");
    daemon.until_live("ben");
    daemon.assert_stored(&present(&world, ANNA), "anna");
}

#[test]
fn killed_in_the_middle_of_a_rotation_the_next_start_opens_all_the_same() {
    for (point, is_new) in [("master_key.new", false), ("master_key.wrapped", true)] {
        let world = world_with(&[ANNA]).without_postfix().start();
        world.seed(ANNA, &SeedOptions::messages(3));
        let site = Site::new(&world);
        let mut daemon = site.start_with(&format!("{point}=kill"));
        daemon.post("/v1/mailboxes", &password_mailbox(ANNA, world.imaps_port(), 1));
        daemon.until_live("anna");
        let old = key_of(&site);
        assert!(daemon.try_post("/v1/master-key:rotate", &[], &Value::Null).is_err());
        daemon.killed();
        let daemon = site.start();
        daemon.until_live("anna");
        daemon.assert_stored(&present(&world, ANNA), "anna");
        assert_eq!(key_of(&site) != old, is_new, "{point}");
        assert!(!site.data_dir().join("master.key.new").try_exists().unwrap());
    }
}
