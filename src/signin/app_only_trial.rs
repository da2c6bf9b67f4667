//! The trial of an app's own token for a mailbox that moves to that app: nobody signs in. Until the token is proved
//! the mailbox stays with the app it has.

use super::candidate::{conclude, stops_sending};
use super::schedule::Next;
use super::trial_case::Case;
use super::visit::is_withdrawn;
use crate::problem::Problem;
use crate::supervisor::protocol::RequestAppToken;

impl Case<'_> {
    /// Opens the mailbox with the app's token; then the mailbox is the app's.
    pub(super) async fn try_app(&mut self) -> Result<Next, Problem> {
        if is_withdrawn(self.context, &self.row.value, &self.stored)? {
            return self.discard().await;
        }
        let Some(app) = self.app() else { return self.discard().await };
        let request = RequestAppToken { app, mailbox: self.turn.mailbox, urgent: self.turn.urgent };
        let token = match self.context.supervisor.app_token(request).await {
            Ok(token) => token.token,
            Err(waiting) => return self.not_admitted(waiting).await,
        };
        self.app().iter().for_each(|app| self.context.trials.app_accepted(app));
        if let Err(found) = (self.context.probe)(self.stored.clone(), token.clone()).await {
            return self.not_yet(found).await;
        }
        if let Err(found) = stops_sending(self.context, &self.row.value, &self.stored, token).await? {
            return self.not_yet(found).await;
        }
        conclude(self.context, &mut self.row, &self.stored, None, None).await?;
        tracing::info!(mailbox = %self.stored.mailbox.id, "a mailbox was moved to another app");
        Ok(Next::Done)
    }
}
