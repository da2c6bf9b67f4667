//! Verbs about submissions: the durable outbox.

use super::commit::{Body, Expect, Op};
use super::committer::sled_error;
use super::mailboxes::expect_read;
use super::{Commit, Row, Store, StoreError, codec, keys};
use crate::domain::{Incarnation, Submission, SubmissionId, SubmissionState};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Bytes of a row with which a submission is accepted. What becomes of each recipient needs the rest: an outcome
/// that cannot be written would leave a sent message `unknown`.
const ACCEPTED: usize = 3072;
/// The row of a submission that is to be accepted; refused if its outcome might not fit.
pub(super) fn encode_accepted(submission: &Submission) -> Result<Vec<u8>, StoreError> {
    let payload = compact(submission)?;
    if payload.len() > ACCEPTED {
        return Err(StoreError::TooLarge { bytes: payload.len() });
    }
    Ok(payload)
}

pub(super) fn encode(submission: &Submission) -> Result<Vec<u8>, StoreError> {
    let payload = compact(submission)?;
    if payload.len() <= codec::MAX_PAYLOAD {
        return Ok(payload);
    }
    // what became of each matters more than the words to each
    let mut terse = submission.clone();
    terse.recipients.iter_mut().for_each(|recipient| recipient.reply = None);
    compact(&terse)
}

/// JSON; of many recipients, compressed.
fn compact(submission: &Submission) -> Result<Vec<u8>, StoreError> {
    let json = codec::to_json(submission)?;
    Ok(codec::squeeze(&json)?.unwrap_or(json))
}

pub(super) fn decode(payload: &[u8]) -> Result<Submission, StoreError> {
    codec::from_squeezed("submission", payload)
}

/// What an idempotency key stands for: the submission it made, and a digest of the request that asked for it.
/// The first releases kept no digest.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum KeyRow {
    Bare(SubmissionId),
    Digested(SubmissionId, String),
}

/// The row of a submission's idempotency key, where that was lost: its key and payload.
pub(super) fn key_row(mailbox: Incarnation, submission: &Submission) -> Option<(keys::Key, Vec<u8>)> {
    let key = idempotency(mailbox, submission.idempotency_key.as_deref()?);
    Some((key, codec::to_json(&KeyRow::Bare(submission.id)).ok()?))
}

/// A submission that was accepted under an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyed {
    /// The submission as it is now.
    pub submission: Submission,
    /// The digest of the request that made it, if one was kept.
    pub request: Option<String>,
}

/// Whether something is left to do about a submission: to send it, or to find out what became of it.
pub(super) fn is_open(state: SubmissionState) -> bool {
    match state {
        SubmissionState::Queued
        | SubmissionState::Sending
        | SubmissionState::Deferred
        | SubmissionState::Unknown => true,
        SubmissionState::Sent | SubmissionState::Failed | SubmissionState::Cancelled => false,
    }
}

/// There if the open submissions are listed. The first releases did not list them.
pub(super) fn is_indexed() -> keys::Key {
    keys::meta("open_submissions")
}

/// Lists what is open, in a store that never did.
pub(super) fn index_once(db: &sled::Db) -> Result<(), StoreError> {
    super::open::once(db, is_indexed(), b"t".to_vec(), |key, row| {
        let is_open = is_open(decode(codec::split_row(row)?.1)?.state);
        Ok(is_open.then(|| [b"s", key.get(1..).unwrap_or_default()].concat()))
    })
}

/// One page of a mailbox's submissions.
#[derive(Clone, Debug, Default)]
pub struct OutboxPage {
    /// The submissions, newest first.
    pub submissions: Vec<Submission>,
    /// The last id looked at, if there may be more.
    pub next: Option<SubmissionId>,
}

impl Store {
    /// A mailbox's submissions about which something is left to do, `unknown` ones too, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn open_submissions(&self, mailbox: Incarnation) -> Result<Vec<Row<Submission>>, StoreError> {
        let mut open = Vec::new();
        for key in self.db().scan_prefix(keys::topic(b's', mailbox)).keys() {
            let id = keys::trailing_ulid(&key.map_err(sled_error)?);
            let id = SubmissionId(id.ok_or_else(|| codec::corrupt("a key of an open submission"))?);
            // it may have ended since its key was read
            open.extend(self.submission(mailbox, id)?.filter(|row| is_open(row.value.state)));
        }
        Ok(open)
    }

    /// A mailbox's submissions in this state, newest first, after the one named.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn list_submissions(
        &self,
        mailbox: Incarnation,
        state: Option<SubmissionState>,
        after: Option<SubmissionId>,
        limit: usize,
    ) -> Result<OutboxPage, StoreError> {
        let start = keys::topic(b't', mailbox);
        let end = match after {
            Some(id) => keys::submission(mailbox, id),
            None => [start.as_slice(), &[0xff; 17]].concat(),
        };
        let mut page = OutboxPage::default();
        for value in self.db().range(start..end).values().rev() {
            let submission = decode(codec::split_row(&value.map_err(sled_error)?)?.1)?;
            if state.is_some_and(|state| state != submission.state) {
                continue;
            }
            if page.submissions.len() == limit {
                page.next = page.submissions.last().map(|last| last.id);
                break;
            }
            page.submissions.push(submission);
        }
        Ok(page)
    }

    /// A submission; `None` if there is none of this id.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn submission(
        &self,
        mailbox: Incarnation,
        id: SubmissionId,
    ) -> Result<Option<Row<Submission>>, StoreError> {
        self.decoded_row(&keys::submission(mailbox, id), decode)
    }

    /// The submission that was accepted under an idempotency key, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn submission_of_key(
        &self,
        mailbox: Incarnation,
        idempotency_key: &str,
    ) -> Result<Option<Keyed>, StoreError> {
        let key = idempotency(mailbox, idempotency_key);
        let Some(row) = self.row::<KeyRow>("idempotency key", &key)? else { return Ok(None) };
        let (id, request) = match row.value {
            KeyRow::Bare(id) => (id, None),
            KeyRow::Digested(id, request) => (id, Some(request)),
        };
        Ok(self.submission(mailbox, id)?.map(|row| Keyed { submission: row.value, request }))
    }
}

fn idempotency(mailbox: Incarnation, key: &str) -> Vec<u8> {
    let digest = Sha256::digest(key.as_bytes());
    keys::idempotency(mailbox, digest.get(..16).unwrap_or_default())
}

impl Commit {
    /// Accepts a submission with its sealed message. Refused as a conflict if its idempotency key is taken.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if it cannot be written.
    pub fn accept_submission(&mut self, submission: Submission, body: Body) -> Result<(), StoreError> {
        self.accept_request(submission, body, None)
    }

    /// [`Commit::accept_submission`] with a digest of the request, kept beside its idempotency key.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if it cannot be written.
    pub fn accept_request(
        &mut self,
        submission: Submission,
        body: Body,
        request: Option<String>,
    ) -> Result<(), StoreError> {
        let mailbox = self.mailbox.ok_or_else(|| codec::corrupt("a submission that names no mailbox"))?;
        if let Some(key) = &submission.idempotency_key {
            let key = idempotency(mailbox, key);
            let id = submission.id;
            let row = request.map_or(KeyRow::Bare(id), |request| KeyRow::Digested(id, request));
            self.ops.push(Op::Put { key, expect: Expect::Absent, payload: codec::to_json(&row)? });
        }
        self.ops.push(Op::AddSubmission { submission: Box::new(submission), body });
        Ok(())
    }

    /// Replaces a submission that was read with this generation.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if it cannot be written.
    pub fn put_submission(&mut self, submission: &Submission, generation: u64) -> Result<(), StoreError> {
        let mailbox = self.mailbox.ok_or_else(|| codec::corrupt("a submission that names no mailbox"))?;
        let key = keys::submission(mailbox, submission.id);
        self.ops.push(Op::Put { key, expect: expect_read(generation), payload: encode(submission)? });
        let key = keys::open_submission(mailbox, submission.id);
        self.ops.push(if is_open(submission.state) {
            Op::Set { key, value: Vec::new() }
        } else {
            Op::Delete { key, expect: Expect::Any }
        });
        self.vital = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::message::BodyLocation;
    use crate::domain::submission::Phase;
    use crate::domain::{Recipient, RecipientState, Timestamp};

    fn submission(recipients: usize) -> Submission {
        let recipient = |number: usize| Recipient {
            address: format!("{}@{}.example", ulid::Ulid::new(), number % 7),
            state: RecipientState::Queued,
            reply: None,
        };
        Submission {
            id: SubmissionId::generate(),
            state: SubmissionState::Queued,
            phase: Phase::Idle,
            hold: None,
            mail_from: String::from("anna@makler.example"),
            recipients: (0..recipients).map(recipient).collect(),
            message_id: String::from("<1@makler.example>"),
            created_at: Timestamp(1),
            send_at: None,
            attempts: 0,
            deferred_since: None,
            next_attempt_at: Some(Timestamp(1)),
            last_reply: None,
            idempotency_key: None,
            size: 1,
            body: BodyLocation { pack: 0, offset: 0, length: 0 },
        }
    }

    #[test]
    fn whatever_becomes_of_an_accepted_one_can_be_written() {
        let mut most = 0;
        for recipients in 1.. {
            let mut accepted = submission(recipients);
            if encode_accepted(&accepted).is_err() {
                break;
            }
            most = recipients;
            for (number, recipient) in accepted.recipients.iter_mut().enumerate() {
                recipient.state = match number.wrapping_mul(2_654_435_761) >> 8 & 3 {
                    0 => RecipientState::Sent,
                    1 => RecipientState::Failed,
                    2 => RecipientState::Unknown,
                    _ => RecipientState::Deferred,
                };
                recipient.reply = Some(ulid::Ulid::new().to_string().repeat(9));
            }
            accepted.last_reply = Some(ulid::Ulid::new().to_string().repeat(11));
            accepted.hold = Some(String::from("smtp_auth_disabled_tenant"));
            let payload = encode(&accepted).unwrap();
            assert!(payload.len() <= codec::MAX_PAYLOAD, "{recipients} recipients: {} bytes", payload.len());
            let read = decode(&payload).unwrap();
            let states = |submission: &Submission| -> Vec<RecipientState> {
                submission.recipients.iter().map(|recipient| recipient.state).collect()
            };
            assert_eq!(states(&read), states(&accepted));
        }
        assert!(most >= 100, "only {most} recipients fit");
    }

    #[test]
    fn what_could_not_be_read_again_is_not_written() {
        let mut one = submission(1);
        one.message_id = "a".repeat(codec::LONGEST_TEXT);
        assert!(matches!(encode_accepted(&one), Err(StoreError::TooLarge { .. })));
    }

    #[test]
    fn a_short_row_is_plain_json() {
        let one = submission(1);
        assert_eq!(encode_accepted(&one).unwrap(), codec::to_json(&one).unwrap());
        assert_eq!(decode(&codec::to_json(&submission(60)).unwrap()).unwrap().recipients.len(), 60);
    }
}
