//! Compaction: space comes back, no body is lost, whoever works meanwhile is right.

use super::commit::Commit;
use super::database;
use super::open::StoreConfig;
use crate::domain::{Flags, FolderId, Message, MessageId, Timestamp};
use crate::store::fsck;
use crate::store::handle::Store;
use crate::store::tables::StoredMailbox;
use crate::store::tests::{body, create, mailbox, message};
use std::path::Path;
use std::sync::Arc;

const MESSAGES: u32 = 60;

/// Bytes that do not compress, other ones for each UID.
fn raw(uid: u32) -> Vec<u8> {
    let mut number = u64::from(uid);
    let mut next = || {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (number >> 33) as u8
    };
    (0..20_000).map(|_| next()).collect()
}

/// A store whose packs hold about ten messages each.
fn open(dir: &Path) -> Store {
    let config = StoreConfig { pack_limit: 200_000, ..StoreConfig::at(dir) };
    Store::open_with(&config, Arc::new(|error| panic!("{error}"))).unwrap()
}

fn filled(store: &Store) -> (StoredMailbox, Vec<Message>) {
    let anna = create(store, mailbox("anna"), None).unwrap();
    let folder = FolderId::generate();
    let messages: Vec<Message> = (1..=MESSAGES).map(|uid| message(folder, uid)).collect();
    for message in &messages {
        let mut commit = Commit::of_mailbox(anna.incarnation);
        let message = Message { size: 20_000, ..message.clone() };
        let body = body(store, anna.incarnation, &message, &raw(message.uid));
        commit.add_message(message, Some(body));
        store.commit_blocking(commit).unwrap();
    }
    (anna, messages)
}

fn change(store: &Store, anna: &StoredMailbox, change: impl FnOnce(&mut Commit)) {
    let mut commit = Commit::of_mailbox(anna.incarnation);
    change(&mut commit);
    store.commit_blocking(commit).unwrap();
}

fn assert_whole(store: &Store, anna: &StoredMailbox, ids: &[MessageId]) {
    for id in ids {
        let message = store.message(anna.incarnation, *id).unwrap().unwrap();
        assert!(store.read_body(anna.incarnation, message.body.unwrap()).unwrap() == raw(message.uid));
    }
}

fn bytes(store: &Store, anna: &StoredMailbox) -> u64 {
    let packs = &store.inner.packs;
    let numbers = packs.numbers(anna.incarnation).unwrap();
    numbers.iter().map(|number| packs.path(anna.incarnation, *number).metadata().unwrap().len()).sum()
}

fn assert_sound(dir: &Path) {
    assert_eq!(fsck::check(&StoreConfig::at(dir)).unwrap().problems, Vec::<String>::new());
}

#[test]
fn what_is_left_of_dead_packs_is_moved_and_the_packs_go() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (anna, messages) = filled(&store);
    assert_eq!(store.compact(anna.incarnation, 0.5).unwrap().packs, 0, "nothing is dead");
    // every third one of the first forty stays
    let (kept, gone): (Vec<_>, Vec<_>) = messages
        .iter()
        .map(|message| (message.uid, message.id))
        .partition(|(uid, _)| *uid > 40 || uid % 3 == 0);
    change(&store, &anna, |commit| gone.iter().for_each(|(_, id)| commit.remove_message(*id)));
    let before = bytes(&store, &anna);
    let done = store.compact(anna.incarnation, 0.5).unwrap();
    assert!(done.packs >= 3 && done.freed > done.copied, "{done:?}");
    assert!(bytes(&store, &anna) < before * 3 / 4, "{} of {before}", bytes(&store, &anna));
    let kept: Vec<MessageId> = kept.into_iter().map(|(_, id)| id).collect();
    assert_whole(&store, &anna, &kept);
    assert_eq!(
        store.compact(anna.incarnation, 0.5).unwrap(),
        super::compact::Compacted::default(),
        "and then there is peace"
    );
    drop(store);
    assert_sound(dir.path());
    assert_whole(&open(dir.path()), &anna, &kept);
}

#[test]
fn a_message_that_is_set_aside_or_changed_meanwhile_keeps_its_body() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (anna, messages) = filled(&store);
    let [aside, stale, ..] = &messages[..] else { panic!() };
    let read_before = store.message(anna.incarnation, stale.id).unwrap().unwrap();
    change(&store, &anna, |commit| commit.set_aside(aside.id, Timestamp(1)));
    let gone: Vec<MessageId> = messages[2..40].iter().map(|message| message.id).collect();
    change(&store, &anna, |commit| gone.iter().for_each(|id| commit.remove_message(*id)));
    assert!(store.compact(anna.incarnation, 0.5).unwrap().packs > 0);
    // whoever read the message before its body moved writes flags now
    let flagged = Message { flags: Flags::from_server(["\\Seen"]), ..read_before };
    change(&store, &anna, |commit| commit.replace_message(flagged));
    // and the other one turns up again, with the place it had when it was set aside
    let back = Message {
        uid: 900,
        size: 20_000,
        body: Some(crate::domain::message::BodyLocation { pack: 1, offset: 0, length: 1 }),
        ..aside.clone()
    };
    change(&store, &anna, |commit| commit.add_message(back, None));
    assert_whole(&store, &anna, &[stale.id]);
    let back = store.message(anna.incarnation, aside.id).unwrap().unwrap();
    assert!(store.read_body(anna.incarnation, back.body.unwrap()).unwrap() == raw(aside.uid));
    assert!(store.set_aside(anna.incarnation).unwrap().is_empty());
    drop(store);
    let problems = fsck::check(&StoreConfig::at(dir.path())).unwrap().problems;
    assert_eq!(problems, Vec::<String>::new());
}

#[test]
fn a_store_that_never_counted_counts_when_it_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let (anna, messages) = filled(&open(dir.path()));
    {
        let db = database::open_sled(&dir.path().join("state"), 1 << 20).unwrap();
        let keys: Vec<_> = db.scan_prefix(b"x").keys().map(Result::unwrap).collect();
        assert!(!keys.is_empty());
        keys.iter().for_each(|key| drop(db.remove(key).unwrap()));
        db.flush().unwrap();
    }
    assert!(!fsck::check(&StoreConfig::at(dir.path())).unwrap().problems.is_empty());
    drop(open(dir.path()));
    assert_sound(dir.path());
    let all: Vec<MessageId> = messages.iter().map(|message| message.id).collect();
    assert_whole(&open(dir.path()), &anna, &all);
}

#[test]
fn a_body_that_was_moved_since_its_record_was_read_is_opened_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (anna, messages) = filled(&store);
    let read = |message: &Message| store.message(anna.incarnation, message.id).unwrap().unwrap();
    let (stays, goes) = (read(&messages[0]), read(&messages[1]));
    let gone: Vec<MessageId> = messages[1..40].iter().map(|message| message.id).collect();
    change(&store, &anna, |commit| gone.iter().for_each(|id| commit.remove_message(*id)));
    assert!(store.compact(anna.incarnation, 0.5).unwrap().packs > 0);
    assert!(store.read_body(anna.incarnation, stays.body.unwrap()).is_err(), "it has moved");
    let key = store.mailbox_key(anna.incarnation).unwrap();
    let mut reader = store.open_message(&key, anna.incarnation, &stays).unwrap().unwrap();
    assert!(reader.read_all().unwrap() == raw(stays.uid));
    assert!(store.open_message(&key, anna.incarnation, &goes).unwrap().is_none());
}
