//! The list of folders: new ones, renamed ones, and those that are gone. A folder is identified by its wire name; the path is
//! what is shown.

use super::folder_names;
use super::folder_sync::Visit;
use super::many_folders::give_way;
use super::mass_deletion::MASS;
use super::syncer::Syncer;
use crate::clock;
use crate::domain::{Folder, FolderId, FolderRole, WireName};
use crate::events::EventType;
use crate::imap::connection::{Connection, FOLDERS, FolderList, FolderStatus, ListedFolder};
use crate::imap::protocol::ImapError;
use crate::store::{Commit, Row};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A folder whose name is longer than this is left out: it would not fit a row.
const LONGEST_NAME: usize = 1000;
/// How many folders are made in one commit.
const BATCH: usize = 200;
/// New folders times missing ones up to which renames are looked for: two thousand may be renamed at once.
const RENAMES: usize = 4_000_000;
/// Bytes that names of a folder may take in its row.
const NAMES: usize = 3000;

/// A folder as a LIST shows it.
fn folder_of(listed: &ListedFolder, is_exchange: bool) -> Folder {
    let name = WireName::from(&*listed.name);
    let path = folder_names::path(&name, listed.separator.as_deref());
    let no_select = |attribute: &String| attribute == "\\noselect" || attribute == "\\nonexistent";
    Folder {
        id: FolderId::generate(),
        role: folder_names::role(&path, &listed.attributes),
        selectable: !listed.attributes.iter().any(no_select),
        included: !(is_exchange && folder_names::is_pseudo_folder(&path)),
        path,
        server_name: name,
        uid_validity: None,
        incarnation: 1,
        first_uid_next: None,
        history_complete: false,
        rematch_from: None,
        missing_lists: 0,
        apart: None,
        is_chosen: false,
    }
}

fn inbox() -> ListedFolder {
    let name = bytes::Bytes::from_static(b"INBOX");
    ListedFolder { name, separator: None, attributes: Vec::new(), is_unescaped: false }
}

/// The folders of a LIST, one for each wire name, by path; roles are given once.
pub(super) fn folders_of(listed: &[ListedFolder], is_exchange: bool) -> Vec<Folder> {
    let fits = |folder: &Folder| {
        let names = serde_json::to_vec(&(&folder.server_name, &folder.path));
        folder.server_name.as_bytes().len() <= LONGEST_NAME && names.is_ok_and(|names| names.len() <= NAMES)
    };
    let mut by_name: BTreeMap<WireName, Folder> = BTreeMap::new();
    for folder in listed.iter().map(|listed| folder_of(listed, is_exchange)).filter(fits) {
        by_name.entry(folder.server_name.clone()).or_insert(folder);
    }
    let mut folders: Vec<Folder> = by_name.into_values().collect();
    folders.sort_by(|one, other| (&one.path, &one.server_name).cmp(&(&other.path, &other.server_name)));
    let mut taken = BTreeSet::new();
    for folder in &mut folders {
        // two folders that look like Sent: the first keeps the role
        if folder.role.is_some_and(|role| !taken.insert(role)) {
            folder.role = None;
        }
    }
    folders
}

/// Gives every folder a path of its own; those that are stored keep theirs.
fn make_paths_unique(folders: &mut [Folder], stored: &BTreeMap<WireName, Row<Folder>>) {
    let is_still = |path: &str, shown: &str| {
        path == shown || path.strip_prefix(shown).is_some_and(|number| number.starts_with('~'))
    };
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut is_fresh = vec![true; folders.len()];
    for (folder, is_fresh) in folders.iter_mut().zip(&mut is_fresh) {
        let known = stored.get(&folder.server_name).map(|row| &row.value.path);
        if let Some(known) = known.filter(|known| is_still(known, &folder.path) && !taken.contains(*known)) {
            folder.path.clone_from(known);
            taken.insert(known.clone());
            *is_fresh = false;
        }
    }
    for (folder, _) in folders.iter_mut().zip(is_fresh).filter(|(_, is_fresh)| *is_fresh) {
        folder.path = folder_names::unique(std::mem::take(&mut folder.path), &taken);
        taken.insert(folder.path.clone());
    }
}

impl Syncer {
    /// Brings the stored folders in step with a LIST.
    pub(super) async fn reconcile_folders(
        &mut self,
        connection: &mut Connection,
    ) -> Result<Visit, ImapError> {
        let list = connection.list().await?;
        self.reconcile_with(connection, list).await
    }

    /// Brings the stored folders in step with what was listed.
    pub(super) async fn reconcile_with(
        &mut self,
        connection: &mut Connection,
        list: FolderList,
    ) -> Result<Visit, ImapError> {
        let (is_exchange, count, folders) = (self.is_exchange(connection), list.folders.len(), list.folders);
        let mut listed = self.in_proportion(count, move || folders_of(&folders, is_exchange)).await?;
        if !listed.iter().any(|folder| folder.server_name.is_inbox()) {
            // it is there whether it is listed or not (RFC 3501 §5.1)
            listed.push(folder_of(&inbox(), false));
        }
        let stored = self.folders_by_name().await?;
        self.folder_count = stored.len().saturating_add(count);
        let mut room = FOLDERS.saturating_sub(stored.len());
        self.drop_second_inbox(connection, &mut listed, &stored).await?;
        let unique = move || {
            make_paths_unique(&mut listed, &stored);
            (listed, stored)
        };
        let (listed, mut stored) = self.in_proportion(count, unique).await?;
        let mut fresh = Vec::new();
        for (step, folder) in listed.into_iter().enumerate() {
            give_way(step).await;
            match stored.remove(&folder.server_name) {
                Some(known) => self.refresh(known, &folder).await?,
                None => fresh.push(folder),
            }
        }
        // what is left is stored and was not listed
        let mut missing: Vec<Row<Folder>> = stored.into_values().collect();
        self.find_paths(&mut fresh, &mut missing).await?;
        let mut created = Vec::new();
        // a server that lists quite other folders each time would be searched for renames for ever
        let may_be_renamed = fresh.len().saturating_mul(missing.len()) <= RENAMES;
        for folder in fresh {
            let place = match may_be_renamed {
                true => self.old_name_of(connection, &folder, &missing).await?,
                false => None,
            };
            match place {
                Some(place) => self.rename(missing.swap_remove(place), folder).await?,
                None => created.push(folder),
            }
        }
        self.too_many_folders = list.is_full || created.len() > room;
        if created.len() > room {
            // those with a role first, INBOX before all
            created.sort_by_key(|folder| folder_names::rank(folder.role));
            room = room
                .max(created.iter().take(1).filter(|folder| folder.role == Some(FolderRole::Inbox)).count());
            created.truncate(room);
        }
        self.create(&created).await?;
        if !list.is_complete {
            return Ok(Visit::InStep); // a line that was not understood may have named them
        }
        missing.retain(|row| !self.unlisted.contains(&row.value.id));
        self.miss(connection, missing).await
    }

    /// Whether the server is an Exchange: by what it says, or by how the mailbox is configured.
    fn is_exchange(&self, connection: &Connection) -> bool {
        let provider = self.stored.mailbox.provider.as_deref();
        connection.is_exchange || provider.is_some_and(|provider| provider.starts_with("office365"))
    }

    /// INBOX has one name in any letters (RFC 3501 §5.1). A server that lists it in two may mean one folder or two: counts
    /// tell.
    async fn drop_second_inbox(
        &self,
        connection: &mut Connection,
        listed: &mut Vec<Folder>,
        stored: &BTreeMap<WireName, Row<Folder>>,
    ) -> Result<(), ImapError> {
        let inboxes: Vec<WireName> =
            listed.iter().map(|folder| &folder.server_name).filter(|name| name.is_inbox()).cloned().collect();
        let first = inboxes.iter().find(|name| name.as_bytes() == b"INBOX").or(inboxes.first());
        let Some(first) = first.filter(|_| inboxes.len() > 1).cloned() else { return Ok(()) };
        for name in inboxes.iter().filter(|name| **name != first && !stored.contains_key(*name)) {
            // requested twice: mail may come between two answers
            let pair = [first.clone(), name.clone()];
            let counts = connection.statuses(&[pair.clone(), pair].concat()).await?;
            let is_same = |pair: &[Result<FolderStatus, ImapError>]| matches!(pair, [Ok(one), Ok(other)] if one == other);
            let is_one = counts.chunks(2).any(is_same);
            listed.retain(|folder| !is_one || folder.server_name != *name);
        }
        // the other is a folder like any
        for folder in listed.iter_mut().filter(|folder| folder.server_name != first) {
            folder.role = folder.role.filter(|role| *role != FolderRole::Inbox);
        }
        if let Some(inbox) = listed.iter_mut().find(|folder| folder.server_name == first) {
            inbox.role = Some(FolderRole::Inbox);
        }
        listed.sort_by_key(|folder| folder.server_name != first);
        Ok(())
    }

    /// LIST names a folder: what was thought of it while it did not is over.
    fn is_listed(&mut self, folder: FolderId) {
        self.missing.clear(folder);
        self.unlisted.remove(&folder);
    }

    async fn refresh(&mut self, known: Row<Folder>, listed: &Folder) -> Result<(), ImapError> {
        self.is_listed(known.value.id);
        let mut folder = known.value.clone();
        folder.selectable = listed.selectable;
        folder.role = listed.role;
        folder.path.clone_from(&listed.path);
        folder.included = if folder.is_chosen { folder.included } else { listed.included };
        folder.missing_lists = 0;
        if folder == known.value {
            return Ok(());
        }
        self.put(known.generation, &folder, None).await
    }

    async fn create(&self, folders: &[Folder]) -> Result<(), ImapError> {
        for batch in folders.chunks(BATCH) {
            let mut commit = Commit::by(self.owner);
            for folder in batch {
                commit.event(self.announcer.folder(EventType::FolderCreated, clock::now(), folder));
                self.store.put_folder(&mut commit, self.owner.mailbox, 0, folder)?;
            }
            self.store.commit(commit).await?;
        }
        Ok(())
    }

    pub(super) async fn rename(&mut self, old: Row<Folder>, listed: Folder) -> Result<(), ImapError> {
        self.is_listed(old.value.id);
        let old_path = old.value.path.clone();
        let folder = Folder {
            path: listed.path,
            server_name: listed.server_name,
            role: listed.role,
            selectable: listed.selectable,
            included: if old.value.is_chosen { old.value.included } else { listed.included },
            missing_lists: 0,
            apart: None,
            ..old.value
        };
        let is_news = old_path != folder.path;
        let event = is_news.then(|| self.announcer.renamed(clock::now(), &folder, &old_path));
        self.put(old.generation, &folder, event).await
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

    /// Stored folders were not listed. Each is gone when another connection does not list it either and its SELECT is
    /// refused; where they hold much mail that counts only after a while: a namespace may be away for a moment.
    async fn miss(
        &mut self,
        connection: &mut Connection,
        missing: Vec<Row<Folder>>,
    ) -> Result<Visit, ImapError> {
        let mut messages = 0;
        for (step, row) in missing.iter().enumerate() {
            give_way(step).await;
            messages += self.store.folder_counts(self.owner.mailbox, row.value.id)?.messages;
        }
        let is_mass = messages > MASS as u64;
        let (now, number) = (clock::monotonic(), connection.number());
        let (mut visit, mut noted, mut gone) = (Visit::InStep, Vec::new(), Vec::new());
        for (step, Row { generation, value: mut folder }) in missing.into_iter().enumerate() {
            give_way(step).await;
            let id = folder.id;
            let least = if is_mass { self.confirm } else { Duration::ZERO };
            if !self.missing.is_confirmed(id, number, now, least) {
                self.missing.suspect(id, number, now);
                visit = Visit::Suspicious;
                self.misses_little = !is_mass;
                if folder.missing_lists == 0 {
                    folder.missing_lists = 1;
                    noted.push((generation, folder));
                }
                continue;
            }
            let can_be_selected = match self.can_be_selected(connection, &folder).await {
                Ok(can_be_selected) => can_be_selected,
                Err(error) => {
                    // what was confirmed before the connection ended counts: a server may end it at every hundredth
                    self.remove(gone).await?;
                    return Err(error);
                }
            };
            match can_be_selected {
                Some(true) => {
                    // never listed, and there
                    self.unlisted.insert(folder.id);
                    folder.missing_lists = 0;
                    self.put(generation, &folder, None).await?;
                    self.missing.clear(id);
                }
                Some(false) => gone.push(Row { generation, value: folder }),
                None => visit = Visit::Suspicious,
            }
            if gone.len() == BATCH {
                self.remove(std::mem::take(&mut gone)).await?;
            }
        }
        self.remove(gone).await?;
        for batch in noted.chunks(BATCH) {
            let mut commit = Commit::by(self.owner);
            for (generation, folder) in batch {
                self.store.put_folder(&mut commit, self.owner.mailbox, *generation, folder)?;
            }
            self.store.commit(commit).await?;
        }
        Ok(visit)
    }

    /// Whether a folder that is not listed can be selected all the same; `None`: the server is busy, which says
    /// nothing about it.
    async fn can_be_selected(
        &self,
        connection: &mut Connection,
        folder: &Folder,
    ) -> Result<Option<bool>, ImapError> {
        if !folder.selectable {
            return Ok(Some(false));
        }
        let selected = connection.select(&folder.server_name).await;
        connection.forget_selection();
        match selected {
            Err(error) if error.refuses_folder() => Ok((!error.says_busy()).then_some(false)),
            other => other.map(|_| Some(true)),
        }
    }

    /// Folders are gone: their messages may turn up elsewhere. One commit for all, since a server may list thousands and
    /// then none of them.
    async fn remove(&mut self, rows: Vec<Row<Folder>>) -> Result<(), ImapError> {
        for Row { value: folder, .. } in &rows {
            tracing::info!(folder = %folder.id, "folder is gone");
            for incarnation in 1..=folder.incarnation {
                let entries = self.store.uid_entries(self.owner.mailbox, folder.id, incarnation)?;
                self.set_aside(&entries).await?;
            }
        }
        let mut commit = Commit::by(self.owner);
        for row in &rows {
            // as it is now: a person may have changed it while others were looked at
            let Some(row) = self.store.folder(self.owner.mailbox, row.value.id)? else { continue };
            commit.event(self.announcer.folder(EventType::FolderDeleted, clock::now(), &row.value));
            self.store.remove_folder(&mut commit, self.owner.mailbox, &row);
        }
        if !commit.is_empty() {
            self.store.commit(commit).await?;
        }
        for id in rows.iter().map(|row| row.value.id) {
            self.missing.clear(id);
            self.backlog.remove(&id);
            self.deletions.clear(id);
            self.uncounted.remove(&id);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "folder_list_tests.rs"]
mod tests;
