//! The one way in which a message is accepted for sending, whoever hands it in: built with a Message-ID of its own, compressed,
//! sealed, and added to a commit.

use super::mime::{self, Draft, Fixed, MimeError};
use crate::clock;
use crate::domain::{Submission, SubmissionId, Timestamp};
use crate::store::{Body, RecordHeader, RecordKind, Store, StoreError, StoredMailbox, encode_record};

/// What is to be sent.
pub enum Content<'a> {
    /// A message that is made here.
    Draft(&'a Draft),
    /// One that is finished.
    Raw(&'a [u8]),
}

/// Why a message is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// It cannot be sent as it is.
    #[error(transparent)]
    Message(#[from] MimeError),
    /// It cannot be sealed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A submission and its sealed body, for [`Commit::accept_submission`](crate::store::Commit::accept_submission). It is tried
/// at `send_at`, at once if that has passed or is not given. Builds and compresses: not for an arbiter's thread.
///
/// # Errors
/// [`AcceptError`].
pub fn accept(
    store: &Store,
    sender: &StoredMailbox,
    content: &Content<'_>,
    send_at: Option<Timestamp>,
) -> Result<(Submission, Body), AcceptError> {
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
    let built = match content {
        Content::Draft(draft) => mime::build(draft, &fixed)?,
        Content::Raw(raw) => mime::accept_raw(raw, &fixed)?,
    };
    let header = RecordHeader { id: id.0, kind: RecordKind::Submission };
    let key = store.mailbox_key(sender.incarnation)?;
    let record = encode_record(&key, sender.incarnation, &header, &built.bytes)?;
    let submission = Submission {
        message_id: built.message_id,
        size: built.bytes.len() as u64,
        send_at,
        next_attempt_at: Some(send_at.filter(|at| *at > now).unwrap_or(now)),
        ..Submission::queued(id, now, built.mail_from, built.recipients)
    };
    Ok((submission, Body::Record(record)))
}
