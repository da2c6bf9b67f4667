//! Isolation: one message that cannot be fetched must not stop its folder. The window at fault is fetched
//! again in smaller ones, each on a new connection; a window of one that fails again is quarantined.

use super::listings::ListedMessage;
use super::protocol::ImapError;
use super::sync::Syncer;
use crate::clock;
use crate::domain::{Folder, FolderId, Uid};
use crate::store::{Commit, Quarantined};
use std::collections::{BTreeMap, BTreeSet};

/// By how much a window shrinks.
const SHRINK: usize = 8;
/// A connection that ends so often in a row in the same window, with nothing gained, ends because of it: some servers
/// crash on a message.
const LOST: u32 = 3;
/// In a window that is suspected already.
const LOST_AGAIN: u32 = 2;

/// The window being fetched, and how large windows of its folder may be.
#[derive(Debug, Default)]
pub(super) struct Isolation {
    /// What is being fetched right now.
    pub(super) attempt: Option<(FolderId, Vec<Uid>)>,
    limit: Option<(FolderId, usize)>,
    lost: Option<(FolderId, Vec<Uid>, u32)>,
    /// What was listed, asked for, and not delivered.
    undelivered: BTreeMap<FolderId, BTreeSet<Uid>>,
}

impl Isolation {
    /// How many UIDs a window of this folder may have.
    pub(super) fn window(&self, folder: FolderId) -> usize {
        match self.limit {
            Some((limited, size)) if limited == folder => size,
            _ => usize::MAX,
        }
    }

    /// The folder is in step: its windows may be large again.
    pub(super) fn clear(&mut self, folder: FolderId) {
        self.attempt = None;
        self.lost = None;
        if self.limit.is_some_and(|(limited, _)| limited == folder) {
            self.limit = None;
        }
    }

    /// Whether a failure in this window is laid at its door.
    fn blames(&mut self, folder: FolderId, window: &[Uid], error: &ImapError) -> bool {
        if blames_a_message(error) {
            return true;
        }
        if !ends_the_connection(error) {
            return false;
        }
        let before = self.lost.take().filter(|(of, uids, _)| *of == folder && uids == window);
        let times = before.map_or(1, |(_, _, times)| times.saturating_add(1));
        let suspected = self.limit.is_some_and(|(limited, _)| limited == folder);
        if times >= if suspected { LOST_AGAIN } else { LOST } {
            return true;
        }
        self.lost = Some((folder, window.to_vec(), times));
        false
    }
}

impl Syncer {
    /// After a failed ride: `true` if the failure was a window's and was made smaller or quarantined.
    pub(super) async fn isolate(&mut self, error: &ImapError) -> Result<bool, ImapError> {
        let Some((folder, window)) = self.isolation.attempt.take() else { return Ok(false) };
        if let ImapError::Unprocessable { uid } = error {
            self.quarantine(folder, *uid, &error.to_string()).await?;
            return Ok(true);
        }
        if !self.isolation.blames(folder, &window, error) {
            return Ok(false);
        }
        if let [uid] = window.as_slice() {
            self.quarantine(folder, *uid, &error.to_string()).await?;
        } else {
            self.isolation.limit = Some((folder, (window.len() / SHRINK).max(1)));
        }
        Ok(true)
    }

    /// After a good fetch: what the server lists and twice sends no body of is quarantined. Once may be by chance: it was
    /// expunged between listing and fetch.
    pub(super) async fn note_undelivered(
        &mut self,
        folder: FolderId,
        windows: &[&[Uid]],
        delivered: &BTreeSet<Uid>,
    ) -> Result<(), ImapError> {
        let missing = windows.iter().copied().flatten().filter(|uid| !delivered.contains(uid));
        let missing: BTreeSet<Uid> = missing.copied().collect();
        let before = self.isolation.undelivered.remove(&folder).unwrap_or_default();
        for uid in missing.intersection(&before) {
            self.quarantine(folder, *uid, "the server lists it and sends no body").await?;
        }
        let once: BTreeSet<Uid> = missing.difference(&before).copied().collect();
        if !once.is_empty() {
            self.isolation.undelivered.insert(folder, once);
        }
        Ok(())
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

    /// Whether something quarantined in this folder is to be tried again.
    pub(super) fn has_to_try_again(&self, folder: &Folder) -> Result<bool, ImapError> {
        let apart = self.store.quarantined(self.owner.mailbox, folder.id, folder.incarnation)?;
        Ok(apart.iter().any(|message| self.is_to_be_tried(message)))
    }

    /// Whether a quarantined message had its pause: what ended connections may have been a bad hour of the server's, and
    /// what we failed at a newer program may master.
    pub(super) fn is_to_be_tried(&self, message: &Quarantined) -> bool {
        clock::now().since(message.since) >= self.quarantine_retry
    }

    async fn quarantine(&self, folder: FolderId, uid: Uid, why: &str) -> Result<(), ImapError> {
        let Some(row) = self.store.folder(self.owner.mailbox, folder)? else { return Ok(()) };
        tracing::warn!(%folder, uid, why, "message quarantined");
        let reason = why.chars().take(300).collect();
        let mut commit = Commit::by(self.owner);
        commit.quarantine(&row.value, &Quarantined { uid, reason, since: clock::now() })?;
        self.store.commit(commit).await?;
        Ok(())
    }
}

/// Whether the failure can be the fault of a message in the window, and not of network, token or load.
fn blames_a_message(error: &ImapError) -> bool {
    if let ImapError::No { what: "FETCH", text } | ImapError::Bad { what: "FETCH", text } = error {
        let found = crate::diagnosis::imap(text);
        return found.is_none_or(|found| found.disposition == crate::domain::Disposition::GiveUp);
    }
    matches!(error, ImapError::Unreadable { .. } | ImapError::Exceeded { .. })
}

/// Whether the server went away, for no reason that it told and we know.
fn ends_the_connection(error: &ImapError) -> bool {
    let went = matches!(error, ImapError::Lost { .. } | ImapError::Timeout { .. } | ImapError::Bye { .. });
    went && error.disposition() == crate::domain::Disposition::Retry
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOST_ONE: ImapError = ImapError::Lost { what: "FETCH" };

    #[test]
    fn a_connection_lost_in_one_window_again_and_again_is_laid_at_its_door() {
        let (folder, mut isolation) = (FolderId::generate(), Isolation::default());
        let window = [7, 8, 9];
        assert!(!isolation.blames(folder, &window, &LOST_ONE));
        assert!(!isolation.blames(folder, &window, &LOST_ONE));
        assert!(isolation.blames(folder, &window, &LOST_ONE));
        isolation.limit = Some((folder, 1));
        assert!(!isolation.blames(folder, &[8], &LOST_ONE));
        assert!(isolation.blames(folder, &[8], &LOST_ONE), "twice in a suspected one");
    }

    #[test]
    fn whoever_gains_ground_or_is_told_why_blames_nobody() {
        let (folder, mut isolation) = (FolderId::generate(), Isolation::default());
        for last in 9..30 {
            assert!(!isolation.blames(folder, &[7, last], &LOST_ONE), "another window each time");
        }
        let expired = ImapError::Bye { text: "Session invalidated - AccessTokenExpired".into() };
        for _ in 0..10 {
            assert!(!isolation.blames(folder, &[7], &expired));
        }
        assert!(isolation.blames(folder, &[7], &ImapError::Unreadable { what: "FETCH", detail: "(".into() }));
    }
}
