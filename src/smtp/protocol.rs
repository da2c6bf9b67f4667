//! Messages to the SMTP actor, and the outcomes that session and outbox machine exchange.

pub use crate::diagnosis::SmtpPhase;
use crate::diagnosis::{self, Facts, SmtpFinding, catalogue};
use crate::domain::{Diagnosis, Disposition, SendState};
use crate::net::NetError;
use actix::prelude::Message;
use std::fmt;

/// Wake-up: the outbox has something. Losing it costs latency, never mail.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Send;

/// A server's reply, all its lines joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Three digits.
    pub code: u16,
    /// The text, with the enhanced status code.
    pub text: String,
}

impl Reply {
    /// 5xx.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        self.code >= 500
    }

    /// 4xx or 5xx.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.code >= 400
    }

    /// What it means as the answer to a step.
    #[must_use]
    pub fn finding(&self, phase: SmtpPhase) -> SmtpFinding {
        diagnosis::smtp(phase, self.code, &self.text)
    }

    /// The same in words a person can act on.
    #[must_use]
    pub fn diagnosis(&self, phase: SmtpPhase, facts: &Facts<'_>) -> Diagnosis {
        self.finding(phase).diagnosis(facts, self.code, &self.text)
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.text)
    }
}

/// Why a step has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The deadline passed.
    Timeout,
    /// The connection broke.
    Cut(String),
    /// What came back is no SMTP.
    Garbled(String),
    /// Our own durable commit before the dot failed.
    Commit(String),
    /// The message cannot be sent through this server, whatever it would answer.
    Unsendable {
        /// The diagnosis' code.
        code: &'static str,
        /// Why, for a person.
        reason: String,
    },
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("no answer in time"),
            Self::Cut(why) => write!(f, "the connection broke: {why}"),
            Self::Garbled(why) => write!(f, "the answer is no SMTP: {why}"),
            Self::Commit(why) => write!(f, "not durable, so not sent: {why}"),
            Self::Unsendable { reason, .. } => f.write_str(reason),
        }
    }
}

/// How a transaction ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Recipients the server took; `result` says what became of them.
    pub accepted: Vec<String>,
    /// Recipients the server did not take, for now (4xx) or for good (5xx).
    pub refused: Vec<(String, Reply)>,
    /// The recipient at whose RCPT the connection ended, by 421 or without a word.
    pub ended_at: Option<String>,
    /// What became of the message.
    pub result: SendResult,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendResult {
    /// The server took it.
    Sent {
        /// Its last words; Exchange names the new Message-ID here.
        reply: Reply,
    },
    /// Refused for good.
    Refused5xx {
        /// The step.
        phase: SmtpPhase,
        /// The reply.
        reply: Reply,
    },
    /// Refused for now.
    Deferred {
        /// The step.
        phase: SmtpPhase,
        /// The reply.
        reply: Reply,
    },
    /// No recipient was taken; each one's reply is in `refused`.
    NoRecipient,
    /// The dot left and no answer came: nobody knows.
    Unknown {
        /// What happened instead of an answer.
        cause: Cause,
    },
    /// The dot did not leave: it was surely not sent.
    NotSent {
        /// Why.
        cause: Cause,
    },
}

/// Why something could not be sent.
#[derive(Debug, thiserror::Error)]
pub enum SmtpError {
    /// Anything before MAIL: the outbox waits, and goes out by itself when the cause is gone.
    #[error("{}", diagnosis.summary)]
    Hold {
        /// What is wrong.
        diagnosis: Box<Diagnosis>,
        /// What to do.
        retry: Disposition,
    },
    /// The server refuses this message for good.
    #[error("refused: {0}")]
    Refused(Reply),
    /// Not now.
    #[error("deferred: {0}")]
    Deferred(String),
    /// The dot left and no answer came.
    #[error("unknown: {0}")]
    Unknown(String),
}

impl SmtpError {
    /// What to do about it.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Hold { retry, .. } => *retry,
            Self::Refused(_) | Self::Unknown(_) => Disposition::GiveUp,
            Self::Deferred(_) => Disposition::Retry,
        }
    }

    /// What the outbox waits for. A pause alone is no throttling: only a server that speaks of a limit
    /// throttles.
    #[must_use]
    pub fn send_state(&self) -> SendState {
        let limit = self.diagnosis().is_some_and(|found| catalogue::speaks_of_a_limit(&found.code));
        match self.disposition() {
            Disposition::SignIn => SendState::NeedsSignIn,
            Disposition::NeedsAdmin => SendState::NeedsAdmin,
            Disposition::AppBroken => SendState::AppBroken,
            Disposition::Retry | Disposition::RetryAfter(_) if limit => SendState::Throttled,
            Disposition::Retry
            | Disposition::RetryAfter(_)
            | Disposition::FreshToken
            | Disposition::GiveUp
            | Disposition::Fatal => SendState::Held,
        }
    }

    /// What is wrong, where it concerns the mailbox.
    #[must_use]
    pub fn diagnosis(&self) -> Option<&Diagnosis> {
        match self {
            Self::Hold { diagnosis, .. } => Some(diagnosis),
            Self::Refused(_) | Self::Deferred(_) | Self::Unknown(_) => None,
        }
    }
}

impl From<NetError> for SmtpError {
    fn from(error: NetError) -> Self {
        Self::Hold { retry: error.disposition(), diagnosis: Box::new(error.diagnosis()) }
    }
}
