//! What a sign-in's life needs: the store, the supervisor, ways to try a mailbox, and the addresses of this
//! installation.

use super::trials::Trials;
use crate::domain::{Diagnosis, Secret};
use crate::net::HttpClient;
use crate::notify::Notifier;
use crate::store::{SignIn, Store, StoredMailbox};
use crate::supervisor::SupervisorClient;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{RwLock, watch};

/// Tries a mailbox with a fresh access token, as it is stored now, before its grant is replaced.
pub type Probe =
    Arc<dyn Fn(StoredMailbox, Secret) -> BoxFuture<'static, Result<(), Diagnosis>> + Send + Sync>;

/// What the life of every sign-in needs.
pub(crate) struct Context {
    /// The store.
    pub(crate) store: Store,
    /// The supervisor.
    pub(crate) supervisor: SupervisorClient,
    /// For OAuth requests; follows no redirects.
    pub(crate) http: HttpClient,
    /// Tries whether a mailbox opens.
    pub(crate) probe: Probe,
    /// Tries whether a mailbox may send.
    pub(crate) send_probe: Probe,
    /// Writes to people.
    pub(crate) notifier: Notifier,
    /// Held while a refresh token is in flight: the drain waits for it.
    pub(crate) in_flight: Arc<RwLock<()>>,
    /// Where users come to, without a slash at its end.
    pub(crate) public_url: String,
    /// The longest pause between tries.
    pub(crate) retry_cap: Duration,
    /// The mailboxes that are tried without their users.
    pub(crate) trials: Trials,
    /// Moves with every change of a sign-in ([`Context::changes`]).
    pub(crate) changed: watch::Sender<u64>,
}

impl Context {
    /// A sign-in changed: those who wait for it look again.
    pub(super) fn sign_in_changed(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Moves with every change of a sign-in, for those who wait for one.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The redirect URI that the app's registration names.
    pub(crate) fn callback_uri(&self) -> String {
        format!("{}/sign-in/callback", self.public_url)
    }

    /// The personal link.
    pub(crate) fn link(&self, sign_in: &SignIn) -> String {
        format!("{}/sign-in/{}", self.public_url, sign_in.link_token.expose())
    }

    /// Whether providers take our redirect: to https, or to this machine.
    pub(crate) fn redirects_work(&self) -> bool {
        url::Url::parse(&self.public_url).is_ok_and(|url| {
            let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
            let is_loopback = host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
            url.scheme() == "https" || host == "localhost" || is_loopback
        })
    }
}
