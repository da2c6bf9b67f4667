//! A user is invited to sign in, by mail or by a link that the caller delivers.

use crate::clock;
use crate::events::EventType;
use crate::notify::InviteError;
use crate::problem::Problem;
use crate::store::{Commit, SignIn, Store, StoreError, StoredMailbox};
use serde::Deserialize;

/// How the link reaches the user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Delivery {
    /// By mail of the configured sender.
    #[default]
    Mail,
    /// By the caller, who gets it.
    Link,
}

/// A sign-in whose link somebody else delivers.
pub(crate) fn link(
    store: &Store,
    commit: &mut Commit,
    stored: &StoredMailbox,
    return_to: Option<String>,
    language: Option<String>,
) -> Result<SignIn, StoreError> {
    let now = clock::now();
    let sign_in = store.begin_sign_in(stored, return_to, language, now)?;
    store.add_sign_in(commit, &sign_in, 0)?;
    commit.event(sign_in.told_as(EventType::SignInRequested, now));
    Ok(sign_in)
}

/// Why nobody was invited.
pub(crate) fn problem_of(error: InviteError) -> Problem {
    let text = error.to_string();
    match error {
        InviteError::NoSender => Problem::conflict("no_sender", text),
        InviteError::Store(error) => Problem::from(error),
        InviteError::Mail(_) => Problem::conflict("no_address", text),
    }
}
