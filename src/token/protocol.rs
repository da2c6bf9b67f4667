//! Messages, replies and errors of the token actors.

use super::app::Outcome;
use crate::domain::{Diagnosis, Disposition, GrantInfo, Incarnation, Secret, Timestamp};
use crate::net::NetError;
use actix::prelude::Message;
use std::time::Duration;
use tokio::sync::oneshot;

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

/// Supervisor → Token: whatever was refused may be asked for again. Lost, the time does it.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct AskAgain;

/// Token → App: may a request with this app's credentials leave? Answered when there is room for it.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Permit, Waiting>")]
pub struct MayRequest {
    /// Who asks.
    pub mailbox: Incarnation,
    /// A person said "now".
    pub urgent: bool,
}

/// Token → App: the app's own token, which all its app-only mailboxes share.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<AccessToken, Waiting>")]
pub struct GetAppToken {
    /// Who asks.
    pub mailbox: Incarnation,
    /// The token that a server refused.
    pub refused: Option<Secret>,
    /// A person said "now".
    pub urgent: bool,
}

/// App → Supervisor: these mailboxes may ask again. Lost, each finds it at its own time.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct AppMended {
    /// Who.
    pub mailboxes: Vec<Incarnation>,
}

/// Leave to send one request. How it ended is told by it; dropped, it says nothing about others.
#[derive(Debug)]
pub struct Permit(oneshot::Sender<Ended>);

/// How a request ended.
#[derive(Debug)]
pub struct Ended {
    /// What it says about others.
    pub outcome: Outcome,
    /// Dropped when the gate knows.
    pub heard: oneshot::Sender<()>,
}

impl Permit {
    /// A permit, and where its end is heard of.
    #[must_use]
    pub fn new() -> (Self, oneshot::Receiver<Ended>) {
        let (tell, told) = oneshot::channel();
        (Self(tell), told)
    }

    /// The request ended so. Whoever waits for this may tell others to ask: the gate knows.
    pub async fn ended(self, outcome: Outcome) {
        let (heard, is_heard) = oneshot::channel();
        // an app actor that is gone has no gate any more
        drop(self.0.send(Ended { outcome, heard }));
        drop(is_heard.await);
    }
}

/// Why a request may not leave.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Why; `None`: the mailbox has met the cause itself.
    pub error: Option<TokenError>,
    /// When to come again.
    pub until: Option<Timestamp>,
}

impl Waiting {
    /// The app actor is being started again.
    #[must_use]
    pub fn for_restart() -> Self {
        Self {
            error: Some(TokenError::Store(String::from("the app's actor is being restarted"))),
            until: None,
        }
    }
}

/// An access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    /// The token itself; opaque, whatever it looks like.
    pub token: Secret,
    /// When it was asked for.
    pub issued_at: Timestamp,
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
    /// Whoever would have answered is being started again.
    #[must_use]
    pub fn restarting() -> Self {
        Self::Store(String::from("the token actor is being restarted"))
    }

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
