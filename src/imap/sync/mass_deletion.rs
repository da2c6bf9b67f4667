//! The mass deletion guard: deletions that are not believed at once. A server that lost its folders for a moment must not cost a mailbox its mail.
//! What is seen again on another connection counts. Pure.

use crate::domain::FolderId;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A deletion of more messages than this, and of more than a third of the folder, is looked at again.
pub(super) const MASS: usize = 50;

/// Whether so many messages gone of so many are too many to be believed at once.
pub(super) fn is_mass(gone: usize, known: usize) -> bool {
    gone > MASS && gone > known / 3
}

/// Folders of which something was seen that is not to be believed at once: the number of the connection that showed it
/// first, and when.
#[derive(Debug, Default)]
pub(super) struct DeletionGuard(BTreeMap<FolderId, (u64, Instant)>);

impl DeletionGuard {
    /// This connection shows it. The first one to show it stays noted.
    pub(super) fn suspect(&mut self, folder: FolderId, connection: u64, now: Instant) {
        self.0.entry(folder).or_insert((connection, now));
    }

    /// Whether another connection than this one has shown it, at least so long ago.
    pub(super) fn is_confirmed(
        &self,
        folder: FolderId,
        connection: u64,
        now: Instant,
        least: Duration,
    ) -> bool {
        let is_old = |since: Instant| now.saturating_duration_since(since) >= least;
        self.0.get(&folder).is_some_and(|(first, since)| *first != connection && is_old(*since))
    }

    /// The folder showed no such thing, or it was believed.
    pub(in crate::imap) fn clear(&mut self, folder: FolderId) {
        self.0.remove(&folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_connection_confirms_a_while_later() {
        let (folder, mut guard) = (FolderId::generate(), DeletionGuard::default());
        let (now, minute) = (crate::clock::monotonic(), Duration::from_secs(60));
        let confirmed = |guard: &DeletionGuard, connection, after| {
            guard.is_confirmed(folder, connection, now + Duration::from_secs(after), minute)
        };
        assert!(!confirmed(&guard, 1, 99));
        guard.suspect(folder, 1, now);
        assert!(!confirmed(&guard, 1, 99), "the same connection proves nothing");
        assert!(!confirmed(&guard, 2, 59), "nor does another one at once");
        assert!(confirmed(&guard, 2, 60));
        guard.suspect(folder, 2, now + Duration::from_secs(30));
        assert!(confirmed(&guard, 2, 60), "the first one stays noted");
        guard.clear(folder);
        assert!(!confirmed(&guard, 2, 99));
    }

    #[test]
    fn a_third_of_a_folder_and_fifty_are_a_mass() {
        assert!(is_mass(51, 152) && !is_mass(50, 50) && !is_mass(51, 153));
    }
}
