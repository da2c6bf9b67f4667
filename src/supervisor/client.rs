//! The supervisor as others see it. A lost wake-up costs latency, never mail: it is only noted.

use super::protocol::{
    Reconcile, RefreshToken, RequestAppToken, RequestPermit, TryCredential, Wake, WakeReason,
};
use super::state::Supervisor;
use crate::domain::{AppId, GrantInfo, Incarnation};
use crate::token::TokenError;
use crate::token::protocol::{AccessToken, Permit, Waiting};
use actix::{Addr, MailboxError};
use std::time::Duration;

/// A supervisor that takes longer has other worries; the next change or its own timer does it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends requests to the supervisor.
#[derive(Clone)]
pub struct SupervisorClient(Addr<Supervisor>);

impl SupervisorClient {
    /// Of a supervisor that runs.
    #[must_use]
    pub fn new(supervisor: Addr<Supervisor>) -> Self {
        Self(supervisor)
    }

    /// The mailboxes in the store changed.
    pub async fn reconcile(&self) {
        if self.0.send(Reconcile).timeout(PATIENCE).await.is_err() {
            tracing::warn!("the supervisor was not told of changed mailboxes");
        }
    }

    /// A mailbox has something to do.
    pub fn wake(&self, mailbox: Incarnation, reason: WakeReason) {
        if self.0.try_send(Wake { mailbox, reason }).is_err() {
            tracing::debug!(%mailbox, "a wake-up was lost");
        }
    }

    /// An app's credential is new: a mailbox tries it.
    pub async fn try_credential(&self, app: &AppId) {
        let message = TryCredential { app: app.clone() };
        if self.0.send(message).timeout(PATIENCE).await.is_err() {
            tracing::warn!(%app, "the supervisor was not told of a new credential, and finds it by itself");
        }
    }

    /// A fresh access token for a mailbox, waited for no longer than `patience`; `None`: it has no token actor.
    ///
    /// # Errors
    /// [`MailboxError`] if no answer came in time.
    pub async fn refresh(
        &self,
        mailbox: Incarnation,
        patience: Duration,
    ) -> Result<Option<Result<GrantInfo, TokenError>>, MailboxError> {
        self.0.send(RefreshToken { mailbox }).timeout(patience).await
    }

    /// A permit to send a token request.
    ///
    /// # Errors
    /// [`Waiting`]: the app's circuit breaker refuses it for now.
    pub async fn permit(&self, request: RequestPermit) -> Result<Permit, Waiting> {
        self.0.send(request).await.unwrap_or_else(|_| Err(Waiting::for_restart()))
    }

    /// An app's own token.
    ///
    /// # Errors
    /// [`Waiting`]: there is none for now.
    pub async fn app_token(&self, request: RequestAppToken) -> Result<AccessToken, Waiting> {
        self.0.send(request).await.unwrap_or_else(|_| Err(Waiting::for_restart()))
    }
}
