//! What a sign-in came to: the state to store, and what its user reads.

use crate::domain::{Diagnosis, Who};
use crate::store::SignInState;

/// What a sign-in came to.
pub(crate) struct SignInResult {
    /// To be stored.
    pub(crate) state: SignInState,
    /// For the page.
    pub(crate) message: Message,
    /// Why it failed.
    pub(crate) diagnosis: Option<Diagnosis>,
}

/// What the page says.
pub(crate) enum Message {
    /// It worked.
    Connected,
    /// Somebody else signed in, by this name.
    WrongAccount {
        /// Who.
        name: String,
        /// Of the same tenant: an administrator may accept it.
        acceptable: bool,
    },
    /// The diagnosis.
    Diagnosed,
    /// The provider's own words, or why its answer cannot be used.
    Words(String),
    /// The provider's answer lacks what it must have.
    Unusable,
}

impl SignInResult {
    pub(super) fn diagnosed(diagnosis: Diagnosis) -> Self {
        Self { state: state_of(&diagnosis), message: Message::Diagnosed, diagnosis: Some(diagnosis) }
    }

    pub(super) fn in_words(words: &str) -> Self {
        Self { state: SignInState::Declined, message: Message::Words(String::from(words)), diagnosis: None }
    }

    pub(super) fn unusable() -> Self {
        Self { state: SignInState::Declined, message: Message::Unusable, diagnosis: None }
    }
}

/// The state of a sign-in that was refused for this.
pub(super) fn state_of(diagnosis: &Diagnosis) -> SignInState {
    if diagnosis.who == Who::TenantAdmin { SignInState::NeedsAdmin } else { SignInState::Declined }
}
