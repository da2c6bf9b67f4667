//! The state that is made anew: whatever of it can be read. A read that fails, or at which sled panics, is noted: then
//! nothing of it can be relied on, and the rebuild goes on without it.

use crate::store::StoreError;
use crate::store::engine::{overlay, unless_it_panics};
use crate::store::format::keys;
use std::cell::Cell;
use std::path::PathBuf;

/// A row: its key and value.
pub(super) type Row = (sled::IVec, sled::IVec);

/// An old state that sled opened.
pub(super) struct Old {
    db: sled::Db,
    path: PathBuf,
    has_failed: Cell<bool>,
}

impl Old {
    pub(super) fn new(db: sled::Db, path: PathBuf) -> Self {
        Self { db, path, has_failed: Cell::new(false) }
    }

    /// Whether any read of it failed.
    pub(super) fn has_failed(&self) -> bool {
        self.has_failed.get()
    }

    fn read<T>(&self, read: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Result<T, StoreError> {
        unless_it_panics(&self.path, || read(&self.db).map_err(StoreError::sled))
            .inspect_err(|_| self.has_failed.set(true))
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<sled::IVec>, StoreError> {
        self.read(|db| db.get(key))
    }

    pub(super) fn contains_key(&self, key: &[u8]) -> Result<bool, StoreError> {
        self.read(|db| db.contains_key(key))
    }

    /// All rows whose keys begin so, up to the first that cannot be read.
    pub(super) fn rows(&self, prefix: &[u8]) -> impl Iterator<Item = Result<Row, StoreError>> {
        let mut rows = Some(self.db.scan_prefix(prefix));
        std::iter::from_fn(move || {
            let row = self.read(|_| rows.as_mut().and_then(Iterator::next).transpose()).transpose();
            if !matches!(row, Some(Ok(_))) {
                // what comes behind a row that cannot be read is not known to be all
                rows = None;
            }
            row
        })
    }

    /// The values of one topic.
    pub(super) fn values(&self, topic: &keys::Key) -> impl Iterator<Item = Result<sled::IVec, StoreError>> {
        self.rows(topic).map(|row| row.map(|(_, value)| value))
    }
}

impl overlay::View for Old {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(Self::get(self, key)?.map(|value| value.to_vec()))
    }
}
