//! The wiring: every part is built here, from the configuration and the parts below it.

use crate::config::{Config, IpFamily};
use crate::descriptors::{self, Shares};
use crate::doctor::{Doctor, DoctorDeps};
use crate::domain::Secret;
use crate::duties;
use crate::http::{self, HttpDeps};
use crate::imap::{self, ImapDeps, Workers};
use crate::net::{ByteBudget, Dialer, HttpClient, IpChoice, NetConfig, NetError, Proxy, Reach};
use crate::notify::{self, Notifier};
use crate::periodic::Periodic;
use crate::signin::Probe;
use crate::smtp::{self, SmtpDeps};
use crate::store::{Store, StoreError};
use crate::supervisor::protocol::{Drain, Reconcile};
use crate::supervisor::{Factories, Supervisor, SupervisorClient};
use crate::token::TokenDeps;
use actix::{Actor, Addr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::RwLock;

/// Why the daemon does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store does not open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The network cannot be set up.
    #[error(transparent)]
    Net(#[from] NetError),
    /// Nothing can be served.
    #[error(transparent)]
    Listen(#[from] http::BindError),
    /// A setting cannot be used.
    #[error("{what}")]
    Config {
        /// Which, and why not.
        what: String,
    },
    /// The runtime is going down.
    #[error("the supervisor ended while starting")]
    Ended,
}

/// The running engine.
pub struct Engine {
    /// The store.
    pub store: Store,
    /// The supervisor.
    pub supervisor: Addr<Supervisor>,
    /// The way to connect.
    pub dialer: Dialer,
    /// The client for token endpoints.
    pub http: HttpClient,
    /// Held for reading while a refresh token is in flight outside of the token actors: the drain waits for its answer.
    in_flight: Arc<RwLock<()>>,
    periodic: Arc<Periodic>,
}

/// How long the drain waits for periodic work that is under way.
const PERIODIC_PATIENCE: Duration = Duration::from_millis(500);

impl Engine {
    /// Opens the store and starts every mailbox's actors. Inside an actix system.
    ///
    /// # Errors
    /// [`StartError`] that says what to do.
    pub async fn start(config: &Config, master_key: Option<Secret>) -> Result<Self, StartError> {
        let dialer = Dialer::new(net_config(config)?)?;
        let http = dialer.http_client(config.timing.token)?;
        let store_config = config.store_config(master_key);
        let opened = tokio::task::spawn_blocking(move || Store::open(&store_config));
        let store = opened.await.map_err(|_| StartError::Ended)??;
        warn_if_limited(&store)?;
        let periodic = Arc::new(Periodic::default());
        duties::take_up(&periodic, &store, config);
        let factories = Factories {
            store: store.clone(),
            token: TokenDeps { store: store.clone(), http: http.clone() },
            imap: ImapDeps {
                store: store.clone(),
                dialer: dialer.clone(),
                timing: config.timing.clone(),
                budget: ByteBudget::new(config.net.bytes_in_flight),
                workers: Workers::start(),
            },
            smtp: SmtpDeps {
                store: store.clone(),
                dialer: dialer.clone(),
                timing: config.timing.clone(),
                hello_name: hello_name(config),
                budget: ByteBudget::new(config.net.bytes_sending),
            },
        };
        let supervisor = Supervisor::new(factories).start();
        supervisor.send(Reconcile).await.map_err(|_| StartError::Ended)?;
        Ok(Self { store, supervisor, dialer, http, in_flight: Arc::default(), periodic })
    }

    /// Binds the HTTP API; it runs when the server is awaited.
    ///
    /// # Errors
    /// [`StartError::Listen`] if the address cannot be had, [`StartError::Store`] if the admin key cannot be
    /// kept.
    pub fn listen(&self, config: &Config, admin_key: Option<Secret>) -> Result<http::Bound, StartError> {
        let admin_key_sha256 = http::admin_key(&config.data_dir.0, admin_key)?;
        let (dialer, timing) = (self.dialer.clone(), config.timing.clone());
        let probe: Probe = Arc::new(move |stored, token| {
            let (dialer, timing) = (dialer.clone(), timing.clone());
            Box::pin(async move { imap::probe(&dialer, &timing, &stored.mailbox, token).await })
        });
        let (dialer, timing, name) = (self.dialer.clone(), config.timing.clone(), hello_name(config));
        let send_probe: Probe = Arc::new(move |stored, token| {
            let (dialer, timing, name) = (dialer.clone(), timing.clone(), name.clone());
            Box::pin(async move { smtp::probe(&dialer, &timing, &name, &stored.mailbox, token).await })
        });
        let wake = self.supervisor.clone().recipient();
        let notifier = Notifier::new(self.store.clone(), config.notify.clone(), wake);
        let deps = HttpDeps {
            store: self.store.clone(),
            supervisor: SupervisorClient::new(self.supervisor.clone()),
            http: self.http.clone(),
            config: config.clone(),
            admin_key_sha256,
            dialer: self.dialer.clone(),
            probe,
            send_probe,
            doctor: self.doctor(config),
            notifier: notifier.clone(),
            in_flight: Arc::clone(&self.in_flight),
            periodic: Arc::clone(&self.periodic),
        };
        let bound = http::bind(deps)?;
        actix::spawn(notify::watch(notifier, bound.public_url.clone()));
        Ok(bound)
    }

    fn doctor(&self, config: &Config) -> Doctor {
        Doctor::new(DoctorDeps {
            store: self.store.clone(),
            dialer: self.dialer.clone(),
            http: self.http.clone(),
            timing: config.timing.clone(),
            hello_name: hello_name(config),
            tokens: self.supervisor.clone().recipient(),
        })
    }

    /// Stops every actor, and waits until nothing is being written any more.
    pub async fn drain(self) {
        // periodic work can be cut off anywhere, and goes on at the next start
        let (drained, late) =
            futures_util::join!(self.supervisor.send(Drain), self.periodic.stop(PERIODIC_PATIENCE));
        if drained.is_err() {
            tracing::warn!("the supervisor had ended before the drain");
        }
        if !late.is_empty() {
            tracing::info!(?late, "cut off by the drain");
        }
        drop(self.in_flight.write().await);
    }
}

/// Warns at the start if there are more mailboxes than can be connected at once.
fn warn_if_limited(store: &Store) -> Result<(), StoreError> {
    let receiving = store.mailboxes()?.iter().filter(|stored| stored.mailbox.imap.is_some()).count();
    let Shares { limit, receiving: room, .. } = Shares::of(descriptors::limit());
    if receiving > room {
        tracing::warn!(
            limit,
            mailboxes = receiving,
            connected = room,
            "the limit of open files is too low for the mailboxes there are: raise it (LimitNOFILE)"
        );
    }
    Ok(())
}

fn net_config(config: &Config) -> Result<NetConfig, StartError> {
    let proxy =
        config.net.proxy.clone().map(|url| {
            Proxy::new(url, config.net.no_proxy.clone()).map_err(|what| StartError::Config { what })
        });
    Ok(NetConfig {
        connect_timeout: config.timing.connect,
        tls_timeout: config.timing.tls,
        ip: match config.net.ip {
            IpFamily::Auto => IpChoice::Auto,
            IpFamily::V4 => IpChoice::V4,
            IpFamily::V6 => IpChoice::V6,
        },
        extra_ca: config.tls.extra_ca.clone(),
        allow_plain_remote: config.net.allow_plain_remote,
        shares: Shares::of(descriptors::limit()),
        reach: Reach { deny: config.net.deny.clone(), allow: config.net.allow.clone() },
        proxy: proxy.transpose()?,
    })
}

/// The name said in EHLO: that of the public address, else an address literal (RFC 5321 §4.1.3).
fn hello_name(config: &Config) -> String {
    let host = config.http.public_url.as_ref().and_then(url::Url::host_str);
    host.filter(|host| host.contains('.') && host.parse::<std::net::IpAddr>().is_err())
        .map_or_else(|| String::from("[127.0.0.1]"), str::to_owned)
}
