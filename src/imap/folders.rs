//! The list of folders: new ones, renamed ones, and those that are gone.

use super::fetch::SET;
use super::listings::Ask;
use super::names;
use super::plan::uid_sets;
use super::protocol::ImapError;
use super::rematch::is_same;
use super::sync::Syncer;
use super::wire::{Connection, ListedFolder};
use crate::clock;
use crate::domain::message::Envelope;
use crate::domain::{Folder, FolderId, Timestamp, Uid};
use crate::events::EventType;
use crate::store::{Commit, Row, UidEntry};
use std::collections::{BTreeMap, BTreeSet};

/// A folder whose name is longer than this is left out: it would not fit a row.
const LONGEST_NAME: usize = 1000;
/// So many messages of a folder under a new name are compared with those that are stored.
const SAMPLE: usize = 10;

/// What a LIST says about one folder, in our words.
fn folder_of(listed: &ListedFolder) -> Folder {
    let path = names::path(&listed.name, listed.separator.as_deref());
    let no_select = |attribute: &String| attribute == "\\noselect" || attribute == "\\nonexistent";
    Folder {
        id: FolderId::generate(),
        role: names::role(&path, &listed.attributes),
        selectable: !listed.attributes.iter().any(no_select),
        included: names::holds_mail(&path),
        path,
        server_name: listed.name.clone(),
        uid_validity: None,
        incarnation: 1,
        first_uid_next: None,
        history_complete: false,
        rematch_from: None,
        missing_lists: 0,
    }
}

/// The folders of a LIST: one per path, roles given once.
pub(super) fn folders_of(listed: &[ListedFolder]) -> Vec<Folder> {
    let mut by_path: BTreeMap<String, Folder> = BTreeMap::new();
    for listed in listed.iter().filter(|listed| listed.name.len() <= LONGEST_NAME) {
        let folder = folder_of(listed);
        by_path.entry(folder.path.clone()).or_insert(folder);
    }
    let mut taken = BTreeSet::new();
    let mut folders: Vec<Folder> = by_path.into_values().collect();
    for folder in &mut folders {
        // two folders that look like Sent: the first keeps the role
        if folder.role.is_some_and(|role| !taken.insert(role)) {
            folder.role = None;
        }
    }
    folders
}

/// Whether the folder itself is refused. A server that asks for patience says nothing about it.
fn is_refused(error: &ImapError) -> bool {
    matches!(error, ImapError::No { .. }) && error.is_plain_refusal()
}

impl Syncer {
    /// Brings the stored folders in step with a complete LIST.
    pub(super) async fn reconcile_folders(&mut self, connection: &mut Connection) -> Result<(), ImapError> {
        let listed = folders_of(&connection.list().await?);
        let mut stored: BTreeMap<String, Row<Folder>> = BTreeMap::new();
        for row in self.store.folders(self.owner.mailbox)? {
            stored.insert(row.value.path.clone(), row);
        }
        let mut fresh = Vec::new();
        for folder in listed {
            match stored.remove(&folder.path) {
                Some(known) => self.refresh(known, &folder).await?,
                None => fresh.push(folder),
            }
        }
        // what is left is stored and was not listed
        let mut missing: Vec<Row<Folder>> = stored.into_values().collect();
        for folder in fresh {
            match self.old_name_of(connection, &folder, &missing).await? {
                Some(place) => self.rename(missing.swap_remove(place), folder).await?,
                None => self.create(folder).await?,
            }
        }
        for row in missing {
            self.miss(connection, row).await?;
        }
        Ok(())
    }

    async fn refresh(&self, known: Row<Folder>, listed: &Folder) -> Result<(), ImapError> {
        let mut folder = known.value.clone();
        folder.server_name.clone_from(&listed.server_name);
        folder.selectable = listed.selectable;
        folder.role = listed.role;
        folder.missing_lists = 0;
        if folder == known.value {
            return Ok(());
        }
        self.put(known.generation, &folder, None).await
    }

    async fn create(&self, folder: Folder) -> Result<(), ImapError> {
        let event = self.announcer.folder(EventType::FolderCreated, clock::now(), &folder);
        self.put(0, &folder, Some(event)).await
    }

    async fn rename(&self, old: Row<Folder>, listed: Folder) -> Result<(), ImapError> {
        let old_path = old.value.path.clone();
        let folder = Folder {
            path: listed.path,
            server_name: listed.server_name,
            role: listed.role,
            selectable: listed.selectable,
            missing_lists: 0,
            ..old.value
        };
        let event = self.announcer.renamed(clock::now(), &folder, &old_path);
        self.put(old.generation, &folder, Some(event)).await
    }

    async fn put(
        &self,
        generation: u64,
        folder: &Folder,
        event: Option<crate::events::EventDraft>,
    ) -> Result<(), ImapError> {
        let mut commit = Commit::by(self.owner);
        if let Some(event) = event {
            commit.event(event);
        }
        self.store.put_folder(&mut commit, self.owner.mailbox, generation, folder)?;
        self.store.commit(commit).await?;
        Ok(())
    }

    /// Which missing folder a new one is, under its new name: the same UIDVALIDITY, the stored UIDs are there, and they
    /// are the stored messages.
    async fn old_name_of(
        &self,
        connection: &mut Connection,
        fresh: &Folder,
        missing: &[Row<Folder>],
    ) -> Result<Option<usize>, ImapError> {
        if !fresh.selectable || missing.is_empty() {
            return Ok(None);
        }
        let selected = match connection.select(&fresh.server_name).await {
            Err(error) if is_refused(&error) => return Ok(None),
            other => other?,
        };
        let same_validity = |row: &Row<Folder>| {
            row.value.uid_validity.is_some() && row.value.uid_validity == selected.uid_validity
        };
        let candidates: Vec<usize> = missing
            .iter()
            .enumerate()
            .filter(|(_, row)| same_validity(row))
            .map(|(place, _)| place)
            .collect();
        if candidates.is_empty() {
            return Ok(None);
        }
        let listed = if selected.exists == 0 {
            Vec::new()
        } else {
            connection.list_messages("1:*", Ask::Flags).await?
        };
        let listed: BTreeSet<u32> = listed.iter().map(|message| message.uid).collect();
        for place in candidates {
            let Some(row) = missing.get(place) else { continue };
            let entries = self.store.uid_entries(self.owner.mailbox, row.value.id, row.value.incarnation)?;
            let present = entries.iter().filter(|entry| listed.contains(&entry.uid)).count();
            // some may have been deleted at the same time; most must be there
            let is_like = present * 2 >= entries.len() && (present > 0 || listed.is_empty());
            if is_like && self.holds(connection, &entries, &listed).await? {
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
        for set in uid_sets(&uids, SET) {
            let there = connection.list_envelopes(&set).await?;
            let is_same = |(uid, date, envelope): &(Uid, Timestamp, Envelope)| {
                sample.get(uid).is_some_and(|known| is_same(known, *date, envelope))
            };
            same += there.iter().filter(|listed| is_same(listed)).count();
        }
        Ok(same * 2 > sample.len())
    }

    /// A stored folder was not listed: after two complete LISTs and a NO to its SELECT it is gone.
    async fn miss(&mut self, connection: &mut Connection, row: Row<Folder>) -> Result<(), ImapError> {
        let Row { generation, value: mut folder } = row;
        folder.missing_lists = folder.missing_lists.saturating_add(1);
        if folder.missing_lists < 2 {
            return self.put(generation, &folder, None).await;
        }
        if folder.selectable {
            match connection.select(&folder.server_name).await {
                Err(error) if is_refused(&error) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        for incarnation in 1..=folder.incarnation {
            let entries = self.store.uid_entries(self.owner.mailbox, folder.id, incarnation)?;
            self.set_aside(&entries).await?;
        }
        self.backlog.remove(&folder.id);
        let mut commit = Commit::by(self.owner);
        commit.event(self.announcer.folder(EventType::FolderDeleted, clock::now(), &folder));
        self.store.remove_folder(&mut commit, self.owner.mailbox, &Row { generation, value: folder });
        self.store.commit(commit).await?;
        Ok(())
    }

    /// Tells messages as deleted that vanished before `round` began and turned up nowhere in it.
    pub(super) async fn settle_vanished(&self, round: crate::domain::Timestamp) -> Result<(), ImapError> {
        let settled: Vec<_> = self
            .store
            .set_aside(self.owner.mailbox)?
            .into_iter()
            .filter(|vanished| vanished.since < round)
            .collect();
        for batch in settled.chunks(500) {
            let now = clock::now();
            let mut commit = Commit::by(self.owner);
            for vanished in batch {
                let folder = self.store.folder(self.owner.mailbox, vanished.message.folder)?;
                let folder = folder.map(|row| row.value);
                commit.event(self.announcer.deleted(now, &vanished.message, folder.as_ref()));
                commit.forget_aside(vanished.message.id);
            }
            self.store.commit(commit).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::FolderRole;

    fn listed(name: &str, attributes: &[&str]) -> ListedFolder {
        ListedFolder {
            name: name.into(),
            separator: Some("/".into()),
            attributes: attributes.iter().map(|&attribute| attribute.to_owned()).collect(),
        }
    }

    #[test]
    fn one_inbox_and_each_role_once() {
        let folders = folders_of(&[
            listed("Inbox", &["\\marked"]),
            listed("INBOX", &[]),
            listed("Sent Items", &["\\sent"]),
            listed("Sent", &[]),
            listed("Kalender", &[]),
            listed("[Gmail]", &["\\noselect"]),
        ]);
        let roles: Vec<_> = folders.iter().filter_map(|folder| folder.role).collect();
        assert_eq!(roles.iter().filter(|role| **role == FolderRole::Inbox).count(), 1);
        assert_eq!(roles.iter().filter(|role| **role == FolderRole::Sent).count(), 1);
        let find = |path: &str| folders.iter().find(|folder| folder.path == path).unwrap();
        assert!(!find("Kalender").included);
        assert!(!find("[Gmail]").selectable);
    }
}
