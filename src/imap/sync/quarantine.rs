//! Quarantine: a message at which fetching failed again and again is left alone, and tried again with waits that grow.
//! What the failure is blamed on is decided by [`crate::imap::fetch::Bisection`].

use super::syncer::Syncer;
use crate::clock;
use crate::domain::{Folder, FolderId, Timestamp, Uid};
use crate::imap::connection::{Connection, ListedMessage};
use crate::imap::fetch::Blame;
use crate::imap::protocol::ImapError;
use crate::store::{Commit, Quarantined};
use std::collections::BTreeSet;
use std::time::Duration;

impl Syncer {
    /// After a failed connection attempt: `true` if the failure was a window's and was made smaller or quarantined.
    pub(in crate::imap) async fn bisect(&mut self, error: &ImapError) -> Result<bool, ImapError> {
        let Some((folder, window)) = self.bisection.attempt.take() else { return Ok(false) };
        if let ImapError::Unprocessable { uid } = error {
            self.quarantine(folder, *uid, &error.to_string()).await?;
            return Ok(true);
        }
        // the second chance is one connection
        let is_second_chance = match (window.as_slice(), self.store.folder(self.owner.mailbox, folder)?) {
            ([uid], Some(row)) => self.quarantined_since(&row.value, *uid)?.is_some(),
            _ => false,
        };
        let is_fault = is_second_chance && error.ends_the_connection();
        match self.bisection.blames(folder, &window, error) {
            Blame::Nobody if !is_fault => return Ok(false),
            Blame::ReadAgain if !is_fault => return Ok(true),
            Blame::Nobody | Blame::ReadAgain | Blame::Window => {}
        }
        let [uid] = window.as_slice() else {
            self.bisection.shrink(folder, &window);
            return Ok(true);
        };
        if is_fault || !self.bisection.read_other_way(folder, *uid) {
            self.quarantine(folder, *uid, &error.to_string()).await?;
        }
        Ok(true)
    }

    /// After a good fetch: what the server lists and twice sends no body of is quarantined. Once may be by chance: it was
    /// expunged between listing and fetch. `false`: there was such a one.
    pub(in crate::imap) async fn note_undelivered(
        &mut self,
        folder: FolderId,
        windows: &[&[Uid]],
        delivered: &BTreeSet<Uid>,
    ) -> Result<bool, ImapError> {
        let missing = windows.iter().copied().flatten().filter(|uid| !delivered.contains(uid));
        let missing: BTreeSet<Uid> = missing.copied().collect();
        let again = self.bisection.take_undelivered(folder, &missing);
        for uid in &again {
            self.quarantine(folder, *uid, "the server lists it and sends no body").await?;
        }
        let once: BTreeSet<Uid> = missing.difference(&again).copied().collect();
        let all_came = once.is_empty();
        if !all_came {
            self.bisection.note_undelivered(folder, once);
        }
        Ok(all_came)
    }

    /// Forgets quarantined messages that a complete listing does not name.
    pub(super) async fn release_gone(
        &self,
        folder: &Folder,
        quarantined: &BTreeSet<Uid>,
        listed: &[ListedMessage],
    ) -> Result<(), ImapError> {
        let is_listed = |uid: &Uid| listed.binary_search_by_key(uid, |message| message.uid).is_ok();
        let mut commit = Commit::by(self.owner);
        for uid in quarantined.iter().filter(|uid| !is_listed(uid)) {
            commit.release(folder, *uid)?;
        }
        if !commit.is_empty() {
            self.store.commit(commit).await?;
        }
        Ok(())
    }

    /// A quarantined message that is due for another try: what ended connections may have been a bad hour of the server's,
    /// and a newer program may master what this one failed at. One at a time, and not more often than `pace`.
    pub(super) fn next_retry<'f>(
        &mut self,
        folders: &'f [Folder],
        pace: Duration,
    ) -> Result<Option<(&'f Folder, Uid)>, ImapError> {
        let now = clock::now();
        if !self.bisection.may_retry(now, pace) {
            return Ok(None);
        }
        for folder in folders {
            for apart in self.store.quarantined(self.owner.mailbox, folder.id, folder.incarnation)? {
                let message = (folder.id, apart.uid);
                if self.bisection.take_retry(message, apart.since, self.quarantine_retry, now) {
                    return Ok(Some((folder, apart.uid)));
                }
            }
        }
        Ok(None)
    }

    /// Fetches a quarantined message again; stored, it is not quarantined any more.
    pub(super) async fn try_again(
        &mut self,
        connection: &mut Connection,
        folder: FolderId,
        uid: Uid,
    ) -> Result<(), ImapError> {
        let Some(row) = self.store.folder(self.owner.mailbox, folder)? else { return Ok(()) };
        self.fetch(connection, &row.value, vec![vec![uid]], &[]).await?;
        Ok(())
    }

    /// When a message was quarantined, if it is.
    fn quarantined_since(&self, folder: &Folder, uid: Uid) -> Result<Option<Timestamp>, ImapError> {
        let apart = self.store.quarantined(self.owner.mailbox, folder.id, folder.incarnation)?;
        Ok(apart.into_iter().find(|message| message.uid == uid).map(|message| message.since))
    }

    async fn quarantine(&self, folder: FolderId, uid: Uid, why: &str) -> Result<(), ImapError> {
        let Some(row) = self.store.folder(self.owner.mailbox, folder)? else { return Ok(()) };
        tracing::warn!(%folder, uid, why, "message quarantined");
        let reason = why.chars().take(300).collect();
        let since = self.quarantined_since(&row.value, uid)?.unwrap_or_else(clock::now);
        let mut commit = Commit::by(self.owner);
        commit.quarantine(&row.value, &Quarantined { uid, reason, since })?;
        self.store.commit(commit).await?;
        Ok(())
    }
}
