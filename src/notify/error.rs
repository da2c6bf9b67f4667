//! Why a user was not invited.

use crate::smtp::AcceptError;
use crate::smtp::mime::MimeError;
use crate::store::StoreError;

/// Why a user was not invited.
#[derive(Debug, thiserror::Error)]
pub enum InviteError {
    /// Nobody sends.
    #[error(
        "no mailbox sends invitations: set notify.sender to one that has an smtp server, or ask with \"deliver\": \"link\""
    )]
    NoSender,
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address cannot be written to.
    #[error("the invitation cannot be written: {0}")]
    Mail(#[from] MimeError),
}

impl From<AcceptError> for InviteError {
    fn from(error: AcceptError) -> Self {
        match error {
            AcceptError::Message(error) => Self::Mail(error),
            AcceptError::Store(error) => Self::Store(error),
        }
    }
}
