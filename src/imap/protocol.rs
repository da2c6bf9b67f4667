//! Messages to the IMAP actor, and how receiving can fail.

use crate::diagnosis::{self, Facts, catalogue as c};
use crate::domain::{Diagnosis, Disposition, Uid};
use crate::net::{LimitExceeded, NetError};
use crate::store::StoreError;
use crate::token::protocol::TokenError;
use actix::Message;
use serde::Serialize;
use std::time::Duration;

/// Look at the server now. A wake-up: lost, the next poll does it.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct SyncNow;

/// The actor's own view of itself.
#[derive(Clone, Debug, Message)]
#[rtype(result = "ImapStatus")]
pub struct GetStatus;

/// What the IMAP actor does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, actix::MessageResponse)]
pub struct ImapStatus {
    /// In a word: `connecting`, `listing`, `syncing INBOX`, `idle`, `waiting`.
    pub doing: String,
    /// Connections made since the actor was spawned.
    pub connections: u64,
    /// Messages fetched since the actor was spawned.
    pub fetched: u64,
    /// Lines of the server's that were not understood and passed over, since the actor was spawned.
    pub passed_over: u64,
}

/// Why receiving failed.
#[derive(Debug, thiserror::Error)]
pub enum ImapError {
    /// No connection.
    #[error(transparent)]
    Net(#[from] NetError),
    /// No access token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The server did not answer in time.
    #[error("the server did not answer {what} within {} s", after.as_secs())]
    Timeout {
        /// Which command.
        what: &'static str,
        /// How long we waited.
        after: Duration,
    },
    /// The server refused the log-in.
    #[error("the server refused the log-in: {text}")]
    LoginRefused {
        /// Its words.
        text: String,
    },
    /// The server refused user name or password.
    #[error("the server refused the user name or password: {text}")]
    PasswordRefused {
        /// Its words.
        text: String,
    },
    /// The server answered NO.
    #[error("the server refused {what}: {text}")]
    No {
        /// Which command.
        what: &'static str,
        /// Its words.
        text: String,
    },
    /// The server answered BAD.
    #[error("the server rejected {what}: {text}")]
    Bad {
        /// Which command.
        what: &'static str,
        /// Its words.
        text: String,
    },
    /// The server said BYE.
    #[error("the server ended the session: {text}")]
    Bye {
        /// Its words.
        text: String,
    },
    /// The connection ended.
    #[error("the connection was lost during {what}")]
    Lost {
        /// Which command.
        what: &'static str,
    },
    /// The server sent what is not IMAP, or more than is allowed.
    #[error("the server sent something unreadable during {what}: {detail}")]
    Unreadable {
        /// Which command.
        what: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The server sent more than a mail server may.
    #[error("the server sent too much during {what}: {limit}")]
    Exceeded {
        /// Which command.
        what: &'static str,
        /// Which limit.
        limit: LimitExceeded,
    },
    /// The server cannot do what is configured.
    #[error("{0}")]
    Unsupported(String),
    /// Nobody signed in yet.
    #[error("nobody signed in yet")]
    NotSignedIn,
    /// We fail at a message: its processing panicked.
    #[error("message {uid} cannot be processed: this is a fault of this program, see its log")]
    Unprocessable {
        /// Which message.
        uid: Uid,
    },
    /// Our own work was cut off.
    #[error("internal: {0}")]
    Internal(String),
}

impl ImapError {
    /// What to do about it.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Net(error) => error.disposition(),
            Self::Token(error) => error.disposition(crate::clock::now()),
            Self::Store(error) => error.disposition(),
            Self::LoginRefused { .. } => Disposition::FreshToken,
            Self::No { text, .. } | Self::Bad { text, .. } | Self::Bye { text } => {
                diagnosis::imap(text).map_or(Disposition::Retry, |found| found.disposition)
            }
            Self::NotSignedIn | Self::PasswordRefused { .. } => Disposition::SignIn,
            Self::Unsupported(_) => Disposition::NeedsAdmin,
            Self::Timeout { .. }
            | Self::Lost { .. }
            | Self::Unreadable { .. }
            | Self::Exceeded { .. }
            | Self::Unprocessable { .. }
            | Self::Internal(_) => Disposition::Retry,
        }
    }

    /// Whether the server said NO or BAD for no reason that we know: it does not want this command. One that is
    /// busy says nothing about it.
    #[must_use]
    pub fn is_plain_refusal(&self) -> bool {
        matches!(self, Self::No { text, .. } | Self::Bad { text, .. } if diagnosis::imap(text).is_none())
    }

    /// Whether the server said NO or BAD to a command about a folder, and means that folder alone.
    #[must_use]
    pub fn refuses_folder(&self) -> bool {
        let (Self::No { what, .. } | Self::Bad { what, .. }) = self else { return false };
        matches!(*what, "SELECT" | "EXAMINE" | "STATUS" | "FETCH" | "SEARCH") && !self.is_of_session()
    }

    /// Whether the server said NO or BAD because it is busy or in trouble: what it refused may be there.
    #[must_use]
    pub fn says_busy(&self) -> bool {
        let (Self::No { text, .. } | Self::Bad { text, .. }) = self else { return false };
        diagnosis::imap(text).is_some_and(|found| {
            found.entry == &c::SERVER_BUSY || matches!(found.disposition, Disposition::RetryAfter(_))
        })
    }

    /// Whether the server said NO or BAD and means the whole session.
    #[must_use]
    pub fn is_of_session(&self) -> bool {
        matches!(self, Self::No { text, .. } | Self::Bad { text, .. } if diagnosis::concerns_session(text))
    }

    /// Whether the connection ended with it, for no reason that the server gave and we know.
    #[must_use]
    pub fn ends_the_connection(&self) -> bool {
        let went = matches!(self, Self::Lost { .. } | Self::Timeout { .. } | Self::Bye { .. });
        let was_cut = matches!(self, Self::Unreadable { .. } | Self::Exceeded { .. });
        was_cut || went && self.disposition() == Disposition::Retry
    }

    /// The diagnosis for a person, where somebody has to act or may wonder.
    #[must_use]
    pub fn diagnosis(&self, facts: &Facts<'_>) -> Option<Diagnosis> {
        let evidence = self.to_string();
        let describe = |entry, text| Some(diagnosis::describe(entry, facts, Some(text)));
        let detailed = |entry, detail: &str| {
            Some(diagnosis::describe(entry, &Facts { detail, ..*facts }, Some(&evidence)))
        };
        match self {
            Self::Net(error) => Some(error.diagnosis()),
            Self::Token(error) => error.diagnosis().cloned(),
            Self::LoginRefused { text } => describe(&c::IMAP_LOGIN_REFUSED, text),
            Self::PasswordRefused { text } => match diagnosis::imap(text) {
                Some(found) if found.entry.code != c::IMAP_LOGIN_REFUSED.code => {
                    Some(found.diagnosis(facts, text))
                }
                _ => describe(&c::PASSWORD_REFUSED, text),
            },
            Self::No { what: "STARTTLS", text } | Self::Bad { what: "STARTTLS", text } => {
                describe(&c::STARTTLS_MISSING, text)
            }
            Self::No { text, .. } | Self::Bad { text, .. } | Self::Bye { text } => {
                match diagnosis::imap(text) {
                    Some(found) => Some(found.diagnosis(facts, text)),
                    None => describe(&c::SERVER_REFUSED, &evidence),
                }
            }
            Self::Timeout { .. } => describe(&c::SERVER_SILENT, &evidence),
            Self::Lost { .. } => describe(&c::CONNECTION_LOST, &evidence),
            Self::Unreadable { .. } => describe(&c::SERVER_UNREADABLE, &evidence),
            Self::Exceeded { limit, .. } => detailed(&c::LIMIT_EXCEEDED, &limit.to_string()),
            Self::Unsupported(what) => detailed(&c::SERVER_UNSUPPORTED, what),
            Self::Store(StoreError::Full { path }) => detailed(&c::STORAGE_FULL, &path.display().to_string()),
            Self::Store(StoreError::Exhausted { .. }) => {
                detailed(&c::DESCRIPTORS, &crate::descriptors::limit().to_string())
            }
            Self::Store(_) | Self::NotSignedIn | Self::Unprocessable { .. } | Self::Internal(_) => None,
        }
    }
}
