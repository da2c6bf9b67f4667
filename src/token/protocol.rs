//! What is said to the token actor, and how it can fail.

use crate::domain::{Diagnosis, Disposition, GrantInfo, Secret, Timestamp};
use crate::store::StoreError;
use actix::Message;
use std::time::Duration;

/// An access token, good until it expires or is refused.
#[derive(Clone, Debug)]
pub struct AccessToken {
    /// The token.
    pub token: Secret,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Counts the actor's tokens, so that a refusal names the one it means.
    pub generation: u64,
}

/// Asks for an access token that is good for at least `min_validity`.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<AccessToken, TokenError>")]
pub struct GetAccessToken {
    /// How long it must still be good.
    pub min_validity: Duration,
}

/// A server refused the token of this generation.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct TokenRejected {
    /// Which token.
    pub generation: u64,
}

/// Refreshes now, whatever is cached.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<GrantInfo, TokenError>")]
pub struct RefreshNow;

/// The grant in the store is another one now.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct GrantChanged;

/// Why there is no access token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Nobody signed in yet.
    #[error("nobody signed in yet")]
    NotSignedIn,
    /// The grant is gone: a person has to sign in again.
    #[error("{}", .0.summary)]
    SignInNeeded(Diagnosis),
    /// An administrator has to act.
    #[error("{}", .0.summary)]
    NeedsAdmin(Diagnosis),
    /// The app's registration or secret is broken.
    #[error("{}", .0.summary)]
    AppBroken(Diagnosis),
    /// Passing; tried again after this long.
    #[error("no token for now: {cause}")]
    Later {
        /// How long to wait.
        after: Duration,
        /// Why.
        cause: String,
    },
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The token actor did not answer: it is being restarted.
    #[error("the token actor is not there")]
    Gone,
}

impl TokenError {
    /// What to do about it.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::NotSignedIn | Self::SignInNeeded(_) => Disposition::SignIn,
            Self::NeedsAdmin(_) => Disposition::NeedsAdmin,
            Self::AppBroken(_) => Disposition::AppBroken,
            Self::Later { after, .. } => Disposition::RetryAfter(*after),
            Self::Store(error) => error.disposition(),
            Self::Gone => Disposition::Retry,
        }
    }

    /// What a person is told.
    #[must_use]
    pub fn diagnosis(&self) -> Option<Diagnosis> {
        match self {
            Self::SignInNeeded(diagnosis) | Self::NeedsAdmin(diagnosis) | Self::AppBroken(diagnosis) => {
                Some(diagnosis.clone())
            }
            Self::NotSignedIn | Self::Later { .. } | Self::Store(_) | Self::Gone => None,
        }
    }
}
