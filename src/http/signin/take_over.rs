//! The worker that goes on with what needs no user: refresh tokens of another system, and mailboxes that an app opens by
//! itself. A few mailboxes at a time, woken when one is handed in and when something changes that one waits for. What it
//! lost with the process is found again at the next start.

use super::super::Shared;
use super::board::{Board, Next, Turn, Why};
use super::trial::{pending, trial};
use crate::clock;
use crate::domain::{AppId, Incarnation, Timestamp};
use crate::store::{SignIn, StoreError, StoredMailbox};
use actix_web::web::Data;
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// How long a trial that ended by a fault of ours is left alone.
const AFTER_FAULT: Duration = Duration::from_secs(15 * 60);

/// Whose trials run and wait.
#[derive(Default)]
pub(in crate::http) struct Trials {
    board: Mutex<Board>,
    bell: Notify,
}

impl Trials {
    /// A mailbox has something to try.
    pub(in crate::http) fn add(&self, mailbox: Incarnation) {
        self.write(|board, now| board.add(mailbox, false, now));
    }

    /// A mailbox was changed.
    pub(in crate::http) fn changed(&self, mailbox: Incarnation) {
        self.write(|board, now| board.changed(mailbox, now));
    }

    /// An app was changed.
    pub(in crate::http) fn app_changed(&self, app: &AppId) {
        self.write(|board, now| board.app_changed(app, now));
    }

    /// An app was believed.
    pub(super) fn app_mended(&self, app: &AppId) {
        self.write(|board, now| board.app_mended(app, now));
    }

    fn write<T>(&self, change: impl FnOnce(&mut Board, Timestamp) -> T) -> T {
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let done = change(&mut board, clock::now());
        self.bell.notify_one();
        done
    }

    /// The next trial; else how long to wait for one, if one waits.
    fn next(&self) -> Result<Turn, Option<Duration>> {
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock::now();
        board.begin(now).ok_or_else(|| board.next_due().map(|due| due.since(now)))
    }
}

/// Puts everything on the board that an earlier life of the daemon left. To be called before requests are served.
pub(in crate::http) fn resume(shared: &Shared) {
    let left = shared.store.sign_ins().unwrap_or_else(|error| {
        tracing::error!(%error, "sign-ins cannot be read");
        Vec::new()
    });
    left.iter()
        .filter(|row| row.value.is_to_be_tried())
        .for_each(|row| shared.trials.add(row.value.incarnation));
}

/// Tries as long as the server runs.
pub(in crate::http) async fn run(shared: Data<Shared>) {
    let mut running = FuturesUnordered::new();
    loop {
        let pause = match shared.trials.next() {
            Ok(turn) => {
                let working = shared.clone();
                // apart from this worker: a panic costs one trial
                let work = actix_web::rt::spawn(async move { trial(&working, turn).await });
                running.push(async move { (turn.mailbox, work.await) });
                continue;
            }
            Err(pause) => pause,
        };
        tokio::select! {
            Some((mailbox, ended)) = running.next() => {
                let next = ended.unwrap_or_else(|_| {
                    let until = clock::now().plus(AFTER_FAULT);
                    Next::Again { until, app: None, why: Why::Other }
                });
                shared.trials.write(|board, now| board.ended(mailbox, next, now));
            }
            () = shared.trials.bell.notified() => {}
            () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
        }
    }
}

/// A person says "now": the sign-in that is tried, if the mailbox has one.
pub(in crate::http) fn try_again(
    shared: &Shared,
    stored: &StoredMailbox,
) -> Result<Option<SignIn>, StoreError> {
    let Some(row) = pending(shared, stored.incarnation)? else { return Ok(None) };
    shared.trials.write(|board, now| board.add(stored.incarnation, true, now));
    Ok(Some(row.value))
}
