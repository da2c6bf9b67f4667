//! What SELECT shows of a folder: its UIDVALIDITY for the first time, another one than before, or UIDs that were given to
//! other messages (a server that was restored from a snapshot).

use super::folder_sync::Visit;
use super::syncer::Syncer;
use crate::domain::{Folder, FolderId, Message, Uid};
use crate::imap::connection::{
    Connection, LONGEST_UID_SET, ListedMessage, ListingDetail, Selected, uid_sets,
};
use crate::imap::protocol::ImapError;
use crate::store::{Commit, Row};
use std::collections::{BTreeMap, BTreeSet};

/// So many of the newest UIDs that are stored and listed are compared, once on each connection.
const COMPARED: usize = 20;

impl Syncer {
    /// First sight of a folder's UIDVALIDITY, or a change of it. `false`: too much is gone with it to be believed at once.
    pub(in crate::imap) async fn adopt(
        &mut self,
        connection: &mut Connection,
        row: Row<Folder>,
        selected: Selected,
    ) -> Result<bool, ImapError> {
        let Row { generation, value: mut folder } = row;
        // a server without UIDVALIDITY promises nothing: what we know stays, 0 is never stored
        let Some(validity) = selected.uid_validity.or(folder.uid_validity).or(Some(1)) else {
            return Ok(true);
        };
        match folder.uid_validity {
            Some(known) if known == validity => {}
            Some(_) => folder.begin_rematch(),
            None => folder.incarnation = folder.incarnation.max(1),
        }
        if folder.uid_validity != Some(validity) {
            folder.uid_validity = Some(validity);
            // without UIDNEXT everything that is there now counts as history once the newest is known
            folder.first_uid_next = Some(match selected.uid_next {
                Some(next) => next,
                None => self.uid_next_by_listing(connection).await?,
            });
            self.first_sight = Some((folder.id, selected.exists));
            let mut commit = Commit::by(self.owner);
            self.store.put_folder(&mut commit, self.owner.mailbox, generation, &folder)?;
            self.store.commit(commit).await?;
        }
        match folder.rematch_from {
            Some(_) => self.rematch(connection, folder.id).await,
            None => Ok(true),
        }
    }

    async fn uid_next_by_listing(&self, connection: &mut Connection) -> Result<Uid, ImapError> {
        if connection.exists() == 0 {
            return Ok(1);
        }
        let newest = connection.list_newest(connection.exists(), 1, ListingDetail::Flags).await?;
        Ok(newest.last().map_or(1, |message| message.uid.saturating_add(1)))
    }

    /// On the first sight of a folder everything in it is history, whatever UIDNEXT says: some servers tell one that is
    /// absent, 0 or lower than what is there. The folder as it is then, if that was so.
    pub(super) async fn correct_first_sight(
        &mut self,
        connection: &Connection,
        folder: FolderId,
        listed: &[ListedMessage],
    ) -> Result<Option<Folder>, ImapError> {
        let Some((_, exists)) = self.first_sight.take_if(|(seen, _)| *seen == folder) else {
            return Ok(None);
        };
        let Some(Row { generation, value: mut folder }) = self.store.folder(self.owner.mailbox, folder)?
        else {
            return Ok(None);
        };
        // by sequence number: what came since stands last
        let came = connection.exists().saturating_sub(exists) as usize;
        let newest = listed.len().checked_sub(came.saturating_add(1)).and_then(|place| listed.get(place));
        let Some(newest) =
            newest.filter(|newest| folder.first_uid_next.is_some_and(|next| newest.uid >= next))
        else {
            return Ok(None);
        };
        folder.first_uid_next = Some(newest.uid.saturating_add(1));
        let mut commit = Commit::by(self.owner);
        self.store.put_folder(&mut commit, self.owner.mailbox, generation, &folder)?;
        self.store.commit(commit).await?;
        Ok(Some(folder))
    }

    /// Whether UIDs that are stored name other messages on the server now: a snapshot was restored, and what came since
    /// got the UIDs of what was lost. UIDNEXT shows that only until it has caught up; dates and headers show it always.
    pub(super) async fn uids_were_reused(
        &mut self,
        connection: &mut Connection,
        folder: &Folder,
        listed: &[ListedMessage],
    ) -> Result<bool, ImapError> {
        if self.compared.0 != connection.number() {
            self.compared = (connection.number(), BTreeSet::new());
        }
        if folder.rematch_from.is_some() || !self.compared.1.insert(folder.id) {
            return Ok(false);
        }
        let entries = self.store.uid_entries(self.owner.mailbox, folder.id, folder.incarnation)?;
        let is_listed = |uid: Uid| listed.binary_search_by_key(&uid, |message| message.uid).is_ok();
        let newest = entries.iter().rev().filter(|entry| is_listed(entry.uid)).take(COMPARED);
        let mut stored: BTreeMap<Uid, Message> = BTreeMap::new();
        for entry in newest {
            stored.extend(
                self.store.message(self.owner.mailbox, entry.message)?.map(|known| (entry.uid, known)),
            );
        }
        let uids: Vec<Uid> = stored.keys().copied().collect();
        // one without a date says nothing by it
        let mut doubtful: BTreeSet<Uid> = uids.iter().copied().collect();
        for set in uid_sets(&uids, LONGEST_UID_SET) {
            for (uid, date) in connection.list_dates(&set).await? {
                if stored.get(&uid).is_some_and(|known| date == known.internal_date) {
                    doubtful.remove(&uid);
                }
            }
        }
        let doubtful: Vec<Uid> = doubtful.into_iter().collect();
        for set in uid_sets(&doubtful, LONGEST_UID_SET) {
            for there in connection.list_envelopes(&set, (&self.workers, self.owner.mailbox)).await? {
                if stored.get(&there.uid).is_some_and(|known| !there.resembles(known)) {
                    tracing::warn!(folder = %folder.id, uid = there.uid, "the server gave a UID to another message");
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Matches a folder anew whose UIDs name other messages now.
    pub(super) async fn begin_rematch(
        &mut self,
        connection: &mut Connection,
        folder: FolderId,
    ) -> Result<Visit, ImapError> {
        if let Some(Row { generation, value: mut folder }) = self.store.folder(self.owner.mailbox, folder)? {
            folder.begin_rematch();
            let mut commit = Commit::by(self.owner);
            self.store.put_folder(&mut commit, self.owner.mailbox, generation, &folder)?;
            self.store.commit(commit).await?;
        }
        let is_sure = self.rematch(connection, folder).await?;
        Ok(if is_sure { Visit::Partial } else { Visit::Suspicious })
    }

    /// Notes that the history of a folder is stored.
    pub(super) async fn complete_history(&self, folder: FolderId) -> Result<(), ImapError> {
        let Some(Row { generation, value: mut folder }) = self.store.folder(self.owner.mailbox, folder)?
        else {
            return Ok(());
        };
        folder.history_complete = true;
        let mut commit = Commit::by(self.owner);
        self.store.put_folder(&mut commit, self.owner.mailbox, generation, &folder)?;
        self.store.commit(commit).await?;
        Ok(())
    }
}
