//! Which folder was being opened when a connection ended, and how often that happened: such a folder is what ends
//! connections. Pure.

use crate::domain::FolderId;
use std::collections::BTreeMap;

/// A folder at which so many connections ended in a row is what ends them.
const ENDED: u32 = 3;

/// What was being done with a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::imap) enum At {
    /// Its counts were requested.
    Counts,
    /// It was selected and listed.
    Opening,
}

/// Connections that ended while a folder was being opened or listed.
#[derive(Debug, Default)]
pub(super) struct Openings {
    /// What is being opened right now.
    pub(in crate::imap) now: Option<(FolderId, At)>,
    ended: BTreeMap<(FolderId, At), u32>,
}

impl Openings {
    /// A connection ended: the folder it is blamed on, once it ended there often enough.
    pub(super) fn blames(&mut self) -> Option<(FolderId, At)> {
        let place = self.now.take()?;
        let times = self.ended.entry(place).or_default();
        *times = times.saturating_add(1);
        (*times >= ENDED).then_some(place)
    }

    /// The server was away: what ended before has other reasons, too.
    pub(super) fn forget(&mut self) {
        self.ended.clear();
    }

    /// The folder was opened and listed.
    pub(super) fn went_well(&mut self, folder: FolderId) {
        self.now = None;
        self.ended.remove(&(folder, At::Opening));
    }

    /// Whether a connection ended there: it is visited last.
    pub(super) fn is_suspect(&self, folder: FolderId) -> bool {
        self.ended.contains_key(&(folder, At::Opening))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_ends_three_connections_in_a_row_is_blamed() {
        let (mut openings, one, other) = (Openings::default(), FolderId::generate(), FolderId::generate());
        let end_at = |folder: Option<FolderId>, openings: &mut Openings| {
            openings.now = folder.map(|folder| (folder, At::Opening));
            openings.blames()
        };
        assert_eq!([Some(one), Some(other), Some(one)].map(|at| end_at(at, &mut openings)), [None; 3]);
        assert!(openings.is_suspect(one));
        assert_eq!(end_at(Some(one), &mut openings), Some((one, At::Opening)));
        openings.went_well(one);
        assert!(!openings.is_suspect(one));
        assert_eq!(end_at(None, &mut openings), None);
        assert!(openings.is_suspect(other));
        openings.forget();
        assert!(!openings.is_suspect(other), "the server was away");
    }
}
