//! Verbs about submissions: the durable outbox.

use super::commit::{Body, Expect, Op};
use super::committer::sled_error;
use super::mailboxes::expect_read;
use super::{Commit, Row, Store, StoreError, codec, keys};
use crate::domain::{Incarnation, Submission, SubmissionId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What an idempotency key stands for: the submission it made, and a digest of the request that asked for it.
/// The first releases kept no digest.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum KeyRow {
    Bare(SubmissionId),
    Digested(SubmissionId, String),
}

/// A submission that was accepted under an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyed {
    /// The submission as it is now.
    pub submission: Submission,
    /// The digest of the request that made it, if one was kept.
    pub request: Option<String>,
}

impl Store {
    /// A mailbox's submissions, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn submissions(&self, mailbox: Incarnation) -> Result<Vec<Row<Submission>>, StoreError> {
        self.db()
            .scan_prefix(keys::topic(b't', mailbox))
            .values()
            .map(|value| {
                let value = value.map_err(sled_error)?;
                let (generation, payload) = codec::split_row(&value)?;
                Ok(Row { generation, value: codec::from_json("submission", payload)? })
            })
            .collect()
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
        self.row("submission", &keys::submission(mailbox, id))
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
        self.ops.push(Op::Put { key, expect: expect_read(generation), payload: codec::to_json(submission)? });
        self.vital = true;
        Ok(())
    }
}
