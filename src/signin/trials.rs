//! The schedule of trials as workers and API share it: locked, and with a wakeup for the worker.

use super::schedule::{Next, Schedule, Turn};
use crate::clock;
use crate::domain::{AppId, Incarnation, Timestamp};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Which mailboxes' trials run and wait.
#[derive(Default)]
pub(crate) struct Trials {
    schedule: Mutex<Schedule>,
    wakeup: Notify,
}

impl Trials {
    /// A mailbox has something to try.
    pub(crate) fn add(&self, mailbox: Incarnation) {
        self.write(|schedule, now| schedule.add(mailbox, false, now));
    }

    /// A person said "now" for a mailbox.
    pub(super) fn add_urgent(&self, mailbox: Incarnation) {
        self.write(|schedule, now| schedule.add(mailbox, true, now));
    }

    /// A mailbox was changed.
    pub(crate) fn changed(&self, mailbox: Incarnation) {
        self.write(|schedule, now| schedule.changed(mailbox, now));
    }

    /// An app was changed.
    pub(crate) fn app_changed(&self, app: &AppId) {
        self.write(|schedule, now| schedule.app_changed(app, now));
    }

    /// The provider accepted an app's credential.
    pub(super) fn app_accepted(&self, app: &AppId) {
        self.write(|schedule, now| schedule.app_accepted(app, now));
    }

    /// A trial ended.
    pub(super) fn ended(&self, mailbox: Incarnation, next: Next) {
        self.write(|schedule, now| schedule.ended(mailbox, next, now));
    }

    /// Takes a mailbox's turn for a trial outside the worker, so that no second one sends the same refresh token;
    /// `None`: its trial runs.
    pub(super) fn hold(&self, mailbox: Incarnation) -> Option<Hold<'_>> {
        let mut schedule = self.schedule.lock().unwrap_or_else(PoisonError::into_inner);
        schedule.hold(mailbox).then(|| Hold { trials: self, mailbox })
    }

    fn write(&self, change: impl FnOnce(&mut Schedule, Timestamp)) {
        change(&mut self.schedule.lock().unwrap_or_else(PoisonError::into_inner), clock::now());
        self.wakeup.notify_one();
    }

    /// The next trial; else how long to wait for one, if one waits.
    pub(super) fn next(&self) -> Result<Turn, Option<Duration>> {
        let mut schedule = self.schedule.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock::now();
        schedule.begin(now).ok_or_else(|| schedule.next_due().map(|due| due.since(now)))
    }

    /// Waits until something changed.
    pub(super) async fn woken(&self) {
        self.wakeup.notified().await;
    }
}

/// A mailbox's turn outside the worker. When it ends, however it ends, the worker looks for what is left to try.
pub(super) struct Hold<'a> {
    trials: &'a Trials,
    mailbox: Incarnation,
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.trials.write(|schedule, now| {
            schedule.ended(self.mailbox, Next::Done, now);
            schedule.add(self.mailbox, false, now);
        });
    }
}
