//! What a sign-in came to: the state to store, and why. Its user reads it from the stored row, now and later.

use super::provider::address_only;
use crate::diagnosis::{Facts, catalogue as c, describe};
use crate::domain::{Diagnosis, Who};
use crate::store::{SignInState, StoredMailbox};

/// What a sign-in came to.
pub(crate) struct SignInResult {
    /// To be stored.
    pub(crate) state: SignInState,
    /// Why it failed.
    pub(crate) diagnosis: Option<Diagnosis>,
    /// What the provider demands of the next visit.
    pub(crate) claims: Option<String>,
}

impl SignInResult {
    pub(super) fn done() -> Self {
        Self { state: SignInState::Done, diagnosis: None, claims: None }
    }

    pub(super) fn diagnosed(diagnosis: Diagnosis) -> Self {
        Self { state: state_of(&diagnosis), diagnosis: Some(diagnosis), claims: None }
    }

    /// The provider's answer lacks what it must have, or is not for us; `why` in words, where that is known.
    pub(super) fn unusable(stored: &StoredMailbox, why: Option<&str>) -> Self {
        Self::diagnosed(describe(&c::ANSWER_UNUSABLE, &address_only(stored), why))
    }

    /// Somebody else signed in, by this name.
    pub(super) fn wrong_account(stored: &StoredMailbox, name: &str) -> Self {
        let facts = Facts { detail: name, ..address_only(stored) };
        let diagnosis = describe(&c::WRONG_ACCOUNT, &facts, None);
        Self { state: SignInState::WrongAccount, diagnosis: Some(diagnosis), claims: None }
    }
}

/// The state of a sign-in that was refused for this.
pub(super) fn state_of(diagnosis: &Diagnosis) -> SignInState {
    if diagnosis.who == Who::TenantAdmin { SignInState::NeedsAdmin } else { SignInState::Declined }
}
