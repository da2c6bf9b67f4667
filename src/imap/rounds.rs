//! Rounds over all folders: what changed is visited, what vanished is settled, and what was set apart has its next chance.

use super::names;
use super::protocol::ImapError;
use super::rider::Rider;
use super::seen::Seen;
use super::sync::{Scope, Visit};
use super::wire::{Connection, FolderStatus};
use crate::clock;
use crate::domain::Folder;
use std::time::Duration;

impl Rider {
    /// Looks at every folder: by STATUS where it was seen before, whole where something changed. What
    /// vanished before the round and turned up nowhere in it is deleted.
    pub(super) async fn round(&mut self, connection: &mut Connection) -> Result<Visit, ImapError> {
        let mut result = Visit::InStep;
        // a second pass settles what vanished during the first
        for _ in 0..2 {
            let started = clock::now();
            if !self.syncer.store.set_aside(self.syncer.owner.mailbox)?.is_empty() {
                // it may have moved into a folder that was made for it
                self.syncer.reconcile_folders(connection).await?;
            }
            for (folder, status) in self.changed_folders(connection).await? {
                match self.visit(connection, &folder, Scope::Whole).await? {
                    Visit::InStep => {
                        self.seen.insert(folder.id, Seen::now(status));
                        self.refused.remove(&folder.id);
                    }
                    Visit::Suspicious => result = Visit::Suspicious,
                    Visit::Refused if self.refused.insert(folder.id) && result == Visit::InStep => {
                        result = Visit::Refused;
                    }
                    Visit::Refused => {}
                }
            }
            self.syncer.settle_vanished(started).await?;
            if self.syncer.store.set_aside(self.syncer.owner.mailbox)?.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await; // `since` and `started` count milliseconds
        }
        self.end_of_round(result).await?;
        if result != Visit::Suspicious {
            self.give_another_chance(connection).await?;
        }
        Ok(result)
    }

    /// Tries one message again that was set apart, after everything else: if it ends the connection, that is all it does.
    async fn give_another_chance(&mut self, connection: &mut Connection) -> Result<(), ImapError> {
        let (folders, pace) = (self.folders()?, self.link.timing.status_interval);
        let Some((folder, uid)) = self.syncer.next_chance(&folders, pace)? else { return Ok(()) };
        if self.visit_one(connection, folder, Scope::NewOnly).await? == Visit::InStep {
            self.syncer.try_again(connection, folder.id, uid).await?;
        }
        Ok(())
    }

    async fn end_of_round(&mut self, result: Visit) -> Result<(), ImapError> {
        let backlog = self.syncer.backlog.values().sum();
        let now = clock::now();
        let id = self.syncer.stored.mailbox.id.clone();
        let change = |status: &mut crate::store::MailboxStatus| {
            // rounds that found nothing are shown to the minute, not written each time
            if status.last_sync_at.is_none_or(|last| now.since(last) >= Duration::from_secs(60)) {
                status.last_sync_at = Some(now);
            }
            status.backlog = backlog;
            status.synced |= result == Visit::InStep;
        };
        self.syncer.store.change_status(self.syncer.owner, &id, now, change).await?;
        Ok(())
    }

    /// Folders that need a visit, those that lost messages first: a moved message is then known to have
    /// left before it is met in its new folder.
    async fn changed_folders(
        &mut self,
        connection: &mut Connection,
    ) -> Result<Vec<(Folder, Option<FolderStatus>)>, ImapError> {
        let mut due = Vec::new();
        let flag_scan = self.link.timing.flag_scan;
        for folder in self.folders()? {
            let seen = self.seen.get(&folder.id);
            if connection.selected() == Some(folder.server_name.as_str()) {
                // what changes there is told; flags that others change, not by every server
                let is_told = connection.offers("CONDSTORE");
                if !is_told && seen.is_none_or(|seen| seen.scan_is_due(flag_scan)) {
                    due.push((true, names::rank(folder.role), folder, None));
                }
                continue;
            }
            let status = match connection.status(&folder.server_name).await {
                Ok(status) => Some(status),
                Err(error) if error.is_plain_refusal() => None,
                Err(error) => return Err(error),
            };
            if let (Some(seen), Some(status)) = (seen, status)
                && !seen.needs_visit(status, flag_scan)
            {
                continue;
            }
            let lost = seen.zip(status).is_some_and(|(seen, status)| seen.lost_messages(status));
            due.push((!lost, names::rank(folder.role), folder, status));
        }
        due.sort_by(|one, other| (one.0, one.1, &one.2.path).cmp(&(other.0, other.1, &other.2.path)));
        Ok(due.into_iter().map(|(_, _, folder, status)| (folder, status)).collect())
    }
}
