//! Verbs about submissions: the durable outbox.

use super::commit::{Body, Expect, Op};
use super::committer::sled_error;
use super::mailboxes::expect_read;
use super::{Commit, Row, Store, StoreError, codec, keys};
use crate::domain::{Incarnation, Submission, SubmissionId};
use sha2::{Digest, Sha256};

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
    ) -> Result<Option<Row<Submission>>, StoreError> {
        let key = idempotency(mailbox, idempotency_key);
        let Some(row) = self.row::<SubmissionId>("idempotency key", &key)? else { return Ok(None) };
        self.submission(mailbox, row.value)
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
        let mailbox = self.mailbox.ok_or_else(|| codec::corrupt("a submission that names no mailbox"))?;
        if let Some(key) = &submission.idempotency_key {
            let key = idempotency(mailbox, key);
            self.ops.push(Op::Put { key, expect: Expect::Absent, payload: codec::to_json(&submission.id)? });
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
