//! Events: immutable facts in one durable, ordered, gap-free log, and cursors into it.

pub mod expiry;

use crate::domain::{MailboxId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use std::fmt;
use std::str::FromStr;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EventType {
    /// The mailbox's state, or the state of its sending, changed.
    #[serde(rename = "mailbox.state_changed")]
    MailboxStateChanged,
    /// The history is complete; published once.
    #[serde(rename = "mailbox.synced")]
    MailboxSynced,
    /// A user is invited to sign in.
    #[serde(rename = "sign_in.requested")]
    SignInRequested,
    /// A refresh token that was to be taken over is refused, or is somebody else's.
    #[serde(rename = "sign_in.refused")]
    SignInRefused,
    /// A user was reminded as often as one may, and has not signed in.
    #[serde(rename = "sign_in.overdue")]
    SignInOverdue,
    /// A folder appeared.
    #[serde(rename = "folder.created")]
    FolderCreated,
    /// A folder has another name.
    #[serde(rename = "folder.renamed")]
    FolderRenamed,
    /// A folder is gone.
    #[serde(rename = "folder.deleted")]
    FolderDeleted,
    /// A folder's UIDVALIDITY changed and its messages were matched again.
    #[serde(rename = "folder.reset")]
    FolderReset,
    /// The server refuses to open a folder; all others go on.
    #[serde(rename = "folder.set_apart")]
    FolderSetApart,
    /// The folder opens again.
    #[serde(rename = "folder.restored")]
    FolderRestored,
    /// A message was stored.
    #[serde(rename = "message.new")]
    MessageNew,
    /// A message is in another folder.
    #[serde(rename = "message.moved")]
    MessageMoved,
    /// A message has other flags.
    #[serde(rename = "message.flags_changed")]
    MessageFlagsChanged,
    /// A message went to a folder that is left out.
    #[serde(rename = "message.left")]
    MessageLeft,
    /// A message is gone.
    #[serde(rename = "message.deleted")]
    MessageDeleted,
    /// The server accepted a submission.
    #[serde(rename = "submission.sent")]
    SubmissionSent,
    /// The server refused a submission for now.
    #[serde(rename = "submission.deferred")]
    SubmissionDeferred,
    /// A submission, or one of its recipients, was refused for good.
    #[serde(rename = "submission.failed")]
    SubmissionFailed,
    /// Nobody knows whether a submission was accepted.
    #[serde(rename = "submission.unknown")]
    SubmissionUnknown,
    /// The outbox waits for a cause to be mended.
    #[serde(rename = "submission.held")]
    SubmissionHeld,
    /// The client secret of an app ends soon.
    #[serde(rename = "app.secret_expiring")]
    AppSecretExpiring,
    /// An app's new client secret or certificate was taken by the identity provider.
    #[serde(rename = "app.secret_rotated")]
    AppSecretRotated,
    /// It was refused, and the one before is in use again.
    #[serde(rename = "app.secret_rolled_back")]
    AppSecretRolledBack,
}

/// An event before it is in the log.
#[derive(Clone, Debug)]
pub struct EventDraft {
    /// What happened.
    pub kind: EventType,
    /// Where; an app's events have no mailbox.
    pub mailbox: Option<MailboxId>,
    /// When we learned of it.
    pub at: Timestamp,
    /// Data, enough to act on, as JSON text.
    pub data: Box<RawValue>,
}

impl EventDraft {
    /// An event with what it says.
    #[must_use]
    pub fn new(kind: EventType, mailbox: &MailboxId, at: Timestamp, data: &impl Serialize) -> Self {
        Self { mailbox: Some(mailbox.clone()), ..Self::of_no_mailbox(kind, at, data) }
    }

    /// An event that concerns no mailbox by itself.
    #[must_use]
    pub fn of_no_mailbox(kind: EventType, at: Timestamp, data: &impl Serialize) -> Self {
        // what cannot be written as JSON (a map whose keys are no strings) is left out
        let data = to_raw_value(data).unwrap_or_else(|_| RawValue::NULL.to_owned());
        Self { kind, mailbox: None, at, data }
    }
}

/// An event of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its position.
    pub cursor: Cursor,
    /// Its id.
    pub id: String,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// Where; an app's events have no mailbox.
    pub mailbox: Option<MailboxId>,
    /// When we learned of it.
    pub at: Timestamp,
    /// Enough to act on.
    pub data: serde_json::Value,
}

/// A position in the log: after the event with this sequence number. Opaque to clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Cursor(pub u64);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{:016x}", self.0)
    }
}

/// Why a text is not a cursor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a cursor: pass back what an answer gave as \"next\" or \"cursor\", or \"earliest\" or \"latest\""
)]
pub struct CursorError(String);

impl FromStr for Cursor {
    type Err = CursorError;
    fn from_str(text: &str) -> Result<Self, CursorError> {
        let refuse = || CursorError(text.chars().take(40).collect());
        let digits = text.strip_prefix('c').filter(|digits| digits.len() == 16).ok_or_else(refuse)?;
        u64::from_str_radix(digits, 16).map(Self).map_err(|_| refuse())
    }
}

impl TryFrom<String> for Cursor {
    type Error = CursorError;
    fn try_from(text: String) -> Result<Self, CursorError> {
        text.parse()
    }
}

impl From<Cursor> for String {
    fn from(cursor: Cursor) -> String {
        cursor.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_survive_their_text_form_and_sort_like_it() {
        let cursor = Cursor(4711);
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        assert!(Cursor(9).to_string() < Cursor(10).to_string());
        assert!("../x".parse::<Cursor>().is_err());
    }
}
