//! The life of a submission, as pure steps: begin, data sent, conclude, recover, resolve. Each gives the record to
//! commit and the events to publish with it; `now` and `jitter` are arguments.

use super::protocol::{Outcome, Reply};
use super::verdict::{self, Hold, Of};
use crate::backoff::Backoff;
use crate::domain::submission::Phase;
use crate::domain::{Recipient, RecipientState, Submission, SubmissionId, SubmissionState, Timestamp};
use std::time::Duration;

/// How long and how often to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// After the first failure; doubled with each further one.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// What a server still defers so long after it first did has failed.
    pub give_up_after: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(60),
            longest: Duration::from_secs(3600),
            give_up_after: Duration::from_secs(3 * 24 * 3600),
        }
    }
}

/// What happened to a submission, to be published with the commit that makes it true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubmissionEvent {
    /// At least one recipient was accepted, none is pending.
    Sent,
    /// Nobody was accepted.
    Failed,
    /// To be tried again at that time.
    Deferred(Timestamp),
    /// Nobody knows.
    Unknown,
    /// One recipient was refused for good.
    RecipientFailed {
        /// Who.
        address: String,
        /// The server's words.
        reply: String,
    },
    /// The refusal names a cause that will go, and ends nothing: the submission waits until then.
    Held {
        /// The cause.
        hold: Hold,
        /// When to try again.
        until: Timestamp,
    },
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Send this one.
    Now(SubmissionId),
    /// Look again then.
    At(Timestamp),
    /// Nothing waits.
    None,
}

/// Starts an attempt, to be committed before MAIL. `None`: it is not waiting to be sent.
#[must_use]
pub fn begin(mut submission: Submission, now: Timestamp) -> Option<Submission> {
    if due_at(&submission)? > now {
        return None;
    }
    submission.state = SubmissionState::Sending;
    submission.phase = Phase::Sending;
    submission.attempts = submission.attempts.saturating_add(1);
    submission.next_attempt_at = None;
    submission.hold = None;
    Some(submission)
}

/// The recipients of the attempt under way: those that no server has deferred yet, else those that one has. So a
/// recipient at whom the connection ends each time is tried when nobody else waits for it.
#[must_use]
pub fn attempted_recipients(submission: &Submission) -> Vec<String> {
    let of = |state: RecipientState| -> Vec<String> {
        let those = submission.recipients.iter().filter(|recipient| recipient.state == state);
        those.map(|recipient| recipient.address.clone()).collect()
    };
    let untried = of(RecipientState::Queued);
    if untried.is_empty() { of(RecipientState::Deferred) } else { untried }
}

/// The final dot is about to leave; to be committed before it does. `None`: no attempt is under way.
#[must_use]
pub fn data_sent(mut submission: Submission) -> Option<Submission> {
    if submission.state != SubmissionState::Sending || submission.phase != Phase::Sending {
        return None;
    }
    submission.phase = Phase::DataSent;
    Some(submission)
}

/// Ends an attempt. `jitter` in 0..1 spreads retries. A submission that is not `sending` is left alone.
#[must_use]
pub fn conclude(
    mut submission: Submission,
    outcome: &Outcome,
    now: Timestamp,
    jitter: f64,
    policy: &RetryPolicy,
) -> (Submission, Vec<SubmissionEvent>) {
    if submission.state != SubmissionState::Sending {
        return (submission, Vec::new());
    }
    submission.phase = Phase::Idle;
    let mut events = Vec::new();
    let verdict = verdict::of(outcome, &attempted_recipients(&submission));
    for Of { address, state, reply } in verdict.recipients {
        set_recipient(&mut submission, &address, state, reply, &mut events);
    }
    if let Some(reply) = last_reply(outcome) {
        submission.last_reply = Some(reply);
    }
    let rests = verdict.hold.as_ref().is_some_and(|hold| hold.concerns_mailbox);
    if verdict.is_answered && !rests {
        let since = *submission.deferred_since.get_or_insert(now);
        if now.since(since) >= policy.give_up_after {
            give_up(&mut submission, &mut events);
        }
    }
    finish(&mut submission, verdict.hold, now, jitter, policy, &mut events);
    (submission, events)
}

/// Who still waits after all this time has failed.
fn give_up(submission: &mut Submission, events: &mut Vec<SubmissionEvent>) {
    let waiting = submission.recipients.iter().filter(|recipient| recipient.is_pending());
    let waiting: Vec<String> = waiting.map(|recipient| recipient.address.clone()).collect();
    for address in waiting {
        set_recipient(submission, &address, RecipientState::Failed, None, events);
    }
}

/// What a restart makes of an attempt that was under way: before the dot it is surely not sent and waits again;
/// after it, nobody knows. Anything else stays as it is.
#[must_use]
pub fn recover(mut submission: Submission, now: Timestamp) -> (Submission, Vec<SubmissionEvent>) {
    if submission.state != SubmissionState::Sending {
        return (submission, Vec::new());
    }
    let sent = submission.phase == Phase::DataSent;
    submission.phase = Phase::Idle;
    if sent {
        // which of them the server took at RCPT is not in the record
        submission.doubt_those(&attempted_recipients(&submission));
        return (submission, vec![SubmissionEvent::Unknown]);
    }
    submission.state = SubmissionState::Deferred;
    submission.next_attempt_at = Some(now);
    (submission, vec![SubmissionEvent::Deferred(now)])
}

/// Resolves an `unknown` one by evidence or a person's word: it was sent, or it was not and waits again. `None`: it
/// is not unknown.
#[must_use]
pub fn resolve(
    mut submission: Submission,
    was_sent: bool,
    now: Timestamp,
) -> Option<(Submission, Vec<SubmissionEvent>)> {
    if submission.state != SubmissionState::Unknown {
        return None;
    }
    let state = if was_sent { RecipientState::Sent } else { RecipientState::Queued };
    for recipient in &mut submission.recipients {
        if recipient.state == RecipientState::Unknown {
            recipient.state = state;
        }
    }
    let mut events = Vec::new();
    if submission.recipients.iter().any(Recipient::is_pending) {
        submission.state = SubmissionState::Queued;
        submission.next_attempt_at = Some(now);
        events.push(SubmissionEvent::Deferred(now));
    } else {
        end(&mut submission, &mut events);
    }
    Some((submission, events))
}

/// Takes one back. `None`: it is too late for that.
#[must_use]
pub fn cancel(mut submission: Submission) -> Option<Submission> {
    due_at(&submission)?;
    submission.next_attempt_at = None;
    // who already has it, has it: then it was sent, and is only not tried for the others
    let has_been_sent = submission.recipients.iter().any(|recipient| recipient.state == RecipientState::Sent);
    submission.state = if has_been_sent { SubmissionState::Sent } else { SubmissionState::Cancelled };
    Some(submission)
}

/// The one that became due first. One that was held or deferred became due later than whoever waited meanwhile, so
/// that none is in the others' way.
#[must_use]
pub fn peek_next<'a>(submissions: impl IntoIterator<Item = &'a Submission>, now: Timestamp) -> Next {
    let waiting = submissions.into_iter().filter_map(|submission| Some((due_at(submission)?, submission)));
    let first = waiting.min_by_key(|(due, submission)| (*due, submission.created_at, submission.id));
    match first {
        Some((due, submission)) if due <= now => Next::Now(submission.id),
        Some((due, _)) => Next::At(due),
        None => Next::None,
    }
}

/// When one may be tried; `None`: never by itself.
fn due_at(submission: &Submission) -> Option<Timestamp> {
    match submission.state {
        SubmissionState::Queued | SubmissionState::Deferred => {
            let due = submission.next_attempt_at.or(submission.send_at).unwrap_or(submission.created_at);
            Some(due.max(submission.send_at.unwrap_or(due)))
        }
        SubmissionState::Sending
        | SubmissionState::Unknown
        | SubmissionState::Sent
        | SubmissionState::Failed
        | SubmissionState::Cancelled => None,
    }
}

fn last_reply(outcome: &Outcome) -> Option<String> {
    use super::protocol::SendResult as R;
    match &outcome.result {
        R::Sent { reply } | R::Refused5xx { reply, .. } | R::Deferred { reply, .. } => Some(words(reply)),
        R::NoRecipient => outcome.refused.last().map(|(_, reply)| words(reply)),
        R::Unknown { cause } | R::NotSent { cause } => Some(words(cause)),
    }
}

/// A server's words as they are kept and published: it may say more than a row or an event holds.
fn words(said: &impl ToString) -> String {
    said.to_string().chars().take(LONGEST_REPLY).collect()
}

const LONGEST_REPLY: usize = 300;

/// Sets a pending recipient's state; a final one never changes.
fn set_recipient(
    submission: &mut Submission,
    address: &str,
    state: RecipientState,
    reply: Option<&Reply>,
    events: &mut Vec<SubmissionEvent>,
) {
    let found = submission.recipients.iter_mut().find(|who| who.address == address && who.is_pending());
    let Some(recipient) = found else { return };
    recipient.state = state;
    recipient.reply = reply.map(words).or(recipient.reply.take());
    if state == RecipientState::Failed {
        let reply = recipient.reply.clone().unwrap_or_default();
        events.push(SubmissionEvent::RecipientFailed { address: String::from(address), reply });
    }
}

/// From the recipients' states to the submission's.
fn finish(
    submission: &mut Submission,
    held: Option<Hold>,
    now: Timestamp,
    jitter: f64,
    policy: &RetryPolicy,
    events: &mut Vec<SubmissionEvent>,
) {
    if submission.recipients.iter().any(|recipient| recipient.state == RecipientState::Unknown) {
        // those that were deferred wait too: until it is known, nothing is sent again
        submission.state = SubmissionState::Unknown;
        submission.next_attempt_at = None;
        events.push(SubmissionEvent::Unknown);
        return;
    }
    if !submission.recipients.iter().any(Recipient::is_pending) {
        end(submission, events);
        return;
    }
    let pause = match held.as_ref().and_then(|hold| hold.pause) {
        Some(pause) => pause.min(policy.longest),
        None => backoff(submission.attempts, jitter, policy),
    };
    let again_at = now.plus(pause);
    submission.state = SubmissionState::Deferred;
    submission.next_attempt_at = Some(again_at);
    events.push(SubmissionEvent::Deferred(again_at));
    if let Some(hold) = held {
        submission.hold = Some(String::from(hold.finding.entry.code));
        events.push(SubmissionEvent::Held { hold, until: again_at });
    }
}

fn end(submission: &mut Submission, events: &mut Vec<SubmissionEvent>) {
    submission.next_attempt_at = None;
    if submission.recipients.iter().any(|recipient| recipient.state == RecipientState::Sent) {
        submission.state = SubmissionState::Sent;
        events.push(SubmissionEvent::Sent);
    } else {
        submission.state = SubmissionState::Failed;
        events.push(SubmissionEvent::Failed);
    }
}

/// `first · 2^(attempts-1)`, capped, less up to a fifth by jitter.
fn backoff(attempts: u32, jitter: f64, policy: &RetryPolicy) -> Duration {
    Backoff::new(policy.first, policy.longest).spread(1.0, 0.8).pause(attempts, jitter)
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
