//! No descriptors left: a commit is refused, nothing is lost, and the process lives.

use super::commit::{Body, Commit, Role};
use super::open::StoreConfig;
use crate::domain::{FolderId, Message};
use crate::store::error::StoreError;
use crate::store::handle::Store;
use crate::store::tests::{body, create, mailbox, message, runtime};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::File;
use std::sync::Arc;

/// Takes every descriptor there is, as long as it lives.
struct NoneLeft {
    before: Rlimit,
    _taken: Vec<File>,
}

impl NoneLeft {
    fn take() -> Self {
        let before = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(256), maximum: before.maximum }).unwrap();
        let taken = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        Self { before, _taken: taken }
    }
}

impl Drop for NoneLeft {
    fn drop(&mut self) {
        setrlimit(Resource::Nofile, self.before).unwrap();
    }
}

#[test]
fn without_descriptors_a_commit_is_refused_and_succeeds_later() {
    let dir = tempfile::tempdir().unwrap();
    let fatal = Arc::new(|error: &StoreError| panic!("taken for a broken disk: {error}"));
    let store = Store::open_with(&StoreConfig::at(dir.path()), fatal).unwrap();
    let anna = create(&store, mailbox("anna"), None).unwrap();
    let folder = FolderId::generate();
    let prepared = |uid| {
        let message = message(folder, uid);
        let body = body(&store, anna.incarnation, &message, b"raw");
        (message, body)
    };
    let add = |(message, body): (Message, Body)| {
        let mut commit = Commit::of_mailbox(anna.incarnation);
        commit.add_message(message.clone(), Some(body));
        store.commit_blocking(commit).map(|_| message)
    };
    let key = store.mailbox_key(anna.incarnation).unwrap();
    let (first, other) = (prepared(1), prepared(1));
    let none = NoneLeft::take();
    // whoever needs a pack that cannot be opened is refused, and nobody else of its group
    let small = runtime().block_on(async {
        let mut commit = Commit::of_mailbox(anna.incarnation);
        commit.add_message(first.0.clone(), Some(first.1));
        let (with_body, small) =
            futures_util::join!(store.commit(commit), store.raise_epoch(anna.incarnation, Role::Imap));
        assert!(matches!(with_body, Err(StoreError::Exhausted { .. })), "{with_body:?}");
        small
    });
    assert!(small.is_ok(), "{small:?}");
    let refused = add(other);
    assert!(matches!(refused, Err(StoreError::Exhausted { .. })), "{refused:?}");
    assert!(refused.unwrap_err().to_string().contains("LimitNOFILE"));
    drop(none);
    let stored = add(prepared(1)).unwrap();
    let stored = store.message(anna.incarnation, stored.id).unwrap().unwrap();
    let mut reader = store.open_message(&key, anna.incarnation, &stored).unwrap().unwrap();
    assert_eq!(reader.next_frame().unwrap().unwrap(), b"raw");
    // what is open already goes on without
    let second = prepared(2);
    let none = NoneLeft::take();
    add(second).unwrap();
    drop(none);
}

#[test]
fn a_pack_that_cannot_be_opened_for_another_reason_is_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let fatal = Arc::new(move |error: &StoreError| tell.send(error.to_string()).unwrap());
    let store = Store::open_with(&StoreConfig::at(dir.path()), fatal).unwrap();
    let anna = create(&store, mailbox("anna"), None).unwrap();
    let message = message(FolderId::generate(), 1);
    let body = body(&store, anna.incarnation, &message, b"raw");
    std::fs::create_dir(dir.path().join("packs/0000000000000001/00000001.pack")).unwrap();
    let mut commit = Commit::of_mailbox(anna.incarnation);
    commit.add_message(message, Some(body));
    let refused = store.commit_blocking(commit);
    assert!(matches!(refused, Err(StoreError::Io { .. })), "{refused:?}");
    assert!(told.try_recv().unwrap().contains(".pack"));
}
