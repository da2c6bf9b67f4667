//! Many mailboxes in one commit: all of them are there, or none.

use super::mailboxes::{MailboxRow, StoredMailbox};
use super::take_over::TakeOver;
use crate::clock;
use crate::domain::{Disposition, Grant, Incarnation, Mailbox, Secret};
use crate::store::engine::{Commit, Expect, Op};
use crate::store::error::StoreError;
use crate::store::format::{codec, keys};
use crate::store::handle::Store;
use std::sync::atomic::Ordering;

/// A mailbox to create, with its secrets.
#[derive(Clone, Debug)]
pub struct NewMailbox {
    /// Its configuration.
    pub mailbox: Mailbox,
    /// The grant of its password, if it has one.
    pub grant: Option<Grant>,
    /// The password of an SMTP login of its own.
    pub smtp_password: Option<Secret>,
    /// A refresh token of another system, to be tried.
    pub take_over: Option<TakeOver>,
}

impl NewMailbox {
    /// One without further secrets than its grant.
    #[must_use]
    pub fn new(mailbox: Mailbox, grant: Option<Grant>) -> Self {
        Self { mailbox, grant, smtp_password: None, take_over: None }
    }
}

impl Store {
    /// Whether a mailbox's configuration fits its row.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] if it does not.
    pub fn fits(&self, mailbox: &Mailbox) -> Result<(), StoreError> {
        // the incarnation is written as a number: its length does not matter much, its absence would
        let row = MailboxRow { incarnation: Incarnation(u64::MAX), mailbox: mailbox.clone() };
        let bytes = codec::to_json(&row)?.len();
        if bytes > codec::MAX_PAYLOAD { Err(StoreError::TooLarge { bytes }) } else { Ok(()) }
    }

    /// Creates mailboxes in one commit. Writes a key for each first: not for an arbiter's thread.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if one of the ids is taken, or there twice; then none is created.
    pub fn create_mailboxes_blocking(
        &self,
        mailboxes: Vec<NewMailbox>,
    ) -> Result<Vec<StoredMailbox>, StoreError> {
        let count = mailboxes.len() as u64;
        let first = self.inner.next_incarnation.fetch_add(count, Ordering::Relaxed);
        let last = first.saturating_add(count).saturating_sub(1);
        let (mut commit, mut created, mut incarnations) = (Commit::default(), Vec::new(), Vec::new());
        commit.ops.push(Op::Counter { name: "incarnation", at_least: last });
        for (number, new) in (first..).zip(mailboxes) {
            let incarnation = Incarnation(number);
            let stored = StoredMailbox { incarnation, generation: 1, mailbox: new.mailbox.clone() };
            self.add_new(&mut commit, &stored, &new)?;
            incarnations.push(incarnation);
            created.push(stored);
        }
        let done = self.inner.vault.create_mailbox_keys(&incarnations);
        if let Err(error) = done.and_then(|()| self.commit_blocking(commit)) {
            // only if they surely were not stored: a mailbox without its key is lost
            if !matches!(error.disposition(), Disposition::Fatal) {
                incarnations.iter().try_for_each(|incarnation| self.inner.packs.erase(*incarnation))?;
            }
            return Err(error);
        }
        Ok(created)
    }

    fn add_new(
        &self,
        commit: &mut Commit,
        stored: &StoredMailbox,
        new: &NewMailbox,
    ) -> Result<(), StoreError> {
        let NewMailbox { mailbox, grant, smtp_password, take_over } = new;
        let incarnation = stored.incarnation;
        commit.ops.push(Op::Put {
            key: keys::mailbox(&mailbox.id),
            expect: Expect::Absent,
            payload: codec::to_json(&MailboxRow { incarnation, mailbox: mailbox.clone() })?,
        });
        commit.ops.push(Op::Put {
            key: keys::incarnation(incarnation),
            expect: Expect::Absent,
            payload: codec::to_json(&mailbox.id)?,
        });
        if let Some(grant) = grant {
            self.put_grant(commit, incarnation, 0, grant)?;
        }
        if smtp_password.is_some() {
            self.put_smtp_password(commit, incarnation, smtp_password.as_ref())?;
        }
        if let Some(token) = take_over {
            self.add_take_over(commit, stored, token, clock::now())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{GrantSecret, GrantWay, MailboxId, Timestamp};
    use crate::store::tests::{mailbox, open};

    fn new(id: &str) -> NewMailbox {
        NewMailbox::new(mailbox(id), None)
    }

    #[test]
    fn all_are_there_with_their_secrets_and_keys_and_after_a_restart_too() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let mut anna = new("anna");
        anna.grant = Some(Grant::new(
            GrantWay::Password,
            GrantSecret::Password { user: "anna".into(), password: Secret::new("pass") },
            Timestamp(1),
        ));
        anna.smtp_password = Some(Secret::new("smtp"));
        let grant = anna.grant.clone();
        let created = store.create_mailboxes_blocking(vec![anna, new("ben"), new("carl")]).unwrap();
        assert_eq!(store.mailboxes().unwrap(), created);
        drop(store);
        let store = open(dir.path());
        assert_eq!(store.mailboxes().unwrap(), created);
        let first = created[0].incarnation;
        assert_eq!(store.grant(first).unwrap().map(|row| row.value), grant);
        assert_eq!(store.smtp_password(first).unwrap(), Some(Secret::new("smtp")));
        for stored in &created {
            store.inner.vault.mailbox_key(stored.incarnation).unwrap();
        }
        let next = store.create_mailboxes_blocking(vec![new("dora")]).unwrap();
        assert!(next[0].incarnation > created[2].incarnation, "no number is given twice");
    }

    #[test]
    fn one_taken_id_and_none_is_created() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let ben = store.create_mailboxes_blocking(vec![new("ben")]).unwrap();
        for ids in [["anna", "ben"], ["carl", "carl"]] {
            let refused = store.create_mailboxes_blocking(ids.map(new).to_vec());
            assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
            assert_eq!(store.mailboxes().unwrap(), ben);
            assert_eq!(store.inner.packs.folders().unwrap(), [ben[0].incarnation], "no key is left behind");
        }
    }

    #[test]
    fn a_configuration_that_is_too_long_is_known_beforehand() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let mut anna = new("anna");
        store.fits(&anna.mailbox).unwrap();
        anna.mailbox.labels.insert("note".into(), "x".repeat(4096));
        assert!(matches!(store.fits(&anna.mailbox), Err(StoreError::TooLarge { .. })));
        assert!(store.create_mailboxes_blocking(vec![anna]).is_err());
        assert!(store.mailbox(&MailboxId::new("anna").unwrap()).unwrap().is_none());
    }
}
