//! Writing a new state, in batches.

use crate::store::StoreError;

/// Rows per batch.
const BATCH: usize = 5000;

/// The new state, and what is not written to it yet.
pub(super) struct Writer {
    pub(super) db: sled::Db,
    pub(super) batch: sled::Batch,
    rows: usize,
}

impl Writer {
    /// Writes into an empty state.
    pub(super) fn new(db: sled::Db) -> Self {
        Self { db, batch: sled::Batch::default(), rows: 0 }
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<sled::IVec>, StoreError> {
        self.db.get(key).map_err(StoreError::sled)
    }

    pub(super) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<(), StoreError> {
        self.batch.insert(key, value);
        self.rows = self.rows.saturating_add(1);
        if self.rows >= BATCH { self.flush() } else { Ok(()) }
    }

    pub(super) fn flush(&mut self) -> Result<(), StoreError> {
        self.rows = 0;
        self.db.apply_batch(std::mem::take(&mut self.batch)).map_err(StoreError::sled)?;
        self.db.flush().map(drop).map_err(StoreError::sled)
    }
}
