//! How long an SMTP server may take for each step.

use crate::config::Timing;
use std::time::Duration;

/// Deadlines, by default those of RFC 5321 §4.5.3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SmtpTiming {
    /// For the greeting and the first EHLO together.
    pub greeting: Duration,
    /// For EHLO, STARTTLS, AUTH, MAIL and RCPT each.
    pub command: Duration,
    /// For the answer to DATA.
    pub data_start: Duration,
    /// While the message is sent: the longest time without progress.
    pub data_block: Duration,
    /// After the final dot. A shorter one would make `unknown` of messages that the server took.
    pub after_dot: Duration,
    /// For QUIT and RSET.
    pub quit: Duration,
}

impl Default for SmtpTiming {
    fn default() -> Self {
        Self::from(&Timing::default())
    }
}

impl From<&Timing> for SmtpTiming {
    fn from(timing: &Timing) -> Self {
        Self {
            greeting: timing.smtp_greeting,
            command: timing.smtp_command,
            data_start: timing.smtp_data_start,
            data_block: timing.smtp_data_block,
            after_dot: timing.smtp_after_dot,
            quit: timing.smtp_quit,
        }
    }
}
