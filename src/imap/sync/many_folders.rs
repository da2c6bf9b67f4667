//! Mailboxes of thousands of folders: what is done with all of them at once is done by the workers, and what stays on the
//! arbiter lets others have their turn.

use super::syncer::Syncer;
use crate::domain::{Folder, WireName};
use crate::imap::protocol::ImapError;
use crate::store::Row;
use std::collections::BTreeMap;

/// As many folders are looked at without a pause.
const MANY: usize = 200;

impl Syncer {
    /// Work in proportion to so many folders: by the workers, where they are many.
    pub(super) async fn in_proportion<T: Send + 'static>(
        &self,
        folders: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ImapError> {
        if folders <= MANY {
            return Ok(work());
        }
        self.workers.run(self.owner.mailbox, work).result().await
    }

    /// The stored folders.
    pub(super) async fn stored_folders(&self) -> Result<Vec<Row<Folder>>, ImapError> {
        let (store, mailbox) = (self.store.clone(), self.owner.mailbox);
        Ok(self.in_proportion(self.folder_count, move || store.folders(mailbox)).await??)
    }

    /// The stored folders by what the server calls them.
    pub(super) async fn folders_by_name(&self) -> Result<BTreeMap<WireName, Row<Folder>>, ImapError> {
        let (store, mailbox) = (self.store.clone(), self.owner.mailbox);
        let read = move || {
            let rows = store.folders(mailbox)?.into_iter();
            Ok(rows.map(|row| (row.value.server_name.clone(), row)).collect())
        };
        self.in_proportion(self.folder_count, read).await?
    }

    /// The stored folders that are looked after.
    pub(super) async fn followed_folders(&self) -> Result<Vec<Folder>, ImapError> {
        let (store, mailbox) = (self.store.clone(), self.owner.mailbox);
        let read = move || {
            let rows = store.folders(mailbox)?.into_iter().map(|row| row.value);
            Ok(rows
                .filter(|folder| folder.selectable && folder.included && folder.missing_lists == 0)
                .collect())
        };
        self.in_proportion(self.folder_count, read).await?
    }
}

/// Lets others have their turn after so many of a loop's steps.
pub(in crate::imap) async fn give_way(step: usize) {
    if step % MANY == MANY - 1 {
        tokio::task::yield_now().await;
    }
}
