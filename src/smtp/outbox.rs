//! The life of a submission, as pure steps: begin, data sent, conclude, recover, settle. Each gives the record to
//! commit and the events to publish with it; `now` and `jitter` are arguments.

use super::protocol::{Outcome, Reply, SendResult};
use crate::diagnosis::SmtpScope;
use crate::domain::submission::Phase;
use crate::domain::{
    Disposition, Recipient, RecipientState, Submission, SubmissionId, SubmissionState, Timestamp,
};
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
    /// The refusal concerns the mailbox: the outbox waits for this cause until then.
    OutboxHeld {
        /// The diagnosis' code.
        code: &'static str,
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

/// The recipients of the attempt under way: those that are not settled yet.
#[must_use]
pub fn pending_recipients(submission: &Submission) -> Vec<String> {
    let pending = submission.recipients.iter().filter(|recipient| recipient.is_pending());
    pending.map(|recipient| recipient.address.clone()).collect()
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
    let held = hold_of(outcome);
    for (address, reply) in &outcome.refused {
        let state = if reply.is_permanent() && reply.finding().scope == SmtpScope::Message {
            RecipientState::Failed
        } else {
            RecipientState::Deferred
        };
        settle_one(&mut submission, address, state, Some(reply), &mut events);
    }
    if let Some(reply) = last_reply(outcome) {
        submission.last_reply = Some(reply);
    }
    // a refusal of MAIL or DATA is about everybody of this attempt; one of the message about those it accepted
    let concerned = match &outcome.result {
        SendResult::Sent { .. } | SendResult::Unknown { .. } => outcome.accepted.clone(),
        SendResult::NoRecipient => Vec::new(),
        SendResult::Refused5xx { .. } | SendResult::Deferred { .. } | SendResult::NotSent { .. } => {
            let refused = |address: &String| outcome.refused.iter().any(|(who, _)| who == address);
            pending_recipients(&submission).into_iter().filter(|address| !refused(address)).collect()
        }
    };
    let (state, reply) = fate(&outcome.result, held.is_some());
    for address in concerned {
        settle_one(&mut submission, &address, state, reply, &mut events);
    }
    // a connection that broke says nothing about the message
    let is_answered = !matches!(outcome.result, SendResult::NotSent { .. }) || !outcome.refused.is_empty();
    if is_answered && held.is_none() {
        let since = *submission.deferred_since.get_or_insert(now);
        if now.since(since) >= policy.give_up_after {
            for address in pending_recipients(&submission) {
                settle_one(&mut submission, &address, RecipientState::Failed, None, &mut events);
            }
        }
    }
    finish(&mut submission, held, now, jitter, policy, &mut events);
    (submission, events)
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
        submission.doubt();
        return (submission, vec![SubmissionEvent::Unknown]);
    }
    submission.state = SubmissionState::Deferred;
    submission.next_attempt_at = Some(now);
    (submission, vec![SubmissionEvent::Deferred(now)])
}

/// Settles an `unknown` one by evidence or a person's word: it was sent, or it was not and waits again. `None`: it
/// is not unknown.
#[must_use]
pub fn settle(
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

/// The one that is due first; of several that are due, the oldest.
#[must_use]
pub fn peek_next<'a>(submissions: impl IntoIterator<Item = &'a Submission>, now: Timestamp) -> Next {
    let waiting = submissions.into_iter().filter_map(|submission| Some((due_at(submission)?, submission)));
    let first =
        waiting.min_by_key(|(due, submission)| ((*due).max(now), submission.created_at, submission.id));
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

/// What the message's fate is for those it concerns.
fn fate(result: &SendResult, held: bool) -> (RecipientState, Option<&Reply>) {
    match result {
        SendResult::Sent { reply } => (RecipientState::Sent, Some(reply)),
        SendResult::Refused5xx { reply, .. } if held => (RecipientState::Deferred, Some(reply)),
        SendResult::Refused5xx { reply, .. } => (RecipientState::Failed, Some(reply)),
        SendResult::Deferred { reply, .. } => (RecipientState::Deferred, Some(reply)),
        SendResult::NoRecipient => (RecipientState::Deferred, None),
        SendResult::Unknown { .. } => (RecipientState::Unknown, None),
        SendResult::NotSent { cause: super::Cause::Unsendable { .. } } => (RecipientState::Failed, None),
        SendResult::NotSent { .. } => (RecipientState::Deferred, None),
    }
}

/// A refusal that concerns the mailbox or tenant (quota used up, sender blocked) ends no submission: the cause will
/// go, and the message is as good as before.
fn hold_of(outcome: &Outcome) -> Option<(&'static str, Option<Duration>)> {
    let by_result = match &outcome.result {
        SendResult::Refused5xx { reply, .. } | SendResult::Deferred { reply, .. } => Some(reply),
        SendResult::Sent { .. }
        | SendResult::NoRecipient
        | SendResult::Unknown { .. }
        | SendResult::NotSent { .. } => None,
    };
    let replies = by_result.into_iter().chain(outcome.refused.iter().map(|(_, reply)| reply));
    let finding = replies.map(Reply::finding).find(|finding| finding.scope == SmtpScope::Mailbox)?;
    let pause = match finding.disposition {
        Disposition::RetryAfter(pause) => Some(pause),
        Disposition::NeedsAdmin | Disposition::SignIn | Disposition::AppBroken => {
            Some(Duration::from_secs(3600))
        }
        Disposition::Retry | Disposition::FreshToken | Disposition::GiveUp | Disposition::Fatal => None,
    };
    Some((finding.entry.code, pause))
}

fn last_reply(outcome: &Outcome) -> Option<String> {
    match &outcome.result {
        SendResult::Sent { reply }
        | SendResult::Refused5xx { reply, .. }
        | SendResult::Deferred { reply, .. } => Some(words(reply)),
        SendResult::NoRecipient => outcome.refused.last().map(|(_, reply)| words(reply)),
        SendResult::Unknown { cause } | SendResult::NotSent { cause } => Some(words(cause)),
    }
}

/// A server's words as they are kept and told: it may say more than a row or an event holds.
fn words(said: &impl ToString) -> String {
    said.to_string().chars().take(LONGEST_REPLY).collect()
}

const LONGEST_REPLY: usize = 300;

/// Sets a pending recipient's state; one that is settled never changes.
fn settle_one(
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
    held: Option<(&'static str, Option<Duration>)>,
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
    let pause =
        held.and_then(|(_, pause)| pause).unwrap_or_else(|| backoff(submission.attempts, jitter, policy));
    let again_at = now.plus(pause);
    submission.state = SubmissionState::Deferred;
    submission.next_attempt_at = Some(again_at);
    events.push(SubmissionEvent::Deferred(again_at));
    if let Some((code, _)) = held {
        submission.hold = Some(String::from(code));
        events.push(SubmissionEvent::OutboxHeld { code, until: again_at });
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
    let doubled = policy.first.saturating_mul(1_u32 << attempts.saturating_sub(1).min(20));
    doubled.min(policy.longest).mul_f64(1.0 - 0.2 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
