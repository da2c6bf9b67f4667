//! What became of submissions, and their keys, are in the journal for as long as a repeated request may come.

use super::journal_read::FILE;
use super::journal_tests::{body_of, copied, filled, rebuilt};
use crate::domain::{Submission, SubmissionState, Timestamp};
use crate::store::error::StoreError;
use crate::store::format::keys;
use crate::store::tests::{open, submission};
use crate::store::*;

/// A submission that was accepted at this time under a key, and ended so.
fn ended(store: &Store, anna: &StoredMailbox, at: Timestamp, state: SubmissionState) -> Submission {
    let since = u64::try_from(at.0).unwrap();
    let id = crate::domain::SubmissionId(ulid::Ulid::from_parts(since, rand::random()));
    let accepted = Submission {
        id,
        created_at: at,
        next_attempt_at: Some(at),
        message_id: format!("<{id}@makler.test>"),
        idempotency_key: Some(format!("key-{id}")),
        ..submission()
    };
    let mut commit = Commit::of_mailbox(anna.incarnation);
    let body = body_of(store, anna, &accepted);
    commit.accept_request(accepted, body, Some(format!("digest-{id}"))).unwrap();
    store.commit_blocking(commit).unwrap();
    let row = store.submission(anna.incarnation, id).unwrap().unwrap();
    let ended = Submission { state, next_attempt_at: None, ..row.value };
    let mut commit = Commit::of_mailbox(anna.incarnation);
    commit.put_submission(&ended, row.generation).unwrap();
    store.commit_blocking(commit).unwrap();
    ended
}

const ENDS: [SubmissionState; 4] =
    [SubmissionState::Sent, SubmissionState::Failed, SubmissionState::Cancelled, SubmissionState::Unknown];

fn assert_remembered(store: &Store, anna: &StoredMailbox, all: &[Submission]) {
    for one in all {
        let row = store.submission(anna.incarnation, one.id).unwrap().expect("it is shown");
        assert_eq!(&row.value, one, "as it ended");
        let key = one.idempotency_key.as_deref().unwrap();
        let keyed = store.submission_of_key(anna.incarnation, key).unwrap().expect("its key is known");
        assert_eq!(keyed.submission.id, one.id);
        assert_eq!(keyed.request, Some(format!("digest-{}", one.id)), "and what was asked for");
        assert_eq!(store.read_body(anna.incarnation, row.value.body).unwrap(), b"raw");
    }
}

#[test]
fn what_was_sent_lately_is_known_without_sled_s_file_and_its_key_is_taken() {
    for restarts in [0, 1] {
        let dir = tempfile::tempdir().unwrap();
        let anna = filled(dir.path());
        let now = crate::clock::now();
        let store = open(dir.path());
        let all: Vec<_> = ENDS.map(|state| ended(&store, &anna, now, state)).to_vec();
        drop(store);
        for _ in 0..restarts {
            // the journal is written anew by each
            drop(open(dir.path()));
        }
        std::fs::remove_dir_all(dir.path().join("state")).unwrap();
        assert_eq!(rebuilt(dir.path()).problems, Vec::<String>::new());
        let store = open(dir.path());
        assert_remembered(&store, &anna, &all);
        let open: Vec<_> = store.open_submissions(anna.incarnation).unwrap();
        assert_eq!(open.len(), 2, "the one that waits, and the unknown one");
        let mut again = Commit::of_mailbox(anna.incarnation);
        let second = Submission { id: crate::domain::SubmissionId::generate(), ..all[0].clone() };
        again.accept_submission(second.clone(), body_of(&store, &anna, &second)).unwrap();
        assert!(matches!(store.commit_blocking(again), Err(StoreError::Conflict)), "its key is taken");
        drop(store);
        assert_eq!(fsck::check(&StoreConfig::at(dir.path())).unwrap().problems, Vec::<String>::new());
    }
}

#[test]
fn a_journal_with_gaps_does_not_put_into_doubt_what_it_knows_to_be_sent() {
    let dir = tempfile::tempdir().unwrap();
    let anna = filled(dir.path());
    let store = open(dir.path());
    let all: Vec<_> = ENDS.map(|state| ended(&store, &anna, crate::clock::now(), state)).to_vec();
    drop(store);
    let journal = dir.path().join(FILE);
    let mut bytes = std::fs::read(&journal).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&journal, bytes).unwrap();
    std::fs::remove_dir_all(dir.path().join("state")).unwrap();
    rebuilt(dir.path());
    assert_remembered(&open(dir.path()), &anna, &all);
}

#[test]
fn what_was_sent_long_ago_is_left_out_of_a_journal_that_is_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let anna = filled(dir.path());
    let store = open(dir.path());
    let before = |days: i64| Timestamp(crate::clock::now().0 - days * 24 * 60 * 60 * 1000);
    let late = ended(&store, &anna, before(6), SubmissionState::Sent);
    drop(store);
    drop(open(dir.path()));
    let length = std::fs::metadata(dir.path().join(FILE)).unwrap().len();
    let store = open(dir.path());
    let early: Vec<_> =
        (8..40).map(|days| ended(&store, &anna, before(days), SubmissionState::Sent)).collect();
    drop(store);
    assert!(std::fs::metadata(dir.path().join(FILE)).unwrap().len() > length, "an end just now is kept");
    for _ in 0..2 {
        drop(open(dir.path()));
        assert_eq!(std::fs::metadata(dir.path().join(FILE)).unwrap().len(), length);
    }
    assert_remembered(&open(dir.path()), &anna, &early);
    rebuilt(dir.path());
    assert_remembered(&open(dir.path()), &anna, &early);
    std::fs::remove_dir_all(dir.path().join("state")).unwrap();
    rebuilt(dir.path());
    let store = open(dir.path());
    assert_remembered(&store, &anna, &[late]);
    assert_eq!(store.submission(anna.incarnation, early[0].id).unwrap(), None);
}

#[test]
fn a_journal_of_before_that_knows_no_ends_hinders_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let anna = filled(dir.path());
    let store = open(dir.path());
    let all: Vec<_> = ENDS.map(|state| ended(&store, &anna, crate::clock::now(), state)).to_vec();
    drop(store);
    let ids: Vec<Vec<u8>> = all[..3].iter().map(|one| keys::submission(anna.incarnation, one.id)).collect();
    super::journal::tests::without(dir.path(), |key| ids.iter().any(|id| id == key) || key[0] == b'k');
    for is_rebuilt in [false, true] {
        let dir = copied(dir.path());
        if is_rebuilt {
            rebuilt(dir.path());
        }
        assert_remembered(&open(dir.path()), &anna, &all);
    }
}
