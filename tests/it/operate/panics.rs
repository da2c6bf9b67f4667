//! A panic in one mailbox's actors, at every named point: the mailbox comes back by itself, and no other mailbox
//! notices.

use crate::support::daemon::{Daemon, Site, draft, password_mailbox, world_with};
use crate::world::{Kind, ProxyHandle, Transport, World};
use stafette::clock;
use stafette::domain::Mailbox;
use stafette::store::{Commit, StoredMailbox};
use std::time::Duration;

const ANNA: &str = "anna@makler.test";
const OTHERS: [&str; 2] = ["ben@makler.test", "clara@makler.test"];
/// The first restart waits for half a second; the rest is log-in and a round.
const BACK_WITHIN: Duration = Duration::from_secs(10);

/// Anna is paused; the others are live, through a proxy that counts their connections.
struct Scene<'w> {
    world: &'w World,
    point: &'static str,
    others: ProxyHandle,
    _site: Site,
    daemon: Daemon,
}

fn scene<'w>(world: &'w World, point: &'static str) -> Scene<'w> {
    scene_of(world, point, 1)
}

/// Anna panics when she passes the point for the first, the second … time.
fn scene_of<'w>(world: &'w World, point: &'static str, times: usize) -> Scene<'w> {
    world.deliver(ANNA, &message(&format!("before-{point}")));
    let others = world.proxy(Kind::Imap, Transport::ImplicitTls);
    let mut site = Site::new(world);
    site.set("STAFETTE_TIMING__DEFER_FIRST", "50ms");
    site.add_signed_in(world, ANNA, |anna| anna.active = false);
    let daemon = site.start_with(&vec![format!("{point}:anna=panic"); times].join(","));
    for address in OTHERS {
        let posted = password_mailbox(address, others.port, world.submission_port());
        let created = daemon.post("/v1/mailboxes", &posted);
        assert_eq!(created.status, 201, "{}", created.json());
    }
    for name in ["ben", "clara"] {
        daemon.until_live(name);
    }
    Scene { world, point, others, _site: site, daemon }
}

impl Scene<'_> {
    fn resume(&self) {
        assert_eq!(self.daemon.post("/v1/mailboxes/anna/resume", &serde_json::Value::Null).status, 200);
    }

    /// Waits for the panic, then for the mailbox to be live once more.
    fn until_back(&self, times: usize) {
        let point = self.point;
        self.daemon.until_log(|line| line.contains(&format!("injected panic at {point}:anna")));
        let panicked = clock::monotonic();
        self.daemon.until_log(|line| {
            line.contains("actor ended, restarting")
                && line.contains("Panicked")
                && line.contains("wait=500ms")
        });
        self.daemon.until_live_times("anna", times);
        let away = panicked.elapsed();
        println!("panic at {point}: live again after {} ms", away.as_millis());
        assert!(away < BACK_WITHIN, "{point}: {away:?}");
    }

    /// Sends a message, and waits until it is in a state.
    fn send(&self, subject: &str) -> String {
        let message = draft(OTHERS[0], &format!("{subject}-{}", self.point));
        self.daemon.try_submit("anna", subject, &message).unwrap()
    }

    fn until_submission(&self, id: &str, state: &str) {
        self.daemon.until(&format!("the submission {state}"), || {
            let shown = self.daemon.get(&format!("/v1/mailboxes/anna/outbox/{id}"));
            (shown["state"] == state).then_some(())
        });
    }

    /// The others' connections are the ones they had, and mail still comes over them.
    fn assert_nobody_else_noticed(&self) {
        assert_eq!(self.others.accepted(), OTHERS.len(), "nobody else had to connect again");
        assert_eq!(self.others.live(), OTHERS.len(), "their connections are still there");
        for address in OTHERS {
            let subject = format!("after-{}-{address}", self.point);
            let id = format!("<{subject}@kunde.test>");
            self.world.deliver(address, &message(&subject));
            self.daemon.until("mail at the others", || {
                let new = self.daemon.events("message.new");
                new.iter().any(|event| event["data"]["message_id"] == id.as_str()).then_some(())
            });
        }
        assert_eq!(self.others.accepted(), OTHERS.len(), "over the same connections");
        self.daemon.assert_in_step(self.world, "anna", ANNA);
    }
}

fn message(subject: &str) -> Vec<u8> {
    format!("From: b@kunde.test\r\nSubject: {subject}\r\nMessage-ID: <{subject}@kunde.test>\r\n\r\nHello\r\n")
        .into_bytes()
}

fn receiving_world() -> World {
    world_with(&[ANNA, OTHERS[0], OTHERS[1]]).without_postfix().start()
}

#[test]
fn an_actor_whose_end_is_not_told_is_missed_all_the_same() {
    let world = receiving_world();
    let site = Site::new(&world);
    site.add_signed_in(&world, ANNA, |_| {});
    let daemon = site.start_with("imap.fetch:anna=panic,exit.told=fail");
    world.deliver(ANNA, &message("untold"));
    daemon.until_log(|line| line.contains("the supervisor was not told of an actor's end"));
    daemon.until_log(|line| line.contains("actor ended, restarting") && line.contains("was not told"));
    daemon.until_live("anna");
    daemon.assert_in_step(&world, "anna", ANNA);
}

#[test]
fn a_panic_while_receiving_is_over_after_its_backoff_and_the_others_do_not_notice() {
    let world = receiving_world();
    for point in ["imap.connect", "imap.select", "imap.fetch", "imap.stored"] {
        let scene = scene(&world, point);
        scene.resume();
        scene.until_back(1);
        scene.assert_nobody_else_noticed();
    }
}

#[test]
fn a_panic_while_matching_a_folder_anew_announces_nothing_twice() {
    let world = receiving_world();
    let scene = scene(&world, "imap.rematch");
    scene.resume();
    scene.daemon.until_live("anna");
    world.bump_uid_validity(ANNA, "INBOX");
    scene.until_back(2);
    scene.assert_nobody_else_noticed();
}

#[test]
fn a_panic_while_refreshing_is_over_after_its_backoff_and_the_others_do_not_notice() {
    let world = receiving_world();
    for point in ["token.refresh", "token.marked", "token.answered", "token.stored"] {
        let scene = scene(&world, point);
        scene.resume();
        scene.until_back(1);
        scene.assert_nobody_else_noticed();
    }
}

#[test]
fn a_panic_while_sending_is_over_after_its_backoff_and_the_others_do_not_notice() {
    let world = world_with(&[ANNA, OTHERS[0], OTHERS[1]]).start();
    for (point, fate) in [("smtp.connect", "sent"), ("smtp.sending", "sent"), ("smtp.answered", "unknown")] {
        let scene = scene(&world, point);
        scene.resume();
        scene.daemon.until_live("anna");
        let met = scene.send("met");
        scene.until_back(2);
        scene.until_submission(&met, fate);
        let next = scene.send("next");
        scene.until_submission(&next, "sent");
        scene.assert_nobody_else_noticed();
        let received = scene.daemon.events("message.new&mailbox=ben");
        let subjects: Vec<_> =
            received.iter().filter_map(|event| event["data"]["subject"].as_str()).collect();
        for subject in ["met", "next"] {
            let subject = format!("{subject}-{point}");
            let times = subjects.iter().filter(|known| **known == subject).count();
            assert_eq!(times, 1, "{subject} at the recipient");
        }
    }
}

#[test]
fn a_message_that_panics_us_is_set_apart_alone_and_tried_again() {
    let world = receiving_world();
    for subject in ["one", "two", "three"] {
        world.deliver(ANNA, &message(subject));
    }
    let mut site = Site::new(&world);
    site.set("STAFETTE_TIMING__QUARANTINE_RETRY", "2s");
    site.add_signed_in(&world, ANNA, |_| {});
    // once where small folders are read together, once where the inbox is looked at by itself
    let daemon = site.start_with("imap.prepare:2=panic,imap.prepare:2=panic");
    daemon.until_log(|line| line.contains("message quarantined") && line.contains("uid=2"));
    daemon.until("its second chance", || {
        let shown = daemon.get("/v1/mailboxes/anna/folders");
        let inbox = shown["items"].as_array()?.iter().find(|folder| folder["path"] == "INBOX")?;
        (inbox["quarantined"] == 0 && inbox["synced"] == 3).then_some(())
    });
    daemon.assert_in_step(&world, "anna", ANNA);
    assert!(!daemon.log().iter().any(|line| line.contains("actor ended")), "no actor died of it");
}

#[test]
fn a_mailbox_that_panics_again_and_again_waits_longer_each_time() {
    let world = receiving_world();
    let scene = scene_of(&world, "imap.connect", 3);
    scene.resume();
    scene.daemon.until_live("anna");
    let log = scene.daemon.log();
    let restarts = log.iter().filter(|line| line.contains("actor ended, restarting"));
    let waits: Vec<&str> = restarts.filter_map(|line| line.split(" wait=").nth(1)).collect();
    assert_eq!(waits, ["500ms", "1s", "2s"]);
    scene.assert_nobody_else_noticed();
}

#[test]
fn many_mailboxes_that_panic_at_once_all_come_back() {
    let names: Vec<String> = (0..60).map(|number| format!("m{number}")).collect();
    let world = world_with(&[]).without_postfix().start();
    let site = Site::new(&world);
    let daemon = site.start();
    for name in &names {
        let mut posted = password_mailbox(&format!("{name}@makler.test"), world.imaps_port(), 1);
        posted["smtp"] = serde_json::Value::Null;
        posted["active"] = false.into();
        assert_eq!(daemon.post("/v1/mailboxes", &posted).status, 201);
    }
    drop(daemon);
    site.store(async |store| {
        for stored in store.mailboxes().unwrap() {
            let mut commit = Commit::of_mailbox(stored.incarnation);
            let active = Mailbox { active: true, ..stored.mailbox.clone() };
            store.put_mailbox(&mut commit, &StoredMailbox { mailbox: active, ..stored }).unwrap();
            store.commit(commit).await.unwrap();
        }
    });
    let daemon = site.start_with(&vec!["imap.connect=panic"; names.len()].join(","));
    for name in &names {
        daemon.until_live(name);
    }
    let panics = daemon.log().iter().filter(|line| line.contains("injected panic")).count();
    assert_eq!(panics, names.len());
}
