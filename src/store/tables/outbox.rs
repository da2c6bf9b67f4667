//! Verbs about submissions: the durable outbox.

use crate::domain::{Incarnation, Submission, SubmissionId, SubmissionState};
use crate::store::engine::{Body, Commit, Expect, Op, expect_read, upgrade};
use crate::store::error::StoreError;
use crate::store::format::{
    KeyRow, Row, Topic, codec, decode, encode, idempotency, is_indexed, is_open, keys,
};
use crate::store::handle::Store;

/// A submission that was accepted under an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyed {
    /// The submission as it is now.
    pub submission: Submission,
    /// The digest of the request that made it, if one was kept.
    pub request: Option<String>,
}

/// Lists what is open, in a store that never did.
pub(in crate::store) fn index_once(db: &sled::Db) -> Result<(), StoreError> {
    upgrade::once(db, is_indexed(), Topic::Submission.prefix(), |key, row| {
        let is_open = is_open(decode(codec::split_row(row)?.1)?.state);
        Ok(is_open.then(|| keys::with_topic(key, Topic::OpenSubmission)))
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
        for key in self.db().scan_prefix(keys::topic(Topic::OpenSubmission, mailbox)).keys() {
            let id = keys::trailing_ulid(&key.map_err(StoreError::sled)?);
            let id = SubmissionId(id.ok_or_else(|| StoreError::corrupt("a key of an open submission"))?);
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
        let start = keys::topic(Topic::Submission, mailbox);
        let end = match after {
            Some(id) => keys::submission(mailbox, id),
            None => [start.as_slice(), &[0xff; 17]].concat(),
        };
        let mut page = OutboxPage::default();
        for value in self.db().range(start..end).values().rev() {
            let submission = decode(codec::split_row(&value.map_err(StoreError::sled)?)?.1)?;
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
        let mailbox =
            self.mailbox.ok_or_else(|| StoreError::corrupt("a submission that names no mailbox"))?;
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
        let mailbox =
            self.mailbox.ok_or_else(|| StoreError::corrupt("a submission that names no mailbox"))?;
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
