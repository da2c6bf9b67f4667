//! Verbs about mail that was sent to people: invitations and alerts. What is here was sent, and is not sent again
//! without a reason: the row is written in the commit that puts the mail into the outbox.

use crate::domain::ids::SignInId;
use crate::domain::{Incarnation, MailboxId, Timestamp};
use crate::store::engine::{Commit, Expect, Op, expect_read};
use crate::store::error::StoreError;
use crate::store::format::{Row, codec, keys};
use crate::store::handle::Store;
use serde::{Deserialize, Serialize};

/// Mail that was sent about something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Notice {
    /// A user was asked to sign in.
    Invitation {
        /// For which mailbox.
        mailbox: MailboxId,
        /// For which life of it.
        incarnation: Incarnation,
        /// By which sign-in.
        sign_in: SignInId,
        /// How many mails were sent; 0: it is to be.
        mails: u32,
        /// When the last was.
        last: Timestamp,
        /// That he does not was told.
        overdue: bool,
    },
    /// Administrators were told.
    Alert {
        /// Of what.
        cause: Cause,
        /// When they were told last.
        last: Timestamp,
    },
}

/// What administrators are told of once, however many mailboxes it concerns.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cause {
    /// The diagnosis' code, or a name of our own.
    pub code: String,
    /// The app concerned; empty: none.
    pub app: String,
}

impl Notice {
    fn key(&self) -> keys::Key {
        match self {
            Self::Invitation { incarnation, .. } => keys::invitation(*incarnation),
            Self::Alert { cause, .. } => keys::alert(&cause.code, &cause.app),
        }
    }
}

impl Store {
    /// All notices.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn notices(&self) -> Result<Vec<Row<Notice>>, StoreError> {
        let read = |entry: Result<(sled::IVec, sled::IVec), sled::Error>| {
            let (generation, payload) = {
                let (_, bytes) = entry.map_err(StoreError::sled)?;
                let (generation, payload) = codec::split_row(&bytes)?;
                (generation, payload.to_vec())
            };
            Ok(Row { generation, value: codec::from_json("notice", &payload)? })
        };
        self.db().scan_prefix(keys::notices()).map(read).collect()
    }

    /// The invitation of a mailbox.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn invitation(&self, mailbox: Incarnation) -> Result<Option<Row<Notice>>, StoreError> {
        self.row("notice", &keys::invitation(mailbox))
    }
}

impl Commit {
    /// Writes a notice that was read with this generation, 0 for a new one.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if it cannot be written.
    pub fn put_notice(&mut self, notice: &Notice, generation: u64) -> Result<(), StoreError> {
        let payload = codec::to_json(notice)?;
        self.ops.push(Op::Put { key: notice.key(), expect: expect_read(generation), payload });
        Ok(())
    }

    /// Removes a notice that was read with this generation.
    pub fn drop_notice(&mut self, notice: &Row<Notice>) {
        let expect = Expect::Generation(notice.generation);
        self.ops.push(Op::Delete { key: notice.value.key(), expect });
    }
}
