//! When to connect again after a failed connection attempt. Pure: the error and its history in, a wait and a state out.

use crate::backoff::{Backoff, probe_pause};
use crate::config::Timing;
use crate::domain::{Disposition, MailboxState};
use crate::imap::protocol::ImapError;
use std::time::Duration;

/// What to do after a failed connection attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// What to show meanwhile; `None`: what is shown stays.
    pub state: Option<MailboxState>,
    /// How long to wait.
    pub wait: Duration,
    /// Whether a wake-up (a new grant, "retry now") ends the wait at once.
    pub wakeable: bool,
    /// Whether the access token has to be replaced first.
    pub fresh_token: bool,
}

/// The history of failures since the last good connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct FailureHistory {
    failures: u32,
    refused_tokens: u32,
    not_connected: u32,
}

/// "Authenticated but not connected" passes by itself; after so many tries an administrator has to act.
const NOT_CONNECTED_TRIES: u32 = 6;

impl FailureHistory {
    /// A connection came in step and ended after so long. One that lived through a round was good; after others the waits grow: a
    /// server that always hangs up is not connected to every second.
    pub fn lived(&mut self, time: Duration, timing: &Timing) {
        if time >= timing.status_interval {
            *self = Self::default();
        }
    }

    /// What to do about a failure; `jitter` is in 0..1.
    pub fn after(&mut self, error: &ImapError, timing: &Timing, oauth: bool, jitter: f64) -> Next {
        let wait = |state, wait| Next { state: Some(state), wait, wakeable: true, fresh_token: false };
        self.failures = self.failures.saturating_add(1);
        if is_not_connected(error) {
            self.not_connected = self.not_connected.saturating_add(1);
            if self.not_connected > NOT_CONNECTED_TRIES {
                return wait(MailboxState::NeedsAdmin, probe_pause(self.failures));
            }
            return wait(MailboxState::Retrying, probe_pause(self.not_connected).min(scaled(timing)));
        }
        match error.disposition() {
            Disposition::Retry | Disposition::GiveUp | Disposition::Fatal => {
                wait(MailboxState::Retrying, self.exponential(timing, jitter))
            }
            Disposition::RetryAfter(after) if matches!(error, ImapError::Net(_)) => {
                wait(MailboxState::Retrying, after)
            }
            Disposition::RetryAfter(after) => wait(MailboxState::Throttled, after.min(timing.throttle_cap)),
            Disposition::FreshToken if oauth => {
                self.refused_tokens = self.refused_tokens.saturating_add(1);
                let fresh_token = true;
                match self.refused_tokens {
                    // expected hourly: at once, and nothing is shown
                    1 => Next { state: None, wait: Duration::ZERO, wakeable: false, fresh_token },
                    2 => {
                        Next { fresh_token, ..wait(MailboxState::Retrying, self.exponential(timing, jitter)) }
                    }
                    _ => Next {
                        fresh_token,
                        ..wait(MailboxState::NeedsAdmin, probe_pause(self.refused_tokens - 2))
                    },
                }
            }
            // a refused password is not tried again and again: servers lock accounts for that
            Disposition::FreshToken => wait(MailboxState::NeedsSignIn, Duration::from_secs(60 * 60)),
            Disposition::SignIn if matches!(error, ImapError::NotSignedIn) => {
                wait(MailboxState::AwaitingSignIn, Duration::from_secs(60 * 60))
            }
            Disposition::SignIn => wait(MailboxState::NeedsSignIn, Duration::from_secs(60 * 60)),
            Disposition::NeedsAdmin => wait(MailboxState::NeedsAdmin, probe_pause(self.failures)),
            Disposition::AppBroken => wait(MailboxState::AppBroken, probe_pause(self.failures)),
        }
    }

    fn exponential(&self, timing: &Timing, jitter: f64) -> Duration {
        let backoff = Backoff::new(timing.retry_first, timing.retry_cap).spread(0.75, 1.25);
        backoff.pause(self.failures, jitter)
    }
}

fn is_not_connected(error: &ImapError) -> bool {
    let (ImapError::No { text, .. } | ImapError::Bad { text, .. } | ImapError::Bye { text }) = error else {
        return false;
    };
    text.to_ascii_lowercase().contains("authenticated but not connected")
}

/// Tests scale waits by `retry_cap`: nothing waits longer than 12 times that.
fn scaled(timing: &Timing) -> Duration {
    timing.retry_cap.saturating_mul(12)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bye(text: &str) -> ImapError {
        ImapError::Bye { text: text.into() }
    }

    #[test]
    fn an_expired_access_token_costs_no_wait_and_no_state() {
        let mut backoff = FailureHistory::default();
        let error = bye("Session invalidated - AccessTokenExpired");
        let next = backoff.after(&error, &Timing::default(), true, 0.5);
        assert_eq!(next, Next { state: None, wait: Duration::ZERO, wakeable: false, fresh_token: true });
        let second = backoff.after(&error, &Timing::default(), true, 0.5);
        assert_eq!(second.state, Some(MailboxState::Retrying), "not in a tight loop");
    }

    #[test]
    fn throttling_waits_as_asked_up_to_the_cap() {
        let throttled = |hint: &str| ImapError::Bad {
            what: "FETCH",
            text: format!("Request is throttled. Suggested Backoff Time: {hint} milliseconds"),
        };
        let after = |error| FailureHistory::default().after(&error, &Timing::default(), true, 0.5);
        assert_eq!(after(throttled("2000")).wait, Duration::from_secs(2));
        assert_eq!(after(throttled("2000")).state, Some(MailboxState::Throttled));
        assert!(after(throttled("99999999999")).wait <= Timing::default().throttle_cap);
        assert!(after(throttled("-5")).wait >= Duration::from_secs(1));
    }

    #[test]
    fn authenticated_but_not_connected_becomes_the_admins_after_six_tries() {
        let mut backoff = FailureHistory::default();
        let error = ImapError::Bad { what: "LIST", text: "User is authenticated but not connected.".into() };
        for _ in 0..6 {
            let next = backoff.after(&error, &Timing::default(), true, 0.5);
            assert_eq!(next.state, Some(MailboxState::Retrying));
        }
        let next = backoff.after(&error, &Timing::default(), true, 0.5);
        assert_eq!(next.state, Some(MailboxState::NeedsAdmin));
    }

    #[test]
    fn connections_that_live_for_a_moment_have_a_floor_between_them_that_grows() {
        let (mut backoff, timing) = (FailureHistory::default(), Timing::default());
        let mut after = |lived: Duration| {
            backoff.lived(lived, &timing);
            backoff.after(&ImapError::Lost { what: "IDLE" }, &timing, true, 0.5).wait
        };
        let second = Duration::from_secs(1);
        assert_eq!([second; 3].map(&mut after), [1, 2, 4].map(|waits| timing.retry_first * waits));
        assert_eq!(after(timing.status_interval), timing.retry_first);
    }

    #[test]
    fn passing_failures_double_up_to_the_cap() {
        let mut backoff = FailureHistory::default();
        let timing = Timing::default();
        let waits: Vec<Duration> =
            (0..15).map(|_| backoff.after(&ImapError::Lost { what: "x" }, &timing, true, 0.5).wait).collect();
        assert_eq!(waits[0], timing.retry_first);
        assert_eq!(waits[1], timing.retry_first * 2);
        assert_eq!(waits[14], timing.retry_cap);
    }
}
