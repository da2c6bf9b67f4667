//! How a submission and its idempotency key are written.

use super::{codec, keys};
use crate::domain::{Incarnation, Submission, SubmissionId, SubmissionState};
use crate::store::error::StoreError;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Bytes of a row with which a submission is accepted. What becomes of each recipient needs the rest: an outcome
/// that cannot be written would leave a sent message `unknown`.
const ACCEPTED: usize = 3072;

/// The row of a submission that is to be accepted; refused if its outcome might not fit.
pub(in crate::store) fn encode_accepted(submission: &Submission) -> Result<Vec<u8>, StoreError> {
    let payload = compact(submission)?;
    if payload.len() > ACCEPTED {
        return Err(StoreError::TooLarge { bytes: payload.len() });
    }
    Ok(payload)
}

pub(in crate::store) fn encode(submission: &Submission) -> Result<Vec<u8>, StoreError> {
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

pub(in crate::store) fn decode(payload: &[u8]) -> Result<Submission, StoreError> {
    codec::from_squeezed("submission", payload)
}

/// What an idempotency key stands for: the submission it made, and a digest of the request that asked for it.
/// The first releases kept no digest.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(in crate::store) enum KeyRow {
    Bare(SubmissionId),
    Digested(SubmissionId, String),
}

/// The row of a submission's idempotency key, where that was lost: its key and payload.
pub(in crate::store) fn key_row(
    mailbox: Incarnation,
    submission: &Submission,
) -> Option<(keys::Key, Vec<u8>)> {
    let key = idempotency(mailbox, submission.idempotency_key.as_deref()?);
    Some((key, codec::to_json(&KeyRow::Bare(submission.id)).ok()?))
}

/// Whether something is left to do about a submission: to send it, or to find out what became of it.
pub(in crate::store) fn is_open(state: SubmissionState) -> bool {
    match state {
        SubmissionState::Queued
        | SubmissionState::Sending
        | SubmissionState::Deferred
        | SubmissionState::Unknown => true,
        SubmissionState::Sent | SubmissionState::Failed | SubmissionState::Cancelled => false,
    }
}

/// There if the open submissions are listed. The first releases did not list them.
pub(in crate::store) fn is_indexed() -> keys::Key {
    keys::meta("open_submissions")
}

pub(in crate::store) fn idempotency(mailbox: Incarnation, key: &str) -> Vec<u8> {
    let digest = Sha256::digest(key.as_bytes());
    keys::idempotency(mailbox, digest.get(..16).unwrap_or_default())
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
