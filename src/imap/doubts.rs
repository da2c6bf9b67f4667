//! Deletions that are not believed at once: a server that lost its folders for a moment must not cost a mailbox its mail.
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
pub(super) struct Doubts(BTreeMap<FolderId, (u64, Instant)>);

impl Doubts {
    /// This connection shows it. The first one to show it stays noted.
    pub(super) fn raise(&mut self, folder: FolderId, connection: u64, now: Instant) {
        self.0.entry(folder).or_insert((connection, now));
    }

    /// Whether another connection than this one has shown it.
    pub(super) fn are_confirmed(&self, folder: FolderId, connection: u64) -> bool {
        self.0.get(&folder).is_some_and(|(first, _)| *first != connection)
    }

    /// How long ago it was first shown.
    pub(super) fn age(&self, folder: FolderId, now: Instant) -> Duration {
        self.0.get(&folder).map_or(Duration::ZERO, |(_, since)| now.saturating_duration_since(*since))
    }

    /// The folder showed no such thing, or it was believed.
    pub(super) fn drop(&mut self, folder: FolderId) {
        self.0.remove(&folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_connection_confirms() {
        let (folder, mut doubts) = (FolderId::generate(), Doubts::default());
        let now = crate::clock::monotonic();
        assert!(!doubts.are_confirmed(folder, 1));
        doubts.raise(folder, 1, now);
        assert!(!doubts.are_confirmed(folder, 1));
        assert!(doubts.are_confirmed(folder, 2));
        doubts.raise(folder, 2, now + Duration::from_secs(5));
        assert!(doubts.are_confirmed(folder, 2), "the first one stays noted");
        assert_eq!(doubts.age(folder, now + Duration::from_secs(9)), Duration::from_secs(9));
        doubts.drop(folder);
        assert!(!doubts.are_confirmed(folder, 2));
    }

    #[test]
    fn a_third_of_a_folder_and_fifty_are_a_mass() {
        assert!(is_mass(51, 152) && !is_mass(50, 50) && !is_mass(51, 153));
    }
}
