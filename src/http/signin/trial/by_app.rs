//! The trial of an app's own token for a mailbox that is on its way to that app: nobody signs in. Until it was proved
//! the mailbox stays with the app it has.

use super::super::super::problem::Problem;
use super::super::board::Next;
use super::super::candidate::{settle, stops_sending};
use super::Case;
use crate::supervisor::protocol::RequestAppToken;
use crate::token::protocol::Waiting;

impl Case<'_> {
    /// Opens the mailbox with the app's token; then the mailbox is the app's.
    pub(super) async fn prove_app(&mut self) -> Result<Next, Problem> {
        if self.shared.is_withdrawn(&self.row.value, &self.stored)? {
            return self.drop_it().await;
        }
        let Some(app) = self.app() else { return self.drop_it().await };
        let asked = RequestAppToken { app, mailbox: self.turn.mailbox, urgent: self.turn.urgent };
        let answer = self.shared.supervisor.app_token.send(asked).await;
        let token = match answer.unwrap_or_else(|_| Err(Waiting::for_restart())) {
            Ok(token) => token.token,
            Err(waiting) => return self.sent_away(waiting).await,
        };
        self.app().iter().for_each(|app| self.shared.trials.app_mended(app));
        if let Err(found) = (self.shared.probe)(self.stored.clone(), token.clone()).await {
            return self.not_yet(found).await;
        }
        if let Err(found) = stops_sending(self.shared, &self.row.value, &self.stored, token).await? {
            return self.not_yet(found).await;
        }
        settle(self.shared, &mut self.row, &self.stored, None, None).await?;
        tracing::info!(mailbox = %self.stored.mailbox.id, "a mailbox was moved to another app");
        Ok(Next::Settled)
    }
}
