//! Servers that tell less than they might: what they keep to themselves is found, and what they leave out is not taken
//! for gone.

use crate::support::engine::{Running, config, password_mailbox};
use crate::world::proxy::{Answering, Edit, Editing};
use crate::world::{Kind, ProxyHandle, Transport, World};
use stafette::config::Config;
use stafette::domain::Incarnation;
use stafette::events::EventType;
use std::time::Duration;

const ANNA: &str = "anna@makler.test";

fn mail(number: usize) -> Vec<u8> {
    format!("From: b@kunde.test\r\nMessage-ID: <n{number}@kunde.test>\r\nSubject: {number}\r\n\r\nHello\r\n")
        .into_bytes()
}

struct Scene {
    world: World,
    proxy: ProxyHandle,
    running: Running,
    anna: Incarnation,
    _data: tempfile::TempDir,
}

/// A live mailbox of five messages behind a proxy.
fn live(manners: impl FnOnce(&ProxyHandle), change: impl FnOnce(&mut Config)) -> Scene {
    let world = World::builder().mailbox(ANNA).without_postfix().start();
    world.deliver_all(ANNA, &(1..=5).map(mail).collect::<Vec<_>>());
    let proxy = world.proxy(Kind::Imap, Transport::ImplicitTls);
    manners(&proxy);
    let data = tempfile::tempdir().unwrap();
    let mut config = config(&world, data.path());
    change(&mut config);
    let running = Running::start(&config);
    let (mailbox, grant) = password_mailbox(&world, ANNA, proxy.port);
    let anna = running.add(mailbox, &grant).incarnation;
    running.until_live(anna);
    Scene { world, proxy, running, anna, _data: data }
}

impl Scene {
    fn flags(&self, uid: u32) -> Vec<String> {
        let seen = self.running.snapshot(self.anna)["INBOX"].iter().find(|seen| seen.uid == uid).cloned();
        seen.map(|seen| seen.flags).unwrap_or_default()
    }

    fn count(&self, kind: EventType) -> usize {
        self.running.events_of(kind).len()
    }
}

/// No other folder to look at, by which the server might speak of the inbox.
fn only_the_inbox(proxy: &ProxyHandle) {
    proxy.answer(Answering::new("LIST *", "* LIST () \"/\" INBOX\r\n$TAG OK done"));
}

fn listed_once(config: &mut Config) {
    config.timing.list_interval = Duration::from_secs(3600);
}

#[test]
fn a_server_without_idle_is_asked() {
    let without = |proxy: &ProxyHandle| {
        only_the_inbox(proxy);
        proxy.capability("IMAP4rev1 AUTH=PLAIN", "IMAP4rev1 UIDPLUS");
    };
    let scene = live(without, |config| {
        listed_once(config);
        config.timing.flag_scan = Duration::from_secs(3600);
    });
    scene.world.deliver(ANNA, &mail(6));
    scene.running.until_event(EventType::MessageNew, "new mail", |event| {
        event.data["message_id"] == "<n6@kunde.test>"
    });
    scene.world.set_flags(ANNA, "INBOX", 2, "+FLAGS", "\\Flagged");
    scene.running.wait("the flag", || scene.flags(2).contains(&"\\Flagged".into()).then_some(()));
}

#[test]
fn flags_that_nobody_tells_are_found_by_a_scan() {
    let mute = |proxy: &ProxyHandle| {
        only_the_inbox(proxy);
        proxy.capability("IMAP4rev1 AUTH=PLAIN", "IMAP4rev1 IDLE");
        // what is told in IDLE; an answer to us names the UID first
        proxy.edit(Editing::new("\\* 2 FETCH (FLAGS *", Edit::Remove));
    };
    let scene = live(mute, listed_once);
    scene.world.set_flags(ANNA, "INBOX", 2, "+FLAGS", "\\Flagged");
    scene.running.wait("the flag", || scene.flags(2).contains(&"\\Flagged".into()).then_some(()));
    assert!(scene.proxy.commands().iter().any(|command| command == "IDLE"));
}

#[test]
fn what_a_listing_leaves_out_after_a_reset_is_neither_gone_nor_new() {
    let scene = live(|_| {}, |_| {});
    let before = scene.count(EventType::MessageNew);
    // the message is there, and its line says nothing of use
    let line = Edit::Substitute("UID ".into(), "X-UID ".into());
    scene.proxy.edit(Editing::new("\\* 3 FETCH *HEADER.FIELDS*", line).times(1));
    scene.world.bump_uid_validity(ANNA, "INBOX");
    scene.world.kick(ANNA);
    scene.running.until_event(EventType::FolderReset, "the reset", |event| event.data["folder"] == "INBOX");
    scene.running.until_live(scene.anna);
    assert_eq!(scene.running.snapshot(scene.anna), scene.world.snapshot(ANNA));
    let told = [EventType::MessageNew, EventType::MessageMoved, EventType::MessageDeleted]
        .map(|kind| scene.count(kind));
    assert_eq!(told, [before, 0, 0]);
    let listings = scene.proxy.commands();
    let listings = listings.iter().filter(|command| command.contains("HEADER.FIELDS")).count();
    assert_eq!(listings, 2, "another connection looked again");
}

#[test]
fn another_account_with_the_same_uids_is_matched_anew() {
    const BEN: &str = "ben@makler.test";
    let world = World::builder().mailbox(ANNA).mailbox(BEN).without_postfix().start();
    world.deliver_all(ANNA, &(1..=5).map(mail).collect::<Vec<_>>());
    world.deliver_all(BEN, &(11..=15).map(mail).collect::<Vec<_>>());
    let proxy = world.proxy(Kind::Imap, Transport::ImplicitTls);
    proxy.edit(Editing::new("\\* OK \\[UIDVALIDITY*", Edit::Replace("* OK [UIDVALIDITY 7] always".into())));
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&config(&world, data.path()));
    let (mailbox, grant) = password_mailbox(&world, ANNA, proxy.port);
    let anna = running.add(mailbox, &grant).incarnation;
    running.until_live(anna);
    assert_eq!(running.snapshot(anna), world.snapshot(ANNA));
    let moved = serde_json::json!({"auth": {"kind": "password", "user": BEN, "password": "pass"}});
    api.patch("/v1/mailboxes/anna", &moved).ok(200);
    running.wait("ben's mail", || (running.snapshot(anna) == world.snapshot(BEN)).then_some(()));
    running.wait("the end of anna's", || {
        (running.events_of(EventType::MessageDeleted).len() == 5).then_some(())
    });
}

#[test]
fn a_folder_that_a_busy_server_neither_lists_nor_opens_is_not_gone() {
    let scene = live(|_| {}, |_| {});
    scene.world.create_folder(ANNA, "Ablage");
    scene.world.append(ANNA, "Ablage", "", &mail(7));
    scene
        .running
        .until_event(EventType::MessageNew, "the filed one", |event| event.data["folder"] == "Ablage");
    let busy = "$TAG NO [UNAVAILABLE] the backend is away";
    scene.proxy.answer(Answering::new("SELECT \"Ablage\"", busy));
    scene.proxy.edit(Editing::new("\\* LIST *Ablage*", Edit::Remove));
    let selects = || {
        let commands = scene.proxy.commands();
        commands.iter().filter(|command| command.as_str() == "SELECT \"Ablage\"").count()
    };
    let before = selects();
    scene.running.wait("three attempts to open it", || (selects() >= before + 3).then_some(()));
    scene.proxy.clear();
    scene.running.until_live(scene.anna);
    let stored = scene.running.snapshot(scene.anna);
    assert_eq!(stored["Ablage"].len(), 1);
    assert_eq!((scene.count(EventType::FolderDeleted), scene.count(EventType::MessageDeleted)), (0, 0));
}
