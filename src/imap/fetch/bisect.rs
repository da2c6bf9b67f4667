//! Bisection: one message that cannot be fetched must not stop its folder. The window at fault is fetched again in smaller
//! ones, each on a new connection, until the message is found. Pure.

use crate::domain::{FolderId, Timestamp, Uid};
use crate::imap::protocol::ImapError;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// By how much a window shrinks.
const SHRINK: usize = 8;
/// A connection that ends so often in a row in the same window, with nothing gained, ends because of it: some servers
/// crash on a message.
const LOST: u32 = 3;
/// The same in a window that is suspected already.
const LOST_AGAIN: u32 = 2;
/// A message that the server's answer blames is read so often before it is given up.
const BLAMED: u32 = 2;

/// The window being fetched, how large windows of its folder may be, and which messages are suspected.
#[derive(Debug, Default)]
pub(in crate::imap) struct Bisection {
    /// What is being fetched right now.
    pub(in crate::imap) attempt: Option<(FolderId, Vec<Uid>)>,
    /// How many UIDs a window of this folder may have.
    limit: Option<(FolderId, usize)>,
    /// The window in which the last connections ended, and how many in a row.
    lost: Option<(FolderId, Vec<Uid>, u32)>,
    /// Messages that are read in another way than their sizes suggest: that one failed.
    other_way: BTreeSet<(FolderId, Uid)>,
    /// What was listed and requested, and did not come.
    undelivered: BTreeMap<FolderId, BTreeSet<Uid>>,
    /// When quarantined messages were last tried again, and the last of them.
    tried: BTreeMap<(FolderId, Uid), Timestamp>,
    last_try: Option<Timestamp>,
}

/// A quarantined message is tried again at least so often.
const LONGEST_REST: Duration = Duration::from_secs(24 * 3600);

/// How long a quarantined message is left alone that was last tried so long after it was quarantined: each time twice as
/// long as before.
fn rest(first: Duration, tried_after: Duration) -> Duration {
    tried_after.min(LONGEST_REST).max(first)
}

impl Bisection {
    /// How many UIDs a window of this folder may have.
    pub(in crate::imap) fn window(&self, folder: FolderId) -> usize {
        match self.limit {
            Some((limited, size)) if limited == folder => size,
            _ => usize::MAX,
        }
    }

    /// Whether something of this folder could not be read.
    pub(in crate::imap) fn suspects(&self, folder: FolderId) -> bool {
        self.window(folder) != usize::MAX || !self.other_way(folder).is_empty()
    }

    /// Which messages of a folder are read in another way than their sizes suggest.
    pub(in crate::imap) fn other_way(&self, folder: FolderId) -> BTreeSet<Uid> {
        let all = (folder, Uid::MIN)..=(folder, Uid::MAX);
        self.other_way.range(all).map(|(_, uid)| *uid).collect()
    }

    /// The folder is in step: its windows may be large again.
    pub(in crate::imap) fn clear(&mut self, folder: FolderId) {
        self.attempt = None;
        self.lost = None;
        if self.limit.is_some_and(|(limited, _)| limited == folder) {
            self.limit = None;
        }
    }

    /// Windows of this folder become smaller than this one, at which reading failed.
    pub(in crate::imap) fn shrink(&mut self, folder: FolderId, window: &[Uid]) {
        self.limit = Some((folder, (window.len() / SHRINK).max(1)));
    }

    /// Reads a message in the other way from now on: what cannot be read whole may come in parts, and the other way round.
    /// `false`: it is read so already.
    pub(in crate::imap) fn read_other_way(&mut self, folder: FolderId, uid: Uid) -> bool {
        self.other_way.insert((folder, uid))
    }

    /// Of messages that were requested and did not come, those that did not come the time before either. The others are to
    /// be noted with [`Self::note_undelivered`].
    pub(in crate::imap) fn take_undelivered(
        &mut self,
        folder: FolderId,
        missing: &BTreeSet<Uid>,
    ) -> BTreeSet<Uid> {
        let before = self.undelivered.remove(&folder).unwrap_or_default();
        missing.intersection(&before).copied().collect()
    }

    /// These messages did not come for the first time.
    pub(in crate::imap) fn note_undelivered(&mut self, folder: FolderId, once: BTreeSet<Uid>) {
        self.undelivered.insert(folder, once);
    }

    /// Whether so much time has passed since a quarantined message was last tried that another may be.
    pub(in crate::imap) fn may_retry(&self, now: Timestamp, pace: Duration) -> bool {
        self.last_try.is_none_or(|last| now.since(last) >= pace)
    }

    /// Whether it is the turn of a message that was quarantined at `since` and first rests for `first`; then it counts as
    /// tried.
    pub(in crate::imap) fn take_retry(
        &mut self,
        (folder, uid): (FolderId, Uid),
        since: Timestamp,
        first: Duration,
        now: Timestamp,
    ) -> bool {
        let place = (folder, uid);
        let last = self.tried.get(&place).copied().unwrap_or(since);
        let is_due = now.since(last) >= rest(first, last.since(since));
        if is_due {
            self.tried.insert(place, now);
            self.last_try = Some(now);
        }
        is_due
    }

    /// Whether a failure in this window is blamed on it. One message is read a second time before.
    pub(in crate::imap) fn blames(&mut self, folder: FolderId, window: &[Uid], error: &ImapError) -> Blame {
        let is_blamed = blames_a_message(error);
        if !is_blamed && !error.ends_the_connection() {
            return Blame::Nobody;
        }
        let before = self.lost.take().filter(|(of, uids, _)| *of == folder && uids == window);
        let times = before.map_or(1, |(_, _, times)| times.saturating_add(1));
        let suspected = self.limit.is_some_and(|(limited, _)| limited == folder);
        let enough = match (is_blamed, window.len()) {
            (true, ..=1) => BLAMED,
            (true, _) => 1,
            (false, _) if suspected => LOST_AGAIN,
            (false, _) => LOST,
        };
        if times >= enough {
            return Blame::Window;
        }
        self.lost = Some((folder, window.to_vec(), times));
        if is_blamed { Blame::ReadAgain } else { Blame::Nobody }
    }
}

/// What a failure is blamed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::imap) enum Blame {
    /// Not the window's.
    Nobody,
    /// Perhaps the window's: it is read once more, at once.
    ReadAgain,
    /// The window's.
    Window,
}

/// Whether the failure can be the fault of a message in the window, and not of network, token or load.
fn blames_a_message(error: &ImapError) -> bool {
    if let ImapError::No { what: "FETCH", text } | ImapError::Bad { what: "FETCH", text } = error {
        let found = crate::diagnosis::imap(text);
        return found.is_none_or(|found| found.disposition == crate::domain::Disposition::GiveUp);
    }
    matches!(error, ImapError::Unreadable { .. } | ImapError::Exceeded { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarantined_message_rests_twice_as_long_each_time_and_no_longer_than_a_day() {
        let hour = Duration::from_secs(3600);
        let (mut at, mut hours) = (Duration::ZERO, Vec::new());
        for _ in 0..8 {
            at += rest(hour, at);
            hours.push(at.as_secs() / 3600);
        }
        assert_eq!(hours, [1, 2, 4, 8, 16, 32, 56, 80]);
    }

    const LOST_ONE: ImapError = ImapError::Lost { what: "FETCH" };

    #[test]
    fn a_connection_lost_in_one_window_again_and_again_is_laid_at_its_door() {
        let (folder, mut bisection) = (FolderId::generate(), Bisection::default());
        let window = [7, 8, 9];
        assert_eq!(bisection.blames(folder, &window, &LOST_ONE), Blame::Nobody);
        assert_eq!(bisection.blames(folder, &window, &LOST_ONE), Blame::Nobody);
        assert_eq!(bisection.blames(folder, &window, &LOST_ONE), Blame::Window);
        bisection.limit = Some((folder, 1));
        assert_eq!(bisection.blames(folder, &[8], &LOST_ONE), Blame::Nobody);
        assert_eq!(bisection.blames(folder, &[8], &LOST_ONE), Blame::Window, "twice in a suspected one");
    }

    #[test]
    fn whoever_gains_ground_or_is_told_why_blames_nobody() {
        let (folder, mut bisection) = (FolderId::generate(), Bisection::default());
        for last in 9..30 {
            assert_eq!(
                bisection.blames(folder, &[7, last], &LOST_ONE),
                Blame::Nobody,
                "another window each time"
            );
        }
        let expired = ImapError::Bye { text: "Session invalidated - AccessTokenExpired".into() };
        for _ in 0..10 {
            assert_eq!(bisection.blames(folder, &[7], &expired), Blame::Nobody);
        }
        let unreadable = ImapError::Unreadable { what: "FETCH", detail: "(".into() };
        assert_eq!(bisection.blames(folder, &[7, 8], &unreadable), Blame::Window, "smaller at once");
        assert_eq!(
            bisection.blames(folder, &[7], &unreadable),
            Blame::ReadAgain,
            "one message is read again"
        );
        assert_eq!(bisection.blames(folder, &[7], &unreadable), Blame::Window);
    }
}
