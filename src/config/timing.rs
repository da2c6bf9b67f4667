//! Intervals and deadlines.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Intervals and deadlines. Tests scale them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timing {
    /// To connect, per address.
    #[serde(with = "humantime_serde")]
    pub connect: Duration,
    /// TLS handshake.
    #[serde(with = "humantime_serde")]
    pub tls: Duration,
    /// IMAP greeting.
    #[serde(with = "humantime_serde")]
    pub greeting: Duration,
    /// Log-in; Exchange takes several seconds.
    #[serde(with = "humantime_serde")]
    pub login: Duration,
    /// LIST, STATUS, SELECT; Exchange gets twice as long.
    #[serde(with = "humantime_serde")]
    pub command: Duration,
    /// FETCH without a byte, or with less than 1 KiB for each second of this.
    #[serde(with = "humantime_serde")]
    pub fetch_silence: Duration,
    /// IDLE's continuation.
    #[serde(with = "humantime_serde")]
    pub idle_start: Duration,
    /// LOGOUT.
    #[serde(with = "humantime_serde")]
    pub logout: Duration,
    /// IDLE is renewed at least this often.
    #[serde(with = "humantime_serde")]
    pub idle_renew: Duration,
    /// IDLE that a server refuses, ends or hangs up on is tried again after this time; meanwhile the mailbox is polled.
    #[serde(with = "humantime_serde")]
    pub idle_again: Duration,
    /// Between STATUS rounds over the other folders.
    #[serde(with = "humantime_serde")]
    pub status_interval: Duration,
    /// Between complete flag scans of a folder on a server without CONDSTORE.
    #[serde(with = "humantime_serde")]
    pub flag_scan: Duration,
    /// Between folder listings.
    #[serde(with = "humantime_serde")]
    pub list_interval: Duration,
    /// After which a suspiciously large deletion is looked at again.
    #[serde(with = "humantime_serde")]
    pub mass_delete_confirm: Duration,
    /// After which a message that could not be fetched is tried again; doubles.
    #[serde(with = "humantime_serde")]
    pub quarantine_retry: Duration,
    /// First wait after a failed connection; doubles.
    #[serde(with = "humantime_serde")]
    pub retry_first: Duration,
    /// Longest wait after failed connections.
    #[serde(with = "humantime_serde")]
    pub retry_cap: Duration,
    /// Longest wait a server's throttling may ask for.
    #[serde(with = "humantime_serde")]
    pub throttle_cap: Duration,
    /// A token request.
    #[serde(with = "humantime_serde")]
    pub token: Duration,
    /// The sign-in of a paused mailbox is refreshed so often: providers end those that nobody uses.
    #[serde(with = "humantime_serde")]
    pub keep_grant: Duration,
    /// First wait of a deferred submission; doubles.
    #[serde(with = "humantime_serde")]
    pub defer_first: Duration,
    /// Longest wait of a deferred submission.
    #[serde(with = "humantime_serde")]
    pub defer_cap: Duration,
    /// A held outbox looks again this often.
    #[serde(with = "humantime_serde")]
    pub hold_retry: Duration,
    /// SMTP's greeting and the answer to EHLO, together (RFC 5321 §4.5.3.2.1: 5 minutes).
    #[serde(with = "humantime_serde")]
    pub smtp_greeting: Duration,
    /// SMTP's answer to EHLO after STARTTLS, STARTTLS, AUTH, MAIL and RCPT, each (RFC 5321 §4.5.3.2.2: 5 minutes).
    #[serde(with = "humantime_serde")]
    pub smtp_command: Duration,
    /// SMTP's answer to DATA (RFC 5321 §4.5.3.2.4: 2 minutes).
    #[serde(with = "humantime_serde")]
    pub smtp_data_start: Duration,
    /// While a message is sent, without progress (RFC 5321 §4.5.3.2.5: 3 minutes).
    #[serde(with = "humantime_serde")]
    pub smtp_data_block: Duration,
    /// SMTP's answer to QUIT and RSET: nothing depends on it.
    #[serde(with = "humantime_serde")]
    pub smtp_quit: Duration,
    /// An SMTP server that is silent for so long while a connection is made is shown as what is waited for.
    #[serde(with = "humantime_serde")]
    pub smtp_silence: Duration,
    /// SMTP's answer after the final dot (RFC 5321 §4.5.3.2.6: 10 minutes; a shorter one manufactures
    /// `unknown`).
    #[serde(with = "humantime_serde")]
    pub smtp_after_dot: Duration,
    /// For a whole examination of a mailbox by the doctor.
    #[serde(with = "humantime_serde")]
    pub doctor: Duration,
    /// To end everything at SIGTERM.
    #[serde(with = "humantime_serde")]
    pub drain: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            connect: seconds(10),
            tls: seconds(15),
            greeting: seconds(60),
            login: seconds(60),
            command: seconds(60),
            fetch_silence: seconds(60),
            idle_start: seconds(30),
            logout: seconds(5),
            idle_renew: seconds(5 * 60),
            idle_again: seconds(6 * 3600),
            status_interval: seconds(60),
            flag_scan: seconds(10 * 60),
            list_interval: seconds(5 * 60),
            mass_delete_confirm: seconds(60),
            quarantine_retry: seconds(3600),
            retry_first: seconds(1),
            retry_cap: seconds(5 * 60),
            throttle_cap: seconds(5 * 60),
            token: seconds(30),
            keep_grant: seconds(30 * 24 * 3600),
            defer_first: seconds(60),
            defer_cap: seconds(60 * 60),
            hold_retry: seconds(5 * 60),
            smtp_greeting: seconds(5 * 60),
            smtp_command: seconds(5 * 60),
            smtp_data_start: seconds(2 * 60),
            smtp_data_block: seconds(3 * 60),
            smtp_quit: seconds(5),
            smtp_silence: seconds(10),
            smtp_after_dot: seconds(10 * 60),
            doctor: seconds(75),
            drain: seconds(40),
        }
    }
}
