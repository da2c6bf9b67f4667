//! An app's secret is replaced while mailboxes live by it: one of them tries it, a good one is kept, a bad one goes
//! back, and nobody stops being live meanwhile.

use crate::support::api::Api;
use crate::support::daemon::{Daemon, Site, world_with};
use crate::support::engine::{Running, config, oauth_parts, web_app};
use crate::world::World;
use crate::world::entra;
use serde_json::{Value, json};
use stafette::domain::app::AppCredentials;
use stafette::domain::{MailboxState, RotationState, Secret};
use stafette::events::EventType;
use stafette::store::StoredMailbox;

const SIZE: usize = 6;
const NEW: &str = "n3w~client.secret.value-of-this-test";

fn address(number: usize) -> String {
    format!("user{number}@makler.test")
}

struct Scene {
    world: World,
    _data: tempfile::TempDir,
    running: Running,
    api: Api,
    app: AppCredentials,
    mailboxes: Vec<StoredMailbox>,
}

/// The stand-in knows another secret of the application.
fn add_secret(world: &World, client_id: &str, value: &str) {
    let mut app = world.entra().app(client_id);
    app.secrets.push(entra::Secret { value: value.to_owned(), expired: false });
    world.entra().put_app(app);
}

fn forget_secret(world: &World, client_id: &str, value: &str) {
    let mut app = world.entra().app(client_id);
    app.secrets.retain(|secret| secret.value != value);
    world.entra().put_app(app);
}

fn world() -> World {
    (0..SIZE)
        .fold(World::builder(), |world, number| world.mailbox(&address(number)))
        .without_postfix()
        .start()
}

/// All are live, and that was told of each.
fn until_all_live(running: &Running, mailboxes: &[StoredMailbox]) {
    for stored in mailboxes {
        running.until_event(EventType::MailboxStateChanged, "live", |event| {
            event.mailbox.as_ref() == Some(&stored.mailbox.id) && event.data["state"] == "live"
        });
        running.until_live(stored.incarnation);
    }
}

/// Mailboxes that signed in and are live.
fn scene() -> Scene {
    let world = world();
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&config(&world, data.path()));
    let app = web_app(&world);
    running.put_app(&app);
    let mailboxes: Vec<_> = (0..SIZE)
        .map(|number| {
            let (_, mut mailbox, grant) = oauth_parts(&world, &address(number), world.imaps_port());
            mailbox.smtp = None;
            running.add(mailbox, &grant)
        })
        .collect();
    until_all_live(&running, &mailboxes);
    Scene { world, _data: data, running, api, app, mailboxes }
}

/// The stand-in's daemon app, by whose own token all mailboxes are opened.
fn app_only_scene() -> Scene {
    let world = world();
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&config(&world, data.path()));
    let daemon = world.entra().daemon_app();
    let mut app = web_app(&world);
    app.app.client_id.clone_from(&daemon.client_id);
    app.client_secret = Some(Secret::new(daemon.secret()));
    running.put_app(&app);
    for number in 0..SIZE {
        let mailbox = json!({"id": format!("user{number}"), "address": address(number),
            "auth": {"kind": "app_only", "app": "o365"},
            "imap": {"host": "localhost", "port": world.imaps_port(), "security": "tls"}, "smtp": null});
        api.post("/v1/mailboxes", &mailbox).ok(201);
    }
    let mailboxes: Vec<_> = (0..SIZE).map(|number| running.stored(&format!("user{number}"))).collect();
    until_all_live(&running, &mailboxes);
    Scene { world, _data: data, running, api, app, mailboxes }
}

impl Scene {
    fn client_id(&self) -> &str {
        &self.app.app.client_id
    }

    /// Replaces the secret and waits for what becomes of it.
    fn replace(&self, secret: &str, state: RotationState) -> Value {
        let shown = self.api.patch("/v1/apps/o365", &json!({"client_secret": secret})).ok(200);
        assert!(["trying", "rolled_back", "proven"].contains(&shown["rotation"]["state"].as_str().unwrap()));
        self.running.wait("the end of the trial", || {
            let rotation = self.running.store.rotation(&self.app.app.id).unwrap().unwrap().value;
            (rotation.state == state).then_some(())
        });
        let shown = self.api.get("/v1/apps/o365").ok(200);
        assert!(!shown.to_string().contains(secret), "no secret is shown");
        shown["rotation"].clone()
    }

    /// Whatever the mailboxes said of their states.
    fn told(&self) -> usize {
        self.running.events_of(EventType::MailboxStateChanged).len()
    }

    /// Every mailbox gets a token anew, and no request is refused. Who tried the secret may not have done with it.
    fn refresh_all(&self) {
        let before = self.world.entra().log().len();
        for stored in &self.mailboxes {
            let path = format!("/v1/mailboxes/{}/refresh-token", stored.mailbox.id);
            self.api.post(&path, &Value::Null).ok(200);
        }
        let log = self.world.entra().log().split_off(before);
        let asked: Vec<_> = log.iter().filter(|entry| entry.endpoint == "token").collect();
        assert!(asked.len() >= SIZE - 1, "{} requests", asked.len());
        assert!(asked.iter().all(|entry| entry.result == "ok"), "{asked:?}");
        for stored in &self.mailboxes {
            let state = self.running.store.status(stored.incarnation).unwrap().value.state;
            assert_eq!(state, MailboxState::Live);
        }
    }

    fn secret(&self) -> String {
        let app = self.running.store.app(&self.app.app.id).unwrap().unwrap().value;
        app.client_secret.unwrap().expose().to_owned()
    }
}

#[test]
fn a_good_secret_is_tried_by_one_mailbox_and_then_used_by_all() {
    let scene = scene();
    let old = scene.secret();
    add_secret(&scene.world, scene.client_id(), NEW);
    let (asked, told) = (scene.world.entra().count("token"), scene.told());
    let rotation = scene.replace(NEW, RotationState::Proven);
    assert_eq!((&rotation["state"], &rotation["diagnosis"]), (&json!("proven"), &Value::Null));
    assert_eq!(scene.world.entra().count("token") - asked, 1, "the others keep their tokens");
    let kept = scene.running.store.rotation(&scene.app.app.id).unwrap().unwrap().value;
    assert_eq!(kept.previous, None, "the one before is erased");
    let event = scene.running.until_event(EventType::AppSecretRotated, "the rotation", |_| true);
    assert_eq!((event.data["app"].as_str(), event.mailbox), (Some("o365"), None));
    forget_secret(&scene.world, scene.client_id(), &old);
    scene.refresh_all();
    assert_eq!(scene.told(), told, "nobody left live");
}

#[test]
fn a_bad_secret_is_rolled_back_and_costs_nobody_anything() {
    let scene = scene();
    let old = scene.secret();
    let (asked, told) = (scene.world.entra().count("token"), scene.told());
    for (number, wrong) in ["wr0ng~value", "an0ther~wrong~value"].into_iter().enumerate() {
        let expires = stafette::clock::now().plus(std::time::Duration::from_secs(9_000_000)).to_rfc3339();
        let wrong_and_when = json!({"client_secret": wrong, "secret_expires_at": expires});
        scene.api.patch("/v1/apps/o365", &wrong_and_when).ok(200);
        scene.running.wait("the way back", || {
            let events = scene.running.events_of(EventType::AppSecretRolledBack);
            (events.len() > number).then_some(())
        });
        let shown = scene.api.get("/v1/apps/o365").ok(200);
        assert_eq!(shown["rotation"]["state"], "rolled_back");
        assert_eq!(shown["rotation"]["diagnosis"]["code"], "client_secret_wrong");
        let german = scene.api.get("/v1/apps/o365?language=de").ok(200);
        assert!(german["rotation"]["diagnosis"]["summary"].as_str().unwrap().contains("ist falsch"));
        assert_eq!(shown["secret_expires_at"], Value::Null, "what was known of the one before");
        assert_eq!(scene.secret(), old);
    }
    let event = &scene.running.events_of(EventType::AppSecretRolledBack)[0];
    assert_eq!(event.data["diagnosis"]["code"], "client_secret_wrong");
    scene
        .running
        .wait("the request anew", || (scene.world.entra().count("token") - asked == 4).then_some(()));
    scene.refresh_all();
    assert_eq!(scene.told(), told, "nobody left live");
    // and a good one after all
    add_secret(&scene.world, scene.client_id(), NEW);
    assert_eq!(scene.replace(NEW, RotationState::Proven)["state"], "proven");
    assert_eq!(scene.told(), told);
}

#[test]
fn a_secret_replaced_before_it_was_tried_leaves_the_proven_one_to_go_back_to() {
    let scene = scene();
    let old = scene.secret();
    let told = scene.told();
    // the provider is away, so that nobody finds anything out
    scene.world.entra().next_times("token", entra::Instead::status(503), u32::MAX);
    for wrong in ["wr0ng~value", "an0ther~wrong~value"] {
        scene.api.patch("/v1/apps/o365", &json!({"client_secret": wrong})).ok(200);
    }
    let kept = || scene.running.store.rotation(&scene.app.app.id).unwrap().unwrap().value;
    assert_eq!(kept().on_trial().unwrap().client_secret.as_ref().unwrap().expose(), old);
    scene.world.entra().clear_script();
    scene.running.wait("the way back", || (kept().state == RotationState::RolledBack).then_some(()));
    assert_eq!(scene.secret(), old);
    scene.refresh_all();
    assert_eq!(scene.told(), told, "nobody left live");
}

#[test]
fn the_token_of_the_app_s_own_tries_its_secret_likewise() {
    let scene = app_only_scene();
    let (old, told) = (scene.secret(), scene.told());
    let asked = scene.world.entra().count("token");
    let rotation = scene.replace("wr0ng~value", RotationState::RolledBack);
    assert_eq!(rotation["diagnosis"]["code"], "client_secret_wrong");
    assert_eq!(scene.secret(), old);
    scene
        .running
        .wait("the request anew", || (scene.world.entra().count("token") - asked == 2).then_some(()));
    add_secret(&scene.world, scene.client_id(), NEW);
    scene.replace(NEW, RotationState::Proven);
    forget_secret(&scene.world, scene.client_id(), &old);
    assert_eq!(scene.world.entra().count("token") - asked, 3);
    assert_eq!(scene.told(), told, "nobody left live");
}

#[test]
fn a_grant_without_the_secret_proves_nothing_of_it() {
    let world = world();
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&config(&world, data.path()));
    let app = web_app(&world);
    running.put_app(&app);
    let (_, mut mailbox, mut grant) = oauth_parts(&world, &address(0), world.imaps_port());
    // a registration that takes no secret, and an administrator who entered one all the same
    let mut public = world.entra().web_app();
    public.secrets.clear();
    world.entra().put_app(public);
    mailbox.smtp = None;
    grant.send_client_secret = false;
    let stored = running.add(mailbox, &grant);
    running.until_live(stored.incarnation);
    let asked = world.entra().count("token");
    let shown = api.patch("/v1/apps/o365", &json!({"client_secret": "an0ther~value"})).ok(200);
    assert_eq!(shown["rotation"]["state"], "trying");
    running.wait("the app to be asked without a mailbox", || {
        (world.entra().count("token") > asked).then_some(())
    });
    api.post("/v1/mailboxes/user0/refresh-token", &Value::Null).ok(200);
    let rotation = running.store.rotation(&app.app.id).unwrap().unwrap().value;
    assert!(rotation.on_trial().is_some(), "{rotation:?}");
    // `app verify` with a registration that takes secrets proves it
    add_secret(&world, &app.app.client_id, "an0ther~value");
    let verified = api.post("/v1/apps/o365/verify", &json!({})).ok(200);
    assert_eq!(verified["ok"], true, "{verified}");
    assert_eq!(api.get("/v1/apps/o365").ok(200)["rotation"]["state"], "proven");
}

#[test]
fn a_user_who_signs_in_meets_nothing_of_a_bad_secret() {
    let scene = crate::signin::link::scene();
    scene.sign_in_ben();
    let link = scene.link();
    let callback = scene.choose(&link, crate::signin::link::ANNA);
    // nobody's refresh shall find it out before her
    scene.api.post("/v1/mailboxes/ben/pause", &json!({})).ok(200);
    scene.world.entra().next("token", entra::Instead::status(503));
    let shown = scene.api.patch("/v1/apps/o365", &json!({"client_secret": "wr0ng~value"})).ok(200);
    assert_eq!(shown["rotation"]["state"], "trying");
    scene.running.wait("the app to be asked", || {
        let log = scene.world.entra().log();
        let asked = |entry: &&entra::LogEntry| entry.grant_type.as_deref() == Some("client_credentials");
        log.iter().find(asked).map(drop)
    });
    assert_eq!(scene.come_back(&callback).status, 200);
    assert_eq!(scene.api.get("/v1/apps/o365").ok(200)["rotation"]["state"], "rolled_back");
    scene.until_live();
}

impl crate::signin::link::Scene {
    /// Somebody uses the app already.
    fn sign_in_ben(&self) {
        let (_, mut ben, grant) = oauth_parts(&self.world, crate::signin::link::BEN, self.world.imaps_port());
        ben.smtp = None;
        let ben = self.running.add(ben, &grant);
        self.running.until_live(ben.incarnation);
    }
}

/// Kills the daemon there while a secret is tried, and starts it again.
fn kill_at(place: &str, secret: &str) -> (World, Site, Daemon) {
    const ANNA: &str = "anna@makler.test";
    let world = world_with(&[ANNA]).without_postfix().start();
    let site = Site::new(&world);
    site.add_signed_in(&world, ANNA, |anna| anna.smtp = None);
    add_secret(&world, &world.entra().web_app().client_id, NEW);
    let mut daemon =
        site.start_with(&format!("{place}=kill{}", if place.contains("token.") { "@2" } else { "" }));
    daemon.until_live("anna");
    // the answer may come before the end or not
    drop(daemon.try_patch("/v1/apps/o365", &json!({"client_secret": secret})));
    daemon.killed();
    let daemon = site.start();
    daemon.until_live("anna");
    (world, site, daemon)
}

fn settled(daemon: &Daemon, state: &str) {
    let shown = daemon.until("the end of the trial", || {
        let shown = daemon.get("/v1/apps/o365");
        (shown["rotation"]["state"] != "trying").then_some(shown)
    });
    assert_eq!(shown["rotation"]["state"], state, "{shown}");
    assert_eq!(daemon.post("/v1/mailboxes/anna/refresh-token", &Value::Null).status, 200);
    let states = daemon.states("anna").unwrap();
    let is_well = |state: &String| matches!(state.as_str(), "connecting" | "syncing" | "live");
    assert!(states.iter().all(is_well), "{states:?}");
}

#[test]
fn a_daemon_that_is_killed_while_a_good_secret_is_tried_goes_on_with_it() {
    for place in [
        "token.refresh:anna",
        "token.marked:anna",
        "token.answered:anna",
        "token.stored:anna",
        "rotation.taken",
        "rotation.proven",
    ] {
        println!("killed at {place}");
        let (_world, _site, daemon) = kill_at(place, NEW);
        settled(&daemon, "proven");
        assert_eq!(daemon.events("app.secret_rotated").len(), 1);
    }
}

#[test]
fn a_daemon_that_is_killed_while_a_bad_secret_is_tried_goes_back() {
    for place in ["token.marked:anna", "rotation.refused", "rotation.rolled_back"] {
        println!("killed at {place}");
        let (world, site, daemon) = kill_at(place, "wr0ng~value");
        settled(&daemon, "rolled_back");
        assert_eq!(daemon.events("app.secret_rolled_back").len(), 1);
        drop(daemon);
        let app = site.store(async |store| store.apps().unwrap().remove(0).value);
        assert_eq!(app.client_secret.unwrap().expose(), world.entra().web_app().secret());
    }
}
