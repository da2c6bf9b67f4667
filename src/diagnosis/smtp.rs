//! SMTP replies → what to do. The phase decides whom a reply concerns: servers use one text for many things (`552
//! 5.2.2` is the sender's full mailbox after the message and a recipient's at RCPT). Within a phase, rows are tried
//! from the top; the last ones are the rule of RFC 5321 §4.2.1 by the first digit. Texts are those of Exchange Online,
//! Gmail and Postfix as captured in 2021-2026.

use super::{Entry, Facts, catalogue as c, describe};
use crate::domain::{Diagnosis, Disposition};
use std::time::Duration;

/// Which step was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpPhase {
    /// Anything before MAIL: greeting, EHLO, STARTTLS, AUTH.
    Session,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA.
    Data,
    /// The message with its final dot.
    Message,
}

/// Whom a reply concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpScope {
    /// One recipient: the message goes to the others.
    Recipient,
    /// This connection: what it says of a recipient does not count, and the next attempt makes a new one.
    Dialogue,
    /// This message: the outbox goes on with the others.
    Message,
    /// The mailbox or tenant: the outbox waits.
    Mailbox,
}

/// A reply, understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SmtpFinding {
    /// The catalogue's entry.
    pub entry: &'static Entry,
    /// The answer to "what now?".
    pub disposition: Disposition,
    /// Whom it concerns.
    pub scope: SmtpScope,
}

impl SmtpFinding {
    /// In words a person can act on, with the reply as evidence.
    #[must_use]
    pub fn diagnosis(&self, facts: &Facts<'_>, code: u16, text: &str) -> Diagnosis {
        describe(self.entry, facts, Some(&format!("{code} {text}")))
    }
}

struct Row {
    /// Reply codes; empty is any.
    codes: &'static [u16],
    /// All of these must be in the text, compared in lower case.
    words: &'static [&'static str],
    entry: &'static Entry,
    disposition: Disposition,
    scope: SmtpScope,
}

const MINUTE: Duration = Duration::from_secs(60);
const QUARTER: Duration = Duration::from_secs(900);
const HOUR: Duration = Duration::from_secs(3600);

use Disposition::{FreshToken, GiveUp, NeedsAdmin, Retry, RetryAfter, SignIn};
use SmtpScope::{Dialogue, Mailbox, Message, Recipient};

macro_rules! rows {
    ($([$($code:literal),*] [$($word:literal),*] => $entry:ident, $disposition:expr, $scope:ident;)*) => {
        &[$(Row { codes: &[$($code),*], words: &[$($word),*], entry: &c::$entry, disposition: $disposition,
            scope: $scope }),*]
    };
}

static ROWS: &[Row] = rows! {
    [535] ["5.7.139", "disabled for the tenant"] => SMTP_AUTH_DISABLED_TENANT, NeedsAdmin, Mailbox;
    [535] ["5.7.139", "disabled for the mailbox"] => SMTP_AUTH_DISABLED_MAILBOX, NeedsAdmin, Mailbox;
    [535] ["5.7.139", "criteria"] => SMTP_POLICY_BLOCKED, NeedsAdmin, Mailbox;
    [535] ["5.7.139", "basic authentication is disabled"] => BASIC_AUTH_DISABLED, NeedsAdmin, Mailbox;
    [535] ["5.7.139"] => SMTP_POLICY_BLOCKED, NeedsAdmin, Mailbox;
    [550] ["5.7.30"] => BASIC_AUTH_DISABLED, NeedsAdmin, Mailbox;
    [534] ["5.7.9"] => APP_PASSWORD, SignIn, Mailbox;
    [535] ["application password is required"] => APP_PASSWORD, SignIn, Mailbox;
    [534] ["5.7.14"] => WEB_LOGIN, SignIn, Mailbox;
    [535] [] => SMTP_LOGIN_REFUSED, FreshToken, Mailbox;
    [530] ["5.7.57"] => SMTP_AUTH_NOT_OFFERED, NeedsAdmin, Mailbox;
    [530] [] => SMTP_AUTH_NOT_OFFERED, NeedsAdmin, Mailbox;
    [454] ["too many login"] => THROTTLED, RetryAfter(MINUTE), Mailbox;
    [454] ["4.7.0"] => SMTP_DEFERRED, RetryAfter(MINUTE), Mailbox;
    [] ["sendasdenied"] => SEND_AS_DENIED, GiveUp, Message;
    [550] ["5.7.60"] => SEND_AS_DENIED, GiveUp, Message;
    [550, 553] ["not owned by user"] => SEND_AS_DENIED, GiveUp, Message;
    [] ["submissionquotaexceeded"] => SENDING_QUOTA, RetryAfter(HOUR), Mailbox;
    [] ["submission quota exceeded"] => SENDING_QUOTA, RetryAfter(HOUR), Mailbox;
    [] ["5.4.5", "sending limit"] => SENDING_QUOTA, RetryAfter(HOUR), Mailbox;
    [] ["daily user sending"] => SENDING_QUOTA, RetryAfter(HOUR), Mailbox;
    [554] ["quotaexceeded"] => MAILBOX_FULL, NeedsAdmin, Mailbox;
    [552, 554] ["5.2.2", "mailbox full"] => MAILBOX_FULL, NeedsAdmin, Mailbox;
    [552, 554] ["5.2.2"] => MAILBOX_FULL, NeedsAdmin, Mailbox;
    [432] [] => TOO_MANY_CONNECTIONS, RetryAfter(Duration::from_secs(45)), Mailbox;
    [] ["concurrent connections limit"] => TOO_MANY_CONNECTIONS, RetryAfter(Duration::from_secs(45)), Mailbox;
    [430] [] => MAILBOX_LOGON_FAILED, RetryAfter(Duration::from_secs(300)), Mailbox;
    [] ["mapiexceptionlogonfailed"] => MAILBOX_LOGON_FAILED, RetryAfter(Duration::from_secs(300)), Mailbox;
    [421, 450, 451, 452] ["submission rate"] => THROTTLED, RetryAfter(MINUTE), Mailbox;
    [421] ["4.4.2"] => THROTTLED, RetryAfter(MINUTE), Mailbox;
    [452] ["4.5.3"] => RECIPIENT_DEFERRED, Retry, Message;
    [452] ["4.2.2"] => RECIPIENT_DEFERRED, Retry, Message;
    [450] ["4.2.1"] => RECIPIENT_DEFERRED, Retry, Message;
    [550, 554] ["5.1.8"] => SENDER_BLOCKED, NeedsAdmin, Mailbox;
    [550, 554] ["5.7.501"] => SENDER_BLOCKED, NeedsAdmin, Mailbox;
    [550, 554] ["5.7.502"] => SENDER_BLOCKED, NeedsAdmin, Mailbox;
    [550, 554] ["5.7.503"] => SENDER_BLOCKED, NeedsAdmin, Mailbox;
    [550, 554] ["5.7.511"] => SENDER_BLOCKED, NeedsAdmin, Mailbox;
    [550, 554] ["5.7.512"] => MESSAGE_MALFORMED, GiveUp, Message;
    [550, 554] ["5.7.705"] => SENDER_BLOCKED, NeedsAdmin, Mailbox;
    [550, 554] ["5.7.708"] => SENDER_BLOCKED, NeedsAdmin, Mailbox;
    [550, 554] ["5.7.750"] => SENDER_BLOCKED, NeedsAdmin, Mailbox;
    [550, 554] ["5.6.11"] => MESSAGE_MALFORMED, GiveUp, Message;
    [552] ["5.3.4"] => MESSAGE_TOO_LARGE, GiveUp, Message;
    [552] ["5.2.3"] => MESSAGE_TOO_LARGE, GiveUp, Message;
    [552] [] => MESSAGE_TOO_LARGE, GiveUp, Message;
    [550] ["policy"] => MESSAGE_POLICY, GiveUp, Message;
    [550, 553] ["5.1."] => RECIPIENT_REFUSED, GiveUp, Message;
    [550, 553] ["5.4.1"] => RECIPIENT_REFUSED, GiveUp, Message;
    [503] [] => SMTP_DEFERRED, Retry, Message;
};

/// Understands a reply of 4xx or 5xx to a step.
#[must_use]
pub fn smtp(phase: SmtpPhase, code: u16, text: &str) -> SmtpFinding {
    let said = by_text(code, text);
    match phase {
        SmtpPhase::Session => of_session(said),
        SmtpPhase::Rcpt => of_recipient(said, code),
        SmtpPhase::Mail | SmtpPhase::Data | SmtpPhase::Message => said,
    }
}

/// No message was offered yet: whatever a text would mean for one, it means all of them.
fn of_session(said: SmtpFinding) -> SmtpFinding {
    if said.disposition == GiveUp {
        return finding(&c::SMTP_REFUSED, RetryAfter(QUARTER), Mailbox);
    }
    SmtpFinding { scope: Mailbox, ..said }
}

/// One recipient was answered, and only the others' answers could show that it is not about that one. What says that
/// the dialogue has gone wrong (503) or that nobody is signed in (RFC 4954 §6) is no verdict on an address.
fn of_recipient(said: SmtpFinding, code: u16) -> SmtpFinding {
    match code {
        503 | 530 | 534 | 535 | 538 => SmtpFinding { scope: Dialogue, ..said },
        421 => finding(said.entry, Retry, Recipient),
        ..500 => finding(&c::RECIPIENT_DEFERRED, Retry, Recipient),
        _ if said.scope == Message => SmtpFinding { scope: Recipient, ..said },
        _ => finding(&c::RECIPIENT_REFUSED, GiveUp, Recipient),
    }
}

fn by_text(code: u16, text: &str) -> SmtpFinding {
    let lower = text.to_ascii_lowercase();
    let found = ROWS.iter().find(|row| {
        (row.codes.is_empty() || row.codes.contains(&code))
            && row.words.iter().all(|word| lower.contains(word))
    });
    match found {
        Some(row) => SmtpFinding { entry: row.entry, disposition: row.disposition, scope: row.scope },
        None if code == 421 => finding(&c::SERVER_BUSY, Retry, Mailbox),
        None if code < 500 => finding(&c::SMTP_DEFERRED, Retry, Message),
        None => finding(&c::MESSAGE_REFUSED, GiveUp, Message),
    }
}

fn finding(entry: &'static Entry, disposition: Disposition, scope: SmtpScope) -> SmtpFinding {
    SmtpFinding { entry, disposition, scope }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captured_replies_find_their_meaning() {
        let auth = "5.7.139 Authentication unsuccessful, ";
        for (code, text, expected, disposition) in [
            (535, format!("{auth}SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled"), "smtp_auth_disabled_tenant", NeedsAdmin),
            (535, format!("{auth}SmtpClientAuthentication is disabled for the Mailbox."), "smtp_auth_disabled_mailbox", NeedsAdmin),
            (535, format!("{auth}the request did not meet the criteria to be authenticated successfully."), "smtp_policy_blocked", NeedsAdmin),
            (535, format!("{auth}basic authentication is disabled."), "basic_auth_disabled", NeedsAdmin),
            (535, "5.7.3 Authentication unsuccessful [SN2PR00CA0018.namprd00.prod.outlook.com]".into(), "smtp_login_refused", FreshToken),
            (535, "5.7.8 Username and Password not accepted - gsmtp".into(), "smtp_login_refused", FreshToken),
            (550, "5.7.30 Basic authentication is not supported for Client Submission.".into(), "basic_auth_disabled", NeedsAdmin),
            (530, "5.7.57 Client not authenticated to send mail".into(), "smtp_auth_not_offered", NeedsAdmin),
            (534, "5.7.9 Application-specific password required".into(), "app_password_required", SignIn),
            (554, "5.2.252 SendAsDenied; a@x not allowed to send as b@y; STOREDRV.Submission.Exception:SendAsDeniedException".into(), "send_as_denied", GiveUp),
            (554, "5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException".into(), "sending_quota", RetryAfter(HOUR)),
            (550, "5.4.5 Daily user sending limit exceeded".into(), "sending_quota", RetryAfter(HOUR)),
            (554, "5.2.2 mailbox full; STOREDRV; QuotaExceeded".into(), "mailbox_full", NeedsAdmin),
            (432, "4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded".into(), "too_many_connections", RetryAfter(Duration::from_secs(45))),
            (430, "4.2.0 STOREDRV; mailbox logon failure; MapiExceptionLogonFailed".into(), "mailbox_logon_failed", RetryAfter(Duration::from_secs(300))),
            (421, "4.4.2 Message submission rate for this client has exceeded the configured limit".into(), "throttled", RetryAfter(MINUTE)),
            (421, "4.3.2 Service not available".into(), "server_unavailable", Retry),
            (451, "4.7.0 Temporary server error".into(), "smtp_deferred", Retry),
            (452, "4.5.3 Too many recipients".into(), "recipient_deferred", Retry),
            (550, "5.1.8 Access denied, bad outbound sender".into(), "sender_blocked", NeedsAdmin),
            (550, "5.7.705 tenant has exceeded threshold".into(), "sender_blocked", NeedsAdmin),
            (550, "5.1.10 Recipient not found".into(), "recipient_refused", GiveUp),
            (550, "5.6.11 bare LF".into(), "message_malformed", GiveUp),
            (552, "5.3.4 message size exceeds fixed limit".into(), "message_too_large", GiveUp),
            (554, "5.7.1 rejected".into(), "message_refused", GiveUp),
            (554, "5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; Failed to process message".into(), "send_as_denied", GiveUp),
            (550, "5.7.60 SMTP; Client does not have permissions to send as this sender; SendAs denied".into(), "send_as_denied", GiveUp),
            (432, "4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending for more information. [Hostname=AM0PR01MB1234]".into(), "too_many_connections", RetryAfter(Duration::from_secs(45))),
            (554, "5.2.2 Submission quota exceeded".into(), "sending_quota", RetryAfter(HOUR)),
            (550, "5.7.501 Access denied, spam abuse detected".into(), "sender_blocked", NeedsAdmin),
            (550, "5.7.502 Access denied, banned sender".into(), "sender_blocked", NeedsAdmin),
            (550, "5.7.503 Access denied, banned sender".into(), "sender_blocked", NeedsAdmin),
            (550, "5.7.511 Access denied, banned sender[192.0.2.1]".into(), "sender_blocked", NeedsAdmin),
            (550, "5.7.708 Service unavailable. Access denied, traffic not accepted from this IP".into(), "sender_blocked", NeedsAdmin),
            (550, "5.7.750 Service unavailable. Client blocked from sending from unregistered domains".into(), "sender_blocked", NeedsAdmin),
            (550, "5.7.512 Access denied, message must be RFC 5322 section 3.6.2 compliant".into(), "message_malformed", GiveUp),
            (550, "5.4.1 Recipient address rejected: Access denied".into(), "recipient_refused", GiveUp),
            (550, "5.7.1 The user or domain that you are sending to (or from) has a policy that prohibited the mail - gcdp".into(), "message_policy", GiveUp),
            (421, "4.3.0 Temporary System Problem. Try again later - gsmtp".into(), "server_unavailable", Retry),
            (454, "4.7.0 Too many login attempts, please try again later. - gsmtp".into(), "throttled", RetryAfter(MINUTE)),
            (454, "4.7.0 Temporary authentication failure".into(), "smtp_deferred", RetryAfter(MINUTE)),
            (450, "4.2.1 The user you are trying to contact is receiving mail at a rate that prevents delivery".into(), "recipient_deferred", Retry),
            (452, "4.2.2 The recipient's inbox is out of storage space".into(), "recipient_deferred", Retry),
            (534, "5.7.14 Please log in via your web browser and then try again.".into(), "web_login_required", SignIn),
            (552, "5.2.3 Your message exceeded Google's message size limits".into(), "message_too_large", GiveUp),
            (499, "whatever".into(), "smtp_deferred", Retry),
        ] {
            let found = smtp(SmtpPhase::Message, code, &text);
            assert_eq!((found.entry.code, found.disposition), (expected, disposition), "{code} {text}");
        }
    }

    #[test]
    fn every_row_can_be_reached_by_its_own_words() {
        for (at, row) in ROWS.iter().enumerate() {
            let found = by_text(row.codes.first().copied().unwrap_or(550), &row.words.join(" "));
            assert_eq!(found.entry.code, row.entry.code, "row {at} is hidden by one above it");
        }
    }

    #[test]
    fn at_rcpt_no_text_whatever_speaks_of_more_than_the_recipient_or_the_connection() {
        let texts = [(499, ""), (599, "")].into_iter().map(|(code, text)| (code, String::from(text)));
        let rows = ROWS.iter().flat_map(|row| {
            let codes = if row.codes.is_empty() { &[421, 451, 550][..] } else { row.codes };
            codes.iter().map(|code| (*code, row.words.join(" ")))
        });
        for (code, text) in texts.chain(rows) {
            let found = smtp(SmtpPhase::Rcpt, code, &text);
            let about = if matches!(code, 503 | 530 | 534 | 535) { Dialogue } else { Recipient };
            assert_eq!(found.scope, about, "{code} {text}");
            assert!(code >= 500 || found.disposition == Retry, "{code} {text}");
        }
    }

    #[test]
    fn before_mail_no_text_whatever_speaks_of_a_message() {
        for row in ROWS {
            let code = row.codes.first().copied().unwrap_or(550);
            let found = smtp(SmtpPhase::Session, code, &row.words.join(" "));
            assert_eq!(found.scope, Mailbox, "{code}");
            assert_ne!(found.disposition, GiveUp, "{code}");
        }
    }
}
