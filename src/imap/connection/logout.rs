//! How a connection ends: LOGOUT, and what the server says before it closes.

use super::read::read;
use super::wire::Connection;
use crate::imap::protocol::ImapError;

impl Connection {
    /// Sends LOGOUT; the server need not answer.
    pub(in crate::imap) async fn logout(mut self) {
        let time = self.timing.logout;
        let said = tokio::time::timeout(time, self.session.run_command("LOGOUT")).await;
        tracing::debug!(answered = said.is_ok(), "logged out");
    }

    /// The BYE of a server that closed the connection, if it sent one, else `error`: what it sent is still there to be read.
    pub(super) async fn last_words(&mut self, error: ImapError) -> ImapError {
        let time = self.timing.logout;
        let listen = async {
            while let Ok(response) = read(&mut self.session, "the last words").await {
                if let Err(bye) = self.note(&response) {
                    return Some(bye);
                }
            }
            None
        };
        tokio::time::timeout(time, listen).await.ok().flatten().unwrap_or(error)
    }
}
