//! A store is sound, is damaged in one place, is found damaged there, and is made anew.

use super::*;
use crate::domain::message::Envelope;
use crate::domain::{FolderId, Message};
use crate::events::Cursor;
use crate::store::engine::open_sled;
use crate::store::error::StoreError;
use crate::store::format::keys;
use crate::store::tests::{body, create, mailbox, message, new_message_event, open};
use crate::store::{Commit, Store, StoreConfig, StoredMailbox};
use std::path::Path;

pub(super) fn parse(raw: &[u8]) -> Envelope {
    Envelope { subject: Some(String::from_utf8_lossy(raw).into_owned()), ..Envelope::default() }
}

/// Three messages and an event each; the second is deleted again.
fn filled(dir: &Path) -> (StoredMailbox, Vec<Message>) {
    let store = open(dir);
    let anna = create(&store, mailbox("anna"), None).unwrap();
    let folder = FolderId::generate();
    let messages: Vec<Message> = (1..=3).map(|uid| message(folder, uid)).collect();
    for message in &messages {
        let mut commit = Commit::of_mailbox(anna.incarnation);
        commit.event(new_message_event(message));
        commit.add_message(message.clone(), Some(body(&store, anna.incarnation, message, b"raw")));
        store.commit_blocking(commit).unwrap();
    }
    let mut commit = Commit::of_mailbox(anna.incarnation);
    commit.remove_message(messages[1].id);
    store.commit_blocking(commit).unwrap();
    (anna, messages)
}

fn stored(store: &Store, anna: &StoredMailbox) -> Vec<crate::domain::MessageId> {
    let all = store.list_messages(anna.incarnation, &crate::store::MessageFilter::default(), None, 10);
    let mut ids: Vec<_> = all.unwrap().messages.iter().map(|message| message.id).collect();
    ids.sort();
    for id in &ids {
        let message = store.message(anna.incarnation, *id).unwrap().unwrap();
        assert_eq!(store.read_body(anna.incarnation, message.body.unwrap()).unwrap(), b"raw");
    }
    ids
}

/// Changes rows behind the store's back.
fn tamper(dir: &Path, change: impl Fn(&sled::Db)) {
    let db = open_sled(&dir.join("state"), 1 << 20).unwrap();
    change(&db);
    db.flush().unwrap();
}

#[test]
fn a_sound_store_has_no_problems_and_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (anna, messages) = filled(dir.path());
    let findings = check(&StoreConfig::at(dir.path())).unwrap();
    assert_eq!(findings.problems, Vec::<String>::new());
    assert_eq!((findings.messages, findings.records, findings.unreferenced), (2, 3, 1));
    let found = rebuild(&StoreConfig::at(dir.path()), parse).unwrap();
    assert_eq!(found.problems, Vec::<String>::new());
    let store = open(dir.path());
    assert_eq!(stored(&store, &anna), [messages[0].id, messages[2].id], "the deleted one stays deleted");
    let events = store.events_after(crate::events::Cursor(0), 10, |_| true).unwrap().0;
    assert_eq!(events.len(), 3);
}

#[test]
fn a_damaged_row_is_named_and_comes_back_from_its_pack() {
    let dir = tempfile::tempdir().unwrap();
    let (anna, messages) = filled(dir.path());
    let row = keys::message(anna.incarnation, messages[0].id);
    tamper(dir.path(), |db| drop(db.insert(row.clone(), &[1, 200][..]).unwrap()));
    let problems = check(&StoreConfig::at(dir.path())).unwrap().problems;
    assert!(problems.iter().any(|line| line.contains(&keys::shown(&row))), "{problems:?}");
    rebuild(&StoreConfig::at(dir.path()), parse).unwrap();
    assert_eq!(check(&StoreConfig::at(dir.path())).unwrap().problems, Vec::<String>::new());
    let store = open(dir.path());
    assert_eq!(stored(&store, &anna), [messages[0].id, messages[2].id]);
    let back = store.message(anna.incarnation, messages[0].id).unwrap().unwrap();
    assert_eq!(back.envelope.subject.as_deref(), Some("raw"));
}

/// The sequence numbers of all events, and where a reader begins.
fn log(store: &Store) -> (Vec<u64>, Cursor) {
    let (events, _) = store.events_after(Cursor(0), usize::MAX, |_| true).unwrap();
    (events.iter().map(|event| event.cursor.0).collect(), store.earliest_cursor().unwrap())
}

#[test]
fn a_log_that_lost_events_begins_anew_above_every_number_given() {
    for (lost, damages) in [(1, true), (2, true), (3, true), (2, false)] {
        let dir = tempfile::tempdir().unwrap();
        let (_, messages) = filled(dir.path());
        tamper(dir.path(), |db| match damages {
            true => drop(db.insert(keys::event(lost), b"?").unwrap()),
            false => drop(db.remove(keys::event(lost)).unwrap()),
        });
        assert!(!check(&StoreConfig::at(dir.path())).unwrap().problems.is_empty(), "{lost}");
        rebuild(&StoreConfig::at(dir.path()), parse).unwrap();
        let store = open(dir.path());
        let (left, beginning) = log(&store);
        assert_eq!(left, [0; 0], "{lost}");
        assert!(beginning > Cursor(1 << 50) && beginning == store.durable_cursor());
        let mut commit = Commit::default();
        commit.event(new_message_event(&messages[0]));
        store.commit_blocking(commit).unwrap();
        assert_eq!(log(&store), (vec![beginning.0 + 1], beginning));
        drop(store);
        assert_eq!(check(&StoreConfig::at(dir.path())).unwrap().problems, Vec::<String>::new());
        rebuild(&StoreConfig::at(dir.path()), parse).unwrap();
        assert_eq!(log(&open(dir.path())), (vec![beginning.0 + 1], beginning), "a whole log stays");
    }
}

#[test]
fn without_a_mailbox_s_key_nothing_is_rebuilt_and_nothing_lost() {
    let dir = tempfile::tempdir().unwrap();
    let (anna, messages) = filled(dir.path());
    let key = dir.path().join(format!("packs/{:016}/mailbox.key", anna.incarnation.0));
    let away = dir.path().join("away");
    std::fs::rename(&key, &away).unwrap();
    let refused = rebuild(&StoreConfig::at(dir.path()), parse).unwrap_err();
    assert!(refused.to_string().contains("Put the key back"), "{refused}");
    std::fs::rename(&away, &key).unwrap();
    let store = open(dir.path());
    assert_eq!(stored(&store, &anna), [messages[0].id, messages[2].id]);
}

#[test]
fn every_relation_that_is_broken_is_found() {
    let of = |anna: &StoredMailbox, message: &Message, prefix: u8| match prefix {
        b'l' => keys::listing(anna.incarnation, message.folder, message.id),
        b'u' => keys::uid_chunk(anna.incarnation, message.folder, 1, 0),
        b'c' => keys::counts(anna.incarnation, message.folder),
        b'b' => keys::mailbox(&anna.mailbox.id),
        _ => keys::message(anna.incarnation, message.id),
    };
    for prefix in *b"lucbr" {
        let dir = tempfile::tempdir().unwrap();
        let (anna, messages) = filled(dir.path());
        let key = of(&anna, &messages[0], prefix);
        tamper(dir.path(), |db| assert!(db.remove(&key).unwrap().is_some()));
        let problems = check(&StoreConfig::at(dir.path())).unwrap().problems;
        assert!(!problems.is_empty(), "{}", char::from(prefix));
    }
}

#[test]
fn a_flipped_bit_in_a_pack_is_found_and_hides_no_record_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let (anna, messages) = filled(dir.path());
    let pack = dir.path().join(format!("packs/{:016}/00000001.pack", anna.incarnation.0));
    let mut bytes = std::fs::read(&pack).unwrap();
    bytes[60] ^= 1;
    std::fs::write(&pack, bytes).unwrap();
    let findings = check(&StoreConfig::at(dir.path())).unwrap();
    let named = format!("message {}", messages[0].id);
    assert!(findings.problems.iter().any(|line| line.contains(&named)), "{findings:?}");
    assert_eq!(findings.records, 2, "the two behind it were read");
}

#[test]
fn without_a_state_the_mail_comes_back_from_the_packs() {
    let dir = tempfile::tempdir().unwrap();
    let (anna, messages) = filled(dir.path());
    let db = dir.path().join("state/db");
    let length = std::fs::metadata(&db).unwrap().len() as usize;
    std::fs::write(&db, vec![0x5a; length]).unwrap();
    let problems = check(&StoreConfig::at(dir.path())).unwrap().problems;
    assert!(problems.iter().any(|line| line.contains("the state does not know")), "{problems:?}");
    let opened = Store::open_with(&StoreConfig::at(dir.path()), std::sync::Arc::new(|_| {}));
    assert!(matches!(opened, Err(StoreError::Corrupt { .. })), "mail is not taken for a new store's");
    std::fs::remove_dir_all(dir.path().join("state")).unwrap();
    let problems = check(&StoreConfig::at(dir.path())).unwrap().problems;
    assert!(problems[0].contains("is gone"), "{problems:?}");
    let found = rebuild(&StoreConfig::at(dir.path()), parse).unwrap();
    assert!(found.problems.iter().any(|line| line.contains("recovered-")), "{found:?}");
    let store = open(dir.path());
    let ids: Vec<_> = messages.iter().map(|message| message.id).collect();
    assert_eq!(stored(&store, &anna), ids, "deleted ones too: the next sync knows");
    assert!(store.earliest_cursor().unwrap() > Cursor(1 << 50), "readers learn that their events are gone");
    let again = create(&store, mailbox("ben"), None).unwrap();
    assert!(again.incarnation > anna.incarnation, "numbers are never given twice");
    drop(store);
    assert_eq!(check(&StoreConfig::at(dir.path())).unwrap().problems, Vec::<String>::new());
}

#[test]
fn a_rebuild_that_was_cut_off_at_the_end_is_finished_by_the_next_start() {
    for old_is_there in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let (anna, messages) = filled(dir.path());
        let (state, ready) = (dir.path().join("state"), dir.path().join("state.ready"));
        std::fs::rename(&state, &ready).unwrap();
        if old_is_there {
            drop(open_sled(&state, 1 << 20).unwrap());
        }
        let store = open(dir.path());
        assert_eq!(stored(&store, &anna), [messages[0].id, messages[2].id]);
        let names = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let aside = names.filter(|name| name.to_string_lossy().starts_with("state.")).count();
        assert_eq!(aside, usize::from(old_is_there), "nothing else is left, and the old one is kept");
    }
}

#[test]
fn a_store_in_which_nothing_is_yet_is_new_and_not_damaged() {
    let is_new = |dir: &Path| {
        let found = [check(&StoreConfig::at(dir)), rebuild(&StoreConfig::at(dir), parse)];
        found.into_iter().all(|found| {
            let found = found.unwrap();
            found.problems.is_empty() && found.notes.iter().any(|note| note.contains("nothing in it yet"))
        })
    };
    // as a first start leaves it that is cut off here and there
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    assert!(!is_new(dir.path()));
    std::fs::remove_file(dir.path().join("state/db")).unwrap();
    assert!(is_new(dir.path()), "with a journal that holds nothing");
    for gone in ["state", "packs"] {
        std::fs::remove_dir_all(dir.path().join(gone)).unwrap();
        assert!(is_new(dir.path()), "{gone}");
    }
    for gone in ["journal", "vault.key", "master.key"] {
        std::fs::remove_file(dir.path().join(gone)).unwrap();
        assert!(is_new(dir.path()), "{gone}");
    }
    drop(open(dir.path()));
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    std::fs::remove_dir_all(dir.path().join("state")).unwrap();
    assert!(!check(&StoreConfig::at(dir.path())).unwrap().problems.is_empty(), "there is a journal");
    std::fs::remove_file(dir.path().join("journal")).unwrap();
    assert!(!check(&StoreConfig::at(dir.path())).unwrap().problems.is_empty(), "there is mail");
}

#[test]
fn a_running_daemon_and_a_folder_without_a_store_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let empty = check(&StoreConfig::at(dir.path())).unwrap_err();
    assert!(empty.to_string().contains("holds no store"), "{empty}");
    let running = open(dir.path());
    assert!(matches!(check(&StoreConfig::at(dir.path())), Err(StoreError::Locked { .. })));
    drop(running);
}
