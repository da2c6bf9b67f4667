//! SIGKILL while a refresh token of another system is being tried: it is tried after the restart, and is lost only
//! where that cannot be helped.

use crate::signin::take_over::{ANNA, token_of, with_token};
use crate::support::daemon::{Daemon, Site, world_with};
use crate::support::engine::web_app;
use crate::world::entra::Instead;
use crate::world::entra::state::sha256_hex;
use crate::world::{Rotation, World};
use serde_json::{Value, json};

struct Scene {
    world: World,
    site: Site,
    token: String,
}

fn scene(rotation: Rotation) -> Scene {
    let world = world_with(&[ANNA]).without_postfix().start();
    world.entra().set_rotation(rotation);
    let (site, token) = (Site::new(&world), token_of(&world, ANNA));
    site.store(async |store| store.put_app(&web_app(&world), 0).await.unwrap());
    Scene { world, site, token }
}

impl Scene {
    fn posted(&self) -> Value {
        let mut posted = with_token(&self.world, ANNA, &self.token);
        posted["smtp"] = Value::Null;
        posted
    }

    /// Hands the token in to a daemon that dies of it.
    fn killed_at(&self, point: &str) {
        let mut daemon = self.site.start_with(&format!("{point}:anna=kill"));
        // it may be dead before it has answered
        drop(daemon.try_post("/v1/mailboxes", &[], &self.posted()));
        daemon.killed();
    }

    fn until_ended(&self, daemon: &Daemon) -> Value {
        daemon.until("the sign-in's end", || {
            let sign_in = daemon.get("/v1/mailboxes/anna/sign-in");
            matches!(sign_in["state"].as_str(), Some("done" | "declined")).then_some(sign_in)
        })
    }

    fn sent(&self) -> usize {
        let hash = sha256_hex(self.token.as_bytes());
        let log = self.world.entra().log();
        log.iter().filter(|entry| entry.refresh_token_sha256.as_deref() == Some(&hash)).count()
    }
}

#[test]
fn a_daemon_killed_right_after_the_answer_tries_the_token_when_it_is_back() {
    let scene = scene(Rotation::Strict);
    let mut daemon = scene.site.start();
    let many = json!({"mailboxes": [scene.posted()]});
    assert_eq!(daemon.post("/v1/mailboxes:import", &many).status, 201);
    daemon.killer()();
    daemon.killed();
    let daemon = scene.site.start();
    let sign_in = scene.until_ended(&daemon);
    // the kill may have come while its answer was on the way
    if sign_in["state"] == "declined" {
        assert_eq!((sign_in["diagnosis"]["code"].as_str(), scene.sent()), (Some("rotation_answer_lost"), 2));
    } else {
        daemon.until_live("anna");
    }
}

#[test]
fn a_kill_in_the_middle_of_a_trial_costs_nothing_unless_the_answer_was_on_its_way() {
    for point in ["take_over.marked", "take_over.stored", "take_over.tried"] {
        let scene = scene(Rotation::Strict);
        scene.killed_at(point);
        let daemon = scene.site.start();
        assert_eq!(scene.until_ended(&daemon)["state"], "done", "{point}");
        daemon.until_live("anna");
        assert_eq!(scene.sent(), 1, "{point}: used once");
        assert_eq!(daemon.get("/v1/mailboxes/anna")["grant"]["way"], "imported");
    }
}

#[test]
fn an_answer_that_was_lost_is_made_up_for_where_that_can_be() {
    for (rotation, state) in [(Rotation::Grace, "done"), (Rotation::Strict, "declined")] {
        let scene = scene(rotation);
        scene.killed_at("take_over.answered");
        let daemon = scene.site.start();
        let sign_in = scene.until_ended(&daemon);
        assert_eq!(sign_in["state"], state, "{sign_in}");
        assert_eq!(scene.sent(), 2);
        let shown = daemon.get("/v1/mailboxes/anna");
        if state == "done" {
            daemon.until_live("anna");
        } else {
            assert_eq!(shown["diagnosis"]["code"], "rotation_answer_lost", "{shown}");
        }
    }
}

#[test]
fn a_daemon_that_is_told_to_end_waits_for_the_answer() {
    let scene = scene(Rotation::Strict);
    let mut daemon = scene.site.start();
    let asked = scene.world.entra().count("token");
    scene.world.entra().next("token", Instead::delay_ms(1_000));
    assert_eq!(daemon.post("/v1/mailboxes", &scene.posted()).status, 201);
    daemon.until("the request", || (scene.world.entra().count("token") > asked).then_some(()));
    assert!(daemon.terminate().success(), "{}", daemon.tail());
    let daemon = scene.site.start();
    assert_eq!(scene.until_ended(&daemon)["state"], "done");
    assert_eq!(scene.sent(), 1);
}
