//! Exchange Online's manners as rules: captured lines verbatim, no capability where it sends none, BAD for what
//! it does not know, failed sign-ins without a challenge.

use super::rules::{Answering, Edit, Editing, Rules, When};

pub const GREETING: &str = "* OK The Microsoft Exchange IMAP4 service is ready. \
    [TQBXAEgAUABSADIAMQBDAEEAMAAwADYAMAAuAG4AYQBtAHAAcgBkADIAMQAuAHAAcgBvAGQA]";
pub const CAPABILITY_BEFORE: &str =
    "IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+";
pub const CAPABILITY_AFTER: &str = "IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS MOVE ID UNSELECT \
    CLIENTACCESSRULES CLIENTNETWORKPRESENCELOCATION BACKENDAUTHENTICATE CHILDREN IDLE NAMESPACE LITERAL+";

const BAD_ARGUMENT: &str = "$TAG BAD Command Argument Error. 11";
const BAD_COMMAND: &str = "$TAG BAD Command Error. 10";

/// The whole IMAP profile.
pub fn imap() -> Rules {
    let bad = |pattern: &str| Answering::new(pattern, BAD_ARGUMENT);
    let unknown = |pattern: &str| Answering::new(pattern, BAD_COMMAND);
    let capability = |text: &str, when| {
        let answer = format!("* CAPABILITY {text}\r\n$TAG OK CAPABILITY completed.");
        Answering::new("CAPABILITY", &answer).when(when)
    };
    Rules {
        exchange: true,
        strip_capability_codes: true,
        capability: Some((CAPABILITY_BEFORE.into(), CAPABILITY_AFTER.into())),
        answers: vec![
            capability(CAPABILITY_BEFORE, When::BeforeLogin),
            capability(CAPABILITY_AFTER, When::AfterLogin),
            bad("SELECT *(CONDSTORE*"),
            bad("EXAMINE *(CONDSTORE*"),
            bad("SELECT *(QRESYNC*"),
            bad("EXAMINE *(QRESYNC*"),
            bad("LIST (*"),
            bad("LIST * RETURN *"),
            bad("*FETCH *CHANGEDSINCE*"),
            bad("*FETCH *MODSEQ*"),
            bad("*STORE *UNCHANGEDSINCE*"),
            bad("STATUS *HIGHESTMODSEQ*"),
            bad("*SEARCH RETURN *"),
            bad("*SEARCH CHARSET *"),
            unknown("ENABLE*"),
            unknown("COMPRESS*"),
            unknown("NOTIFY*"),
            unknown("GETMETADATA*"),
            unknown("SETMETADATA*"),
            unknown("*ESEARCH*"),
            unknown("*SORT *"),
            unknown("*THREAD *"),
            Answering::new("AUTHENTICATE OAUTHBEARER*", "$TAG NO AUTHENTICATE failed."),
        ],
        edits: vec![
            Editing::new("\\* OK *Dovecot*ready*", Edit::Replace(GREETING.into())),
            Editing::new(
                "\\* LIST (*) \"/\" INBOX",
                Edit::Substitute("\"/\" INBOX".into(), "\"/\" Inbox".into()),
            ),
            Editing::new("\\* OK [HIGHESTMODSEQ *", Edit::Remove),
            Editing::new("\\* OK [NOMODSEQ*", Edit::Remove),
            Editing::new(
                "\\* STATUS INBOX *",
                Edit::Substitute("STATUS INBOX".into(), "STATUS Inbox".into()),
            ),
        ],
        ..Rules::default()
    }
}

/// The SMTP profile: its EHLO, three senders at once, replies in its words.
pub fn smtp() -> Rules {
    let accepted = "250 2.0.0 OK <WORLD0000000000000001@WORLD.eurprd00.prod.outlook.com> [Hostname=WORLD.eurprd00.prod.outlook.com]";
    Rules {
        exchange: true,
        edits: vec![
            Editing::new("250*AUTH *", Edit::Replace("250-AUTH LOGIN XOAUTH2".into())),
            Editing::new("250 2.0.0 Ok: queued as *", Edit::Replace(accepted.into())),
        ],
        ..Rules::default()
    }
}

/// Rewrites what only makes sense line by line: results of AUTHENTICATE and LOGIN.
pub fn login_result(line: &str, command: &str, tag: &str) -> Option<String> {
    let result = line.strip_prefix(tag)?.strip_prefix(' ')?;
    let verb = if command.to_ascii_uppercase().starts_with("LOGIN") { "LOGIN" } else { "AUTHENTICATE" };
    if result.starts_with("OK") {
        return Some(format!("{tag} OK {verb} completed."));
    }
    result.starts_with("NO").then(|| format!("{tag} NO {verb} failed."))
}

/// `RFC822.SIZE n` times `factor`.
pub fn scale_size(line: &str, factor: f64) -> String {
    let Some((head, tail)) = line.split_once("RFC822.SIZE ") else { return line.to_string() };
    let digits: String = tail.chars().take_while(char::is_ascii_digit).collect();
    let Ok(size) = digits.parse::<f64>() else { return line.to_string() };
    format!("{head}RFC822.SIZE {:.0}{}", size * factor, &tail[digits.len()..])
}
