//! Mailboxes that sign in by OAuth, against the stand-in: refresh, rotation, expiry, and what a kill leaves.

use crate::support::engine::{Running, config, oauth_mailbox};
use crate::world::entra::{Dropping, Instead};
use crate::world::{Rotation, World};
use stafette::domain::{Grant, GrantSecret, MailboxState};
use stafette::events::EventType;
use stafette::store::StoredMailbox;
use stafette::supervisor::protocol::WakeReason;

const ANNA: &str = "anna@makler.test";

struct Scene {
    world: World,
    _data: tempfile::TempDir,
    running: Running,
    anna: StoredMailbox,
}

fn scene(prepare: impl FnOnce(&World)) -> Scene {
    let world = World::builder().mailbox(ANNA).without_postfix().start();
    let data = tempfile::tempdir().unwrap();
    let running = Running::start(&config(&world, data.path()));
    let (mailbox, grant) = oauth_mailbox(&world, &running, ANNA, world.imaps_port());
    prepare(&world);
    let anna = running.add(mailbox, &grant);
    Scene { world, _data: data, running, anna }
}

impl Scene {
    fn grant(&self) -> Grant {
        self.running.store.grant(self.anna.incarnation).unwrap().unwrap().value
    }

    fn refresh_token(&self) -> String {
        match self.grant().secret {
            GrantSecret::Refresh { refresh_token } => refresh_token.expose().to_owned(),
            GrantSecret::Password { .. } => panic!("a password"),
        }
    }
}

fn message(subject: &str) -> Vec<u8> {
    format!("From: b@kunde.test\r\nSubject: {subject}\r\nMessage-ID: <{subject}@kunde.test>\r\n\r\nHello\r\n")
        .into_bytes()
}

#[test]
fn a_mailbox_goes_live_by_xoauth2_and_keeps_the_rotated_token() {
    let scene = scene(|world| world.entra().set_rotation(Rotation::Strict));
    let before = scene.refresh_token();
    scene.running.until_live(scene.anna.incarnation);
    assert_ne!(scene.refresh_token(), before, "the successor is kept");
    assert!(scene.grant().refresh_in_flight_since.is_none());
    assert_eq!(scene.grant().last_refresh.unwrap().result, "ok");
}

#[test]
fn an_access_token_that_ends_in_the_session_costs_a_refresh_and_no_mail() {
    let Scene { world, running, anna, .. } = &scene(|_| {});
    running.until_live(anna.incarnation);
    let proxy_free_refreshes = world.entra().count("token");
    world.entra().expire_access_tokens();
    world.kick(ANNA);
    world.deliver(ANNA, &message("after"));
    running.until_event(EventType::MessageNew, "mail after the expiry", |event| {
        event.data["message_id"] == "<after@kunde.test>"
    });
    assert!(world.entra().count("token") > proxy_free_refreshes);
    running.until_live(anna.incarnation);
}

#[test]
fn a_change_in_the_middle_of_a_refresh_does_not_cost_the_grant() {
    let Scene { world, running, anna, .. } = &scene(|world| world.entra().set_rotation(Rotation::Strict));
    running.until_live(anna.incarnation);
    let before = world.entra().count("token");
    world.entra().next("token", Instead::delay_ms(700));
    world.entra().expire_access_tokens();
    world.kick(ANNA);
    running.wait("a refresh in flight", || (world.entra().count("token") > before).then_some(()));
    running.change(anna, |anna| anna.display_name = Some("Anna".into()));
    let asked = || world.entra().log().into_iter().filter(|entry| entry.endpoint == "token").count() as u64;
    running.wait("an answer to every request", || (asked() == world.entra().count("token")).then_some(()));
    world.entra().expire_access_tokens();
    world.kick(ANNA);
    world.deliver(ANNA, &message("after"));
    running.until_event(EventType::MessageNew, "mail after the change", |event| {
        event.data["message_id"] == "<after@kunde.test>"
    });
    let refused = world.entra().log().into_iter().filter(|entry| entry.result.starts_with("AADSTS"));
    assert_eq!(refused.count(), 0, "no consumed token was sent again");
}

#[test]
fn exchange_says_goodbye_hourly_and_nobody_notices() {
    let world = World::builder().mailbox(ANNA).without_postfix().start();
    let proxy = world.exchange_imap();
    let data = tempfile::tempdir().unwrap();
    // no rounds: the goodbye comes in IDLE
    let mut config = config(&world, data.path());
    config.timing.status_interval = std::time::Duration::from_secs(60);
    config.timing.list_interval = std::time::Duration::from_secs(60);
    let running = Running::start(&config);
    let (mailbox, grant) = oauth_mailbox(&world, &running, ANNA, proxy.port);
    let anna = running.add(mailbox, &grant);
    running.until_live(anna.incarnation);
    let states = running.events_of(EventType::MailboxStateChanged).len();
    world.entra().expire_access_tokens();
    proxy.expire_sessions();
    world.deliver(ANNA, &message("after"));
    running.until_event(EventType::MessageNew, "mail after the goodbye", |event| {
        event.data["message_id"] == "<after@kunde.test>"
    });
    assert_eq!(running.events_of(EventType::MailboxStateChanged).len(), states, "it stayed live");
}

#[test]
fn throttling_is_obeyed_shown_and_over_again() {
    let world = World::builder().mailbox(ANNA).without_postfix().start();
    let proxy = world.exchange_imap();
    let messages: Vec<Vec<u8>> = (0..20).map(|n| message(&format!("n{n}"))).collect();
    world.deliver_all(ANNA, &messages);
    proxy.throttle("*FETCH*BODY.PEEK*", "500", 2);
    let data = tempfile::tempdir().unwrap();
    let running = Running::start(&config(&world, data.path()));
    let (mailbox, grant) = oauth_mailbox(&world, &running, ANNA, proxy.port);
    let anna = running.add(mailbox, &grant);
    running.until_live(anna.incarnation);
    let throttled = |event: &stafette::events::Event| event.data["state"] == "throttled";
    assert!(running.events_of(EventType::MailboxStateChanged).iter().any(throttled));
    assert_eq!(running.events_of(EventType::MessageNew).len(), 20);
}

#[test]
fn authenticated_but_not_connected_is_no_lost_grant() {
    let world = World::builder().mailbox(ANNA).without_postfix().start();
    let proxy = world.exchange_imap();
    proxy.authenticated_but_not_connected(2);
    let data = tempfile::tempdir().unwrap();
    let mut config = config(&world, data.path());
    config.timing.retry_cap = std::time::Duration::from_millis(20);
    let running = Running::start(&config);
    let (mailbox, grant) = oauth_mailbox(&world, &running, ANNA, proxy.port);
    let anna = running.add(mailbox, &grant);
    running.until_live(anna.incarnation);
    let retrying = |event: &stafette::events::Event| {
        event.data["state"] == "retrying" && event.data["diagnosis"]["code"] == "authenticated_not_connected"
    };
    let states = running.events_of(EventType::MailboxStateChanged);
    assert!(states.iter().any(retrying), "{states:?}");
    assert!(running.store.grant(anna.incarnation).unwrap().is_some());
}

#[test]
fn a_lost_answer_under_strict_rotation_asks_for_a_sign_in_and_says_why() {
    let scene = scene(|world| {
        world.entra().set_rotation(Rotation::Strict);
        world.entra().next("token", Instead::drop(Dropping::AfterConsume));
    });
    let status = scene
        .running
        .until(scene.anna.incarnation, "needs_sign_in", |status| status.state == MailboxState::NeedsSignIn);
    assert_eq!(status.diagnosis.unwrap().code, "rotation_answer_lost");
}

#[test]
fn a_lost_answer_is_made_up_for_where_the_old_token_stays_valid() {
    let scene = scene(|world| world.entra().next("token", Instead::drop(Dropping::AfterConsume)));
    scene.running.until_live(scene.anna.incarnation);
    assert!(scene.grant().refresh_in_flight_since.is_none());
}

#[test]
fn a_revoked_grant_needs_a_person_and_a_new_one_brings_it_back_without_a_restart() {
    let Scene { world, running, anna, .. } = &scene(|_| {});
    running.until_live(anna.incarnation);
    world.entra().revoke(ANNA);
    world.entra().expire_access_tokens();
    world.kick(ANNA);
    running.until(anna.incarnation, "needs_sign_in", |status| status.state == MailboxState::NeedsSignIn);
    let (_, grant) = oauth_mailbox(world, running, ANNA, world.imaps_port());
    running.replace_grant(anna, &grant);
    running.wake(anna.incarnation, WakeReason::Grant);
    running.until_live(anna.incarnation);
}
