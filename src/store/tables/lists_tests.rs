//! What lists show: messages of folders, and submissions that are open.

use crate::domain::{Flags, FolderId, Submission, SubmissionState};
use crate::store::engine::database;
use crate::store::format::submission_row;
use crate::store::tests::{body, create, mailbox, message, open, submission};
use crate::store::*;

#[test]
fn lists_are_newest_first_and_pages_do_not_overlap() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (inbox, sent) = (FolderId::generate(), FolderId::generate());
    let anna = create(&store, mailbox("anna"), None).unwrap();
    let mut commit = Commit::of_mailbox(anna.incarnation);
    for uid in 1..=7 {
        commit.add_message(message(inbox, uid), None);
        commit.add_message(message(sent, uid + 100), None);
    }
    store.commit_blocking(commit).unwrap();
    let filter = MessageFilter { folder: Some(inbox), ..MessageFilter::default() };
    let mut uids = Vec::new();
    let mut after = None;
    loop {
        let page = store.list_messages(anna.incarnation, &filter, after, 3).unwrap();
        uids.extend(page.messages.iter().map(|message| message.uid));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(uids, [7, 6, 5, 4, 3, 2, 1]);
    let all = store.list_messages(anna.incarnation, &MessageFilter::default(), None, 50).unwrap();
    assert_eq!(all.messages.len(), 14);
}

#[test]
fn a_moved_message_keeps_id_and_body_and_the_counts_follow() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (inbox, archive) = (FolderId::generate(), FolderId::generate());
    let anna = create(&store, mailbox("anna"), None).unwrap();
    let mut commit = Commit::of_mailbox(anna.incarnation);
    let first = message(inbox, 1);
    commit.add_message(first.clone(), Some(body(&store, anna.incarnation, &first, b"raw")));
    store.commit_blocking(commit).unwrap();

    let mut moved = store.message(anna.incarnation, first.id).unwrap().unwrap();
    moved.folder = archive;
    moved.uid = 9;
    moved.flags = Flags::from_server(["\\Seen"]);
    let mut commit = Commit::of_mailbox(anna.incarnation);
    commit.replace_message(moved);
    store.commit_blocking(commit).unwrap();

    assert!(store.uid_entries(anna.incarnation, inbox, 1).unwrap().is_empty());
    let entry = store.uid_entries(anna.incarnation, archive, 1).unwrap()[0];
    assert_eq!((entry.uid, entry.message), (9, first.id));
    let counts = store.folder_counts(anna.incarnation, archive).unwrap();
    assert_eq!((counts.messages, counts.unseen), (1, 0));
    assert_eq!(store.folder_counts(anna.incarnation, inbox).unwrap().messages, 0);
    let message = store.message(anna.incarnation, first.id).unwrap().unwrap();
    assert_eq!(store.read_body(anna.incarnation, message.body.unwrap()).unwrap(), b"raw");
}

#[test]
fn open_submissions_are_listed_until_they_end_also_in_a_store_that_never_listed_them() {
    let dir = tempfile::tempdir().unwrap();
    let (anna, all) = {
        let store = open(dir.path());
        let anna = create(&store, mailbox("anna"), None).unwrap();
        let all: Vec<Submission> = (0..6).map(|_| submission()).collect();
        let key = store.mailbox_key(anna.incarnation).unwrap();
        for submission in &all {
            let header = RecordHeader { id: submission.id.0, kind: RecordKind::Submission };
            let body = Body::Record(encode_record(&key, anna.incarnation, &header, b"raw").unwrap());
            let mut commit = Commit::of_mailbox(anna.incarnation);
            commit.accept_submission(submission.clone(), body).unwrap();
            store.commit_blocking(commit).unwrap();
        }
        let ends = [SubmissionState::Sent, SubmissionState::Failed, SubmissionState::Cancelled];
        let still = [SubmissionState::Sending, SubmissionState::Deferred, SubmissionState::Unknown];
        for (submission, state) in all.iter().zip(ends.into_iter().chain(still)) {
            let row = store.submission(anna.incarnation, submission.id).unwrap().unwrap();
            let mut commit = Commit::of_mailbox(anna.incarnation);
            commit.put_submission(&Submission { state, ..row.value }, row.generation).unwrap();
            store.commit_blocking(commit).unwrap();
        }
        (anna, all)
    };
    let ids = |submissions: &[Submission]| submissions.iter().map(|one| one.id).collect::<Vec<_>>();
    let mut sorted = ids(&all[3..]);
    sorted.sort_unstable();
    let open_ones = || {
        let rows = open(dir.path()).open_submissions(anna.incarnation).unwrap();
        rows.into_iter().map(|row| row.value.id).collect::<Vec<_>>()
    };
    assert_eq!(open_ones(), sorted);
    {
        let db = database::open_sled(&dir.path().join("state"), 1 << 20).unwrap();
        for key in db.scan_prefix(b"s").keys() {
            db.remove(key.unwrap()).unwrap().unwrap();
        }
        db.flush().unwrap();
    }
    let problems = fsck::check(&StoreConfig::at(dir.path())).unwrap().problems;
    assert_eq!(problems.len(), 3, "{problems:?}");
    {
        let db = database::open_sled(&dir.path().join("state"), 1 << 20).unwrap();
        db.remove(submission_row::is_indexed()).unwrap().unwrap();
        db.flush().unwrap();
    }
    assert_eq!(open_ones(), sorted, "listed anew");
    assert_eq!(fsck::check(&StoreConfig::at(dir.path())).unwrap().problems, Vec::<String>::new());

    let store = open(dir.path());
    let first = store.list_submissions(anna.incarnation, None, None, 4).unwrap();
    let rest = store.list_submissions(anna.incarnation, None, first.next, 4).unwrap();
    let mut newest_first = ids(&all);
    newest_first.sort_unstable_by(|one, other| other.cmp(one));
    assert_eq!([ids(&first.submissions), ids(&rest.submissions)].concat(), newest_first);
    assert_eq!(rest.next, None);
    let failed = Some(SubmissionState::Failed);
    let failed = store.list_submissions(anna.incarnation, failed, None, 4).unwrap();
    assert_eq!((ids(&failed.submissions), failed.next), (vec![all[1].id], None));
}
