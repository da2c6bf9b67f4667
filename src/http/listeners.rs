//! The listeners: the API's, and one for the users' pages if they have an address of their own. Each serves what is
//! its own, so that the pages can be shown to the world and the API to nobody.

use crate::config::{Config, TlsFiles};
use crate::net::{BadCertificate, server_config};
use crate::problem::Problem;
use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use percent_encoding::percent_decode_str;
use rustls::ServerConfig;
use std::net::{SocketAddr, TcpListener};

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// An address cannot be had.
    #[error("cannot listen on {address}: {source}: choose another {key}, or stop what listens there")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// The configuration's key.
        key: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// A certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] BadCertificate),
}

/// A listener, bound.
pub(super) struct Listener {
    pub(super) serves: Serves,
    pub(super) socket: TcpListener,
    pub(super) tls: Option<ServerConfig>,
    pub(super) address: SocketAddr,
    /// The configuration's key.
    pub(super) key: &'static str,
}

impl Listener {
    fn open(
        address: SocketAddr,
        key: &'static str,
        tls: Option<&TlsFiles>,
        serves: Serves,
    ) -> Result<Self, BindError> {
        let refused = |source| BindError::Listen { address, key, source };
        let socket = TcpListener::bind(address).map_err(refused)?;
        let bound = socket.local_addr().map_err(refused)?;
        let tls = tls.map(|files| server_config(&files.certificate, &files.key)).transpose()?;
        if tls.is_none() && !bound.ip().is_loopback() {
            tracing::warn!(address = %bound, "{key} is open to other machines without TLS: put a TLS proxy in front, or name certificate and key");
        }
        Ok(Self { serves, socket, tls, address: bound, key })
    }
}

/// All listeners.
pub(super) struct Listeners {
    pub(super) api: Listener,
    pub(super) pages: Option<Listener>,
}

impl Listeners {
    pub(super) fn open(config: &Config) -> Result<Self, BindError> {
        let own = config.signin.listen;
        let serves = if own.is_some() { Serves::Api } else { Serves::Everything };
        let api = Listener::open(config.http.listen, "http.listen", config.http.tls.as_ref(), serves)?;
        let tls = config.signin.tls.as_ref();
        let pages = own.map(|address| Listener::open(address, "signin.listen", tls, Serves::Pages));
        Ok(Self { api, pages: pages.transpose()? })
    }

    /// Where users come to.
    pub(super) fn pages_address(&self) -> SocketAddr {
        self.pages.as_ref().map_or(self.api.address, |pages| pages.address)
    }
}

/// What a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Serves {
    Everything,
    Api,
    Pages,
}

impl Serves {
    fn has(self, path: &str) -> bool {
        let is_page = is_page(path);
        match self {
            Self::Everything => true,
            Self::Api => !is_page,
            Self::Pages => is_page || path == "/healthz",
        }
    }
}

/// Whether a path leads to the users' pages. Routing reads `%6e` as `n`.
fn is_page(path: &str) -> bool {
    let first = path.split('/').nth(1).unwrap_or_default();
    percent_decode_str(first).eq(*b"sign-in")
}

/// Answers what is not this listener's as if it were nowhere.
pub(super) async fn only_its_own(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let serves = request.app_data::<Serves>().copied().unwrap_or(Serves::Pages);
    if serves.has(request.path()) { next.call(request).await } else { Err(Problem::nothing_here().into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_listener_has_its_own() {
        for (path, api, pages) in [
            ("/v1/mailboxes", true, false),
            ("/healthz", true, true),
            ("/readyz", true, false),
            ("/sign-in/01J.x", false, true),
            ("/sign-in/callback", false, true),
            ("/sign-i%6e/x", false, true),
            ("/%73ign-in", false, true),
            ("/sign-in-not", true, false),
            ("/v1/mailboxes/sign-in/x", true, false),
        ] {
            assert_eq!((Serves::Api.has(path), Serves::Pages.has(path)), (api, pages), "{path}");
            assert!(Serves::Everything.has(path));
        }
    }
}
