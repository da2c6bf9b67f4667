//! Isolation: one message that cannot be fetched must not stop its folder. The window at fault is fetched
//! again in smaller ones, each on a new connection; a window of one that fails again is quarantined.

use super::protocol::ImapError;
use super::sync::Syncer;
use crate::clock;
use crate::domain::{FolderId, Uid};
use crate::store::{Commit, Quarantined};

/// By how much a window shrinks.
const SHRINK: usize = 8;

/// The window being fetched, and how large windows of its folder may be.
#[derive(Debug, Default)]
pub(super) struct Isolation {
    /// What is being fetched right now.
    pub(super) attempt: Option<(FolderId, Vec<Uid>)>,
    limit: Option<(FolderId, usize)>,
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
        if self.limit.is_some_and(|(limited, _)| limited == folder) {
            self.limit = None;
        }
    }
}

impl Syncer {
    /// After a failed ride: `true` if the failure was a window's and was made smaller or quarantined.
    pub(super) async fn isolate(&mut self, error: &ImapError) -> Result<bool, ImapError> {
        let Some((folder, window)) = self.isolation.attempt.take() else { return Ok(false) };
        if !blames_a_message(error) {
            return Ok(false);
        }
        if let [uid] = window.as_slice() {
            self.quarantine(folder, *uid, error).await?;
        } else {
            self.isolation.limit = Some((folder, (window.len() / SHRINK).max(1)));
        }
        Ok(true)
    }

    async fn quarantine(&self, folder: FolderId, uid: Uid, error: &ImapError) -> Result<(), ImapError> {
        let Some(row) = self.store.folder(self.owner.mailbox, folder)? else { return Ok(()) };
        tracing::warn!(%folder, uid, %error, "message quarantined");
        let reason = error.to_string().chars().take(300).collect();
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
