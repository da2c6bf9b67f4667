//! What a message needs whichever way it is made: its envelope, what is given to it, and what can be wrong with it. Pure.

use crate::domain::Timestamp;
use lettre::Address;

/// More are not looked at: a header is folded, and who is named twice is found, in a time that grows with their square.
pub const MOST_RECIPIENTS: usize = 500;

/// A message ready for the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// Envelope sender.
    pub mail_from: String,
    /// Envelope recipients, each once, in the order given.
    pub recipients: Vec<String>,
    /// `Message-ID` with its angle brackets.
    pub message_id: String,
    /// The message; lines end in CRLF, the last one too.
    pub bytes: Vec<u8>,
}

/// What is given to every message.
#[derive(Clone, Copy, Debug)]
pub struct Fixed<'a> {
    /// The mailbox's address: envelope sender, and author if none is given.
    pub sender: &'a str,
    /// Its display name.
    pub display_name: Option<&'a str>,
    /// `<left@right>`.
    pub message_id: &'a str,
    /// For Date.
    pub now: Timestamp,
}

/// What is wrong with a draft.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct MimeError {
    /// Path of the field, e.g. `to[1].address`.
    pub field: String,
    /// What is wrong with it, for a person.
    pub problem: String,
}

impl MimeError {
    pub(super) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }

    /// The draft has to be changed.
    #[must_use]
    pub fn disposition(&self) -> crate::domain::Disposition {
        crate::domain::Disposition::GiveUp
    }
}

/// A recipient or sender; `field` is where it stands.
pub(super) fn address(field: &str, text: &str) -> Result<Address, MimeError> {
    no_control(field, text)?;
    text.trim().parse().map_err(|error| MimeError::new(field, format!("{text:?} is no address: {error}")))
}

/// A line end in a header field would begin another field.
pub(super) fn no_control(field: &str, text: &str) -> Result<(), MimeError> {
    if text.chars().any(|c| c.is_control() && c != '\t') {
        return Err(MimeError::new(field, "holds a control character"));
    }
    Ok(())
}
