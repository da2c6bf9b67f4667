//! What administration needs.

use crate::config::SignInSection;
use crate::net::{Dialer, Discovery, HttpClient, MxResolver};
use crate::notify::Notifier;
use crate::signin;
use crate::store::Store;
use crate::supervisor::SupervisorClient;
use std::sync::Arc;

/// What administration needs.
pub(crate) struct Context {
    /// The store.
    pub(crate) store: Store,
    /// The supervisor.
    pub(crate) supervisor: SupervisorClient,
    /// The life of sign-ins: links, trials, sign-in tests.
    pub(crate) signin: Arc<signin::Context>,
    /// For OAuth requests.
    pub(crate) http: HttpClient,
    /// Says which hosts may be connected to without TLS.
    pub(crate) dialer: Dialer,
    /// Finds out who takes a domain's mail.
    pub(crate) mx: MxResolver,
    /// Asks a domain for its servers, unless that is switched off.
    pub(crate) discovery: Option<Discovery>,
    /// Writes to people.
    pub(crate) notifier: Notifier,
    /// Says where users may be sent back to.
    pub(crate) signin_section: SignInSection,
}
