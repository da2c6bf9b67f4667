//! One examination of one mailbox: what its steps work with.

use crate::config::Timing;
use crate::domain::app::AppCredentials;
use crate::net::{Dialer, HttpClient, Shown};
use crate::store::{Store, StoredMailbox};
use crate::supervisor::protocol::LendToken;
use actix::Recipient;
use std::time::Duration;

/// A server that needs longer for one step is no good one.
pub(super) const STEP: Duration = Duration::from_secs(20);

/// What the doctor is given.
#[derive(Clone)]
pub struct DoctorDeps {
    /// The store.
    pub store: Store,
    /// The way to connect.
    pub dialer: Dialer,
    /// The way to ask identity providers.
    pub http: HttpClient,
    /// Deadlines.
    pub timing: Timing,
    /// The name said in EHLO.
    pub hello_name: String,
    /// Where a mailbox's access token is lent.
    pub tokens: Recipient<LendToken>,
}

/// One examination.
pub(super) struct Visit<'a> {
    pub(super) deps: &'a DoctorDeps,
    /// Notes in `shown` which certificate it meets.
    pub(super) dialer: Dialer,
    pub(super) shown: Shown,
    pub(super) timing: Timing,
    pub(super) stored: &'a StoredMailbox,
    pub(super) app: Option<AppCredentials>,
}
