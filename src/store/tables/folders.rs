//! Verbs about folders, their counts, their UID index and what is quarantined in them.

use crate::domain::folder::FolderCounts;
use crate::domain::{Folder, FolderId, Incarnation, Uid};
use crate::store::engine::{Commit, Expect, Op, Quarantined, expect_read};
use crate::store::error::StoreError;
use crate::store::format::{Row, Topic, UidEntry, codec, keys, uid_index};
use crate::store::handle::Store;

impl Store {
    /// A mailbox's folders, in no particular order.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn folders(&self, mailbox: Incarnation) -> Result<Vec<Row<Folder>>, StoreError> {
        self.db()
            .scan_prefix(keys::topic(Topic::Folder, mailbox))
            .values()
            .map(|value| {
                let value = value.map_err(StoreError::sled)?;
                let (generation, payload) = codec::split_row(&value)?;
                Ok(Row { generation, value: codec::from_json("folder", payload)? })
            })
            .collect()
    }

    /// A folder; `None` if there is none of this id.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn folder(&self, mailbox: Incarnation, id: FolderId) -> Result<Option<Row<Folder>>, StoreError> {
        self.row("folder", &keys::folder(mailbox, id))
    }

    /// Counts of a folder.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn folder_counts(&self, mailbox: Incarnation, id: FolderId) -> Result<FolderCounts, StoreError> {
        match self.get(&keys::counts(mailbox, id))? {
            Some(bytes) => codec::unpack("folder counts", &bytes),
            None => Ok(FolderCounts::default()),
        }
    }

    /// Adds to a commit that UIDs mean nothing any more, because they are those of another server or account: what is
    /// stored is matched anew with what is there.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn forget_uids(&self, commit: &mut Commit, mailbox: Incarnation) -> Result<(), StoreError> {
        for Row { generation, value: mut folder } in self.folders(mailbox)? {
            if folder.uid_validity.take().is_some() {
                folder.begin_rematch();
                self.put_folder(commit, mailbox, generation, &folder)?;
            }
        }
        Ok(())
    }

    /// Adds a new or changed folder to a commit; `generation` is the one that was read, 0 for a new one.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if it cannot be written.
    pub fn put_folder(
        &self,
        commit: &mut Commit,
        mailbox: Incarnation,
        generation: u64,
        folder: &Folder,
    ) -> Result<(), StoreError> {
        let key = keys::folder(mailbox, folder.id);
        let payload = codec::to_json(folder)?;
        commit.ops.push(Op::Put { key, expect: expect_read(generation), payload });
        Ok(())
    }

    /// Adds the removal of an empty folder to a commit.
    pub fn remove_folder(&self, commit: &mut Commit, mailbox: Incarnation, folder: &Row<Folder>) {
        let expect = expect_read(folder.generation);
        commit.ops.push(Op::Delete { key: keys::folder(mailbox, folder.value.id), expect });
        let key = keys::counts(mailbox, folder.value.id);
        commit.ops.push(Op::Delete { key, expect: crate::store::engine::Expect::Any });
    }

    /// The stored UIDs of one incarnation of a folder, ascending, with their messages and flags' digests.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn uid_entries(
        &self,
        mailbox: Incarnation,
        folder: FolderId,
        incarnation: u32,
    ) -> Result<Vec<UidEntry>, StoreError> {
        let mut entries = Vec::new();
        for value in self.db().scan_prefix(keys::uid_chunks(mailbox, folder, incarnation)).values() {
            entries.extend(uid_index::decode(&value.map_err(StoreError::sled)?)?);
        }
        Ok(entries)
    }

    /// Whether anything is quarantined in a folder.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn has_quarantined(&self, mailbox: Incarnation, folder: &Folder) -> Result<bool, StoreError> {
        let prefix = keys::quarantines(mailbox, folder.id, folder.incarnation);
        Ok(self.db().scan_prefix(prefix).next().transpose().map_err(StoreError::sled)?.is_some())
    }

    /// What is quarantined in one incarnation of a folder, by UID.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn quarantined(
        &self,
        mailbox: Incarnation,
        folder: FolderId,
        incarnation: u32,
    ) -> Result<Vec<Quarantined>, StoreError> {
        self.db()
            .scan_prefix(keys::quarantines(mailbox, folder, incarnation))
            .values()
            .map(|value| codec::unpack("quarantined message", &value.map_err(StoreError::sled)?))
            .collect()
    }
}

impl Commit {
    /// Notes that a message could not be fetched or stored.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if it cannot be written.
    pub fn quarantine(&mut self, folder: &Folder, quarantined: &Quarantined) -> Result<(), StoreError> {
        let mailbox =
            self.mailbox.ok_or_else(|| StoreError::corrupt("a quarantine that names no mailbox"))?;
        let key = keys::quarantine(mailbox, folder.id, folder.incarnation, quarantined.uid);
        self.ops.push(Op::Set { key, value: codec::pack(quarantined)? });
        Ok(())
    }

    /// Forgets a quarantined message: it is gone from the folder.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the commit names no mailbox.
    pub fn release(&mut self, folder: &Folder, uid: Uid) -> Result<(), StoreError> {
        let mailbox =
            self.mailbox.ok_or_else(|| StoreError::corrupt("a quarantine that names no mailbox"))?;
        let key = keys::quarantine(mailbox, folder.id, folder.incarnation, uid);
        self.ops.push(Op::Delete { key, expect: Expect::Any });
        Ok(())
    }
}
