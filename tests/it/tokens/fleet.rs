//! Many mailboxes of one app: what a broken app costs, how all come back, and one token for all app-only mailboxes.
//! `STAFETTE_FLEET=2000` makes the fleet as large as an installation's.

use crate::support::api::Api;
use crate::support::engine::{Running, config, oauth_parts, web_app};
use crate::world::entra::Instead;
use crate::world::{EntraOptions, World};
use serde_json::{Value, json};
use stafette::clock;
use stafette::domain::{AppId, MailboxState, Secret};
use stafette::store::StoredMailbox;
use std::time::Duration;

fn fleet() -> usize {
    std::env::var("STAFETTE_FLEET").ok().and_then(|text| text.parse().ok()).unwrap_or(40)
}

fn address(number: usize) -> String {
    format!("user{number}@makler.test")
}

fn world(size: usize) -> World {
    world_with(size, |_| {})
}

fn world_with(size: usize, options: impl FnOnce(&mut EntraOptions)) -> World {
    let many = format!("mail_max_userip_connections = {}\n", size + 10);
    let world = (0..size).fold(World::builder(), |world, number| world.mailbox(&address(number)));
    world.without_postfix().dovecot(&many).entra(options).start()
}

struct Scene {
    world: World,
    _data: tempfile::TempDir,
    running: Running,
    api: Api,
    mailboxes: Vec<StoredMailbox>,
}

/// A fleet that signed in; `prepare` is before anybody asks for a token.
fn scene(prepare: impl FnOnce(&World)) -> Scene {
    let world = world(fleet());
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&config(&world, data.path()));
    running.put_app(&web_app(&world));
    let parts: Vec<_> =
        (0..fleet()).map(|number| oauth_parts(&world, &address(number), world.imaps_port())).collect();
    prepare(&world);
    let mailboxes = parts.into_iter().map(|(_, mut mailbox, grant)| {
        mailbox.smtp = None;
        running.add(mailbox, &grant)
    });
    let mailboxes = mailboxes.collect();
    Scene { world, _data: data, running, api, mailboxes }
}

impl Scene {
    fn state(&self, stored: &StoredMailbox) -> MailboxState {
        self.running.store.status(stored.incarnation).unwrap().value.state
    }

    /// Waits until all are there; however many they are, one more of them has to be now and then.
    fn until_all(&self, state: MailboxState) {
        let mut left: Vec<&StoredMailbox> = self.mailboxes.iter().collect();
        while !left.is_empty() {
            let looked_at = std::cell::Cell::new(clock::monotonic());
            left = self.running.wait(&format!("{state:?}"), || {
                // not all of them at every commit
                if looked_at.get().elapsed() < Duration::from_millis(100) {
                    return None;
                }
                looked_at.set(clock::monotonic());
                let still: Vec<&StoredMailbox> =
                    left.iter().copied().filter(|stored| self.state(stored) != state).collect();
                (still.len() < left.len()).then_some(still)
            });
        }
    }
}

/// The most token requests that arrived within one minute of those from the `from`-th on.
fn most_in_a_minute(world: &World, from: u64) -> usize {
    let log = world.entra().log();
    let at = log.iter().filter(|entry| entry.endpoint == "token").map(|entry| entry.at_ms);
    let at: Vec<u64> = at.skip(usize::try_from(from).unwrap()).collect();
    let within = |first: &u64| at.iter().filter(|at| (*first..first + 60_000).contains(*at)).count();
    at.iter().map(within).max().unwrap_or(0)
}

#[test]
fn an_expired_secret_costs_three_requests_a_minute_and_after_its_replacement_all_are_live() {
    let signed_in = std::cell::Cell::new(0);
    let scene = scene(|world| {
        signed_in.set(world.entra().count("token"));
        world.entra().next_times("token", Instead::aadsts(7_000_222), u32::MAX);
    });
    scene.until_all(MailboxState::AppBroken);
    let asked = most_in_a_minute(&scene.world, signed_in.get());
    assert!((1..=3).contains(&asked), "{asked} requests");
    let shown = scene.api.get("/v1/mailboxes/user0").ok(200);
    assert_eq!(shown["diagnosis"]["code"], "client_secret_expired");

    scene.world.entra().clear_script();
    let before = scene.world.entra().count("token");
    let secret = web_app(&scene.world).client_secret.unwrap().expose().to_owned();
    let patched = scene.api.patch("/v1/apps/o365", &json!({"client_secret": format!(" {secret} ")})).ok(200);
    assert_eq!(patched["rotation"], Value::Null, "there is nothing to go back to");
    scene.until_all(MailboxState::Live);
    let asked = usize::try_from(scene.world.entra().count("token") - before).unwrap();
    assert_eq!(asked, scene.mailboxes.len(), "one request a mailbox");
}

#[test]
fn what_one_mailbox_may_not_do_does_not_stop_the_others() {
    let scene = scene(|world| world.entra().next("token", Instead::aadsts(53_003)));
    let blocked = |scene: &Scene| {
        let blocked = |stored: &&StoredMailbox| scene.state(stored) == MailboxState::NeedsAdmin;
        scene.mailboxes.iter().find(blocked).cloned()
    };
    let blocked = scene.running.wait("one blocked", || blocked(&scene));
    for stored in scene.mailboxes.iter().filter(|stored| stored.incarnation != blocked.incarnation) {
        scene.running.until(stored.incarnation, "live", |status| status.state == MailboxState::Live);
    }
    let before = scene.world.entra().count("token");
    let id = &blocked.mailbox.id;
    scene.api.post(&format!("/v1/mailboxes/{id}/refresh-token"), &Value::Null).ok(200);
    scene.running.until(blocked.incarnation, "live after a person said now", |status| {
        status.state == MailboxState::Live
    });
    assert_eq!(scene.world.entra().count("token") - before, 1);
}

#[test]
fn app_only_mailboxes_from_a_file_share_one_token_for_each_lifetime() {
    const LIFE: u64 = 12;
    let size = fleet();
    let world = world_with(size, |options| options.access_token_seconds = LIFE);
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&config(&world, data.path()));
    let daemon = world.entra().daemon_app();
    let mut app = web_app(&world);
    app.app.id = AppId::new("daemon").unwrap();
    app.app.client_id.clone_from(&daemon.client_id);
    app.client_secret = Some(Secret::new(daemon.secret()));
    running.put_app(&app);
    world.entra().next("token", Instead::delay_ms(300));
    let mut csv = String::from("id;address;auth.kind;auth.app;imap.host;imap.port;imap.security\r\n");
    for number in 0..size {
        let port = world.imaps_port();
        csv.push_str(&format!("user{number};{};app_only;daemon;localhost;{port};tls\r\n", address(number)));
    }
    let started = clock::monotonic();
    let import = api.request("POST", "/v1/mailboxes:import").header("content-type", "text/csv").body(csv);
    assert_eq!(api.send(import).ok(201)["created"], size);
    let stored: Vec<_> = (0..size).map(|number| running.stored(&format!("user{number}"))).collect();
    let until_live = || {
        for stored in &stored {
            running.until(stored.incarnation, "live", |status| status.state == MailboxState::Live);
        }
    };
    until_live();
    let asked = running.wait("the third lifetime", || {
        let asked = world.entra().count("token");
        (asked >= 3).then_some(asked)
    });
    // each is replaced when five eighths of its life are over, at the earliest
    let lifetimes = started.elapsed().as_secs_f64() / (LIFE as f64 * 0.625);
    assert!((asked as f64) <= 1.0 + lifetimes, "{asked} requests in {lifetimes} lifetimes");
    until_live();
}

#[test]
fn app_only_mailboxes_of_a_broken_app_say_so_and_are_woken_when_it_is_mended() {
    let world = world(3);
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&config(&world, data.path()));
    let daemon = world.entra().daemon_app();
    let mut app = web_app(&world);
    app.app.client_id.clone_from(&daemon.client_id);
    app.client_secret = Some(Secret::new("not-the-secret-of-this-app"));
    running.put_app(&app);
    for number in 0..3 {
        let mailbox = json!({"id": format!("user{number}"), "address": address(number),
            "auth": {"kind": "app_only", "app": "o365"},
            "imap": {"host": "localhost", "port": world.imaps_port(), "security": "tls"}, "smtp": null});
        api.post("/v1/mailboxes", &mailbox).ok(201);
    }
    let stored: Vec<_> = (0..3).map(|number| running.stored(&format!("user{number}"))).collect();
    for stored in &stored {
        let shown =
            running.until(stored.incarnation, "broken", |status| status.state == MailboxState::AppBroken);
        assert_eq!(shown.diagnosis.unwrap().code, "client_secret_wrong");
    }
    assert_eq!(world.entra().count("token"), 1);
    api.patch("/v1/apps/o365", &json!({"client_secret": daemon.secret()})).ok(200);
    for stored in &stored {
        running.until(stored.incarnation, "live", |status| status.state == MailboxState::Live);
    }
    assert_eq!(world.entra().count("token"), 2);
}

#[test]
fn whoever_changes_mailboxes_at_once_finds_them_started_and_stopped_when_he_is_answered() {
    const SIZE: usize = 8;
    let world = world(SIZE);
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&config(&world, data.path()));
    let post = |number: usize| {
        let mailbox = json!({"id": format!("user{number}"), "address": address(number),
            "auth": {"kind": "password", "user": address(number), "password": "pass"},
            "imap": {"host": "localhost", "port": world.imaps_port(), "security": "tls"}, "smtp": null});
        api.post("/v1/mailboxes", &mailbox).ok(201);
        // only what runs can be woken
        api.post(&format!("/v1/mailboxes/user{number}/sync"), &Value::Null).ok(202);
    };
    std::thread::scope(|scope| (0..SIZE).for_each(|number| drop(scope.spawn(move || post(number)))));
    let stored: Vec<_> = (0..SIZE).map(|number| running.stored(&format!("user{number}"))).collect();
    stored.iter().for_each(|stored| drop(running.until_live(stored.incarnation)));
    let pause = |number: usize| {
        let paused = api.post(&format!("/v1/mailboxes/user{number}/pause"), &Value::Null).ok(200);
        assert_eq!(paused["state"], "paused", "{paused}");
    };
    std::thread::scope(|scope| (0..SIZE).for_each(|number| drop(scope.spawn(move || pause(number)))));
    for stored in &stored {
        running.until(stored.incarnation, "paused", |status| status.state == MailboxState::Paused);
    }
}
