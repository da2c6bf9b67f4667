//! Scopes: which of them a mailbox needs for what it does, and what of that was granted. Pure.
//!
//! Microsoft names each protocol apart
//! (<https://learn.microsoft.com/exchange/client-developer/legacy-protocols/how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth>);
//! at other providers one scope is for all of a mailbox.

use crate::domain::{Mailbox, SmtpAuth};

/// What a scope is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Receiving,
    Sending,
    Both,
}

/// What may be compared of a scope: providers answer in other cases than they were asked, and with other host names of
/// the same resource.
fn name(scope: &str) -> String {
    let trimmed = scope.trim_end_matches('/');
    trimmed.rsplit('/').next().unwrap_or(trimmed).to_ascii_lowercase()
}

fn use_of(scope: &str) -> Use {
    let name = name(scope);
    if name.starts_with("imap.") || name.starts_with("pop.") {
        Use::Receiving
    } else if name.starts_with("smtp.") {
        Use::Sending
    } else {
        Use::Both
    }
}

/// Whether a scope is OpenID's own: providers leave those out of the answer.
fn is_oidc(scope: &str) -> bool {
    matches!(scope, "openid" | "profile" | "email" | "offline_access")
}

/// The scopes that a mailbox needs for what it does: one that only receives asks for none to send with, and the reverse.
#[must_use]
pub fn for_mailbox(mailbox: &Mailbox, scopes: &[String]) -> Vec<String> {
    let sends = mailbox.smtp.as_ref().is_some_and(|smtp| smtp.auth == SmtpAuth::Inherit);
    let is_needed = |scope: &&String| match use_of(scope) {
        Use::Receiving => mailbox.imap.is_some(),
        Use::Sending => sends,
        Use::Both => true,
    };
    scopes.iter().filter(is_needed).cloned().collect()
}

/// The wanted scopes that were not granted. Nothing said is what was asked for (RFC 6749 §5.1).
#[must_use]
pub fn missing(wanted: &[String], granted: &[String]) -> Vec<String> {
    if granted.is_empty() {
        return Vec::new();
    }
    let has = |scope: &str| granted.iter().any(|got| name(got) == name(scope));
    wanted.iter().filter(|scope| !is_oidc(scope) && !has(scope)).cloned().collect()
}

/// The wanted scopes without those that a grant surely lacks.
#[must_use]
pub fn within_grant(wanted: &[String], granted: &[String]) -> Vec<String> {
    let lacking = missing(wanted, granted);
    wanted.iter().filter(|scope| !lacking.contains(scope)).cloned().collect()
}

/// Whether a grant is good for sending, as far as its scopes say.
#[must_use]
pub fn may_send(granted: &[String]) -> bool {
    let has = |wanted| granted.iter().any(|scope| use_of(scope) == wanted);
    !has(Use::Receiving) || has(Use::Sending)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const IMAP: &str = "https://outlook.office.com/IMAP.AccessAsUser.All";
    const SMTP: &str = "https://outlook.office.com/SMTP.Send";

    fn all(scopes: &[&str]) -> Vec<String> {
        scopes.iter().map(|scope| String::from(*scope)).collect()
    }

    #[test]
    fn a_mailbox_asks_for_what_it_does() {
        let wanted = all(&[IMAP, SMTP, "offline_access", "openid"]);
        let server = json!({"host": "h", "port": 993, "security": "tls"});
        let mailbox = |imap: bool, smtp: Option<serde_json::Value>| -> Mailbox {
            serde_json::from_value(json!({"id": "anna", "address": "anna@makler.example", "display_name": null,
                "provider": null, "auth": {"kind": "oauth", "app": "o365"}, "owner": null, "ref": null,
                "imap": imap.then(|| server.clone()),
                "smtp": smtp.map(|auth| json!({"host": "h", "port": 587, "security": "starttls", "auth": auth}))}))
            .unwrap()
        };
        let (inherit, none) = (json!("inherit"), json!("none"));
        for (imap, smtp, kept) in [
            (true, Some(inherit.clone()), [true, true]),
            (true, None, [true, false]),
            (true, Some(none), [true, false]),
            (false, Some(inherit), [false, true]),
        ] {
            let asked = for_mailbox(&mailbox(imap, smtp), &wanted);
            assert_eq!([IMAP, SMTP].map(|scope| asked.contains(&String::from(scope))), kept, "{asked:?}");
            assert!(asked.contains(&String::from("offline_access")));
        }
        let google = all(&["https://mail.google.com/", "openid"]);
        assert_eq!(for_mailbox(&mailbox(true, None), &google), google, "one scope for all");
    }

    #[test]
    fn what_was_not_granted_is_named_whatever_case_and_host_the_answer_is_in() {
        let wanted = all(&[IMAP, SMTP, "offline_access"]);
        assert!(missing(&wanted, &[]).is_empty(), "nothing said is what was asked for");
        let other = all(&["https://outlook.office365.com/imap.accessasuser.all", "SMTP.Send"]);
        assert!(missing(&wanted, &other).is_empty());
        assert_eq!(missing(&wanted, &all(&[IMAP])), [SMTP]);
        assert_eq!(within_grant(&wanted, &all(&[IMAP])), [IMAP, "offline_access"]);
        assert_eq!(missing(&all(&["https://mail.google.com/"]), &all(&["openid", "email"])).len(), 1);
    }

    #[test]
    fn what_names_receiving_alone_does_not_send() {
        assert!(may_send(&[]) && may_send(&all(&["https://mail.google.com/"])));
        assert!(may_send(&all(&[IMAP, SMTP])) && may_send(&all(&[SMTP])));
        assert!(!may_send(&all(&[IMAP, "openid"])));
    }
}
