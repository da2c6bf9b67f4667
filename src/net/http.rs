//! HTTPS clients with the same TLS, names, limits and proxy as the mail connections.

use super::reach::is_loopback;
use super::{Dialer, NetError, Reach};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Request, RequestBuilder, Response};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// A client for token endpoints. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: reqwest::Client,
    reach: Reach,
}

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Nothing was sent.
    #[error("{0} may not be connected to (net.deny)")]
    Denied(IpAddr),
    /// Whatever the library met.
    #[error(transparent)]
    Http(#[from] reqwest::Error),
}

impl HttpClient {
    /// A GET request, to be executed here.
    pub fn get(&self, url: Url) -> RequestBuilder {
        self.client.get(url)
    }

    /// A POST request, to be executed here.
    pub fn post(&self, url: Url) -> RequestBuilder {
        self.client.post(url)
    }

    /// The library's client, for addresses that nobody else chose.
    #[must_use]
    pub fn into_inner(self) -> reqwest::Client {
        self.client
    }

    /// Sends a request.
    ///
    /// # Errors
    /// [`HttpError`].
    pub async fn execute(&self, request: Request) -> Result<Response, HttpError> {
        // an address is connected to without being looked up
        if let Some(address) = request.url().host_str().and_then(|host| self.reach.refuses(host)) {
            return Err(HttpError::Denied(address));
        }
        Ok(self.client.execute(request).await?)
    }
}

/// Looks names up for the library, so that it connects where the mail connections would.
struct Lookup(Dialer);

impl Resolve for Lookup {
    fn resolve(&self, name: Name) -> Resolving {
        let dialer = self.0.clone();
        Box::pin(async move {
            let found = dialer.resolve(name.as_str(), 0).await?;
            let found: Addrs = Box::new(found.into_iter());
            Ok(found)
        })
    }
}

impl Dialer {
    /// A client for token endpoints and webhooks: no redirects (a token request must never be carried elsewhere), no
    /// proxy from the environment, HTTP/1.1, and a deadline for the whole exchange. Plain http is left to
    /// [`Dialer::check_url`], because reqwest's own switch knows no exception for this machine.
    ///
    /// # Errors
    /// [`NetError::Tls`] if the client cannot be built.
    pub fn http_client(&self, timeout: Duration) -> Result<HttpClient, NetError> {
        let broken =
            |error: reqwest::Error| NetError::Tls { host: String::from("https"), cause: error.to_string() };
        let mut builder = reqwest::Client::builder()
            .use_preconfigured_tls(self.tls_config().as_ref().clone())
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(Lookup(self.clone())))
            .connect_timeout(self.config().connect_timeout)
            .timeout(timeout)
            .user_agent(concat!("stafette/", env!("CARGO_PKG_VERSION")));
        if let Some(proxy) = &self.config().proxy {
            builder = builder.proxy(proxy.for_https().map_err(broken)?);
        }
        let client = builder.build().map_err(broken)?;
        Ok(HttpClient { client, reach: self.config().reach.clone() })
    }

    /// Whether a URL may be requested: https, or http on this machine.
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
