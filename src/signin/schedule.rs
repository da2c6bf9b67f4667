//! Which mailboxes' grant trials run, and which wait until when. Pure: `now` is an argument. It is made anew at a
//! start: what waited before a restart is tried at once.

use crate::domain::{AppId, Incarnation, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Trials at a time.
pub(super) const AT_ONCE: usize = 3;

/// A trial that is to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// Which mailbox's.
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
    Done,
    /// It is tried again.
    Retry {
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
    /// The app's circuit breaker refused the request: others are in flight, or the app is known to be broken.
    NotAdmitted,
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
    /// Apps that were accepted since it began: its request may have been refused just before.
    accepted: BTreeSet<AppId>,
}

/// The trials of all mailboxes.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    waiting: BTreeMap<Incarnation, Wait>,
    running: BTreeMap<Incarnation, Run>,
    /// Running, and to be tried again when that has ended: something changed meanwhile.
    again: BTreeSet<Incarnation>,
}

impl Schedule {
    /// A mailbox has something to try.
    pub(super) fn add(&mut self, mailbox: Incarnation, urgent: bool, now: Timestamp) {
        if self.running.contains_key(&mailbox) {
            self.again.insert(mailbox);
        } else {
            let wait = Wait { due: now, failures: 0, urgent, app: None, why: Why::Other };
            self.waiting.insert(mailbox, wait);
        }
    }

    /// A mailbox was changed: if its trial waits, it is due.
    pub(super) fn changed(&mut self, mailbox: Incarnation, now: Timestamp) {
        if self.waiting.contains_key(&mailbox) || self.running.contains_key(&mailbox) {
            self.add(mailbox, false, now);
        }
    }

    /// A provider accepted an app's credential: trials that wait because of it are due.
    pub(super) fn app_accepted(&mut self, app: &AppId, now: Timestamp) {
        let waits = |wait: &&mut Wait| wait.app.as_ref() == Some(app) && wait.why != Why::Other;
        self.waiting.values_mut().filter(waits).for_each(|wait| wait.due = now);
        for run in self.running.values_mut() {
            run.accepted.insert(app.clone());
        }
    }

    /// An app was changed: trials that wait for anything about it are due.
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

    /// Takes a mailbox's turn for somebody who tries it outside the worker; false: its trial runs. To be ended like a
    /// trial.
    pub(super) fn hold(&mut self, mailbox: Incarnation) -> bool {
        if self.running.contains_key(&mailbox) {
            return false;
        }
        self.waiting.remove(&mailbox);
        self.running.insert(mailbox, Run::default());
        true
    }

    /// A trial ended.
    pub(super) fn ended(&mut self, mailbox: Incarnation, next: Next, now: Timestamp) {
        let run = self.running.remove(&mailbox).unwrap_or_default();
        let was_changed = self.again.remove(&mailbox);
        let Next::Retry { until, app, why } = next else {
            // what was handed in meanwhile is looked for; if it is nothing, that trial ends at once
            if was_changed {
                self.add(mailbox, false, now);
            }
            return;
        };
        let failures = if why == Why::NotAdmitted { run.failures } else { run.failures.saturating_add(1) };
        let is_accepted = why != Why::Other && app.as_ref().is_some_and(|app| run.accepted.contains(app));
        let due = if is_accepted { now } else { until };
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
        Next::Retry { until: Timestamp(until), app, why: Why::Other }
    }

    fn schedule(count: u64) -> Schedule {
        let mut schedule = Schedule::default();
        (1..=count).for_each(|mailbox| schedule.add(Incarnation(mailbox), false, Timestamp(0)));
        schedule
    }

    fn begun(schedule: &mut Schedule, now: i64) -> Vec<u64> {
        std::iter::from_fn(|| schedule.begin(Timestamp(now)).map(|turn| turn.mailbox.0)).collect()
    }

    #[test]
    fn few_are_tried_at_a_time_and_all_in_the_end() {
        let mut schedule = schedule(5);
        assert_eq!(begun(&mut schedule, 0), [1, 2, 3]);
        assert_eq!(schedule.next_due(), None, "no room");
        schedule.ended(Incarnation(2), Next::Done, Timestamp(0));
        assert_eq!(begun(&mut schedule, 0), [4]);
        for mailbox in [1, 3, 4] {
            schedule.ended(Incarnation(mailbox), Next::Done, Timestamp(0));
        }
        assert_eq!(begun(&mut schedule, 0), [5]);
        schedule.ended(Incarnation(5), Next::Done, Timestamp(0));
        assert_eq!((schedule.next_due(), schedule.begin(Timestamp(9))), (None, None));
    }

    #[test]
    fn who_failed_waits_until_its_time_its_app_or_it_itself_is_changed() {
        let mut schedule = schedule(3);
        begun(&mut schedule, 0);
        for (mailbox, app) in [(1, "a"), (2, "b"), (3, "b")] {
            schedule.ended(Incarnation(mailbox), again(60, app), Timestamp(1));
        }
        assert_eq!((begun(&mut schedule, 59), schedule.next_due()), (vec![], Some(Timestamp(60))));
        schedule.app_changed(&AppId::new("b").unwrap(), Timestamp(5));
        assert_eq!(begun(&mut schedule, 5), [2, 3]);
        schedule.changed(Incarnation(1), Timestamp(6));
        assert_eq!(begun(&mut schedule, 6), [1]);
        schedule.ended(Incarnation(1), again(60, "a"), Timestamp(7));
        let turn = schedule.begin(Timestamp(60)).unwrap();
        assert_eq!((turn.mailbox, turn.failures), (Incarnation(1), 1));
        schedule.ended(Incarnation(1), again(120, "a"), Timestamp(61));
        assert_eq!(schedule.begin(Timestamp(120)).unwrap().failures, 2);
    }

    #[test]
    fn what_changes_in_the_middle_of_a_trial_is_tried_again() {
        let mut schedule = schedule(1);
        begun(&mut schedule, 0);
        schedule.add(Incarnation(1), false, Timestamp(1));
        assert_eq!(schedule.begin(Timestamp(1)), None, "not twice at a time");
        schedule.ended(Incarnation(1), Next::Done, Timestamp(2));
        assert_eq!(begun(&mut schedule, 2), [1]);
        schedule.app_changed(&AppId::new("a").unwrap(), Timestamp(3));
        schedule.ended(Incarnation(1), again(60, "a"), Timestamp(4));
        assert_eq!(begun(&mut schedule, 4), [1]);
    }

    #[test]
    fn a_mailbox_that_is_held_is_not_tried_beside_that() {
        let mut schedule = schedule(1);
        assert!(schedule.hold(Incarnation(1)), "it only waits");
        assert!(!schedule.hold(Incarnation(1)));
        schedule.add(Incarnation(1), true, Timestamp(1));
        assert_eq!(schedule.begin(Timestamp(1)), None, "a person's word does not begin a second one");
        schedule.ended(Incarnation(1), Next::Done, Timestamp(2));
        assert_eq!(begun(&mut schedule, 2), [1], "but is heard afterwards");
        assert!(!schedule.hold(Incarnation(1)), "its trial runs");
    }

    #[test]
    fn who_was_only_sent_away_has_not_failed() {
        let mut schedule = schedule(1);
        begun(&mut schedule, 0);
        let app = AppId::new("a").unwrap();
        let not_admitted = Next::Retry { until: Timestamp(5), app: Some(app.clone()), why: Why::NotAdmitted };
        schedule.ended(Incarnation(1), not_admitted.clone(), Timestamp(1));
        assert_eq!(schedule.begin(Timestamp(5)).unwrap().failures, 0);
        schedule.ended(Incarnation(1), not_admitted, Timestamp(1));
        schedule.app_accepted(&app, Timestamp(2));
        assert_eq!(begun(&mut schedule, 2), [1]);
        schedule.app_accepted(&app, Timestamp(2));
        let not_admitted =
            Next::Retry { until: Timestamp(50), app: Some(app.clone()), why: Why::NotAdmitted };
        schedule.ended(Incarnation(1), not_admitted, Timestamp(3));
        assert_eq!(begun(&mut schedule, 3), [1], "accepted while it was on its way back");
        schedule.ended(Incarnation(1), again(60, "a"), Timestamp(3));
        schedule.app_accepted(&app, Timestamp(4));
        assert_eq!(begun(&mut schedule, 4).len(), 0, "its app was not what it waits for");
        schedule.changed(Incarnation(7), Timestamp(5));
        assert_eq!(schedule.next_due(), Some(Timestamp(60)), "who has nothing to try is not tried");
    }
}
