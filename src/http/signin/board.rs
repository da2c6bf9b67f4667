//! Which mailboxes' trials run, and which wait until when. Pure: `now` is an argument. It is made anew at a start:
//! what an earlier life waited for is tried at once.

use crate::domain::{AppId, Incarnation, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Trials at a time.
pub(super) const AT_ONCE: usize = 3;

/// A trial that is to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// Whose.
    pub(super) mailbox: Incarnation,
    /// How many failed in a row.
    pub(super) failures: u32,
    /// A person said "now".
    pub(super) urgent: bool,
}

/// What a trial came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// There is nothing more to try.
    Settled,
    /// Again then.
    Again {
        /// When.
        until: Timestamp,
        /// By whose credentials; a change of it is reason to try at once.
        app: Option<AppId>,
        /// Why.
        why: Why,
    },
}

/// Why a trial is to be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It was not let through: its app has other requests on their way, or is known to be broken.
    SentAway,
    /// What its app has to do with failed.
    App,
    /// Something else failed.
    Other,
}

#[derive(Clone, Debug)]
struct Wait {
    due: Timestamp,
    failures: u32,
    urgent: bool,
    app: Option<AppId>,
    why: Why,
}

/// A trial that runs.
#[derive(Debug, Default)]
struct Run {
    failures: u32,
    /// Apps that were believed since it began: it may have been sent away just before.
    mended: BTreeSet<AppId>,
}

/// The trials of all mailboxes.
#[derive(Debug, Default)]
pub(super) struct Board {
    waiting: BTreeMap<Incarnation, Wait>,
    running: BTreeMap<Incarnation, Run>,
    /// Running, and to be tried again when that has ended: something changed meanwhile.
    again: BTreeSet<Incarnation>,
}

impl Board {
    /// A mailbox has something to try.
    pub(super) fn add(&mut self, mailbox: Incarnation, urgent: bool, now: Timestamp) {
        if self.running.contains_key(&mailbox) {
            self.again.insert(mailbox);
        } else {
            let wait = Wait { due: now, failures: 0, urgent, app: None, why: Why::Other };
            self.waiting.insert(mailbox, wait);
        }
    }

    /// A mailbox was changed: if it waits, it waits no longer.
    pub(super) fn changed(&mut self, mailbox: Incarnation, now: Timestamp) {
        if self.waiting.contains_key(&mailbox) || self.running.contains_key(&mailbox) {
            self.add(mailbox, false, now);
        }
    }

    /// An app was believed: whoever waits because it was not waits no longer.
    pub(super) fn app_mended(&mut self, app: &AppId, now: Timestamp) {
        let waits = |wait: &&mut Wait| wait.app.as_ref() == Some(app) && wait.why != Why::Other;
        self.waiting.values_mut().filter(waits).for_each(|wait| wait.due = now);
        for run in self.running.values_mut() {
            run.mended.insert(app.clone());
        }
    }

    /// An app was changed: whoever waits for anything about it waits no longer.
    pub(super) fn app_changed(&mut self, app: &AppId, now: Timestamp) {
        for wait in self.waiting.values_mut().filter(|wait| wait.app.as_ref() == Some(app)) {
            wait.due = now;
            wait.failures = 0;
        }
        // its credentials may have been read before
        self.again.extend(self.running.keys());
    }

    /// The next trial, if there is room for one and one is due.
    pub(super) fn begin(&mut self, now: Timestamp) -> Option<Turn> {
        if self.running.len() >= AT_ONCE {
            return None;
        }
        let due = self.waiting.iter().filter(|(_, wait)| wait.due <= now);
        let mailbox = due.min_by_key(|(_, wait)| wait.due).map(|(mailbox, _)| *mailbox)?;
        let Wait { failures, urgent, .. } = self.waiting.remove(&mailbox)?;
        self.running.insert(mailbox, Run { failures, ..Run::default() });
        Some(Turn { mailbox, failures, urgent })
    }

    /// A trial ended.
    pub(super) fn ended(&mut self, mailbox: Incarnation, next: Next, now: Timestamp) {
        let run = self.running.remove(&mailbox).unwrap_or_default();
        let was_changed = self.again.remove(&mailbox);
        let Next::Again { until, app, why } = next else {
            // what was handed in meanwhile is looked for; if it is nothing, that trial is settled at once
            if was_changed {
                self.add(mailbox, false, now);
            }
            return;
        };
        let failures = if why == Why::SentAway { run.failures } else { run.failures.saturating_add(1) };
        let is_mended = why != Why::Other && app.as_ref().is_some_and(|app| run.mended.contains(app));
        let due = if is_mended { now } else { until };
        let wait = Wait { due, failures, urgent: false, app, why };
        self.waiting.insert(mailbox, if was_changed { Wait { due: now, failures: 0, ..wait } } else { wait });
    }

    /// When the next one is due; `None`: none waits, or there is no room.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let has_room = self.running.len() < AT_ONCE;
        self.waiting.values().map(|wait| wait.due).min().filter(|_| has_room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(until: i64, app: &str) -> Next {
        let app = Some(AppId::new(app).unwrap());
        Next::Again { until: Timestamp(until), app, why: Why::Other }
    }

    fn board(count: u64) -> Board {
        let mut board = Board::default();
        (1..=count).for_each(|mailbox| board.add(Incarnation(mailbox), false, Timestamp(0)));
        board
    }

    fn begun(board: &mut Board, now: i64) -> Vec<u64> {
        std::iter::from_fn(|| board.begin(Timestamp(now)).map(|turn| turn.mailbox.0)).collect()
    }

    #[test]
    fn few_are_tried_at_a_time_and_all_in_the_end() {
        let mut board = board(5);
        assert_eq!(begun(&mut board, 0), [1, 2, 3]);
        assert_eq!(board.next_due(), None, "no room");
        board.ended(Incarnation(2), Next::Settled, Timestamp(0));
        assert_eq!(begun(&mut board, 0), [4]);
        for mailbox in [1, 3, 4] {
            board.ended(Incarnation(mailbox), Next::Settled, Timestamp(0));
        }
        assert_eq!(begun(&mut board, 0), [5]);
        board.ended(Incarnation(5), Next::Settled, Timestamp(0));
        assert_eq!((board.next_due(), board.begin(Timestamp(9))), (None, None));
    }

    #[test]
    fn who_failed_waits_until_its_time_its_app_or_it_itself_is_changed() {
        let mut board = board(3);
        begun(&mut board, 0);
        for (mailbox, app) in [(1, "a"), (2, "b"), (3, "b")] {
            board.ended(Incarnation(mailbox), again(60, app), Timestamp(1));
        }
        assert_eq!((begun(&mut board, 59), board.next_due()), (vec![], Some(Timestamp(60))));
        board.app_changed(&AppId::new("b").unwrap(), Timestamp(5));
        assert_eq!(begun(&mut board, 5), [2, 3]);
        board.changed(Incarnation(1), Timestamp(6));
        assert_eq!(begun(&mut board, 6), [1]);
        board.ended(Incarnation(1), again(60, "a"), Timestamp(7));
        let turn = board.begin(Timestamp(60)).unwrap();
        assert_eq!((turn.mailbox, turn.failures), (Incarnation(1), 1));
        board.ended(Incarnation(1), again(120, "a"), Timestamp(61));
        assert_eq!(board.begin(Timestamp(120)).unwrap().failures, 2);
    }

    #[test]
    fn what_changes_in_the_middle_of_a_trial_is_tried_again() {
        let mut board = board(1);
        begun(&mut board, 0);
        board.add(Incarnation(1), false, Timestamp(1));
        assert_eq!(board.begin(Timestamp(1)), None, "not twice at a time");
        board.ended(Incarnation(1), Next::Settled, Timestamp(2));
        assert_eq!(begun(&mut board, 2), [1]);
        board.app_changed(&AppId::new("a").unwrap(), Timestamp(3));
        board.ended(Incarnation(1), again(60, "a"), Timestamp(4));
        assert_eq!(begun(&mut board, 4), [1]);
    }

    #[test]
    fn who_was_only_sent_away_has_not_failed() {
        let mut board = board(1);
        begun(&mut board, 0);
        let app = AppId::new("a").unwrap();
        let sent_away = Next::Again { until: Timestamp(5), app: Some(app.clone()), why: Why::SentAway };
        board.ended(Incarnation(1), sent_away.clone(), Timestamp(1));
        assert_eq!(board.begin(Timestamp(5)).unwrap().failures, 0);
        board.ended(Incarnation(1), sent_away, Timestamp(1));
        board.app_mended(&app, Timestamp(2));
        assert_eq!(begun(&mut board, 2), [1]);
        board.app_mended(&app, Timestamp(2));
        let sent_away = Next::Again { until: Timestamp(50), app: Some(app.clone()), why: Why::SentAway };
        board.ended(Incarnation(1), sent_away, Timestamp(3));
        assert_eq!(begun(&mut board, 3), [1], "mended while it was on its way back");
        board.ended(Incarnation(1), again(60, "a"), Timestamp(3));
        board.app_mended(&app, Timestamp(4));
        assert_eq!(begun(&mut board, 4).len(), 0, "its app was not what it waits for");
        board.changed(Incarnation(7), Timestamp(5));
        assert_eq!(board.next_due(), Some(Timestamp(60)), "who has nothing to try is not tried");
    }
}
