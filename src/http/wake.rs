//! What a change of an app means for its mailboxes.

use super::Shared;
use crate::domain::AppId;
use crate::problem::Problem;
use crate::store::StoredMailbox;
use crate::supervisor::protocol::WakeReason;
use crate::work::blocking;

impl Shared {
    /// An app changed: its mailboxes look at it again.
    pub(super) async fn app_changed(&self, app: &AppId) -> Result<(), Problem> {
        self.signin.trials().app_changed(app);
        self.supervisor.reconcile().await;
        let mailboxes = self.mailboxes_of(app).await?;
        mailboxes.iter().for_each(|stored| self.supervisor.wake(stored.incarnation, WakeReason::Grant));
        Ok(())
    }

    /// The mailboxes of an app. All are read for it, which takes too long for an arbiter.
    pub(super) async fn mailboxes_of(&self, app: &AppId) -> Result<Vec<StoredMailbox>, Problem> {
        let store = self.store.clone();
        let mut found = blocking(move || store.mailboxes()).await?;
        found.retain(|stored| stored.mailbox.app() == Some(app));
        Ok(found)
    }
}
