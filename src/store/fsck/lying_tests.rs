//! A disk that lies: sled opens its log, and a later read of it fails or panics.

use super::tests::parse;
use super::*;
use crate::domain::{FolderId, Incarnation};
use crate::store::engine::open_sled;
use crate::store::tests::{body, create, mailbox, message, new_message_event, open};
use crate::store::{Commit, StoreConfig};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

const MESSAGES: u32 = 300;

/// Some hundred messages and an event each, and a snapshot that covers them: sled does not read them when it opens.
fn filled(dir: &Path) -> Incarnation {
    let store = open(dir);
    let anna = create(&store, mailbox("anna"), None).unwrap();
    let folder = FolderId::generate();
    for uid in 1..=MESSAGES {
        let mut commit = Commit::of_mailbox(anna.incarnation);
        let message = message(folder, uid);
        commit.event(new_message_event(&message));
        let raw = body(&store, anna.incarnation, &message, b"raw");
        commit.add_message(message, Some(raw));
        store.commit_blocking(commit).unwrap();
    }
    drop(store);
    drop(open(dir));
    drop(open(dir));
    anna.incarnation
}

/// Whether sled opens, and whether all of it can be read then.
fn opens_and_reads(dir: &Path) -> (bool, bool) {
    let Ok(db) = open_sled(&dir.join("state"), 1 << 20) else { return (false, false) };
    let read = std::panic::AssertUnwindSafe(|| db.iter().all(|row| row.is_ok()));
    (true, std::panic::catch_unwind(read).unwrap_or(false))
}

#[test]
fn a_state_that_opens_and_cannot_be_read_is_gone_on_without() {
    let dir = tempfile::tempdir().unwrap();
    let anna = filled(dir.path());
    let length = std::fs::metadata(dir.path().join("state/db")).unwrap().len();
    let (mut met, mut told) = (0, 0);
    for block in (0..length / 4096).step_by(7) {
        let copied = || {
            let hit = crate::store::files::journal_tests::copied(dir.path());
            let db = File::options().write(true).open(hit.path().join("state/db")).unwrap();
            db.write_all_at(&[0x5a; 4096], block * 4096).unwrap();
            hit
        };
        if opens_and_reads(copied().path()) != (true, false) {
            continue;
        }
        met += 1;
        let hit = copied();
        let problems = check(&StoreConfig::at(hit.path())).unwrap().problems;
        assert!(!problems.is_empty(), "block {block}");
        // in a copy of its own: what is left of sled in this process may hold its file
        let hit = copied();
        let found = rebuild(&StoreConfig::at(hit.path()), parse).unwrap();
        let lines = [found.problems, found.notes].concat();
        let without = lines.iter().any(|line| line.contains("without the old state"));
        let in_part = lines.iter().any(|line| line.contains("readable only in part"));
        assert!(without || in_part, "block {block}: {lines:?}");
        told += usize::from(without);
        let store = open(hit.path());
        let all = store.list_messages(anna, &crate::store::MessageFilter::default(), None, 1000).unwrap();
        assert_eq!(all.messages.len(), MESSAGES as usize, "block {block}");
        assert_eq!(store.mailboxes().unwrap()[0].mailbox.id.as_str(), "anna");
    }
    println!("a block lost at {met} places at which sled opens: {told} times the old state was given up");
    assert!(met > 3 && told > 0, "{met} {told}");
}
