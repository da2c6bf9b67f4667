//! A letter into an outbox, by a commit that others add to.

use super::error::InviteError;
use crate::clock;
use crate::domain::{Submission, SubmissionId};
use crate::smtp::mime::{self, Draft, Fixed, Person};
use crate::store::{Body, Commit, RecordHeader, RecordKind, Store, StoreError, StoredMailbox, encode_record};

/// What is written to whom.
pub(super) struct Letter {
    pub(super) to: Vec<String>,
    pub(super) subject: String,
    pub(super) text: String,
}

/// Adds a letter to the sender's outbox. The commit must belong to the sender.
pub(super) async fn add(
    commit: &mut Commit,
    store: &Store,
    sender: &StoredMailbox,
    letter: Letter,
) -> Result<(), InviteError> {
    let (store, sender) = (store.clone(), sender.clone());
    let made = tokio::task::spawn_blocking(move || prepare(&store, &sender, letter));
    let (submission, record) = made.await.map_err(|_| StoreError::Closed)??;
    commit.accept_submission(submission, Body::Record(record))?;
    Ok(())
}

fn prepare(
    store: &Store,
    sender: &StoredMailbox,
    letter: Letter,
) -> Result<(Submission, Vec<u8>), InviteError> {
    let (id, now) = (SubmissionId::generate(), clock::now());
    let address = sender.mailbox.address.as_str();
    let domain = mime::ascii_domain(address.rsplit('@').next().unwrap_or("localhost"));
    let message_id = format!("<{id}@{domain}>");
    let fixed = Fixed {
        sender: address,
        display_name: sender.mailbox.display_name.as_deref(),
        message_id: &message_id,
        now,
    };
    let to = letter.to.into_iter().map(|address| Person { name: None, address }).collect();
    let draft = Draft { to, subject: letter.subject, text: Some(letter.text), ..Draft::default() };
    let built = mime::build(&draft, &fixed)?;
    let header = RecordHeader { id: id.0, kind: RecordKind::Submission };
    let key = store.mailbox_key(sender.incarnation)?;
    let record = encode_record(&key, sender.incarnation, &header, &built.bytes)?;
    let size = built.bytes.len() as u64;
    let mut submission = Submission::queued(id, now, built.mail_from, built.recipients);
    submission.message_id = built.message_id;
    submission.size = size;
    Ok((submission, record))
}
