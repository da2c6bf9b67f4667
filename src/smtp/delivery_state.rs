//! What delivery does next: where it stands, and a step for each thing that happens. Pure: `now` is an argument.

use crate::backoff::Backoff;
use crate::domain::{Disposition, SubmissionId, Timestamp};
use std::time::Duration;

/// How long a refused password is left alone.
const REFUSED_PASSWORD: Duration = Duration::from_secs(3600);

/// Whether anything is tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// What is due is sent.
    #[default]
    Open,
    /// Nothing is tried before, whatever wakes delivery: each try is a log-in, and servers lock accounts for those.
    Held(Timestamp),
}

/// What the mailbox shows of its delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shown {
    /// `ready`, and nothing else.
    #[default]
    Ready,
    /// Something else than `ready`, until the next attempt.
    Waiting,
    /// `ready`, and a cause that only one submission waits for, until a recipient is accepted.
    Cause,
}

/// Where the delivery of a mailbox stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct DeliveryState {
    stage: Stage,
    shown: Shown,
    /// The submission whose refusal spoke of the mailbox; no other was tried since.
    witness: Option<SubmissionId>,
    /// Failures before MAIL in a row.
    failures: u32,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Somebody signed in: what the outbox is held for may be gone.
    SignedIn,
    /// Delivery looks whether something is due.
    Woken { now: Timestamp },
    /// While a connection was opened, it was shown that the server is silent.
    Silent,
    /// There is no session: a failure before MAIL.
    NoSession { disposition: Disposition, is_password: bool, now: Timestamp },
    /// There is a session, and a submission is about to be attempted.
    Attempting,
    /// The server accepted a recipient.
    Accepted,
    /// The attempt is concluded, and no refusal names a cause that will go.
    Concluded,
    /// The attempt is concluded, and its refusal names a cause that will go.
    Refused(Refusal),
}

/// A refusal that names a cause which will go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// What was refused.
    pub(super) submission: SubmissionId,
    /// Whether everything the mailbox sends would meet the cause.
    pub(super) concerns_mailbox: bool,
    /// Whether the next submission would surely be answered the same.
    pub(super) outlasts_next: bool,
    /// Whether another submission is due now.
    pub(super) has_next: bool,
    /// When the refused one is tried again.
    pub(super) until: Timestamp,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Go on.
    Continue,
    /// Wait until then; what is shown stays.
    Wait(Timestamp),
    /// Show that delivery is ready, and go on.
    ShowReady,
    /// Show the cause beside `ready`, and go on with the other submissions.
    ShowCause,
    /// Show what delivery is held for, and wait until then.
    Hold(Timestamp),
    /// Go on: the next submission shows whether the cause is the mailbox's.
    TryNext,
}

impl DeliveryState {
    /// The state after an event, and what is to be done.
    pub(super) fn step(self, event: Event, policy: &Backoff) -> (Self, Action) {
        match event {
            Event::SignedIn => (Self { stage: Stage::Open, ..self }, Action::Continue),
            Event::Woken { now } => match self.stage {
                Stage::Held(until) if until > now => (self, Action::Wait(until)),
                Stage::Held(_) | Stage::Open => (self, Action::Continue),
            },
            Event::Silent => (Self { shown: Shown::Waiting, ..self }, Action::Continue),
            Event::NoSession { disposition, is_password, now } => {
                let until = now.plus(self.pause(disposition, is_password, policy));
                let failures = self.failures.saturating_add(1);
                let held = Self { stage: Stage::Held(until), shown: Shown::Waiting, failures, ..self };
                (held, Action::Hold(until))
            }
            Event::Attempting => match self.shown {
                Shown::Waiting => (Self { shown: Shown::Ready, failures: 0, ..self }, Action::ShowReady),
                Shown::Ready | Shown::Cause => (self, Action::Continue),
            },
            Event::Accepted => match self.shown {
                Shown::Cause => (Self { shown: Shown::Ready, ..self }, Action::ShowReady),
                Shown::Ready | Shown::Waiting => (self, Action::Continue),
            },
            Event::Concluded => (Self { witness: None, ..self }, Action::Continue),
            Event::Refused(refusal) => self.refused(refusal),
        }
    }

    /// A refusal stops the others only if the server would answer them the same, or if one of them was refused just so.
    fn refused(self, refusal: Refusal) -> (Self, Action) {
        let Refusal { submission, concerns_mailbox, outlasts_next, has_next, until } = refusal;
        if !concerns_mailbox {
            return (Self { witness: None, shown: Shown::Cause, ..self }, Action::ShowCause);
        }
        let is_confirmed = self.witness.is_some_and(|other| other != submission);
        let suspected = Self { witness: Some(submission), ..self };
        if is_confirmed || outlasts_next {
            return (
                Self { stage: Stage::Held(until), shown: Shown::Waiting, ..suspected },
                Action::Hold(until),
            );
        }
        if has_next {
            return (suspected, Action::TryNext);
        }
        // unconfirmed, it rests alone: what becomes due meanwhile is tried
        (Self { stage: Stage::Open, shown: Shown::Waiting, ..suspected }, Action::Hold(until))
    }

    fn pause(self, disposition: Disposition, is_password: bool, policy: &Backoff) -> Duration {
        match disposition {
            // a refused token: a fresh one at once, the first time
            Disposition::FreshToken if self.failures == 0 => Duration::ZERO,
            Disposition::RetryAfter(after) => after.min(policy.longest),
            // not tried again and again: servers lock accounts for that. A new password ends the waiting.
            Disposition::SignIn if is_password => REFUSED_PASSWORD,
            Disposition::Retry
            | Disposition::FreshToken
            | Disposition::SignIn
            | Disposition::NeedsAdmin
            | Disposition::AppBroken
            | Disposition::GiveUp
            | Disposition::Fatal => policy.pause(self.failures.saturating_add(1), 0.0),
        }
    }
}

#[cfg(test)]
#[path = "delivery_state_tests.rs"]
mod tests;
