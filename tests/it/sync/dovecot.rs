//! A mailbox in step with a real Dovecot: first sync, and whatever changes on the server afterwards.

use crate::support::engine::{Running, config, password_mailbox};
use crate::world::{SeedOptions, Seen, World};
use stafette::events::EventType;
use stafette::store::StoredMailbox;
use std::collections::{BTreeMap, BTreeSet};

const ANNA: &str = "anna@makler.test";

struct Scene {
    world: World,
    _data: tempfile::TempDir,
    running: Running,
    anna: StoredMailbox,
}

/// A world with seeded mail, and an engine that is live on it.
fn live(messages: usize) -> Scene {
    let world = World::builder().mailbox(ANNA).without_postfix().start();
    if messages > 0 {
        world.seed(ANNA, &SeedOptions { messages, ..SeedOptions::default() });
    }
    let data = tempfile::tempdir().unwrap();
    let running = Running::start(&config(&world, data.path()));
    let (mailbox, grant) = password_mailbox(&world, ANNA, world.imaps_port());
    let anna = running.add(mailbox, &grant);
    running.until_live(anna.incarnation);
    Scene { world, _data: data, running, anna }
}

impl Scene {
    fn in_step(&self) {
        let difference = || {
            let (ours, theirs) = (self.running.snapshot(self.anna.incarnation), self.world.snapshot(ANNA));
            let folders: BTreeSet<_> = ours.keys().chain(theirs.keys()).cloned().collect();
            let differs = |path: &String| ours.get(path) != theirs.get(path);
            let count = |side: &BTreeMap<String, Vec<Seen>>, path: &String| side.get(path).map(Vec::len);
            let line =
                |path: String| format!("{path}: {:?}/{:?}", count(&ours, &path), count(&theirs, &path));
            folders.into_iter().filter(differs).map(line).collect::<Vec<_>>()
        };
        self.running.wait_or(
            "the store in step with the server",
            || difference().is_empty().then_some(()),
            || format!("folders that differ (stored/server): {:?}", difference()),
        );
    }
}

fn message(subject: &str) -> Vec<u8> {
    format!(
        "From: Ben <ben@kunde.test>\r\nTo: anna@makler.test\r\nSubject: {subject}\r\n\
         Message-ID: <{subject}@kunde.test>\r\nDate: Mon, 23 Nov 2026 19:00:00 +0000\r\n\r\nHello\r\n"
    )
    .into_bytes()
}

#[test]
fn every_message_of_every_folder_is_stored_once_byte_for_byte() {
    let scene = live(400);
    scene.in_step();
    let stored: usize = scene.running.snapshot(scene.anna.incarnation).values().map(Vec::len).sum();
    assert_eq!(stored, 400);
    let new = scene.running.events_of(EventType::MessageNew);
    assert_eq!(new.len(), 400, "each announced once");
    assert!(new.iter().all(|event| event.data["origin"] == "history"));
    assert_eq!(scene.running.events_of(EventType::MailboxSynced).len(), 1);
}

#[test]
fn new_mail_flags_moves_and_deletions_arrive() {
    let scene = live(60);
    let Scene { world, running, .. } = &scene;
    world.deliver(ANNA, &message("first"));
    let new = running.until_event(EventType::MessageNew, "the delivered message", |event| {
        event.data["message_id"] == "<first@kunde.test>"
    });
    assert_eq!(new.data["origin"], "arrived");
    assert_eq!(new.data["direction"], "in");
    let uid = u32::try_from(new.data["uid"].as_u64().unwrap()).unwrap();

    world.set_flags(ANNA, "INBOX", uid, "+FLAGS", "\\Flagged");
    running.until_event(EventType::MessageFlagsChanged, "the flag", |event| {
        event.data["message"] == new.data["message"] && event.data["added"][0] == "\\Flagged"
    });

    world.create_folder(ANNA, "Projekte/Entwürfe");
    running.until_event(EventType::FolderCreated, "the folder", |event| {
        event.data["folder"] == "Projekte/Entwürfe"
    });
    world.move_message(ANNA, "INBOX", uid, "Projekte/Entwürfe");
    let moved = running.until_event(EventType::MessageMoved, "the move", |event| {
        event.data["message"] == new.data["message"]
    });
    assert_eq!(moved.data["folder"], "Projekte/Entwürfe");
    assert_eq!(moved.data["from_folder"], "INBOX");
    assert!(running.events_of(EventType::MessageDeleted).is_empty(), "a move is no deletion");

    let uid = u32::try_from(moved.data["uid"].as_u64().unwrap()).unwrap();
    world.delete_message(ANNA, "Projekte/Entwürfe", uid);
    running.until_event(EventType::MessageDeleted, "the deletion", |event| {
        event.data["message"] == new.data["message"]
    });
    scene.in_step();
}

#[test]
fn a_move_into_the_inbox_is_a_move_and_a_copy_is_a_copy() {
    let scene = live(0);
    let Scene { world, running, .. } = &scene;
    world.create_folder(ANNA, "Ablage");
    world.append(ANNA, "Ablage", "", &message("moved"));
    world.append(ANNA, "Ablage", "", &message("copied"));
    running.wait("both", || (running.events_of(EventType::MessageNew).len() == 2).then_some(()));
    let uid = |subject: &str| {
        let id = format!("<{subject}@kunde.test>");
        let new = running.events_of(EventType::MessageNew);
        let event = new.into_iter().find(|event| event.data["message_id"] == id.as_str()).unwrap();
        (u32::try_from(event.data["uid"].as_u64().unwrap()).unwrap(), event.data["message"].clone())
    };
    let (moved_uid, moved_id) = uid("moved");
    world.move_message(ANNA, "Ablage", moved_uid, "INBOX");
    let moved = running.until_event(EventType::MessageMoved, "the move", |_| true);
    assert_eq!(moved.data["message"], moved_id);
    assert_eq!(moved.data["folder"], "INBOX");

    let (copied_uid, original) = uid("copied");
    world.copy_message(ANNA, "Ablage", copied_uid, "INBOX");
    let copy =
        running.until_event(EventType::MessageNew, "the copy", |event| event.data["folder"] == "INBOX");
    assert_eq!(copy.data["copy_of"], original);
    scene.in_step();
    assert!(running.events_of(EventType::MessageDeleted).is_empty());
    assert_eq!(running.events_of(EventType::MessageNew).len(), 3);
}

#[test]
fn a_move_into_a_folder_made_a_moment_ago_is_a_move() {
    let scene = live(0);
    let Scene { world, running, .. } = &scene;
    world.deliver(ANNA, &message("filed"));
    let new = running.until_event(EventType::MessageNew, "the message", |_| true);
    let uid = u32::try_from(new.data["uid"].as_u64().unwrap()).unwrap();
    world.create_folder(ANNA, "Neu");
    world.move_message(ANNA, "INBOX", uid, "Neu");
    let moved = running.until_event(EventType::MessageMoved, "the move", |_| true);
    assert_eq!(moved.data["message"], new.data["message"]);
    assert!(running.events_of(EventType::MessageDeleted).is_empty());
    scene.in_step();
}

#[test]
fn a_renamed_folder_keeps_its_id_and_messages() {
    let scene = live(0);
    let Scene { world, running, anna, .. } = &scene;
    world.create_folder(ANNA, "Alt");
    world.append(ANNA, "Alt", "", &message("kept"));
    let new =
        running.until_event(EventType::MessageNew, "the message", |event| event.data["folder"] == "Alt");
    let folder = running.folder(anna.incarnation, "Alt");
    world.rename_folder(ANNA, "Alt", "Neu");
    let renamed = running.until_event(EventType::FolderRenamed, "the rename", |_| true);
    assert_eq!(renamed.data["folder"], "Neu");
    assert_eq!(renamed.data["previous"], "Alt");
    assert_eq!(running.folder(anna.incarnation, "Neu").id, folder.id);
    scene.in_step();
    assert_eq!(running.events_of(EventType::MessageNew).len(), 1);
    assert_eq!(new.data["folder_id"], renamed.data["folder_id"]);

    world.delete_folder(ANNA, "Neu");
    running.until_event(EventType::FolderDeleted, "the end of the folder", |event| {
        event.data["folder"] == "Neu"
    });
    running.until_event(EventType::MessageDeleted, "its message's end", |event| {
        event.data["message"] == new.data["message"]
    });
    scene.in_step();
}

#[test]
fn a_uidvalidity_change_announces_nothing_anew() {
    let scene = live(80);
    let Scene { world, running, anna, .. } = &scene;
    let ids = |running: &Running| {
        let folder = running.folder(anna.incarnation, "INBOX");
        let entries = running.store.uid_entries(anna.incarnation, folder.id, folder.incarnation).unwrap();
        let mut ids: Vec<_> = entries.iter().map(|entry| entry.message).collect();
        ids.sort();
        ids
    };
    let before = ids(running);
    let announced = running.events_of(EventType::MessageNew).len();
    world.bump_uid_validity(ANNA, "INBOX");
    world.kick(ANNA);
    running.until_event(EventType::FolderReset, "the reset", |event| event.data["folder"] == "INBOX");
    scene.in_step();
    assert_eq!(ids(running), before, "ids survive");
    assert_eq!(running.events_of(EventType::MessageNew).len(), announced);
    assert!(running.events_of(EventType::MessageDeleted).is_empty());
}

#[test]
fn a_large_deletion_is_believed_only_after_a_second_look() {
    let scene = live(0);
    let Scene { world, running, anna, .. } = &scene;
    let messages: Vec<Vec<u8>> = (0..80).map(|n| message(&format!("n{n}"))).collect();
    world.deliver_all(ANNA, &messages);
    scene.in_step();
    let uids: Vec<u32> = world.list(ANNA, "INBOX").iter().map(|seen| seen.uid).collect();
    let mut imap = world.imap(ANNA);
    imap.command("SELECT INBOX").unwrap();
    imap.command(&format!("UID STORE {}:{} +FLAGS (\\Deleted)", uids[0], uids[69])).unwrap();
    imap.command("EXPUNGE").unwrap();
    scene.in_step();
    running.wait("all deletions told", || {
        (running.events_of(EventType::MessageDeleted).len() == 70).then_some(())
    });
    assert_eq!(running.store.set_aside(anna.incarnation).unwrap().len(), 0);
}
