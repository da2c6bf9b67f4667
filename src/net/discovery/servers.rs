//! What is found, and which names it may have. Pure.

use crate::domain::Endpoint;

/// The servers of a domain's mailboxes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Servers {
    /// Where mail is received.
    pub imap: Endpoint,
    /// Where it is sent, if that is offered.
    pub smtp: Option<Endpoint>,
    /// The user name for receiving, its placeholders not filled in; `None`: the address.
    pub imap_login: Option<String>,
    /// The same for sending.
    pub smtp_login: Option<String>,
}

impl Servers {
    /// The user names of an address, for receiving and for sending.
    #[must_use]
    pub fn logins(&self, address: &str) -> (String, String) {
        let login = |pattern: &Option<String>| {
            pattern.as_deref().map_or_else(|| String::from(address), |pattern| filled(pattern, address))
        };
        (login(&self.imap_login), login(&self.smtp_login))
    }
}

const ADDRESS: &str = "%EMAILADDRESS%";
const LOCAL_PART: &str = "%EMAILLOCALPART%";
const DOMAIN: &str = "%EMAILDOMAIN%";

fn filled(pattern: &str, address: &str) -> String {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let mut filled = String::new();
    let mut rest = pattern;
    // from the left, so that an address that looks like a placeholder stays what it is
    while let Some(start) = rest.find('%') {
        let (before, at) = rest.split_at(start);
        filled.push_str(before);
        let known = [(ADDRESS, address), (LOCAL_PART, local), (DOMAIN, domain)];
        let found = known.iter().find_map(|(name, value)| Some((at.strip_prefix(name)?, *value)));
        let (after, value) =
            found.unwrap_or_else(|| at.split_at_checked(1).map_or(("", "%"), |(_, after)| (after, "%")));
        filled.push_str(value);
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// Whether a user name is one that placeholders can be filled into: nothing else is left in it that looks like one.
pub(super) fn is_login(pattern: &str) -> bool {
    let is_short = !pattern.is_empty() && pattern.len() <= 254;
    is_short
        && !pattern.chars().any(|c| c.is_whitespace() || c.is_control())
        && !filled(pattern, "a@b").contains('%')
}

/// A host's name with the domain filled in, in ASCII; `None` if it is none that the internet knows, such as an address or a
/// name without a dot.
pub(super) fn host(pattern: &str, domain: &str) -> Option<String> {
    let name = pattern.trim().trim_end_matches('.').replace(DOMAIN, domain);
    match url::Host::parse(&name).ok()? {
        url::Host::Domain(name) => is_name(&name).then_some(name),
        url::Host::Ipv4(_) | url::Host::Ipv6(_) => None,
    }
}

fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_plain = label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        is_plain && !label.is_empty() && label.len() <= 63
    };
    name.len() <= 253 && name.contains('.') && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_in_once_and_unknown_ones_are_refused() {
        for (pattern, address, expected) in [
            ("%EMAILADDRESS%", "anna@firma.test", "anna@firma.test"),
            ("%EMAILLOCALPART%", "anna@firma.test", "anna"),
            ("%EMAILLOCALPART%.%EMAILDOMAIN%", "anna@firma.test", "anna.firma.test"),
            ("web12-%EMAILLOCALPART%", "anna@firma.test", "web12-anna"),
            ("x-%EMAILLOCALPART%", "%EMAILDOMAIN%@firma.test", "x-%EMAILDOMAIN%"),
        ] {
            assert_eq!(filled(pattern, address), expected);
            assert!(is_login(pattern), "{pattern}");
        }
        let long = "x".repeat(255);
        for odd in ["", "a b", "%REALNAME%", "100%", "a\r\nb", long.as_str()] {
            assert!(!is_login(odd), "{odd:?}");
        }
    }

    #[test]
    fn only_names_that_the_internet_knows_are_hosts() {
        for (pattern, expected) in [
            ("imap.firma.test", Some("imap.firma.test")),
            ("IMAP.Firma.Test.", Some("imap.firma.test")),
            ("imap.%EMAILDOMAIN%", Some("imap.firma.test")),
            ("imap.müller.test", Some("imap.xn--mller-kva.test")),
            ("localhost", None),
            ("127.0.0.1", None),
            ("2130706433", None),
            ("[::1]", None),
            ("imap.firma.test:993", None),
            ("user@imap.firma.test", None),
            ("imap..test", None),
            ("imap.%REALNAME%", None),
            ("", None),
        ] {
            assert_eq!(host(pattern, "firma.test").as_deref(), expected, "{pattern}");
        }
    }
}
