//! Messages that are fetched in pieces, and messages that cannot be fetched at all.

use crate::support::api::Api;
use crate::support::engine::{Running, config, password_mailbox, until_released};
use crate::world::proxy::{Cut, CutAt, Direction, Ending};
use crate::world::{Kind, ProxyHandle, Transport, World};
use serde_json::json;
use stafette::domain::{Incarnation, MessageState};
use stafette::store::{Store, StoreConfig};
use std::path::{Path, PathBuf};

const ANNA: &str = "anna@makler.test";
const MIB: usize = 1 << 20;

/// A message whose body is lines of text that does not repeat.
fn message(subject: &str, length: usize) -> Vec<u8> {
    let mut raw =
        format!("From: b@kunde.test\r\nMessage-ID: <{subject}@kunde.test>\r\nSubject: {subject}\r\n\r\n")
            .into_bytes();
    let mut number: u64 = length as u64;
    while raw.len() < length {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        raw.extend_from_slice(format!("{number:016x}{:016x}\r\n", number.rotate_left(17)).as_bytes());
    }
    raw
}

struct Scene {
    world: World,
    proxy: ProxyHandle,
    data: tempfile::TempDir,
}

fn scene() -> Scene {
    let world = World::builder().mailbox(ANNA).without_postfix().start();
    let proxy = world.proxy(Kind::Imap, Transport::ImplicitTls);
    Scene { world, proxy, data: tempfile::tempdir().unwrap() }
}

impl Scene {
    fn start(&self) -> (Running, Incarnation) {
        let (running, _, anna) = self.serve();
        (running, anna)
    }

    fn serve(&self) -> (Running, Api, Incarnation) {
        let mut config = config(&self.world, self.data.path());
        config.timing.retry_cap = std::time::Duration::from_millis(100);
        let (running, api) = Running::serve(&config);
        let (mailbox, grant) = password_mailbox(&self.world, ANNA, self.proxy.port);
        let anna = running.add(mailbox, &grant).incarnation;
        (running, api, anna)
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn packs(data: &Path) -> Vec<PathBuf> {
    files(&data.join("packs"))
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "pack"))
        .collect()
}

fn unfinished(data: &Path) -> usize {
    files(&data.join("packs"))
        .iter()
        .filter(|path| path.extension().is_some_and(|end| end == "large"))
        .count()
}

#[test]
fn large_messages_are_stored_byte_for_byte_though_the_connection_is_cut_in_their_middle() {
    let scene = scene();
    for (subject, length) in [("small", 3000), ("pieces", 3 * MIB), ("file", 12 * MIB), ("exact", 9 * MIB)] {
        scene.world.append(ANNA, "INBOX", "\\Seen \\Flagged", &message(subject, length));
    }
    // once in the message that gets a file of its own, once in the one that is held in memory
    for bytes in [7 * MIB, MIB] {
        let at = CutAt::Bytes(bytes as u64);
        scene.proxy.change(|rules| {
            rules.cuts.push(Cut { at, direction: Direction::ToClient, ending: Ending::Reset });
        });
    }
    let (running, anna) = scene.start();
    running.until_live(anna);
    assert_eq!(running.snapshot(anna)["INBOX"], scene.world.list(ANNA, "INBOX"));
    assert_eq!(unfinished(scene.data.path()), 0, "the one that was cut is not kept");
    assert!(scene.proxy.accepted() >= 3, "it was cut twice: {}", scene.proxy.accepted());
    drop(running);
    assert_eq!(packs(scene.data.path()).len(), 3, "two of them have a file of their own");
}

#[test]
fn a_large_message_comes_back_from_its_pack_with_its_flags() {
    let scene = scene();
    scene.world.append(ANNA, "INBOX", "\\Seen \\Flagged", &message("file", 9 * MIB));
    let (running, anna) = scene.start();
    running.until_live(anna);
    drop(running);
    until_released(scene.data.path());
    std::fs::remove_dir_all(scene.data.path().join("state")).unwrap();
    let config = StoreConfig::at(scene.data.path());
    stafette::store::fsck::rebuild(&config, stafette::imap::parse_envelope).unwrap();
    let store = Store::open(&config).unwrap();
    let mailbox = store.mailboxes().unwrap()[0].incarnation;
    let folder =
        store.folders(mailbox).unwrap().into_iter().find(|row| row.value.path == "INBOX").unwrap().value;
    let entries = store.uid_entries(mailbox, folder.id, folder.incarnation).unwrap();
    let found = store.message(mailbox, entries[0].message).unwrap().unwrap();
    assert_eq!(found.flags.iter().collect::<Vec<_>>(), ["\\Flagged", "\\Seen"]);
    assert_eq!(found.state, MessageState::Stored);
    assert_eq!(store.read_body(mailbox, found.body.unwrap()).unwrap(), message("file", 9 * MIB));
}

#[test]
fn a_message_that_makes_the_server_hang_up_is_set_apart_and_the_others_are_stored() {
    let scene = scene();
    let poison = "this-is-what-the-server-chokes-on";
    let mails: Vec<Vec<u8>> =
        (0..100).map(|n| message(if n == 60 { poison } else { "sound" }, 2000)).collect();
    scene.world.deliver_all(ANNA, &mails);
    // for ever: every connection ends behind these bytes
    for _ in 0..60 {
        let at = CutAt::Pattern(format!("Subject: {poison}").into_bytes(), 1);
        scene
            .proxy
            .change(|rules| rules.cuts.push(Cut { at, direction: Direction::ToClient, ending: Ending::Fin }));
    }
    let (running, api, anna) = scene.serve();
    running.until_live(anna);
    let stored = running.snapshot(anna);
    assert_eq!(stored["INBOX"].len(), 99);
    assert!(stored["INBOX"].iter().all(|seen| seen.uid != 61));
    let folder = running.folder(anna, "INBOX");
    let apart = running.store.quarantined(anna, folder.id, folder.incarnation).unwrap();
    assert_eq!(apart.iter().map(|message| message.uid).collect::<Vec<_>>(), [61]);
    let shown = api.get("/v1/mailboxes/anna/folders").ok(200);
    let inbox = shown["items"].as_array().unwrap().iter().find(|folder| folder["path"] == "INBOX").unwrap();
    assert_eq!((&inbox["quarantined"], &inbox["synced"]), (&json!(1), &json!(99)));
    // and new mail comes
    let before = scene.proxy.accepted();
    scene.world.deliver(ANNA, &message("after", 500));
    running.until_event(stafette::events::EventType::MessageNew, "mail after it", |event| {
        event.data["message_id"] == "<after@kunde.test>"
    });
    assert!(scene.proxy.accepted() <= before + 1, "it is not tried for ever");
    scene.world.delete_message(ANNA, "INBOX", 61);
    let apart = || running.store.quarantined(anna, folder.id, folder.incarnation).unwrap();
    running.wait("its end", || apart().is_empty().then_some(()));
}
