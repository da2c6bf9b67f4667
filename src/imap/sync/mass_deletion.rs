//! Deletions that are not believed at once: a server that lost its folders for a moment must not cost a mailbox its mail.
//! What is seen again on another connection counts. Pure.

use crate::domain::FolderId;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A deletion of more messages than this, and of more than a third of the folder, is looked at again.
pub(in crate::imap) const MASS: usize = 50;

/// Whether so many messages gone of so many are too many to be believed at once.
pub(in crate::imap) fn is_mass(gone: usize, known: usize) -> bool {
    gone > MASS && gone > known / 3
}

/// Folders of which something was seen that is not to be believed at once: the number of the connection that showed it
/// first, and when.
#[derive(Debug, Default)]
pub(in crate::imap) struct Doubts(BTreeMap<FolderId, (u64, Instant)>);

impl Doubts {
    /// This connection shows it. The first one to show it stays noted.
    pub(in crate::imap) fn raise(&mut self, folder: FolderId, connection: u64, now: Instant) {
        self.0.entry(folder).or_insert((connection, now));
    }

    /// Whether another connection than this one has shown it, at least so long ago.
    pub(in crate::imap) fn are_confirmed(
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
    pub(in crate::imap) fn drop(&mut self, folder: FolderId) {
        self.0.remove(&folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_connection_confirms_a_while_later() {
        let (folder, mut doubts) = (FolderId::generate(), Doubts::default());
        let (now, minute) = (crate::clock::monotonic(), Duration::from_secs(60));
        let confirmed = |doubts: &Doubts, connection, after| {
            doubts.are_confirmed(folder, connection, now + Duration::from_secs(after), minute)
        };
        assert!(!confirmed(&doubts, 1, 99));
        doubts.raise(folder, 1, now);
        assert!(!confirmed(&doubts, 1, 99), "the same connection proves nothing");
        assert!(!confirmed(&doubts, 2, 59), "nor does another one at once");
        assert!(confirmed(&doubts, 2, 60));
        doubts.raise(folder, 2, now + Duration::from_secs(30));
        assert!(confirmed(&doubts, 2, 60), "the first one stays noted");
        doubts.drop(folder);
        assert!(!confirmed(&doubts, 2, 99));
    }

    #[test]
    fn a_third_of_a_folder_and_fifty_are_a_mass() {
        assert!(is_mass(51, 152) && !is_mass(50, 50) && !is_mass(51, 153));
    }
}
