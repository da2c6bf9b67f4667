//! The committer and the readers of the store on this disk: `cargo bench --bench store`.
//!
//! A commit is durable when it is answered: what one costs is the disk's sync; how many share one is what `commit`'s
//! larger numbers show.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use stafette::domain::message::Envelope;
use stafette::domain::{
    Auth, Flags, Folder, FolderId, Incarnation, Mailbox, MailboxId, Message, MessageId, MessageState,
    Timestamp, Uid, WireName,
};
use stafette::events::{EventDraft, EventType};
use stafette::store::{
    Body, Commit, Key, MessageFilter, NewMailbox, Owner, RecordHeader, RecordKind, Role, Store, StoreConfig,
    encode_record,
};
use std::sync::atomic::{AtomicU32, Ordering};

const RAW: &[u8] = &[b'm'; 8 << 10];

/// A store with one mailbox and one folder.
struct Scene {
    store: Store,
    runtime: tokio::runtime::Runtime,
    mailbox: Incarnation,
    owner: Owner,
    key: Key,
    folder: Folder,
    next_uid: AtomicU32,
    _dir: tempfile::TempDir,
}

fn anna() -> Mailbox {
    Mailbox {
        id: MailboxId::new("anna").unwrap(),
        address: String::from("anna@makler.test"),
        display_name: None,
        provider: None,
        imap: None,
        smtp: None,
        auth: Auth::Password { user: String::from("anna") },
        policy: stafette::domain::mailbox::Policy::default(),
        owner: None,
        reference: None,
        labels: std::collections::BTreeMap::new(),
        active: true,
    }
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&StoreConfig::at(dir.path())).unwrap();
        let new = NewMailbox::new(anna(), None);
        let mailbox = store.create_mailboxes_blocking(vec![new]).unwrap()[0].incarnation;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let owner = runtime.block_on(store.raise_epoch(mailbox, Role::Imap)).unwrap();
        let key = store.mailbox_key(mailbox).unwrap();
        let folder = Folder {
            id: FolderId::generate(),
            path: String::from("INBOX"),
            server_name: WireName::from(&b"INBOX"[..]),
            role: None,
            selectable: true,
            included: true,
            uid_validity: Some(7),
            incarnation: 1,
            first_uid_next: None,
            history_complete: true,
            rematch_from: None,
            missing_lists: 0,
            apart: None,
            is_chosen: false,
        };
        let mut commit = Commit::by(owner);
        store.put_folder(&mut commit, mailbox, 0, &folder).unwrap();
        store.commit_blocking(commit).unwrap();
        Self { store, runtime, mailbox, owner, key, folder, next_uid: AtomicU32::new(1), _dir: dir }
    }

    fn message(&self) -> Message {
        let uid: Uid = self.next_uid.fetch_add(1, Ordering::Relaxed);
        let internal_date = Timestamp(1_700_000_000_000 + i64::from(uid) * 1000);
        Message {
            id: MessageId::at(internal_date),
            folder: self.folder.id,
            folder_incarnation: 1,
            uid_validity: 7,
            uid,
            flags: Flags::default(),
            size: RAW.len() as u64,
            internal_date,
            envelope: Envelope::default(),
            state: MessageState::Stored,
            copy_of: None,
            body: None,
        }
    }

    /// A commit of so many new messages with their bodies and events.
    fn messages(&self, count: usize) -> Commit {
        let mut commit = Commit::by(self.owner);
        for _ in 0..count {
            let message = self.message();
            let kind = RecordKind::Message {
                folder: self.folder.id,
                path: self.folder.path.clone(),
                folder_incarnation: 1,
                uid_validity: 7,
                uid: message.uid,
                flags: message.flags.clone(),
                internal_date: message.internal_date,
            };
            let header = RecordHeader { id: message.id.0, kind };
            let record = encode_record(&self.key, self.mailbox, &header, RAW).unwrap();
            let data = serde_json::json!({"uid": message.uid});
            commit.event(EventDraft::new(EventType::MessageNew, &anna().id, message.internal_date, &data));
            commit.add_message(message, Some(Body::Record(record)));
        }
        commit
    }
}

/// One commit of so many messages.
fn commits(criterion: &mut Criterion) {
    let scene = Scene::new();
    let mut group = criterion.benchmark_group("commit");
    for count in [1_usize, 16, 256] {
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::new("messages", count), |bencher| {
            bencher.iter_batched(
                || scene.messages(count),
                |commit| scene.store.commit_blocking(commit).unwrap(),
                BatchSize::PerIteration,
            );
        });
    }
    // what the committer's grouping is worth: as many commits, handed in together
    group.throughput(Throughput::Elements(64));
    group.bench_function("64 of one message together", |bencher| {
        bencher.iter_batched(
            || (0..64).map(|_| scene.messages(1)).collect::<Vec<_>>(),
            |commits| {
                let all = commits.into_iter().map(|commit| scene.store.commit(commit));
                scene.runtime.block_on(futures_util::future::try_join_all(all)).unwrap()
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// Reads beside ten thousand messages.
fn reads(criterion: &mut Criterion) {
    let scene = Scene::new();
    for _ in 0..40 {
        scene.store.commit_blocking(scene.messages(250)).unwrap();
    }
    let mut group = criterion.benchmark_group("read");
    let filter = MessageFilter { folder: Some(scene.folder.id), ..MessageFilter::default() };
    let page = scene.store.list_messages(scene.mailbox, &filter, None, 100).unwrap();
    let message = page.messages[0].clone();
    group.bench_function("page of 100 messages", |bencher| {
        bencher.iter(|| scene.store.list_messages(scene.mailbox, &filter, None, 100).unwrap());
    });
    group.bench_function("one message", |bencher| {
        bencher.iter(|| scene.store.message(scene.mailbox, message.id).unwrap());
    });
    group.bench_function("UID index of 10,000 messages", |bencher| {
        bencher.iter(|| scene.store.uid_entries(scene.mailbox, scene.folder.id, 1).unwrap());
    });
    group.finish();
}

criterion_group!(benches, commits, reads);
criterion_main!(benches);
