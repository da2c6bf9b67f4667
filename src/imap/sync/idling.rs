//! Whether IDLE is of use with a mailbox's server: some offer it and refuse it, end it at once, or hang up on it. Then the
//! mailbox is polled, and IDLE is tried again hours later. Pure.

use crate::config::Timing;
use crate::imap::connection::{IdleEnd, Waiting};
use crate::imap::protocol::ImapError;
use std::time::{Duration, Instant};

/// IDLE that ends or ends the connection within this time was of no use.
const USELESS: Duration = Duration::from_secs(1);
/// So often in a row it may be by chance.
const CHANCES: u32 = 3;

/// What is known about IDLE with one mailbox's server.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Idling {
    /// Until when it is given up.
    given_up: Option<Instant>,
    useless: u32,
}

impl Idling {
    /// How to wait now.
    pub(in crate::imap) fn waiting(&self, now: Instant) -> Waiting {
        if self.given_up.is_some_and(|until| now < until) { Waiting::Poll } else { Waiting::Idle }
    }

    /// Waiting that began at `begun` ended so.
    pub(in crate::imap) fn note(
        &mut self,
        end: &Result<IdleEnd, ImapError>,
        begun: Instant,
        now: Instant,
        timing: &Timing,
    ) {
        if self.waiting(begun) == Waiting::Poll {
            return;
        }
        let is_short = now.saturating_duration_since(begun) < USELESS;
        let give_up = match end {
            Ok(IdleEnd::Refused) => true,
            Ok(IdleEnd::Ended) => is_short && self.was_useless(),
            Err(ImapError::Timeout { what: "IDLE", .. }) => self.was_useless(),
            Err(error) if error.ends_the_connection() && is_short => self.was_useless(),
            Err(_) => false,
            Ok(IdleEnd::Changed | IdleEnd::Elapsed | IdleEnd::Woken | IdleEnd::Stopping) => {
                self.useless = 0;
                false
            }
        };
        if give_up {
            tracing::info!("IDLE is of no use here: the mailbox is polled");
            *self = Self { given_up: now.checked_add(timing.idle_again), useless: 0 };
        }
    }

    fn was_useless(&mut self) -> bool {
        self.useless = self.useless.saturating_add(1);
        self.useless >= CHANCES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_that_is_refused_or_of_no_use_is_given_up_for_hours() {
        let (timing, begun) = (Timing::default(), crate::clock::monotonic());
        let moment = begun + Duration::from_millis(10);
        let lost = || Err(ImapError::Lost { what: "IDLE" });
        let after = |ends: Vec<Result<IdleEnd, ImapError>>| {
            let mut idling = Idling::default();
            ends.iter().for_each(|end| idling.note(end, begun, moment, &timing));
            idling
        };
        let refused = after(vec![Ok(IdleEnd::Refused)]);
        assert_eq!(refused.waiting(moment), Waiting::Poll);
        assert_eq!(refused.waiting(moment + timing.idle_again), Waiting::Idle);
        assert_eq!(
            after(vec![Ok(IdleEnd::Ended), Ok(IdleEnd::Ended), lost()]).waiting(moment),
            Waiting::Poll
        );
        assert_eq!(after(vec![lost(), lost()]).waiting(moment), Waiting::Idle, "by chance");
        assert_eq!(after(vec![lost(), Ok(IdleEnd::Changed), lost(), lost()]).waiting(moment), Waiting::Idle);
    }
}
