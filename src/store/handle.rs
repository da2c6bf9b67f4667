//! The store's handle: commits go in here, and rows are read.

use super::crypto::{Key, RotatedKey, Vault};
use super::engine::{Commit, Committed, committer, overlay};
use super::error::StoreError;
use super::files::{LargeWriter, Packs, RecordHeader, Room};
use super::format::{Row, codec, overflow};
use crate::domain::{Incarnation, Secret};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

/// A long value whose pieces are not there was replaced meanwhile; so often in a row it is damaged.
const REREAD: usize = 100;

/// The store, cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) handle: Option<committer::Handle>,
    pub(super) committer: Option<std::thread::JoinHandle<()>>,
    pub(super) db: sled::Db,
    pub(super) vault: Vault,
    pub(super) packs: Arc<Packs>,
    pub(super) room: Room,
    pub(super) next_incarnation: AtomicU64,
    // held for its flock
    pub(super) _lock: std::fs::File,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // the committer ends when the last handle is gone; sled is closed after its last write
        drop(self.handle.take());
        if let Some(thread) = self.committer.take() {
            drop(thread.join());
        }
    }
}

impl Store {
    /// Commits: checked, durable, then answered.
    ///
    /// # Errors
    /// [`StoreError::Stale`], [`StoreError::Conflict`] or [`StoreError::DuplicateUid`] if a check fails,
    /// [`StoreError::Full`] if there is no space; nothing of the commit is stored then.
    pub async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        let (reply, answer) = oneshot::channel();
        let request = committer::Request { commit, reply };
        self.handle().requests.send(request).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Waits until everything that can be read now is durable: readers see a commit a little before that. Whoever
    /// tells others what he read waits here first.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    pub async fn settle(&self) -> Result<(), StoreError> {
        self.handle().settle().await
    }

    /// [`Store::commit`] for threads outside a runtime.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn commit_blocking(&self, commit: Commit) -> Result<Committed, StoreError> {
        let (reply, answer) = oneshot::channel();
        let request = committer::Request { commit, reply };
        self.handle().requests.blocking_send(request).map_err(|_| StoreError::Closed)?;
        answer.blocking_recv().map_err(|_| StoreError::Closed)?
    }

    /// Puts another master key in place of the present one: the one given, else a fresh one. Blocks for some syncs.
    ///
    /// # Errors
    /// [`StoreError::Vault`] if the key is none, [`StoreError::Io`].
    pub fn rotate_master_key(&self, given: Option<&Secret>) -> Result<RotatedKey, StoreError> {
        self.inner.vault.rotate_master_key(given)
    }

    /// The key that seals a mailbox's mail; for [`encode_record`](super::encode_record).
    ///
    /// # Errors
    /// [`StoreError::Vault`] if it is gone or does not open.
    pub fn mailbox_key(&self, mailbox: Incarnation) -> Result<Key, StoreError> {
        self.inner.vault.mailbox_key(mailbox)
    }

    /// Begins a large record in a file of its own, which is removed again if it is not committed.
    ///
    /// # Errors
    /// [`StoreError::Io`] or [`StoreError::Full`].
    pub fn large_writer(
        &self,
        mailbox: Incarnation,
        header: RecordHeader,
    ) -> Result<LargeWriter, StoreError> {
        let path = self.inner.packs.folder(mailbox).join(format!("{}.large", header.id));
        LargeWriter::create(path, header, self.inner.room.clone())
    }

    pub(super) fn handle(&self) -> &committer::Handle {
        // taken only by Drop, when no `Store` is left
        #[allow(clippy::expect_used)]
        self.inner.handle.as_ref().expect("the store is open while it can be called")
    }

    pub(super) fn db(&self) -> &sled::Db {
        &self.inner.db
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<sled::IVec>, StoreError> {
        self.db().get(key).map_err(StoreError::sled)
    }

    /// Reads a replaceable row; `decode` makes the value of its payload.
    pub(super) fn decoded_row<T>(
        &self,
        key: &[u8],
        decode: impl FnOnce(&[u8]) -> Result<T, StoreError>,
    ) -> Result<Option<Row<T>>, StoreError> {
        let Some(bytes) = self.get(key)? else { return Ok(None) };
        let (generation, payload) = codec::split_row(&bytes)?;
        Ok(Some(Row { generation, value: decode(payload)? }))
    }

    /// Reads a replaceable JSON row.
    pub(super) fn row<T: serde::de::DeserializeOwned>(
        &self,
        what: &str,
        key: &[u8],
    ) -> Result<Option<Row<T>>, StoreError> {
        self.decoded_row(key, |payload| codec::from_json(what, payload))
    }

    /// Reads a replaceable sealed JSON row.
    pub(super) fn sealed_row<T: serde::de::DeserializeOwned>(
        &self,
        what: &str,
        key: &[u8],
    ) -> Result<Option<Row<T>>, StoreError> {
        // replaced while it is read: it is read again
        for _ in 0..REREAD {
            let Some(bytes) = self.get(key)? else { return Ok(None) };
            let piece = |key: &[u8]| overlay::View::get(self.db(), key);
            if let Some(row) = overflow::unseal(what, (&self.inner.vault, key), &bytes, piece)? {
                return Ok(Some(row));
            }
        }
        Err(StoreError::corrupt(format!("{what}: its pieces are not there")))
    }

    pub(super) fn seal_json<T: serde::Serialize>(
        &self,
        key: &[u8],
        value: &T,
    ) -> Result<Vec<u8>, StoreError> {
        let json = Zeroizing::new(codec::to_json(value)?);
        let squeezed = codec::squeeze(&json)?.map(Zeroizing::new);
        self.inner.vault.data_key().seal(key, squeezed.as_ref().unwrap_or(&json))
    }
}
