//! A new credential is settled by whoever asks first, users' sign-ins included: one who polls for a code, one whose grant
//! an administrator accepts, one whose token is taken over. None of them meets anything of a bad secret.

use crate::signin::link::{ANNA, BEN, Scene, scene_with};
use crate::support::engine::oauth_parts;
use crate::world::entra::{self, Instead};
use serde_json::{Value, json};

const WRONG: &str = "wr0ng~value~that~is~long~enough";

/// A bad secret on trial that nobody could try yet: ben uses the app, and is paused.
fn on_trial(prepare: impl FnOnce(&Scene)) -> Scene {
    let scene = scene_with(|options| options.device_interval = 1, |_| {});
    let (_, mut ben, grant) = oauth_parts(&scene.world, BEN, scene.world.imaps_port());
    ben.smtp = None;
    let ben = scene.running.add(ben, &grant);
    scene.running.until_live(ben.incarnation);
    scene.api.post("/v1/mailboxes/ben/pause", &json!({})).ok(200);
    prepare(&scene);
    let entra = scene.world.entra();
    let probes = || {
        let log = entra.log();
        let is_one = |entry: &&entra::LogEntry| entry.grant_type.as_deref() == Some("client_credentials");
        log.iter().filter(is_one).count()
    };
    let before = probes();
    entra.next_times("token", Instead::status(503), u32::MAX);
    scene.api.patch("/v1/apps/o365", &json!({"client_secret": WRONG})).ok(200);
    scene.running.wait("the app to be asked", || (probes() > before).then_some(()));
    entra.clear_script();
    assert_eq!(scene.api.get("/v1/apps/o365").ok(200)["rotation"]["state"], "trying");
    scene
}

fn rolled_back(scene: &Scene) {
    let rotation = scene.api.get("/v1/apps/o365").ok(200)["rotation"].clone();
    assert_eq!(rotation["state"], "rolled_back");
    assert_eq!(rotation["diagnosis"]["code"], "client_secret_wrong");
}

#[test]
fn one_who_polls_for_a_code_goes_on_with_the_secret_before() {
    let code = std::cell::RefCell::new(String::new());
    let scene = on_trial(|scene| {
        let made = scene.api.post("/v1/mailboxes/anna/sign-in", &json!({"ways": ["device"]})).ok(201);
        let begun = scene.api.send(scene.api.bare("POST", made["url"].as_str().unwrap()));
        assert_eq!(begun.status, 303, "{}", begun.text());
        let shown = scene.api.get(&format!("/v1/sign-ins/{}", made["id"].as_str().unwrap())).ok(200);
        *code.borrow_mut() = shown["device"]["user_code"].as_str().unwrap().to_owned();
    });
    // a registration without public client flows: the secret has to go along, and is refused
    scene.world.entra().next("token", Instead::aadsts(7_000_218));
    scene.world.entra().next("token", Instead::aadsts(7_000_215));
    scene.running.wait("the way back", || {
        let id = stafette::domain::AppId::new("o365").unwrap();
        let rotation = scene.running.store.rotation(&id).unwrap()?.value;
        (rotation.state == stafette::domain::RotationState::RolledBack).then_some(())
    });
    assert!(scene.world.entra().approve_device(&code.borrow(), ANNA));
    scene.until_live();
    rolled_back(&scene);
}

#[test]
fn one_whose_grant_is_accepted_is_tried_with_the_secret_before() {
    let link = std::cell::RefCell::new(None);
    let scene = on_trial(|scene| {
        let made = scene.link();
        assert_eq!(scene.come_back(&scene.choose(&made, BEN)).status, 403);
        *link.borrow_mut() = Some(made);
        scene.world.entra().delegate(BEN, ANNA);
    });
    let path = format!("/v1/sign-ins/{}/accept", link.borrow().as_ref().unwrap().id);
    let accepted = scene.api.post(&path, &Value::Null).ok(200);
    assert_eq!(accepted["state"], "done", "{accepted}");
    rolled_back(&scene);
    scene.until_live();
}

#[test]
fn one_whose_token_is_taken_over_is_tried_with_the_secret_before() {
    let token = std::cell::RefCell::new(String::new());
    let scene = on_trial(|scene| {
        *token.borrow_mut() = scene.world.entra().sign_in(ANNA).refresh_token.unwrap();
    });
    let anna = json!({"id": "taken-over", "address": ANNA,
        "auth": {"kind": "oauth", "app": "o365", "refresh_token": token.borrow().as_str()},
        "imap": {"host": "localhost", "port": scene.proxy.port, "security": "tls"}, "smtp": null});
    scene.api.post("/v1/mailboxes", &anna).ok(201);
    scene.running.until_live(scene.running.stored("taken-over").incarnation);
    rolled_back(&scene);
}

#[test]
fn a_good_secret_is_proven_by_the_grant_that_is_accepted() {
    let link = std::cell::RefCell::new(None);
    let scene = on_trial(|scene| {
        let made = scene.link();
        assert_eq!(scene.come_back(&scene.choose(&made, BEN)).status, 403);
        *link.borrow_mut() = Some(made);
        scene.world.entra().delegate(BEN, ANNA);
    });
    // it was entered at the provider meanwhile
    let mut app = scene.world.entra().web_app();
    app.secrets.push(entra::Secret { value: WRONG.into(), expired: false });
    scene.world.entra().put_app(app);
    let path = format!("/v1/sign-ins/{}/accept", link.borrow().as_ref().unwrap().id);
    assert_eq!(scene.api.post(&path, &Value::Null).ok(200)["state"], "done");
    assert_eq!(scene.api.get("/v1/apps/o365").ok(200)["rotation"]["state"], "proven");
}
