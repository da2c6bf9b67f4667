//! What every handler sees.

use super::pages::Brand;
use super::wrong_keys::WrongKeys;
use crate::admin::{self, MailboxView, mailbox_view};
use crate::config::Config;
use crate::diagnosis::Language;
use crate::doctor::Doctor;
use crate::net::{ByteBudget, Dialer, Discovery, HttpClient, MxResolver};
use crate::notify::Notifier;
use crate::periodic::Periodic;
use crate::problem::Problem;
use crate::signin::{self, Probe};
use crate::store::{Store, StoreError, StoredMailbox};
use crate::supervisor::SupervisorClient;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{RwLock, Semaphore, watch};

/// What the server is made with.
#[derive(Clone)]
pub struct HttpDeps {
    /// The store.
    pub store: Store,
    /// The supervisor.
    pub supervisor: SupervisorClient,
    /// For OAuth requests; follows no redirects ([`Dialer::http_client`]).
    pub http: HttpClient,
    /// The configuration.
    pub config: Config,
    /// SHA-256 of the admin key.
    pub admin_key_sha256: [u8; 32],
    /// Says which hosts may be connected to without TLS.
    pub dialer: Dialer,
    /// Tries a mailbox before its grant is replaced.
    pub probe: Probe,
    /// Tries whether a mailbox may send.
    pub send_probe: Probe,
    /// Examines mailboxes.
    pub doctor: Doctor,
    /// Writes to people.
    pub notifier: Notifier,
    /// Held while a refresh token is in flight: the drain waits for it.
    pub in_flight: Arc<RwLock<()>>,
    /// What is done now and again while the daemon runs.
    pub periodic: Arc<Periodic>,
}

/// Bytes that request bodies may take together, where one may not be half as large.
const BODIES: usize = 64 << 20;

/// Raw messages that are read at once: 192 MiB of frames, and none holds a thread while its reader takes nothing.
pub(super) const READERS: usize = 64;

/// What every handler sees.
pub(super) struct Shared {
    pub(super) store: Store,
    pub(super) supervisor: SupervisorClient,
    /// What a sign-in's life needs.
    pub(super) signin: Arc<signin::Context>,
    /// What administration needs.
    pub(super) admin: Arc<admin::Context>,
    pub(super) config: Config,
    /// Whose pages users see.
    pub(super) brand: Brand,
    pub(super) admin_key_sha256: [u8; 32],
    pub(super) doctor: Doctor,
    /// What request bodies may take together.
    pub(super) bodies: ByteBudget,
    /// Requests with a wrong key.
    pub(super) wrong_keys: WrongKeys,
    /// Room for those who read raw messages.
    pub(super) readers: Arc<Semaphore>,
    /// Whether the process ends.
    pub(super) ending: watch::Receiver<bool>,
}

impl Shared {
    /// What handlers see of a server whose pages are at `pages`.
    pub(super) fn new(deps: HttpDeps, pages: SocketAddr, ending: watch::Receiver<bool>) -> Self {
        let signin = signin::Context {
            store: deps.store.clone(),
            supervisor: deps.supervisor.clone(),
            http: deps.http.clone(),
            probe: deps.probe,
            send_probe: deps.send_probe,
            notifier: deps.notifier.clone(),
            in_flight: deps.in_flight,
            public_url: deps.config.public_url(pages),
            retry_cap: deps.config.timing.retry_cap,
            trials: signin::Trials::default(),
            changed: watch::Sender::default(),
        };
        let signin = Arc::new(signin);
        let net = &deps.config.net;
        let mx = MxResolver::new(net.nameserver);
        let discovery = || Discovery::new(deps.http.clone(), mx.clone(), net.discovery_by_mx);
        let admin = admin::Context {
            discovery: net.discovery.then(discovery),
            store: deps.store.clone(),
            supervisor: deps.supervisor.clone(),
            signin: Arc::clone(&signin),
            http: deps.http.clone(),
            dialer: deps.dialer,
            mx,
            notifier: deps.notifier,
            signin_section: deps.config.signin.clone(),
        };
        Self {
            bodies: ByteBudget::new(deps.config.http.max_body.saturating_mul(2).max(BODIES)),
            wrong_keys: WrongKeys::default(),
            readers: Arc::new(Semaphore::new(READERS)),
            store: deps.store,
            supervisor: deps.supervisor,
            signin,
            admin: Arc::new(admin),
            brand: Brand::new(&deps.config.brand),
            config: deps.config,
            admin_key_sha256: deps.admin_key_sha256,
            doctor: deps.doctor,
            ending,
        }
    }

    /// The mailbox that an address names.
    pub(super) fn mailbox(&self, id: &str) -> Result<StoredMailbox, Problem> {
        admin::mailbox(&self.store, id)
    }

    /// A mailbox as it is returned.
    pub(super) fn view(&self, stored: &StoredMailbox) -> Result<MailboxView, StoreError> {
        mailbox_view(&self.store, stored, Language::default())
    }
}
