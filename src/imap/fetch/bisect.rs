//! Isolation: one message that cannot be fetched must not stop its folder. The window at fault is fetched
//! again in smaller ones, each on a new connection; a window of one that fails again is quarantined.

use crate::clock;
use crate::domain::{Folder, FolderId, Timestamp, Uid};
use crate::imap::connection::Connection;
use crate::imap::protocol::ImapError;
use crate::imap::sync::{ListedMessage, Syncer};
use crate::store::{Commit, Quarantined};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// By how much a window shrinks.
const SHRINK: usize = 8;
/// A connection that ends so often in a row in the same window, with nothing gained, ends because of it: some servers
/// crash on a message.
const LOST: u32 = 3;
/// A message that something is said to be wrong with is read so often.
const TOLD: u32 = 2;
/// In a window that is suspected already.
const LOST_AGAIN: u32 = 2;

/// The window being fetched, and how large windows of its folder may be.
#[derive(Debug, Default)]
pub(in crate::imap) struct Isolation {
    /// What is being fetched right now.
    pub(in crate::imap) attempt: Option<(FolderId, Vec<Uid>)>,
    limit: Option<(FolderId, usize)>,
    lost: Option<(FolderId, Vec<Uid>, u32)>,
    /// Messages that are read in another way than their sizes suggest: that one failed.
    other_way: BTreeSet<(FolderId, Uid)>,
    /// What was listed, asked for, and not delivered.
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

impl Isolation {
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

    /// Whether a failure in this window is laid at its door. One message is given a second reading.
    fn blames(&mut self, folder: FolderId, window: &[Uid], error: &ImapError) -> Blame {
        let is_told = blames_a_message(error);
        if !is_told && !error.ends_the_connection() {
            return Blame::Nobody;
        }
        let before = self.lost.take().filter(|(of, uids, _)| *of == folder && uids == window);
        let times = before.map_or(1, |(_, _, times)| times.saturating_add(1));
        let suspected = self.limit.is_some_and(|(limited, _)| limited == folder);
        let enough = match (is_told, window.len()) {
            (true, ..=1) => TOLD,
            (true, _) => 1,
            (false, _) if suspected => LOST_AGAIN,
            (false, _) => LOST,
        };
        if times >= enough {
            return Blame::Window;
        }
        self.lost = Some((folder, window.to_vec(), times));
        if is_told { Blame::ReadAgain } else { Blame::Nobody }
    }
}

/// At whose door a failure is laid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blame {
    /// Not the window's.
    Nobody,
    /// Perhaps the window's: it is read once more, at once.
    ReadAgain,
    /// The window's.
    Window,
}

impl Syncer {
    /// After a failed ride: `true` if the failure was a window's and was made smaller or quarantined.
    pub(in crate::imap) async fn isolate(&mut self, error: &ImapError) -> Result<bool, ImapError> {
        let Some((folder, window)) = self.isolation.attempt.take() else { return Ok(false) };
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
        match self.isolation.blames(folder, &window, error) {
            Blame::Nobody if !is_fault => return Ok(false),
            Blame::ReadAgain if !is_fault => return Ok(true),
            Blame::Nobody | Blame::ReadAgain | Blame::Window => {}
        }
        let [uid] = window.as_slice() else {
            self.isolation.limit = Some((folder, (window.len() / SHRINK).max(1)));
            return Ok(true);
        };
        // what cannot be read whole may come in pieces, and the other way round
        if is_fault || !self.isolation.other_way.insert((folder, *uid)) {
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
        let before = self.isolation.undelivered.remove(&folder).unwrap_or_default();
        for uid in missing.intersection(&before) {
            self.quarantine(folder, *uid, "the server lists it and sends no body").await?;
        }
        let once: BTreeSet<Uid> = missing.difference(&before).copied().collect();
        let all_came = once.is_empty();
        if !all_came {
            self.isolation.undelivered.insert(folder, once);
        }
        Ok(all_came)
    }

    /// Forgets quarantined messages that a complete listing does not name.
    pub(in crate::imap) async fn release_gone(
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

    /// A quarantined message whose turn it is: what ended connections may have been a bad hour of the server's, and what we
    /// failed at a newer program may master. One at a time, and not more often than at this pace.
    pub(in crate::imap) fn next_chance<'f>(
        &mut self,
        folders: &'f [Folder],
        pace: Duration,
    ) -> Result<Option<(&'f Folder, Uid)>, ImapError> {
        let now = clock::now();
        if self.isolation.last_try.is_some_and(|last| now.since(last) < pace) {
            return Ok(None);
        }
        for folder in folders {
            for apart in self.store.quarantined(self.owner.mailbox, folder.id, folder.incarnation)? {
                let place = (folder.id, apart.uid);
                let last = self.isolation.tried.get(&place).copied().unwrap_or(apart.since);
                if now.since(last) >= rest(self.quarantine_retry, last.since(apart.since)) {
                    self.isolation.tried.insert(place, now);
                    self.isolation.last_try = Some(now);
                    return Ok(Some((folder, apart.uid)));
                }
            }
        }
        Ok(None)
    }

    /// Fetches a quarantined message again; stored, it is not quarantined any more.
    pub(in crate::imap) async fn try_again(
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
        let (folder, mut isolation) = (FolderId::generate(), Isolation::default());
        let window = [7, 8, 9];
        assert_eq!(isolation.blames(folder, &window, &LOST_ONE), Blame::Nobody);
        assert_eq!(isolation.blames(folder, &window, &LOST_ONE), Blame::Nobody);
        assert_eq!(isolation.blames(folder, &window, &LOST_ONE), Blame::Window);
        isolation.limit = Some((folder, 1));
        assert_eq!(isolation.blames(folder, &[8], &LOST_ONE), Blame::Nobody);
        assert_eq!(isolation.blames(folder, &[8], &LOST_ONE), Blame::Window, "twice in a suspected one");
    }

    #[test]
    fn whoever_gains_ground_or_is_told_why_blames_nobody() {
        let (folder, mut isolation) = (FolderId::generate(), Isolation::default());
        for last in 9..30 {
            assert_eq!(
                isolation.blames(folder, &[7, last], &LOST_ONE),
                Blame::Nobody,
                "another window each time"
            );
        }
        let expired = ImapError::Bye { text: "Session invalidated - AccessTokenExpired".into() };
        for _ in 0..10 {
            assert_eq!(isolation.blames(folder, &[7], &expired), Blame::Nobody);
        }
        let unreadable = ImapError::Unreadable { what: "FETCH", detail: "(".into() };
        assert_eq!(isolation.blames(folder, &[7, 8], &unreadable), Blame::Window, "smaller at once");
        assert_eq!(
            isolation.blames(folder, &[7], &unreadable),
            Blame::ReadAgain,
            "one message is read again"
        );
        assert_eq!(isolation.blames(folder, &[7], &unreadable), Blame::Window);
    }
}
