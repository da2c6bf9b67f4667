//! The sign-ins of paused mailboxes: used now and then, so that their provider does not end them, and shown when ended.

use crate::support::daemon::{Site, world_with};
use crate::world::entra::Instead;
use crate::world::{Rotation, World};
use serde_json::Value;

const ANNA: &str = "anna@makler.test";

fn paused(world: &World, keep: &str) -> Site {
    let mut site = Site::new(world);
    site.set("STAFETTE_TIMING__KEEP_GRANT", keep);
    site.add_signed_in(world, ANNA, |anna| {
        anna.active = false;
        anna.smtp = None;
    });
    site
}

#[test]
fn a_paused_mailbox_s_sign_in_is_used_and_works_when_it_is_resumed() {
    let world = world_with(&[ANNA]).without_postfix().start();
    world.entra().set_rotation(Rotation::Strict);
    let site = paused(&world, "1s");
    let daemon = site.start();
    let signed_in = world.entra().count("token");
    daemon.until("three refreshes", || (world.entra().count("token") >= signed_in + 3).then_some(()));
    let shown = daemon.get("/v1/mailboxes/anna");
    assert_eq!(
        (&shown["state"], &shown["attention"]),
        (&Value::from("paused"), &Value::from(false)),
        "{shown}"
    );
    assert_eq!(daemon.post("/v1/mailboxes/anna/resume", &Value::Null).status, 200);
    daemon.until_live("anna");
    let refused = world.entra().log().into_iter().filter(|entry| entry.result.starts_with("AADSTS"));
    assert_eq!(refused.count(), 0, "no consumed token was sent again");
}

#[test]
fn resumed_in_the_middle_of_a_refresh_its_answer_is_kept() {
    let world = world_with(&[ANNA]).without_postfix().start();
    world.entra().set_rotation(Rotation::Strict);
    let site = paused(&world, "1s");
    world.entra().next("token", Instead::delay_ms(2500));
    let signed_in = world.entra().count("token");
    let daemon = site.start();
    daemon.until("a refresh", || (world.entra().count("token") > signed_in).then_some(()));
    assert_eq!(daemon.post("/v1/mailboxes/anna/resume", &Value::Null).status, 200);
    daemon.until_live("anna");
    let refused = world.entra().log().into_iter().filter(|entry| entry.result.starts_with("AADSTS"));
    assert_eq!(refused.count(), 0, "no consumed token was sent again");
}

#[test]
fn one_that_has_ended_is_shown_though_the_mailbox_is_paused() {
    let world = world_with(&[ANNA]).without_postfix().start();
    let site = paused(&world, "1s");
    world.entra().revoke(ANNA);
    let mut daemon = site.start();
    let shown = |daemon: &crate::support::daemon::Daemon| {
        let shown = daemon.get("/v1/mailboxes/anna");
        assert_eq!(shown["state"], "paused");
        (shown["attention"] == true).then(|| shown["diagnosis"]["code"].clone())
    };
    let code = daemon.until("what was found", || shown(&daemon));
    assert!(code.is_string(), "{code}");
    assert!(daemon.terminate().success());
    let daemon = site.start();
    assert_eq!(shown(&daemon), Some(code), "after a restart, too");
}

#[test]
fn nothing_is_asked_of_a_sign_in_that_was_used_lately() {
    let world = world_with(&[ANNA]).without_postfix().start();
    let site = paused(&world, "1h");
    let signed_in = world.entra().count("token");
    let mut daemon = site.start();
    daemon.until("it is shown", || (daemon.get("/v1/mailboxes/anna")["state"] == "paused").then_some(()));
    assert!(daemon.terminate().success());
    assert_eq!(world.entra().count("token"), signed_in);
}
