//! Verbs about grants. Every write is compare-and-set on the generation that was read, so that a late
//! refresh of a replaced grant is dropped.

use super::commit::{Expect, Op};
use super::mailboxes::expect_read;
use super::{Commit, Row, Store, StoreError, keys};
use crate::domain::{Grant, Incarnation, Secret};

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

    /// The password of a mailbox that logs in to its SMTP server by a name of its own.
    ///
    /// # Errors
    /// [`StoreError::Vault`], [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn smtp_password(&self, mailbox: Incarnation) -> Result<Option<Secret>, StoreError> {
        Ok(self.sealed_row("SMTP password", &keys::smtp_password(mailbox))?.map(|row| row.value))
    }

    /// Adds that password to a commit; `None` removes it.
    ///
    /// # Errors
    /// [`StoreError::Vault`] if it cannot be sealed.
    pub fn put_smtp_password(
        &self,
        commit: &mut Commit,
        mailbox: Incarnation,
        password: Option<&Secret>,
    ) -> Result<(), StoreError> {
        let key = keys::smtp_password(mailbox);
        let op = match password {
            Some(password) => {
                let payload = self.seal_json(&key, password)?;
                Op::Put { key, expect: Expect::Any, payload }
            }
            None => Op::Delete { key, expect: Expect::Any },
        };
        commit.ops.push(op);
        Ok(())
    }

    /// Adds the removal of a grant that was read with this generation to a commit.
    pub fn remove_grant(&self, commit: &mut Commit, mailbox: Incarnation, generation: u64) {
        commit.ops.push(Op::Delete { key: keys::grant(mailbox), expect: expect_read(generation) });
    }
}
