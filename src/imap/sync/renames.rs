//! Folders under a new name: the same UIDVALIDITY and UIDs, and the same messages under them. Where a server gives a renamed
//! folder another UIDVALIDITY, its messages are announced as moved: they keep their ids.

use super::many_folders::give_way;
use super::syncer::Syncer;
use crate::domain::{Folder, FolderRole, Uid};
use crate::imap::connection::{
    Connection, LONGEST_UID_SET, ListedEnvelope, ListingDetail, Selected, uid_sets,
};
use crate::imap::protocol::ImapError;
use crate::store::{Row, UidEntry};
use std::collections::{BTreeMap, BTreeSet};

/// So many messages of a folder under a new name are compared with those that are stored.
const SAMPLE: usize = 10;

impl Syncer {
    /// Stored folders that are not listed and are the same as listed ones: a store that was rebuilt from packs has paths in
    /// place of wire names.
    pub(super) async fn find_paths(
        &mut self,
        fresh: &mut Vec<Folder>,
        missing: &mut Vec<Row<Folder>>,
    ) -> Result<(), ImapError> {
        let key = |folder: &Folder| match folder.server_name.is_inbox() {
            true => String::from("INBOX"),
            false => folder.path.clone(),
        };
        let has_path = |row: &mut Row<Folder>| {
            let folder = &row.value;
            folder.server_name.as_bytes() == folder.path.as_bytes() || folder.server_name.is_inbox()
        };
        let mut by_path: BTreeMap<String, Row<Folder>> = BTreeMap::new();
        for row in missing.extract_if(.., has_path).collect::<Vec<_>>() {
            // a second spelling of INBOX is a folder like any
            missing.extend(by_path.insert(key(&row.value), row));
        }
        let mut others = Vec::with_capacity(fresh.len());
        for (step, folder) in std::mem::take(fresh).into_iter().enumerate() {
            give_way(step).await;
            let is_same = |row: &Row<Folder>| is_same_folder(&row.value, &folder);
            match by_path.get(&key(&folder)).is_some_and(is_same).then(|| by_path.remove(&key(&folder))) {
                Some(Some(row)) => self.rename(row, folder).await?,
                _ => others.push(folder),
            }
        }
        *fresh = others;
        missing.extend(by_path.into_values());
        Ok(())
    }

    /// Which missing folder a new one is, under its new name: the same UIDVALIDITY, the stored UIDs are there, and they
    /// are the stored messages.
    pub(super) async fn old_name_of(
        &self,
        connection: &mut Connection,
        fresh: &Folder,
        missing: &[Row<Folder>],
    ) -> Result<Option<usize>, ImapError> {
        if !fresh.selectable || missing.is_empty() {
            return Ok(None);
        }
        let selected = match connection.select(&fresh.server_name).await {
            Err(error) if error.refuses_folder() => return Ok(None),
            other => other?,
        };
        let place = self.old_name_of_selected(connection, selected, missing).await;
        connection.forget_selection(); // it was compared, not visited
        match place {
            Err(error) if error.refuses_folder() => Ok(None),
            other => other,
        }
    }

    async fn old_name_of_selected(
        &self,
        connection: &mut Connection,
        selected: Selected,
        missing: &[Row<Folder>],
    ) -> Result<Option<usize>, ImapError> {
        let listed = if selected.exists == 0 {
            Vec::new()
        } else {
            connection.list_messages("1:*", ListingDetail::Flags).await?
        };
        let listed: BTreeSet<u32> = listed.iter().map(|message| message.uid).collect();
        let stored = if listed.is_empty() { self.stored_folders().await? } else { Vec::new() };
        let alike = |validity| stored.iter().filter(|other| other.value.uid_validity == validity).count();
        let is_alone = alike(selected.uid_validity) <= 1;
        for (place, row) in missing.iter().enumerate() {
            let validity = row.value.uid_validity;
            if validity.is_none() || validity != selected.uid_validity {
                continue;
            }
            let entries = self.store.uid_entries(self.owner.mailbox, row.value.id, row.value.incarnation)?;
            if listed.is_empty() {
                if !is_alone {
                    continue; // a server that gives every folder the same says nothing by it
                }
                // all that was in it has left: its next UID says that there was as much
                let highest = entries.last().map_or(0, |entry| entry.uid);
                if selected.uid_next.is_some_and(|next| next > highest) {
                    return Ok(Some(place));
                }
                continue;
            }
            let present = entries.iter().filter(|entry| listed.contains(&entry.uid)).count();
            // some may have been deleted at the same time, others have come; of what both have, samples tell
            if present > 0 && self.holds(connection, &entries, &listed).await? {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// Whether the selected folder holds these messages under the UIDs that both have, as far as some of them tell: there
    /// are servers that give every folder the same UIDVALIDITY.
    async fn holds(
        &self,
        connection: &mut Connection,
        entries: &[UidEntry],
        listed: &BTreeSet<Uid>,
    ) -> Result<bool, ImapError> {
        let common: Vec<&UidEntry> = entries.iter().filter(|entry| listed.contains(&entry.uid)).collect();
        let step = (common.len() / SAMPLE).max(1);
        let mut sample = BTreeMap::new();
        for entry in common.into_iter().rev().step_by(step).take(SAMPLE) {
            sample.extend(
                self.store.message(self.owner.mailbox, entry.message)?.map(|known| (entry.uid, known)),
            );
        }
        if sample.is_empty() {
            return Ok(true);
        }
        let uids: Vec<Uid> = sample.keys().copied().collect();
        let mut same = 0;
        for set in uid_sets(&uids, LONGEST_UID_SET) {
            let there = connection.list_envelopes(&set, (&self.workers, self.owner.mailbox)).await?;
            let is_same =
                |listed: &&ListedEnvelope| sample.get(&listed.uid).is_some_and(|known| listed.is(known));
            same += there.iter().filter(is_same).count();
        }
        Ok(same * 2 > sample.len())
    }
}

/// Whether a stored folder that is not listed and a listed one that is not stored are the same: a store that was rebuilt
/// from packs has paths in place of wire names.
fn is_same_folder(stored: &Folder, listed: &Folder) -> bool {
    stored.path == listed.path && stored.server_name.as_bytes() == stored.path.as_bytes()
        || stored.server_name.is_inbox()
            && listed.server_name.is_inbox()
            && listed.role == Some(FolderRole::Inbox)
}
