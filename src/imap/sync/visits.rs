//! Visits of folders in the order that move detection needs: a message that looks like one stored elsewhere is stored when that one's
//! folder was looked at.

use super::folder_sync::{Scope, Visit};
use super::sync_loop::SyncLoop;
use crate::clock;
use crate::domain::{Folder, FolderId, MessageId};
use crate::imap::connection::Connection;
use crate::imap::protocol::ImapError;

impl SyncLoop {
    /// Visits a folder, and those that its new messages may have come from.
    pub(super) async fn visit(
        &mut self,
        connection: &mut Connection,
        folder: &Folder,
        scope: Scope,
    ) -> Result<Visit, ImapError> {
        self.syncer.moves.forget_looks();
        let visit = self.visit_one(connection, folder, scope).await?;
        let suspected = self.syncer.moves.take_suspected();
        if suspected.is_empty() {
            return Ok(visit);
        }
        // what looks like a stored message may have been moved: look where that one was, then again here
        let mut is_suspicious = visit == Visit::Suspicious;
        let in_sight = self.syncer.followed_folders().await?;
        for (source, messages) in suspected {
            let Some(source) = in_sight.iter().find(|folder| folder.id == source && folder.apart.is_none())
            else {
                self.out_of_sight(source, messages);
                continue;
            };
            let seen = self.visit_one(connection, source, Scope::Whole).await?;
            is_suspicious |= seen == Visit::Suspicious;
            if seen == Visit::Refused {
                // another client may have deleted or renamed it a moment ago
                let listed = self.syncer.reconcile_folders(connection).await?;
                self.look_again_if(listed == Visit::Suspicious);
            }
            if matches!(seen, Visit::InStep | Visit::Partial) && self.syncer.listed_all {
                self.syncer.moves.looked_at(messages);
            } else {
                self.out_of_sight(source.id, messages);
            }
        }
        let visit = self.visit_one(connection, folder, Scope::Whole).await?;
        Ok(if is_suspicious { Visit::Suspicious } else { visit })
    }

    /// A suspected folder cannot be looked at: nothing is concluded from it for long, because a folder that
    /// is gone is removed before.
    fn out_of_sight(&mut self, folder: FolderId, messages: Vec<MessageId>) {
        let longest = self.syncer.confirm.saturating_mul(10);
        self.syncer.moves.not_looked_at(folder, messages, clock::monotonic(), longest);
    }

    pub(super) async fn visit_one(
        &mut self,
        connection: &mut Connection,
        folder: &Folder,
        scope: Scope,
    ) -> Result<Visit, ImapError> {
        self.doing(&format!("syncing {}", folder.path));
        match self.syncer.visit(connection, folder.id, scope).await {
            Err(error) if error.refuses_folder() && self.syncer.bisection.attempt.is_none() => {
                self.syncer.openings.went_well(folder.id);
                connection.forget_selection();
                self.refusal = Some(error);
                Ok(Visit::Refused)
            }
            other => {
                if self.syncer.listed_all {
                    self.syncer.moves.in_sight(folder.id);
                }
                let fetched = self.syncer.fetched;
                self.note(|shown| shown.fetched = fetched);
                other
            }
        }
    }
}
