//! Verbs about grants. Every write is compare-and-set on the generation that was read, so that a late
//! refresh of a replaced grant is dropped.

use crate::domain::{Grant, Incarnation, Secret};
use crate::store::engine::{Commit, Expect, Op, expect_read};
use crate::store::error::StoreError;
use crate::store::format::{Row, keys};
use crate::store::handle::Store;

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
        commit.ops.push(Op::PutSealed { key, expect: expect_read(generation), payload });
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
                Op::PutSealed { key, expect: Expect::Any, payload }
            }
            None => Op::Delete { key, expect: Expect::Any },
        };
        commit.ops.push(op);
        Ok(())
    }

    /// Makes a commit conflict if the mailbox has a grant when it is checked.
    pub fn expect_no_grant(&self, commit: &mut Commit, mailbox: Incarnation) {
        commit.ops.push(Op::Require { key: keys::grant(mailbox), expect: Expect::Absent });
    }

    /// Adds the removal of a grant that was read with this generation to a commit.
    pub fn remove_grant(&self, commit: &mut Commit, mailbox: Incarnation, generation: u64) {
        commit.ops.push(Op::Delete { key: keys::grant(mailbox), expect: expect_read(generation) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{GrantSecret, GrantWay, Timestamp};
    use crate::store::tests::{create, mailbox, open};
    use base64::Engine as _;

    fn grant(bytes: usize) -> Grant {
        let noise: Vec<u8> =
            (0..bytes / 32).flat_map(|_| crate::store::crypto::random::<32>().unwrap()).collect();
        let token = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(noise);
        Grant {
            send_client_secret: true,
            scopes: vec!["https://outlook.office.com/IMAP.AccessAsUser.All".into()],
            ..Grant::new(
                GrantWay::Redirect,
                GrantSecret::Refresh { refresh_token: Secret::new(token) },
                Timestamp(1),
            )
        }
    }

    #[test]
    fn refresh_tokens_of_any_length_are_kept_and_leave_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let anna = create(&store, mailbox("anna"), None).unwrap();
        let pieces = |store: &Store| store.db().scan_prefix(b"2").count();
        for (generation, bytes) in (0..).zip([300, 3000, 45_000, 20_000, 100, 20_000]) {
            let grant = grant(bytes);
            let mut commit = Commit::of_mailbox(anna.incarnation);
            store.put_grant(&mut commit, anna.incarnation, generation, &grant).unwrap();
            store.commit_blocking(commit).unwrap();
            assert_eq!(store.grant(anna.incarnation).unwrap().unwrap().value, grant);
            assert_eq!(pieces(&store) > 0, bytes > 3000, "{bytes}");
        }
        // whoever read an earlier one is refused, and what is there stays
        let mut commit = Commit::of_mailbox(anna.incarnation);
        store.put_grant(&mut commit, anna.incarnation, 3, &grant(20_000)).unwrap();
        assert!(matches!(store.commit_blocking(commit), Err(StoreError::Conflict)));
        let kept = store.grant(anna.incarnation).unwrap().unwrap().value;
        drop(store);
        let config = crate::store::engine::StoreConfig::at(dir.path());
        assert_eq!(crate::store::fsck::check(&config).unwrap().problems, Vec::<String>::new());
        crate::store::fsck::rebuild(&config, |_| crate::domain::message::Envelope::default()).unwrap();
        let store = open(dir.path());
        assert_eq!(store.grant(anna.incarnation).unwrap().unwrap().value, kept);
        let mut commit = Commit::of_mailbox(anna.incarnation);
        store.put_grant(&mut commit, anna.incarnation, 6, &grant(70_000)).unwrap();
        assert!(matches!(store.commit_blocking(commit), Err(StoreError::TooLarge { .. })));
        let mut commit = Commit::of_mailbox(anna.incarnation);
        store.remove_grant(&mut commit, anna.incarnation, 6);
        store.commit_blocking(commit).unwrap();
        assert_eq!(pieces(&store), 0);
    }
}
