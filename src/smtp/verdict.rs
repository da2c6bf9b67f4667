//! Whom an attempt's answers concern, and what becomes of them. Pure.
//!
//! The phase decides: an answer to RCPT concerns that recipient, whatever it says, and one to MAIL, DATA or the message
//! all recipients it was given for. Only the latter, and only by what they say, hold the mailbox' outbox.

use super::protocol::{Cause, Outcome, Reply, SendResult, SmtpPhase};
use crate::diagnosis::{Facts, SmtpFinding, SmtpScope};
use crate::domain::{Diagnosis, Disposition, RecipientState};
use std::time::Duration;

/// How long to wait where somebody has to act first; the longest pause of the policy if that is shorter.
const UNTIL_SOMEBODY_ACTED: Duration = Duration::from_secs(3600);

/// A cause that will go. It ends no submission: the message is as good as before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// What it is.
    pub finding: SmtpFinding,
    /// The server's words.
    pub reply: Reply,
    /// The step they answered.
    pub phase: SmtpPhase,
    /// How long to wait for it; `None`: as after any deferral.
    pub pause: Option<Duration>,
    /// Whether everything the mailbox sends would meet it. If not, the submission waits alone.
    pub concerns_mailbox: bool,
}

impl Hold {
    /// In words a person can act on.
    #[must_use]
    pub fn diagnosis(&self, facts: &Facts<'_>) -> Diagnosis {
        self.reply.diagnosis(self.phase, facts)
    }

    /// Whether the next submission would surely be answered the same: the server named a time, or ended the connection.
    #[must_use]
    pub fn outlasts_next(&self) -> bool {
        matches!(self.finding.disposition, Disposition::RetryAfter(_)) || self.reply.code == 421
    }
}

/// What becomes of one recipient.
pub(super) struct Of<'a> {
    pub address: String,
    pub state: RecipientState,
    /// The words about it.
    pub reply: Option<&'a Reply>,
}

/// What becomes of an attempt.
pub(super) struct Verdict<'a> {
    pub recipients: Vec<Of<'a>>,
    pub hold: Option<Hold>,
    /// A server said something about the message; a connection that broke says nothing.
    pub is_answered: bool,
}

/// Judges an attempt at these recipients.
pub(super) fn of<'a>(outcome: &'a Outcome, attempted: &[String]) -> Verdict<'a> {
    let hold = hold(outcome);
    let refused = outcome.refused.iter().map(|(address, reply)| {
        let finding = reply.finding(SmtpPhase::Rcpt);
        let is_final = reply.is_permanent() && finding.scope == SmtpScope::Recipient;
        let state = if is_final { RecipientState::Failed } else { RecipientState::Deferred };
        Of { address: address.clone(), state, reply: Some(reply) }
    });
    let mut recipients: Vec<Of<'_>> = refused.collect();
    let is_refused = |address: &String| outcome.refused.iter().any(|(who, _)| who == address);
    let others = || attempted.iter().filter(|address| !is_refused(address)).cloned();
    let concerned: Vec<String> = match &outcome.result {
        SendResult::Sent { .. } | SendResult::Unknown { .. } => outcome.accepted.clone(),
        SendResult::NoRecipient => Vec::new(),
        SendResult::Refused5xx { .. } | SendResult::Deferred { .. } | SendResult::NotSent { .. } => {
            others().collect()
        }
    };
    if let Some(last) = &outcome.ended_at {
        // the others were not refused by anybody: they go first next time, without it
        let state = |address: &String| {
            if address == last { RecipientState::Deferred } else { RecipientState::Queued }
        };
        recipients.extend(concerned.into_iter().map(|address| {
            let reply = reply_of(&outcome.result).filter(|_| address == *last);
            Of { state: state(&address), address, reply }
        }));
    } else {
        let rests = hold.as_ref().is_some_and(|hold| hold.concerns_mailbox);
        let (state, reply) = fate(&outcome.result, rests);
        recipients.extend(concerned.into_iter().map(|address| Of { address, state, reply }));
    }
    let is_answered = !matches!(outcome.result, SendResult::NotSent { .. }) || !outcome.refused.is_empty();
    Verdict { recipients, hold, is_answered }
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
        SendResult::NotSent { cause: Cause::Unsendable { .. } } => (RecipientState::Failed, None),
        SendResult::NotSent { .. } => (RecipientState::Deferred, None),
    }
}

fn reply_of(result: &SendResult) -> Option<&Reply> {
    match result {
        SendResult::Sent { reply }
        | SendResult::Refused5xx { reply, .. }
        | SendResult::Deferred { reply, .. } => Some(reply),
        SendResult::NoRecipient | SendResult::Unknown { .. } | SendResult::NotSent { .. } => None,
    }
}

/// A refusal that speaks of the mailbox or its tenant (quota used up, sender blocked) holds all of it. Where nobody
/// was accepted because nobody is signed in, that is a cause, too, but one recipient is no witness for the others.
fn hold(outcome: &Outcome) -> Option<Hold> {
    match &outcome.result {
        SendResult::Refused5xx { reply, phase } | SendResult::Deferred { reply, phase } => {
            let finding = reply.finding(*phase);
            (finding.scope == SmtpScope::Mailbox).then(|| Hold {
                finding,
                reply: reply.clone(),
                phase: *phase,
                pause: pause(finding.disposition),
                concerns_mailbox: true,
            })
        }
        SendResult::NoRecipient => outcome.refused.iter().find_map(|(_, reply)| {
            let (phase, finding) = (SmtpPhase::Rcpt, reply.finding(SmtpPhase::Rcpt));
            let is_cause = finding.scope == SmtpScope::Dialogue && finding.disposition != Disposition::Retry;
            let hold = Hold { finding, reply: reply.clone(), phase, pause: None, concerns_mailbox: false };
            is_cause.then_some(hold)
        }),
        SendResult::Sent { .. } | SendResult::Unknown { .. } | SendResult::NotSent { .. } => None,
    }
}

fn pause(disposition: Disposition) -> Option<Duration> {
    match disposition {
        Disposition::RetryAfter(pause) => Some(pause),
        Disposition::NeedsAdmin | Disposition::SignIn | Disposition::AppBroken => Some(UNTIL_SOMEBODY_ACTED),
        Disposition::Retry | Disposition::FreshToken | Disposition::GiveUp | Disposition::Fatal => None,
    }
}
