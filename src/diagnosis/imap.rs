//! IMAP status texts → what to do. Rows are tried from the top. Texts are those of Exchange Online, Gmail and
//! Dovecot as captured in 2018-2026; response codes are RFC 5530's.

use super::{Entry, Facts, catalogue as c, describe};
use crate::domain::{Diagnosis, Disposition};
use std::time::Duration;

/// A status text, understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImapFinding {
    /// The catalogue's entry.
    pub entry: &'static Entry,
    /// The answer to "what now?".
    pub disposition: Disposition,
}

impl ImapFinding {
    /// In words a person can act on, with the text as evidence.
    #[must_use]
    pub fn diagnosis(&self, facts: &Facts<'_>, text: &str) -> Diagnosis {
        describe(self.entry, facts, Some(text))
    }
}

use Disposition::{FreshToken, GiveUp, NeedsAdmin, Retry, RetryAfter, SignIn};

const MINUTE: Duration = Duration::from_secs(60);
/// Exchange has asked for up to five minutes; more is a broken number (imapflow caps there too).
const LONGEST_BACKOFF: Duration = Duration::from_secs(300);

/// Words that must all be there, compared in lower case.
static ROWS: &[(&[&str], &Entry, Disposition)] = &[
    (&["accesstokenexpired"], &c::TOKEN_EXPIRED, FreshToken),
    (&["authenticated but not connected"], &c::NOT_CONNECTED, RetryAfter(MINUTE)),
    (&["request is throttled"], &c::THROTTLED, RetryAfter(MINUTE)),
    (&["[throttled]"], &c::THROTTLED, RetryAfter(MINUTE)),
    (&["too many simultaneous connections"], &c::TOO_MANY_CONNECTIONS, RetryAfter(MINUTE)),
    (&["maximum number of connections"], &c::TOO_MANY_CONNECTIONS, RetryAfter(MINUTE)),
    (
        &["exceeded command or bandwidth limits"],
        &c::OVER_QUOTA_TRANSFER,
        RetryAfter(Duration::from_secs(3600)),
    ),
    (&["[overquota]"], &c::OVER_QUOTA_TRANSFER, RetryAfter(Duration::from_secs(3600))),
    (&["application-specific password"], &c::APP_PASSWORD, SignIn),
    (&["application password is required"], &c::APP_PASSWORD, SignIn),
    (&["log in via your web browser"], &c::WEB_LOGIN, SignIn),
    (&["[webalert"], &c::WEB_LOGIN, SignIn),
    (&["[limit]"], &c::TOO_MANY_CONNECTIONS, RetryAfter(MINUTE)),
    (&["[unavailable]"], &c::SERVER_BUSY, Retry),
    (&["[inuse]"], &c::SERVER_BUSY, Retry),
    (&["[serverbug]"], &c::SERVER_BUSY, Retry),
    (&["[contactadmin]"], &c::IMAP_LOGIN_REFUSED, NeedsAdmin),
    (&["[expired]"], &c::PASSWORD_REFUSED, SignIn),
    (&["[authorizationfailed]"], &c::IMAP_LOGIN_REFUSED, NeedsAdmin),
    (&["authenticate failed"], &c::IMAP_LOGIN_REFUSED, FreshToken),
    (&["[authenticationfailed]"], &c::IMAP_LOGIN_REFUSED, FreshToken),
    (&["sasl authentication failed"], &c::IMAP_LOGIN_REFUSED, FreshToken),
    (&["login failed"], &c::IMAP_LOGIN_REFUSED, FreshToken),
    (&["server unavailable"], &c::SERVER_BUSY, Retry),
    (&["temporary system"], &c::SERVER_BUSY, Retry),
    (&["command argument error"], &c::COMMAND_REFUSED, GiveUp),
    (&["command error"], &c::COMMAND_REFUSED, GiveUp),
    (&["invalid state"], &c::COMMAND_REFUSED, GiveUp),
    (&["connection is closed"], &c::CONNECTION_LOST, Retry),
    (&["connection closed"], &c::CONNECTION_LOST, Retry),
    (&["session expired"], &c::CONNECTION_LOST, Retry),
    (&["some of the requested messages no longer exist"], &c::MESSAGES_GONE, Retry),
    (&["maximum size of appendable message"], &c::MESSAGE_TOO_LARGE, GiveUp),
    (&["[badcharset"], &c::COMMAND_REFUSED, GiveUp),
    (&["folder name is reserved"], &c::FOLDER_NAME_REFUSED, GiveUp),
    (&["mailbox already exists"], &c::FOLDER_NAME_REFUSED, GiveUp),
    (&["excess whitespace"], &c::FOLDER_NAME_REFUSED, GiveUp),
    (&["[nonexistent]"], &c::FOLDER_MISSING, Retry),
];

/// Understands the text of a NO, BAD or BYE, or an `OK` that carries a warning. `None`: it says nothing we know.
#[must_use]
pub fn imap(text: &str) -> Option<ImapFinding> {
    let lower = text.to_ascii_lowercase();
    let (_, entry, disposition) =
        ROWS.iter().find(|(words, _, _)| words.iter().all(|word| lower.contains(word)))?;
    let disposition = match (*disposition, backoff_hint(&lower)) {
        (RetryAfter(_), Some(hint)) => RetryAfter(hint),
        (disposition, _) => disposition,
    };
    Some(ImapFinding { entry, disposition })
}

/// Whether the text of a NO or BAD to a command about one folder speaks of the whole session: of its log-in, its token, its
/// connection or the provider's patience. What it says else it says of that folder.
#[must_use]
pub fn concerns_session(text: &str) -> bool {
    let is_code_of_folders = |word| text.to_ascii_lowercase().contains(word);
    if ["[limit]", "[contactadmin]", "[overquota] quota"].into_iter().any(is_code_of_folders) {
        return false;
    }
    let of_sessions = [
        &c::TOKEN_EXPIRED,
        &c::NOT_CONNECTED,
        &c::THROTTLED,
        &c::TOO_MANY_CONNECTIONS,
        &c::OVER_QUOTA_TRANSFER,
        &c::APP_PASSWORD,
        &c::WEB_LOGIN,
        &c::IMAP_LOGIN_REFUSED,
        &c::PASSWORD_REFUSED,
        &c::CONNECTION_LOST,
    ];
    imap(text).is_some_and(|found| of_sessions.contains(&found.entry))
}

/// What the refusal of a folder asks of a person, after so many tries: whose right is missing is known at once, what else
/// stays refused is somebody's to look at.
#[must_use]
pub fn folder_refused(text: &str, tries: u32) -> Option<&'static Entry> {
    /// With waits that double from a minute: a quarter of an hour.
    const PASSES_BY_ITSELF: u32 = 4;
    let lower = text.to_ascii_lowercase();
    let denied =
        ["[noperm]", "[contactadmin]", "permission denied", "access denied", "not authorized", "no right"];
    if denied.iter().any(|words| lower.contains(words)) {
        return Some(&c::FOLDER_DENIED);
    }
    (tries > PASSES_BY_ITSELF).then_some(&c::FOLDER_REFUSED)
}

/// `Suggested Backoff Time: 92415 milliseconds`; a number nobody can mean is ignored, a long one is capped.
fn backoff_hint(lower: &str) -> Option<Duration> {
    let after = lower.split_once("backoff time:")?.1.trim_start();
    let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
    let digits = after.get(..end)?;
    if digits.is_empty() {
        return None;
    }
    Some(digits.parse().map_or(LONGEST_BACKOFF, Duration::from_millis).min(LONGEST_BACKOFF))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captured_texts_find_their_meaning() {
        for (text, expected, disposition) in [
            ("AUTHENTICATE failed.", "imap_login_refused", FreshToken),
            ("[AUTHENTICATIONFAILED] Invalid credentials (Failure)", "imap_login_refused", FreshToken),
            ("User is authenticated but not connected.", "authenticated_not_connected", RetryAfter(MINUTE)),
            ("Session invalidated - AccessTokenExpired", "access_token_expired", FreshToken),
            ("Server Unavailable. 15", "server_unavailable", Retry),
            ("Connection is closed. 13", "connection_lost", Retry),
            ("Connection closed. 14", "connection_lost", Retry),
            ("Command Argument Error. 11", "command_refused", GiveUp),
            ("Command Error. 10", "command_refused", GiveUp),
            ("Command received in Invalid state.", "command_refused", GiveUp),
            (
                "[ALERT] Too many simultaneous connections. (Failure)",
                "too_many_connections",
                RetryAfter(MINUTE),
            ),
            (
                "[OVERQUOTA] Account exceeded command or bandwidth limits.",
                "transfer_limit",
                RetryAfter(Duration::from_secs(3600)),
            ),
            ("Success [THROTTLED]", "throttled", RetryAfter(MINUTE)),
            ("[ALERT] Please log in via your web browser: https://x", "web_login_required", SignIn),
            ("[ALERT] Application-specific password required", "app_password_required", SignIn),
            ("[UNAVAILABLE] Temporary System Error", "server_unavailable", Retry),
            (
                "Request is throttled. Suggested Backoff Time: 92415 milliseconds",
                "throttled",
                RetryAfter(Duration::from_millis(92415)),
            ),
            ("Some of the requested messages no longer exist", "messages_gone", Retry),
            ("Folder name is reserved", "folder_name_refused", GiveUp),
            ("Mailbox already exists", "folder_name_refused", GiveUp),
            ("[BADCHARSET (US-ASCII)] The specified charset is not supported.", "command_refused", GiveUp),
            ("Maximum size of appendable message has been exceeded", "message_too_large", GiveUp),
            (
                "[NONEXISTENT] Unknown Mailbox: Archive (now in authenticated state) (Failure)",
                "folder_missing",
                Retry,
            ),
            ("[CANNOT] Folder contains excess whitespace (Failure)", "folder_name_refused", GiveUp),
            ("Session expired, please login again", "connection_lost", Retry),
        ] {
            let found = imap(text).unwrap();
            assert_eq!((found.entry.code, found.disposition), (expected, disposition), "{text}");
        }
        assert_eq!(imap("SELECT completed."), None);
    }

    #[test]
    fn a_folder_that_is_refused_is_told_from_a_session_that_ends() {
        for text in [
            "Command Argument Error. 11",
            "[NONEXISTENT] Mailbox doesn't exist",
            "[SERVERBUG] Internal error occurred. Refer to server log",
            "[INUSE] busy",
            "[LIMIT] too many",
            "[UNAVAILABLE] later",
            "[NOPERM] no",
            "[CANNOT] no",
            "Mailbox does not exist",
            "Permission denied",
            "Unknown error",
        ] {
            assert!(!concerns_session(text), "{text}");
        }
        for text in [
            "User is authenticated but not connected.",
            "Request is throttled. Suggested Backoff Time: 92415 milliseconds",
            "Session invalidated - AccessTokenExpired",
            "Connection is closed. 13",
        ] {
            assert!(concerns_session(text), "{text}");
        }
        assert_eq!(folder_refused("[NOPERM] no", 1), Some(&c::FOLDER_DENIED));
        assert_eq!(folder_refused("Unknown error", 1), None);
        assert_eq!(folder_refused("Unknown error", 5), Some(&c::FOLDER_REFUSED));
    }

    #[test]
    fn every_row_can_be_reached_by_its_own_words() {
        for (words, entry, _) in ROWS {
            assert_eq!(imap(&words.join(" ")).unwrap().entry.code, entry.code, "{words:?}");
        }
    }

    #[test]
    fn the_backoff_hint_is_honoured_within_reason() {
        let throttled = |hint: &str| {
            imap(&format!("Request is throttled. Suggested Backoff Time: {hint} milliseconds"))
                .unwrap()
                .disposition
        };
        assert_eq!(throttled("2000"), RetryAfter(Duration::from_secs(2)));
        assert_eq!(throttled("99999999999"), RetryAfter(LONGEST_BACKOFF));
        assert_eq!(throttled("99999999999999999999999999"), RetryAfter(LONGEST_BACKOFF));
        assert_eq!(throttled("-5"), RetryAfter(MINUTE));
        assert_eq!(throttled("soon"), RetryAfter(MINUTE));
    }
}
