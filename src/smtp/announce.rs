//! The events of submissions, and their data. Pure.

use super::outbox::SubmissionEvent;
use crate::domain::{MailboxId, Submission, Timestamp};
use crate::events::{EventDraft, EventType};

/// What became of a submission, or of one of its recipients.
pub(super) fn outcome(
    mailbox: &MailboxId,
    at: Timestamp,
    event: &SubmissionEvent,
    submission: &Submission,
) -> EventDraft {
    let (kind, more) = match event {
        SubmissionEvent::Sent => (EventType::SubmissionSent, Vec::new()),
        SubmissionEvent::Failed => (EventType::SubmissionFailed, Vec::new()),
        SubmissionEvent::Deferred(_) => (EventType::SubmissionDeferred, Vec::new()),
        SubmissionEvent::Unknown => (EventType::SubmissionUnknown, Vec::new()),
        SubmissionEvent::RecipientFailed { address, reply } => {
            (EventType::SubmissionFailed, vec![("recipient", address.as_str()), ("reply", reply)])
        }
        SubmissionEvent::Held { hold, .. } => return held(mailbox, at, submission, hold.finding.entry.code),
    };
    draft(mailbox, at, kind, submission, &more)
}

/// A submission waits for a cause to go.
pub(super) fn held(mailbox: &MailboxId, at: Timestamp, submission: &Submission, code: &str) -> EventDraft {
    draft(mailbox, at, EventType::SubmissionHeld, submission, &[("hold", code)])
}

fn draft(
    mailbox: &MailboxId,
    at: Timestamp,
    kind: EventType,
    submission: &Submission,
    more: &[(&str, &str)],
) -> EventDraft {
    let mut data = serde_json::json!({
        "submission": submission.id,
        "state": submission.state,
        "message_id": submission.message_id,
        "attempts": submission.attempts,
        "next_attempt_at": submission.next_attempt_at,
        "last_reply": submission.last_reply,
    });
    if let Some(data) = data.as_object_mut() {
        data.extend(more.iter().map(|(key, value)| (String::from(*key), (*value).into())));
    }
    EventDraft::new(kind, mailbox, at, &data)
}
