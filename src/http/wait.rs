//! Long polling: a request waits until something changes.

use super::Shared;
use crate::problem::Problem;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Sleep;

const LONGEST_WAIT: u64 = 60;

impl Shared {
    /// Waits until something changes; `false`: the time was up before, or the process ends.
    pub(super) async fn changes<T>(&self, what: &mut watch::Receiver<T>, end: Pin<&mut Sleep>) -> bool {
        let mut ending = self.ending.clone();
        tokio::select! {
            changed = what.changed() => changed.is_ok(),
            () = end => false,
            // an error: nothing is left that could end it
            Ok(_) = ending.wait_for(|is_ending| *is_ending) => false,
        }
    }
}

/// How long to wait, in seconds, at most 60.
pub(super) fn wait(asked: Option<u64>) -> Result<Duration, Problem> {
    match asked.unwrap_or(0) {
        seconds @ 0..=LONGEST_WAIT => Ok(Duration::from_secs(seconds)),
        other => Err(Problem::bad_request(
            "bad_wait",
            format!("wait: {other} is more than {LONGEST_WAIT} seconds"),
        )),
    }
}
