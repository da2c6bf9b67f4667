//! Verbs about grants. Every write is compare-and-set on the generation that was read, so that a late
//! refresh of a replaced grant is dropped.

use super::commit::Op;
use super::mailboxes::expect_read;
use super::{Commit, Row, Store, StoreError, keys};
use crate::domain::{Grant, Incarnation};

impl Store {
    /// A mailbox's grant; `None` if nobody signed in yet.
    ///
    /// # Errors
    /// [`StoreError::Vault`], [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn grant(&self, mailbox: Incarnation) -> Result<Option<Row<Grant>>, StoreError> {
        self.sealed_row("grant", &keys::grant(mailbox))
    }

    /// Adds a grant to a commit; `generation` is the one that was read, 0 if there was none.
    ///
    /// # Errors
    /// [`StoreError::Vault`] if it cannot be sealed.
    pub fn put_grant(
        &self,
        commit: &mut Commit,
        mailbox: Incarnation,
        generation: u64,
        grant: &Grant,
    ) -> Result<(), StoreError> {
        let key = keys::grant(mailbox);
        let payload = self.seal_json(&key, grant)?;
        commit.ops.push(Op::Put { key, expect: expect_read(generation), payload });
        commit.vital = true;
        Ok(())
    }

    /// Adds the removal of a grant that was read with this generation to a commit.
    pub fn remove_grant(&self, commit: &mut Commit, mailbox: Incarnation, generation: u64) {
        commit.ops.push(Op::Delete { key: keys::grant(mailbox), expect: expect_read(generation) });
    }
}
