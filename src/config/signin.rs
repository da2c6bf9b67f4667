//! The users' sign-in pages.

use super::TlsFiles;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use url::Url;

/// The users' sign-in pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignInSection {
    /// Where users may be sent back to: an address of one of these origins. Our own is always allowed.
    pub return_to: Vec<Url>,
    /// An address of their own, where nothing else is served; without it they are on `http.listen`.
    pub listen: Option<SocketAddr>,
    /// Makes that listener speak TLS.
    pub tls: Option<TlsFiles>,
    /// Connections that one address may have there; 0: any number.
    pub per_address: usize,
}

impl Default for SignInSection {
    fn default() -> Self {
        Self { return_to: Vec::new(), listen: None, tls: None, per_address: 64 }
    }
}

impl SignInSection {
    /// Whether users may be sent back there. Only an origin we know: anything else would be an open redirect.
    #[must_use]
    pub fn allows(&self, own: Option<&Url>, to: &Url) -> bool {
        let is_plain = to.username().is_empty() && to.password().is_none();
        let is_known = |known: &Url| known.origin().is_tuple() && known.origin() == to.origin();
        is_plain && (own.is_some_and(is_known) || self.return_to.iter().any(is_known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_origins_and_never_with_a_name_in_the_address() {
        let url = |text: &str| Url::parse(text).unwrap();
        let section =
            SignInSection { return_to: vec![url("https://crm.example/")], ..SignInSection::default() };
        let own = url("https://mail.example");
        for (to, allowed) in [
            ("https://crm.example/mailboxes?id=1", true),
            ("https://mail.example/x", true),
            ("http://crm.example/", false),
            ("https://crm.example:8443/", false),
            ("https://crm.example.evil.example/", false),
            ("https://crm.example@evil.example/", false),
            ("https://user@crm.example/", false),
            ("javascript:alert(1)", false),
            ("data:text/html,x", false),
        ] {
            assert_eq!(section.allows(Some(&own), &url(to)), allowed, "{to}");
        }
    }
}
