//! The commit contract: atomic, checked, in order, there again after a restart.

use super::error::StoreError;
use super::*;
use crate::domain::message::Envelope;
use crate::domain::{
    Auth, Flags, Folder, FolderId, Grant, Incarnation, Mailbox, MailboxId, Message, MessageId, MessageState,
    Submission, SubmissionId, SubmissionState, Timestamp, Uid,
};
use crate::events::{Cursor, EventDraft, EventType};
use std::sync::Arc;

pub(super) fn open(dir: &std::path::Path) -> Store {
    Store::open_with(&StoreConfig::at(dir), Arc::new(|error| panic!("{error}"))).unwrap()
}

pub(super) fn mailbox(id: &str) -> Mailbox {
    Mailbox {
        id: MailboxId::new(id).unwrap(),
        address: format!("{id}@makler.test"),
        display_name: None,
        provider: None,
        imap: None,
        smtp: None,
        auth: Auth::Password { user: id.into() },
        policy: crate::domain::mailbox::Policy::default(),
        owner: None,
        reference: None,
        labels: std::collections::BTreeMap::new(),
        active: true,
    }
}

/// A mailbox, from a runtime's thread as well: keys are written by another.
pub(super) fn create(
    store: &Store,
    mailbox: Mailbox,
    grant: Option<&Grant>,
) -> Result<StoredMailbox, StoreError> {
    let new = NewMailbox::new(mailbox, grant.cloned());
    let made = std::thread::scope(|scope| {
        scope.spawn(|| store.create_mailboxes_blocking(vec![new])).join().unwrap()
    });
    made.map(|mut made| made.remove(0))
}

pub(super) fn message(folder: FolderId, uid: Uid) -> Message {
    let internal_date = Timestamp(1_700_000_000_000 + i64::from(uid) * 1000);
    Message {
        id: MessageId::at(internal_date),
        folder,
        folder_incarnation: 1,
        uid_validity: 7,
        uid,
        flags: Flags::default(),
        size: 3,
        internal_date,
        envelope: Envelope::default(),
        state: MessageState::Stored,
        copy_of: None,
        body: None,
    }
}

pub(super) fn body(store: &Store, mailbox: Incarnation, message: &Message, raw: &[u8]) -> Body {
    let key = store.mailbox_key(mailbox).unwrap();
    let kind = RecordKind::Message {
        folder: message.folder,
        path: String::from("INBOX"),
        folder_incarnation: 1,
        uid_validity: 7,
        uid: message.uid,
        flags: message.flags.clone(),
        internal_date: message.internal_date,
    };
    let header = RecordHeader { id: message.id.0, kind };
    Body::Record(encode_record(&key, mailbox, &header, raw).unwrap())
}

pub(super) fn new_message_event(message: &Message) -> EventDraft {
    let data = serde_json::json!({"uid": message.uid});
    EventDraft::new(EventType::MessageNew, &MailboxId::new("anna").unwrap(), Timestamp(0), &data)
}

pub(super) fn submission() -> Submission {
    Submission {
        id: SubmissionId::generate(),
        state: SubmissionState::Queued,
        phase: crate::domain::submission::Phase::Idle,
        hold: None,
        mail_from: String::from("anna@makler.test"),
        recipients: Vec::new(),
        message_id: String::from("<1@makler.test>"),
        created_at: Timestamp(1),
        send_at: None,
        attempts: 0,
        deferred_since: None,
        next_attempt_at: Some(Timestamp(1)),
        last_reply: None,
        idempotency_key: None,
        size: 3,
        body: crate::domain::message::BodyLocation { pack: 0, offset: 0, length: 0 },
    }
}

pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

fn everything(store: &Store) -> Vec<crate::events::Event> {
    store.events_after(Cursor(0), usize::MAX, |_| true).unwrap().0
}

#[test]
fn messages_bodies_and_events_are_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let folder = FolderId::generate();
    let anna = {
        let store = open(dir.path());
        let anna = create(&store, mailbox("anna"), None).unwrap();
        for uids in [1..=40_u32, 41..=90] {
            let mut commit = Commit::of_mailbox(anna.incarnation);
            for uid in uids {
                let message = message(folder, uid);
                let body = body(&store, anna.incarnation, &message, format!("raw {uid}").as_bytes());
                commit.event(new_message_event(&message));
                commit.add_message(message, Some(body));
            }
            store.commit_blocking(commit).unwrap();
        }
        anna
    };
    let store = open(dir.path());
    assert_eq!(store.mailbox(&anna.mailbox.id).unwrap(), Some(anna.clone()));
    let entries = store.uid_entries(anna.incarnation, folder, 1).unwrap();
    assert_eq!(entries.iter().map(|entry| entry.uid).collect::<Vec<_>>(), (1..=90).collect::<Vec<_>>());
    for entry in &entries {
        let message = store.message(anna.incarnation, entry.message).unwrap().unwrap();
        let raw = store.read_body(anna.incarnation, message.body.unwrap()).unwrap();
        assert_eq!(raw, format!("raw {}", entry.uid).as_bytes());
    }
    let events = everything(&store);
    let uids: Vec<u64> = events.iter().map(|event| event.data["uid"].as_u64().unwrap()).collect();
    assert_eq!(uids, (1..=90).collect::<Vec<_>>());
    let cursors: Vec<u64> = events.iter().map(|event| event.cursor.0).collect();
    assert_eq!(cursors, (1..=90).collect::<Vec<_>>(), "gap-free");
    assert_eq!(store.folder_counts(anna.incarnation, folder).unwrap().messages, 90);
}

#[test]
fn whoever_waits_after_reading_tells_only_what_is_durable() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let anna = create(&store, mailbox("anna"), None).unwrap();
    runtime().block_on(async {
        for round in 0..50 {
            let mut shown = store.status(anna.incarnation).unwrap();
            let generation = shown.generation;
            shown.value.backlog = round;
            let mut commit = Commit::of_mailbox(anna.incarnation);
            store.put_status(&mut commit, anna.incarnation, &shown).unwrap();
            let mut made = std::pin::pin!(store.commit(commit));
            if futures_util::poll!(made.as_mut()).is_ready() {
                continue; // this thread was kept from running until all was durable
            }
            while store.status(anna.incarnation).unwrap().generation == generation {
                std::thread::yield_now();
            }
            store.settle().await.unwrap();
            assert!(futures_util::poll!(made).is_ready(), "it was read, and not acknowledged yet");
        }
    });
}

#[test]
fn a_duplicate_uid_refuses_its_own_commit_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let folder = FolderId::generate();
    let runtime = runtime();
    let anna = create(&store, mailbox("anna"), None).unwrap();
    let commit_of = |uids: &[Uid]| {
        let mut commit = Commit::of_mailbox(anna.incarnation);
        for uid in uids {
            let message = message(folder, *uid);
            let body = body(&store, anna.incarnation, &message, b"raw");
            commit.event(new_message_event(&message));
            commit.add_message(message, Some(body));
        }
        commit
    };
    let results = runtime.block_on(async {
        futures_util::future::join_all([
            store.commit(commit_of(&[1, 2])),
            store.commit(commit_of(&[3, 2])),
            store.commit(commit_of(&[3, 4])),
        ])
        .await
    });
    assert!(results[0].is_ok());
    assert!(matches!(results[1], Err(StoreError::DuplicateUid { uid: 2 })), "{:?}", results[1]);
    assert!(results[2].is_ok(), "{:?}", results[2]);
    let uids: Vec<Uid> =
        store.uid_entries(anna.incarnation, folder, 1).unwrap().iter().map(|entry| entry.uid).collect();
    assert_eq!(uids, [1, 2, 3, 4]);
    assert_eq!(everything(&store).len(), 4, "the refused commit announced nothing");
}

#[test]
fn a_replaced_actors_late_commit_is_stale() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    runtime().block_on(async {
        let anna = create(&store, mailbox("anna"), None).unwrap();
        let dead = store.raise_epoch(anna.incarnation, Role::Imap).await.unwrap();
        let living = store.raise_epoch(anna.incarnation, Role::Imap).await.unwrap();
        let commit_by = |owner| {
            let mut commit = Commit::by(owner);
            commit.add_message(message(FolderId::generate(), 1), None);
            commit
        };
        assert!(matches!(store.commit(commit_by(dead)).await, Err(StoreError::Stale)));
        store.commit(commit_by(living)).await.unwrap();
        store.delete_mailbox(&anna).await.unwrap();
        assert!(matches!(store.commit(commit_by(living)).await, Err(StoreError::Stale)));
    });
}

#[test]
fn a_row_changed_meanwhile_is_a_conflict() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    runtime().block_on(async {
        let anna = create(&store, mailbox("anna"), None).unwrap();
        let change = |stored: &StoredMailbox, name: &str| {
            let mut changed = stored.clone();
            changed.mailbox.display_name = Some(name.into());
            let mut commit = Commit::of_mailbox(stored.incarnation);
            store.put_mailbox(&mut commit, &changed).unwrap();
            commit
        };
        store.commit(change(&anna, "first")).await.unwrap();
        assert!(matches!(store.commit(change(&anna, "second")).await, Err(StoreError::Conflict)));
        let now = store.mailbox(&anna.mailbox.id).unwrap().unwrap();
        assert_eq!(now.mailbox.display_name.as_deref(), Some("first"));
        assert!(matches!(create(&store, mailbox("anna"), None), Err(StoreError::Conflict)));
    });
}

#[test]
fn who_loses_to_a_commit_of_the_same_group_finds_it_when_reading_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    runtime().block_on(async {
        let mut anna = create(&store, mailbox("anna"), None).unwrap();
        for round in 0..20 {
            let attempts = (0..8).map(async |number| {
                let mut changed = anna.clone();
                changed.mailbox.display_name = Some(format!("{round} {number}"));
                let mut commit = Commit::of_mailbox(anna.incarnation);
                store.put_mailbox(&mut commit, &changed).unwrap();
                // a body: its pack is synced before the row can be read
                let message = message(FolderId::generate(), 1);
                let raw = body(&store, anna.incarnation, &message, b"raw");
                commit.add_message(message, Some(raw));
                let refused = store.commit(commit).await.is_err();
                let seen = store.mailbox(&anna.mailbox.id).unwrap().unwrap();
                assert!(seen.generation > anna.generation, "round {round}, refused: {refused}");
            });
            // the committer is busy with this while the attempts gather behind it
            let busy = message(FolderId::generate(), 1);
            let raw = body(&store, anna.incarnation, &busy, b"raw");
            let mut first = Commit::of_mailbox(anna.incarnation);
            first.add_message(busy, Some(raw));
            let (first, _) = tokio::join!(store.commit(first), futures_util::future::join_all(attempts));
            first.unwrap();
            anna = store.mailbox(&anna.mailbox.id).unwrap().unwrap();
        }
    });
}

#[test]
fn bytes_that_were_never_committed_are_cut_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let folder = FolderId::generate();
    let (anna, pack) = {
        let store = open(dir.path());
        let anna = create(&store, mailbox("anna"), None).unwrap();
        let mut commit = Commit::of_mailbox(anna.incarnation);
        let message = message(folder, 1);
        commit.add_message(message.clone(), Some(body(&store, anna.incarnation, &message, b"raw")));
        store.commit_blocking(commit).unwrap();
        (anna.clone(), store.inner.packs.path(anna.incarnation, 1))
    };
    let committed = std::fs::read(&pack).unwrap();
    std::fs::write(&pack, [committed.as_slice(), b"half a record"].concat()).unwrap();
    let never = pack.with_file_name("00000002.pack");
    std::fs::write(&never, b"a pack whose batch was never written").unwrap();
    let store = open(dir.path());
    assert_eq!(std::fs::read(&pack).unwrap(), committed);
    assert!(!never.is_file());
    drop(store);

    std::fs::write(&pack, &committed[..10]).unwrap();
    let Err(error) = Store::open_with(&StoreConfig::at(dir.path()), Arc::new(|_| {})) else {
        panic!("opened")
    };
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    drop(anna);
}

#[test]
fn a_second_process_is_told_that_the_directory_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    let second = Store::open_with(&StoreConfig::at(dir.path()), Arc::new(|_| {}));
    assert!(matches!(second, Err(StoreError::Locked { .. })));
    drop(first);
}

#[test]
fn an_erased_mailbox_leaves_no_row_and_no_file_and_its_id_starts_anew() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let folder_id = FolderId::generate();
    runtime().block_on(async {
        let anna = create(&store, mailbox("anna"), None).unwrap();
        let mut commit = Commit::of_mailbox(anna.incarnation);
        let message = message(folder_id, 1);
        let folder = Folder {
            id: folder_id,
            path: "INBOX".into(),
            server_name: "INBOX".into(),
            role: None,
            selectable: true,
            included: true,
            uid_validity: Some(7),
            incarnation: 1,
            first_uid_next: None,
            history_complete: false,
            rematch_from: None,
            missing_lists: 0,
            apart: None,
            is_chosen: false,
        };
        store.put_folder(&mut commit, anna.incarnation, 0, &folder).unwrap();
        commit.add_message(message.clone(), Some(body(&store, anna.incarnation, &message, b"raw")));
        store.commit(commit).await.unwrap();

        store.delete_mailbox(&anna).await.unwrap();
        assert_eq!(store.erasures().unwrap(), [anna.incarnation]);
        let again = create(&store, mailbox("anna"), None).unwrap();
        store.erase(anna.incarnation).await.unwrap();
        assert_ne!(again.incarnation, anna.incarnation);
        assert!(store.folders(again.incarnation).unwrap().is_empty());
        assert!(store.folders(anna.incarnation).unwrap().is_empty());
        assert!(!store.inner.packs.folder(anna.incarnation).is_dir());
        assert!(store.erasures().unwrap().is_empty());
        let all: Vec<_> = store.db().iter().keys().map(|key| key.unwrap()).collect();
        let old = anna.incarnation.0.to_be_bytes();
        assert!(!all.iter().any(|key| key.get(1..9) == Some(&old[..]) && key[0] != b'e'));
    });
}
