//! Old events go, numbers stay.

use crate::domain::{MailboxId, Timestamp};
use crate::events::{Cursor, EventDraft, EventType};
use crate::store::engine::Commit;
use crate::store::handle::Store;
use crate::store::tests::{create, mailbox, open, runtime};

/// `count` events at this instant, in commits of ten.
fn tell(store: &Store, at: i64, count: usize) {
    let id = MailboxId::new("anna").unwrap();
    for _ in 0..count.div_ceil(10) {
        let mut commit = Commit::default();
        for _ in 0..10 {
            let data = serde_json::json!({"padding": "x".repeat(300)});
            commit.event(EventDraft::new(EventType::MessageNew, &id, Timestamp(at), &data));
        }
        store.commit_blocking(commit).unwrap();
    }
}

fn cursors(store: &Store) -> Vec<u64> {
    let (events, _) = store.events_after(Cursor(0), usize::MAX, |_| true).unwrap();
    events.into_iter().map(|event| event.cursor.0).collect()
}

#[test]
fn old_events_go_the_newest_stay_and_numbers_are_never_given_again() {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = open(dir.path());
        assert_eq!(store.earliest_cursor().unwrap(), Cursor(0));
        tell(&store, 1_000, 40);
        tell(&store, 2_000, 20);
        runtime().block_on(store.forget_events(Timestamp(1_000))).unwrap();
        assert_eq!(cursors(&store), (1..=60).collect::<Vec<_>>(), "not older than that");
        assert!(runtime().block_on(store.forget_events(Timestamp(1_001))).unwrap() > 0);
        assert_eq!(store.earliest_cursor().unwrap(), Cursor(40));
        assert_eq!(cursors(&store), (41..=60).collect::<Vec<_>>());
    }
    let store = open(dir.path());
    runtime().block_on(store.forget_events(Timestamp(i64::MAX))).unwrap();
    let left = cursors(&store);
    assert_eq!(left.last(), Some(&60), "the newest value stays");
    assert!(left.len() < 20);
    drop(store);
    let store = open(dir.path());
    tell(&store, 3_000, 10);
    assert_eq!(cursors(&store).last(), Some(&70));
    assert_eq!(store.durable_cursor(), Cursor(70));
    create(&store, mailbox("anna"), None).unwrap();
}
