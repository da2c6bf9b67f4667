//! Telling the supervisor. A lost wake-up costs latency, never mail: it is only noted.

use super::Shared;
use super::extract::pool;
use super::problem::Problem;
use crate::domain::{AppId, Incarnation};
use crate::store::StoredMailbox;
use crate::supervisor::protocol::{Reconcile, TryCredential, Wake, WakeReason};
use std::time::Duration;

/// A supervisor that takes longer has other worries; the next change or its own timer tells it again.
const PATIENCE: Duration = Duration::from_secs(5);

impl Shared {
    /// The mailboxes in the store changed.
    pub(super) async fn reconcile(&self) {
        if self.supervisor.reconcile.send(Reconcile).timeout(PATIENCE).await.is_err() {
            tracing::warn!("the supervisor was not told of changed mailboxes");
        }
    }

    /// A mailbox has something to do.
    pub(super) fn wake(&self, mailbox: Incarnation, reason: WakeReason) {
        if self.supervisor.wake.try_send(Wake { mailbox, reason }).is_err() {
            tracing::debug!(%mailbox, "a wake-up was lost");
        }
    }

    /// An app changed: its mailboxes look at it again.
    pub(super) async fn app_changed(&self, app: &AppId) -> Result<(), Problem> {
        self.trials.app_changed(app);
        self.reconcile().await;
        let mailboxes = self.mailboxes_of(app).await?;
        mailboxes.iter().for_each(|stored| self.wake(stored.incarnation, WakeReason::Grant));
        Ok(())
    }

    /// The mailboxes of an app. All are read for it, which takes too long for an arbiter.
    pub(super) async fn mailboxes_of(&self, app: &AppId) -> Result<Vec<StoredMailbox>, Problem> {
        let store = self.store.clone();
        let mut found = pool(move || store.mailboxes()).await?;
        found.retain(|stored| stored.mailbox.app() == Some(app));
        Ok(found)
    }

    /// An app's credential is new: a mailbox tries it.
    pub(super) async fn try_credential(&self, app: &AppId) {
        let message = TryCredential { app: app.clone() };
        if self.supervisor.try_credential.send(message).timeout(PATIENCE).await.is_err() {
            tracing::warn!(%app, "the supervisor was not told of a new credential, and finds it by itself");
        }
    }

    /// A sign-in changed: those who wait for it look again.
    pub(super) fn sign_in_changed(&self) {
        self.sign_ins.send_modify(|count| *count = count.wrapping_add(1));
    }
}
