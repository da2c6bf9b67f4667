//! Which mailboxes must be started and stopped, and when a dead actor is started again. Pure.

use crate::backoff::Backoff;
use crate::domain::{Auth, Incarnation, Mailbox, MailboxState};
use crate::store::StoredMailbox;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What is to be done so that what runs is what is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Running, and gone from the store or changed there.
    pub(super) stop: Vec<Incarnation>,
    /// Stored, and not running or changed.
    pub(super) start: Vec<StoredMailbox>,
}

/// Compares what runs (by generation) with what is stored.
pub(super) fn plan(running: &BTreeMap<Incarnation, u64>, stored: Vec<StoredMailbox>) -> Plan {
    let wanted: BTreeMap<Incarnation, u64> =
        stored.iter().map(|stored| (stored.incarnation, stored.generation)).collect();
    let outdated = |(incarnation, generation): (&Incarnation, &u64)| {
        (wanted.get(incarnation) != Some(generation)).then_some(*incarnation)
    };
    let stop = running.iter().filter_map(outdated).collect();
    let is_new = |stored: &StoredMailbox| running.get(&stored.incarnation) != Some(&stored.generation);
    Plan { stop, start: stored.into_iter().filter(is_new).collect() }
}

/// Why a mailbox has no receiving or sending actors; `None`: it has.
pub(super) fn resting_state(mailbox: &Mailbox) -> Option<MailboxState> {
    match &mailbox.auth {
        _ if !mailbox.active => Some(MailboxState::Paused),
        Auth::Oauth { app: None, .. } => Some(MailboxState::AwaitingApp),
        Auth::Oauth { app: Some(_), .. }
        | Auth::AppOnly { .. }
        | Auth::ServiceAccount { .. }
        | Auth::Password { .. } => None,
    }
}

/// A life this long wipes out what was before.
const GOOD_LIFE: Duration = Duration::from_secs(300);
const RESTARTS: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(60));

/// How often an actor died lately.
#[derive(Clone, Copy, Debug)]
pub(super) struct Restarts {
    /// Since the mailbox was started.
    pub(super) total: u32,
    recent: u32,
    born: Instant,
}

impl Restarts {
    pub(super) fn new(now: Instant) -> Self {
        Self { total: 0, recent: 0, born: now }
    }

    /// It died: how long to wait before its successor is spawned.
    pub(super) fn died(&mut self, now: Instant) -> Duration {
        if now.saturating_duration_since(self.born) >= GOOD_LIFE {
            self.recent = 0;
        }
        self.recent = self.recent.saturating_add(1);
        let wait = RESTARTS.pause(self.recent, 0.0);
        self.total = self.total.saturating_add(1);
        self.born = now + wait;
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn restarts_wait_longer_up_to_a_cap_and_a_good_life_forgives() {
        let start = clock::monotonic();
        let mut restarts = Restarts::new(start);
        let waits: Vec<Duration> = (0..10).map(|_| restarts.died(start)).collect();
        assert_eq!(waits[0], RESTARTS.first);
        assert_eq!(waits[1], RESTARTS.first * 2);
        assert_eq!(waits[9], RESTARTS.longest);
        assert_eq!(restarts.died(start + RESTARTS.longest + GOOD_LIFE), RESTARTS.first);
        assert_eq!(restarts.total, 11);
    }
}
