//! sled's file is damaged or lost, and settings, sign-ins and what is to be sent are there all the same.

use super::journal_read::FILE;
use crate::domain::message::Envelope;
use crate::domain::{
    App, FolderId, Grant, GrantSecret, GrantWay, Secret, Submission, SubmissionState, Timestamp,
};
use crate::store::engine::open_sled;
use crate::store::error::StoreError;
use crate::store::format::keys;
use crate::store::tests::{body, create, mailbox, message, open, runtime, submission};
use crate::store::*;
use std::path::Path;
use std::sync::Arc;

const TOKEN: &str = "a-refresh-token";

/// One that no compression makes short.
fn long_token(letters: usize) -> String {
    let letter = |_| char::from(rand::random_range(b'!'..=b'~'));
    (0..letters).map(letter).collect()
}

fn grant(token: &str) -> Grant {
    let secret = GrantSecret::Refresh { refresh_token: Secret::new(token) };
    Grant::new(GrantWay::Redirect, secret, Timestamp(1))
}

pub(in crate::store) fn body_of(store: &Store, anna: &StoredMailbox, submission: &Submission) -> Body {
    let header = RecordHeader { id: submission.id.0, kind: RecordKind::Submission };
    let key = store.mailbox_key(anna.incarnation).unwrap();
    Body::Record(encode_record(&key, anna.incarnation, &header, b"raw").unwrap())
}

/// An app, a mailbox that signed in by it (with a token too long for one row), another one, one that is gone, a sign-in
/// under way, a submission that waits and one that was sent.
pub(in crate::store) fn filled(dir: &Path) -> StoredMailbox {
    let store = open(dir);
    runtime().block_on(async {
        store.put_app(&App::plain("o365").with_secret(Some("s")), 0).await.unwrap();
        let anna = create(&store, mailbox("anna"), Some(&grant(&long_token(9000)))).unwrap();
        create(&store, mailbox("ben"), Some(&grant(TOKEN))).unwrap();
        let gone = create(&store, mailbox("gone"), Some(&grant(TOKEN))).unwrap();
        store.delete_mailbox(&gone).await.unwrap();
        store.erase(gone.incarnation).await.unwrap();
        let sign_in = SignIn::begin(&anna, None, None, Timestamp(1)).unwrap();
        store.put_sign_in(&sign_in, 0).await.unwrap();
        for state in [SubmissionState::Queued, SubmissionState::Sent] {
            let mut commit = Commit::of_mailbox(anna.incarnation);
            let mut accepted = submission();
            accepted.message_id = format!("<{state:?}@makler.test>");
            accepted.idempotency_key = Some(format!("key-{state:?}"));
            commit.accept_submission(accepted.clone(), body_of(&store, &anna, &accepted)).unwrap();
            store.commit(commit).await.unwrap();
            let row = store.submission(anna.incarnation, accepted.id).unwrap().unwrap();
            let mut commit = Commit::of_mailbox(anna.incarnation);
            commit.put_submission(&Submission { state, ..row.value }, row.generation).unwrap();
            store.commit(commit).await.unwrap();
        }
        let mut commit = Commit::of_mailbox(anna.incarnation);
        let folder = FolderId::generate();
        for uid in 1..=3 {
            let message = message(folder, uid);
            let body = body(&store, anna.incarnation, &message, b"raw");
            commit.add_message(message, Some(body));
        }
        store.commit(commit).await.unwrap();
        anna
    })
}

/// A refresh token is replaced, what waited is sent, a mailbox comes and one goes.
fn changed(dir: &Path) -> Vec<String> {
    let store = open(dir);
    let id = |name: &str| store.mailbox(&crate::domain::MailboxId::new(name).unwrap()).unwrap().unwrap();
    let (anna, ben) = (id("anna"), id("ben"));
    runtime().block_on(async {
        create(&store, mailbox("clara"), Some(&grant(TOKEN))).unwrap();
        let mut commit = Commit::of_mailbox(anna.incarnation);
        store.put_grant(&mut commit, anna.incarnation, 1, &grant("the next one")).unwrap();
        store.commit(commit).await.unwrap();
        let waiting = store.open_submissions(anna.incarnation).unwrap().remove(0);
        let sent = Submission { state: SubmissionState::Sent, ..waiting.value };
        let mut commit = Commit::of_mailbox(anna.incarnation);
        commit.put_submission(&sent, waiting.generation).unwrap();
        store.commit(commit).await.unwrap();
        store.delete_mailbox(&ben).await.unwrap();
        store.erase(ben.incarnation).await.unwrap();
    });
    settings(&store)
}

/// Everything of value, in words.
fn settings(store: &Store) -> Vec<String> {
    let mut lines = Vec::new();
    for row in store.apps().unwrap() {
        lines.push(format!("{:?} {}", row.value.app, row.value.client_secret.unwrap().expose()));
    }
    for stored in store.mailboxes().unwrap() {
        let grant = store.grant(stored.incarnation).unwrap().map(|row| row.value);
        let token = grant.map(|grant| match grant.secret {
            GrantSecret::Refresh { refresh_token } => refresh_token.expose().to_owned(),
            GrantSecret::Password { .. } => String::new(),
        });
        lines.push(format!("{stored:?} {token:?}"));
        let filter = MessageFilter::default();
        let messages = store.list_messages(stored.incarnation, &filter, None, 10).unwrap().messages;
        lines.extend(messages.iter().map(|message| message.id.to_string()));
        for row in store.open_submissions(stored.incarnation).unwrap() {
            let key = row.value.idempotency_key.as_deref().unwrap();
            let keyed = store.submission_of_key(stored.incarnation, key).unwrap().unwrap();
            assert_eq!(keyed.submission.id, row.value.id);
            let raw = store.read_body(stored.incarnation, row.value.body).unwrap();
            lines.push(format!("{} {:?} {raw:?}", row.value.message_id, row.value.state));
        }
    }
    lines.extend(store.sign_ins().unwrap().iter().map(|row| row.value.id.to_string()));
    lines
}

fn try_open(dir: &Path) -> Result<Store, StoreError> {
    Store::open_with(&StoreConfig::at(dir), Arc::new(|error| panic!("{error}")))
}

pub(in crate::store) fn rebuilt(dir: &Path) -> fsck::Findings {
    fsck::rebuild(&StoreConfig::at(dir), |_| Envelope::default()).unwrap()
}

pub(in crate::store) fn copied(from: &Path) -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
            let to = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                std::fs::create_dir(&to).unwrap();
                copy(&entry.path(), &to);
            } else {
                std::fs::copy(entry.path(), to).unwrap();
            }
        }
    }
    let to = tempfile::tempdir().unwrap();
    copy(from, to.path());
    to
}

#[test]
fn a_byte_flipped_anywhere_in_sled_s_file_costs_no_setting_and_no_sign_in() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let expected = settings(&open(dir.path()));
    assert_eq!(expected.len(), 8, "{expected:?}");
    let length = std::fs::metadata(dir.path().join("state/db")).unwrap().len();
    let (mut sound, mut refused) = (0, 0);
    for step in 0..40 {
        let damage = |dir: &Path| {
            let mut bytes = std::fs::read(dir.join("state/db")).unwrap();
            // a prime, so that all kinds of places are met
            let at = usize::try_from((step * 7919 + 11) % length).unwrap();
            bytes[at] ^= 0x41;
            std::fs::write(dir.join("state/db"), bytes).unwrap();
        };
        let hit = copied(dir.path());
        damage(hit.path());
        match try_open(hit.path()) {
            Ok(store) => {
                sound += 1;
                assert_eq!(settings(&store), expected, "{step}");
            }
            Err(error) => {
                refused += 1;
                assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
                // in a copy of its own: what is left of sled in this process may hold its file
                let hit = copied(dir.path());
                damage(hit.path());
                rebuilt(hit.path());
                assert_eq!(settings(&open(hit.path())), expected, "{step}");
            }
        }
    }
    println!("sled's file damaged at 40 places: {refused} times told, {sound} times no matter");
    assert!(refused > 0, "the damage was none");
}

#[test]
fn without_sled_s_file_all_of_it_comes_back_and_the_daemon_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let anna = filled(dir.path());
    let expected = settings(&open(dir.path()));
    std::fs::remove_dir_all(dir.path().join("state")).unwrap();
    let refused = try_open(dir.path()).err().unwrap().to_string();
    assert!(refused.contains("journal") && refused.contains("--rebuild"), "{refused}");
    // the start left an empty one
    let found = rebuilt(dir.path());
    assert_eq!(found.problems, Vec::<String>::new());
    assert!(found.notes.iter().any(|note| note.contains("2 mailboxes, 1 apps and 2 sign-ins")), "{found:?}");
    for _ in 0..2 {
        let store = open(dir.path());
        assert_eq!(settings(&store), expected);
        let row = store.grant(anna.incarnation).unwrap().unwrap();
        let mut commit = Commit::of_mailbox(anna.incarnation);
        store.put_grant(&mut commit, anna.incarnation, row.generation, &row.value).unwrap();
        store.commit_blocking(commit).unwrap();
        let next = create(&store, mailbox("next"), None).unwrap();
        assert!(next.incarnation.0 > 3, "numbers are never given twice");
        runtime().block_on(store.delete_mailbox(&next)).unwrap();
        runtime().block_on(store.erase(next.incarnation)).unwrap();
    }
    let problems = fsck::check(&StoreConfig::at(dir.path())).unwrap().problems;
    assert_eq!(problems, Vec::<String>::new());
}

#[test]
fn a_state_of_before_is_refused_and_what_it_lacks_comes_back() {
    for is_forgotten in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let anna = filled(dir.path());
        let waiting = open(dir.path()).open_submissions(anna.incarnation).unwrap().remove(0).value.id;
        let before = copied(dir.path());
        let changed = changed(dir.path());
        if is_forgotten {
            // it was accepted long ago, and is left out when the journal is written anew
            drop(open(dir.path()));
        }
        std::fs::remove_dir_all(dir.path().join("state")).unwrap();
        std::fs::rename(before.path().join("state"), dir.path().join("state")).unwrap();
        let refused = try_open(dir.path()).err().unwrap().to_string();
        assert!(refused.contains("groups of commits"), "{refused}");
        for round in 0..2 {
            rebuilt(dir.path());
            let store = open(dir.path());
            let mut back = settings(&store);
            // the state knows it as waiting, and the journal how it ended, or only that it did
            back.retain(|line| !line.starts_with("<Queued"));
            let state = store.submission(anna.incarnation, waiting).unwrap().map(|row| row.value.state);
            let expected = if is_forgotten { SubmissionState::Unknown } else { SubmissionState::Sent };
            assert!(state.map_or(round > 0, |state| state == expected), "{is_forgotten}: {state:?}");
            assert_eq!(back, changed);
            drop(store);
            // what came back is in the journal again
            std::fs::remove_dir_all(dir.path().join("state")).unwrap();
        }
    }
}

#[test]
fn a_commit_that_nobody_heard_of_stays_so() {
    for is_rebuilt in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path());
        let before = copied(dir.path());
        let expected = {
            let store = open(dir.path());
            let expected = settings(&store);
            create(&store, mailbox("clara"), Some(&grant(TOKEN))).unwrap();
            expected
        };
        std::fs::remove_dir_all(dir.path().join("state")).unwrap();
        std::fs::rename(before.path().join("state"), dir.path().join("state")).unwrap();
        if is_rebuilt {
            rebuilt(dir.path());
        }
        assert_eq!(settings(&open(dir.path())), expected, "{is_rebuilt}");
    }
}

#[test]
fn what_was_sent_and_is_open_again_is_found_at_the_start_and_not_sent_again() {
    let dir = tempfile::tempdir().unwrap();
    let anna = filled(dir.path());
    let waiting = open(dir.path()).open_submissions(anna.incarnation).unwrap().remove(0);
    let key = keys::submission(anna.incarnation, waiting.value.id);
    let db = open_sled(&dir.path().join("state"), 1 << 20).unwrap();
    let as_it_was = db.get(&key).unwrap().unwrap();
    drop(db);
    changed(dir.path());
    for (found, state) in [("row t:", SubmissionState::Sent), ("was removed", SubmissionState::Unknown)] {
        let hit = copied(dir.path());
        let db = open_sled(&hit.path().join("state"), 1 << 20).unwrap();
        db.insert(&key, &as_it_was).unwrap();
        db.insert(keys::open_submission(anna.incarnation, waiting.value.id), b"").unwrap();
        db.flush().unwrap();
        drop(db);
        let refused = try_open(hit.path()).err().unwrap().to_string();
        assert!(refused.contains(found), "{refused}");
        rebuilt(hit.path());
        let row = open(hit.path()).submission(anna.incarnation, waiting.value.id).unwrap().unwrap();
        assert_eq!(row.value.state, state);
        // it was accepted long ago, and is left out when the journal is written anew
        drop(open(dir.path()));
    }
}

#[test]
fn a_row_that_is_not_what_it_was_is_found_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let anna = filled(dir.path());
    let expected = settings(&open(dir.path()));
    for value in [Some(b"?"), None] {
        let db = open_sled(&dir.path().join("state"), 1 << 20).unwrap();
        match value {
            Some(value) => drop(db.insert(keys::grant(anna.incarnation), value).unwrap()),
            None => drop(db.remove(keys::grant(anna.incarnation)).unwrap()),
        }
        db.flush().unwrap();
        drop(db);
        let problems = fsck::check(&StoreConfig::at(dir.path())).unwrap().problems;
        assert!(problems.iter().any(|line| line.contains("row g:")), "{problems:?}");
        assert!(matches!(try_open(dir.path()), Err(StoreError::Corrupt { .. })));
        assert_eq!(rebuilt(dir.path()).problems, Vec::<String>::new());
        assert_eq!(settings(&open(dir.path())), expected);
    }
}

#[test]
fn a_journal_that_is_damaged_cut_off_old_or_gone_hinders_nobody() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let journal = dir.path().join(FILE);
    let old = std::fs::read(&journal).unwrap();
    let expected = changed(dir.path());
    let whole = std::fs::read(&journal).unwrap();
    let flipped = |at: usize| {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        Some(flipped)
    };
    let cut = Some(whole[..whole.len() - 3].to_vec());
    let damaged =
        [flipped(40), flipped(whole.len() / 2), flipped(whole.len() - 2), cut, Some(old), Some(Vec::new())];
    for bytes in damaged.into_iter().chain([None]) {
        let put = || match &bytes {
            Some(bytes) => std::fs::write(&journal, bytes).unwrap(),
            None => std::fs::remove_file(&journal).unwrap(),
        };
        put();
        assert_eq!(settings(&open(dir.path())), expected);
        put();
        rebuilt(dir.path());
        assert_eq!(settings(&open(dir.path())), expected, "nothing of before is back");
        assert_eq!(fsck::check(&StoreConfig::at(dir.path())).unwrap().problems, Vec::<String>::new());
    }
}

#[test]
fn behind_a_damaged_frame_the_others_are_read_and_what_was_removed_stays_so() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    {
        let store = open(dir.path());
        let clara = create(&store, mailbox("clara"), None).unwrap();
        create(&store, mailbox("dora"), None).unwrap();
        runtime().block_on(store.delete_mailbox(&clara)).unwrap();
    }
    let journal = dir.path().join(FILE);
    let mut bytes = std::fs::read(&journal).unwrap();
    // in the first frame, which has all of before
    bytes[40] ^= 1;
    std::fs::write(&journal, bytes).unwrap();
    std::fs::remove_dir_all(dir.path().join("state")).unwrap();
    for _ in 0..2 {
        assert!(matches!(try_open(dir.path()), Err(StoreError::Corrupt { .. })), "the copy is not given up");
    }
    rebuilt(dir.path());
    let names: Vec<_> = open(dir.path())
        .mailboxes()
        .unwrap()
        .into_iter()
        .map(|stored| stored.mailbox.id.to_string())
        .collect();
    assert!(names.contains(&String::from("dora")) && !names.contains(&String::from("clara")), "{names:?}");
}

#[test]
fn a_journal_that_has_grown_is_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let anna = filled(dir.path());
    let store = open(dir.path());
    let length = || std::fs::metadata(dir.path().join(FILE)).unwrap().len();
    let mut longest = 0;
    loop {
        let mut commit = Commit::of_mailbox(anna.incarnation);
        let generation = store.grant(anna.incarnation).unwrap().unwrap().generation;
        store.put_grant(&mut commit, anna.incarnation, generation, &grant(&long_token(40_000))).unwrap();
        store.commit_blocking(commit).unwrap();
        if length() < longest {
            break;
        }
        longest = length();
    }
    assert!((900 << 10..1100 << 10).contains(&longest), "{longest}");
    let expected = settings(&store);
    drop(store);
    std::fs::remove_dir_all(dir.path().join("state")).unwrap();
    rebuilt(dir.path());
    assert_eq!(settings(&open(dir.path())), expected);
}
