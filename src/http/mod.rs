//! The HTTP side: the API (`api`, one file per resource) and the pages a user signs in by (`signin`).
//!
//! Open: `/healthz`, `/readyz`, `/sign-in/…`. Everything under `/v1` needs the key (`auth`). Whatever goes wrong is
//! told as `application/problem+json` (`problem`). What is changed here is committed first; then the supervisor is
//! told, and what it is told may be lost.

mod api;
mod auth;
mod bodies;
mod extract;
mod language;
mod listeners;
mod problem;
mod server;
mod signin;
mod visitors;
mod wake;

pub use auth::{ADMIN_KEY_FILE, admin_key};
pub use listeners::BindError;
pub use server::{Bound, Servers, ServersHandle, bind};

use crate::config::Config;
use crate::doctor::Doctor;
use crate::domain::{Diagnosis, Secret};
use crate::net::{ByteBudget, Dialer, HttpClient, MxResolver};
use crate::notify::Notifier;
use crate::store::{Store, StoredMailbox};
use crate::supervisor::protocol::{
    GetActors, Reconcile, RefreshToken, RequestAppToken, RequestPermit, TryCredential, Wake,
};
use actix::Recipient;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use tokio::sync::{RwLock, Semaphore, watch};

/// Tries a mailbox with a fresh access token, as it is stored now, before its grant is replaced.
pub type Probe =
    Arc<dyn Fn(StoredMailbox, Secret) -> BoxFuture<'static, Result<(), Diagnosis>> + Send + Sync>;

/// Whom the API talks to.
#[derive(Clone)]
pub struct Wakers {
    /// Something about the mailboxes changed.
    pub reconcile: Recipient<Reconcile>,
    /// A mailbox has something to do.
    pub wake: Recipient<Wake>,
    /// A token is wanted now.
    pub refresh: Recipient<RefreshToken>,
    /// What a mailbox's actors do.
    pub actors: Recipient<GetActors>,
    /// A new credential is to be tried.
    pub try_credential: Recipient<TryCredential>,
    /// Leave to send a token request.
    pub leave: Recipient<RequestPermit>,
    /// An app's own token.
    pub app_token: Recipient<RequestAppToken>,
}

/// What the server is made with.
#[derive(Clone)]
pub struct HttpDeps {
    /// The store.
    pub store: Store,
    /// The supervisor.
    pub supervisor: Wakers,
    /// For OAuth requests; follows no redirects ([`Dialer::http_client`]).
    pub http: HttpClient,
    /// The configuration.
    pub config: Config,
    /// SHA-256 of the admin key, from [`admin_key`].
    pub admin_key_sha256: [u8; 32],
    /// Says which hosts may be spoken to without TLS.
    pub dialer: Dialer,
    /// Tries a mailbox before its grant is replaced.
    pub probe: Probe,
    /// Tries whether a mailbox may send.
    pub send_probe: Probe,
    /// Examines mailboxes.
    pub doctor: Doctor,
    /// Writes to people.
    pub notifier: Notifier,
    /// Held while a refresh token is on its way: the drain waits for it.
    pub on_their_way: Arc<RwLock<()>>,
}

/// What every handler sees.
struct Shared {
    store: Store,
    supervisor: Wakers,
    http: HttpClient,
    config: Config,
    admin_key_sha256: [u8; 32],
    dialer: Dialer,
    probe: Probe,
    send_probe: Probe,
    /// Finds out who takes a domain's mail.
    mx: MxResolver,
    doctor: Doctor,
    notifier: Notifier,
    on_their_way: Arc<RwLock<()>>,
    /// Without a slash at its end.
    public_url: String,
    /// What request bodies may take together.
    bodies: ByteBudget,
    /// Who tried to get in.
    wrong_keys: auth::WrongKeys,
    /// Room for those who read raw messages.
    readers: Arc<Semaphore>,
    /// Moves with every change of a sign-in, for those who wait for one.
    sign_ins: watch::Sender<u64>,
    /// Whether the daemon ends.
    ending: watch::Receiver<bool>,
    /// What goes on with sign-ins that need no user.
    trials: signin::Trials,
}
