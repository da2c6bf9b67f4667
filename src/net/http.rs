//! HTTPS clients with the same TLS as the mail connections.

use super::{Dialer, NetError, is_loopback};
use std::time::Duration;

impl Dialer {
    /// A client for token endpoints and webhooks: no redirects (a token request must never be carried elsewhere), no
    /// proxy from the environment, HTTP/1.1, and a deadline for the whole exchange. Plain http is left to
    /// [`Dialer::check_url`], because reqwest's own switch knows no exception for this machine.
    ///
    /// # Errors
    /// [`NetError::Tls`] if the client cannot be built.
    pub fn http_client(&self, timeout: Duration) -> Result<reqwest::Client, NetError> {
        reqwest::Client::builder()
            .use_preconfigured_tls(self.tls_config().as_ref().clone())
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(self.config().connect_timeout)
            .timeout(timeout)
            .user_agent(concat!("stafette/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| NetError::Tls { host: String::from("https"), cause: error.to_string() })
    }

    /// Whether a URL may be asked: https, or http on this machine.
    ///
    /// # Errors
    /// [`NetError::PlainRefused`].
    pub fn check_url(url: &url::Url) -> Result<(), NetError> {
        let host = url.host_str().unwrap_or_default();
        match url.scheme() {
            "https" => Ok(()),
            "http" if is_loopback(host) => Ok(()),
            _ => Err(NetError::PlainRefused { host: String::from(host) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::NetConfig;

    #[test]
    fn plain_http_is_for_this_machine_only() {
        for (url, allowed) in [
            ("https://login.microsoftonline.com/x", true),
            ("http://127.0.0.1:9000/token", true),
            ("http://localhost/token", true),
            ("http://[::1]:9000/token", true),
            ("http://login.microsoftonline.com/x", false),
            ("http://127.0.0.1.example/token", false),
            ("ftp://localhost/", false),
        ] {
            assert_eq!(Dialer::check_url(&url::Url::parse(url).unwrap()).is_ok(), allowed, "{url}");
        }
    }

    #[test]
    fn a_client_is_built_without_a_process_wide_crypto_provider() {
        let dialer = Dialer::new(NetConfig::default()).unwrap();
        assert!(dialer.http_client(Duration::from_secs(30)).is_ok());
    }
}
