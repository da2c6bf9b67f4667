//! Messages, replies and errors of the token actors.

use crate::domain::{Diagnosis, Disposition, GrantInfo, Secret, Timestamp};
use crate::net::NetError;
use actix::prelude::Message;
use std::time::Duration;

/// Imap, Smtp, http → Token: a token that is valid for at least `min_validity`.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<AccessToken, TokenError>")]
pub struct GetAccessToken {
    /// How long it must still be valid.
    pub min_validity: Duration,
}

/// Imap, Smtp → Token: the server refused the token of this generation. Lost, the next request meets it again.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct TokenRejected {
    /// [`AccessToken::generation`] of the refused one.
    pub generation: u64,
}

/// http → Token: refresh at once.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<GrantInfo, TokenError>")]
pub struct RefreshNow;

/// http → Token, then Imap, Smtp: another grant is in the store.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct GrantChanged;

/// An access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    /// The token itself; opaque, whatever it looks like.
    pub token: Secret,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Counts the tokens of a grant, so that a late refusal does not hit a newer one.
    pub generation: u64,
}

/// Why there is no access token.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TokenError {
    /// Nobody signed in yet.
    #[error("nobody has signed in yet: send the sign-in link")]
    NotSignedIn,
    /// A person has to sign in again.
    #[error("{}", .0.summary)]
    SignInNeeded(Box<Diagnosis>),
    /// An administrator has to act.
    #[error("{}", .0.summary)]
    NeedsAdmin(Box<Diagnosis>),
    /// The app is broken.
    #[error("{}", .0.summary)]
    AppBroken(Box<Diagnosis>),
    /// The identity provider asked for patience.
    #[error("the identity provider asks for patience until {}", until.to_rfc3339())]
    Throttled {
        /// Until then.
        until: Timestamp,
    },
    /// The identity provider cannot be reached or answers nonsense; the grant is kept.
    #[error("{}", .0.summary)]
    Unreachable(Box<Diagnosis>),
    /// The grant cannot be read or written; without that nothing is refreshed.
    #[error("the grant cannot be stored: {0}")]
    Store(String),
    /// This mailbox has a password, not tokens.
    #[error("the mailbox signs in with a password, there is no token")]
    NoTokens,
}

impl TokenError {
    /// The answer to "what now?". `now` turns an instant into a pause.
    #[must_use]
    pub fn disposition(&self, now: Timestamp) -> Disposition {
        match self {
            Self::NotSignedIn | Self::SignInNeeded(_) => Disposition::SignIn,
            Self::NeedsAdmin(_) => Disposition::NeedsAdmin,
            Self::AppBroken(_) => Disposition::AppBroken,
            Self::Throttled { until } => Disposition::RetryAfter(until.since(now)),
            Self::Unreachable(_) | Self::Store(_) => Disposition::Retry,
            Self::NoTokens => Disposition::GiveUp,
        }
    }

    /// In words a person can act on, where there is something to act on.
    #[must_use]
    pub fn diagnosis(&self) -> Option<&Diagnosis> {
        match self {
            Self::SignInNeeded(found)
            | Self::NeedsAdmin(found)
            | Self::AppBroken(found)
            | Self::Unreachable(found) => Some(found),
            Self::NotSignedIn | Self::Throttled { .. } | Self::Store(_) | Self::NoTokens => None,
        }
    }
}

impl From<NetError> for TokenError {
    fn from(error: NetError) -> Self {
        Self::Unreachable(Box::new(error.diagnosis()))
    }
}
