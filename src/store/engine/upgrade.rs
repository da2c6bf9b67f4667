//! What the first releases did not write is made at the first start of a later one.

use super::compact::count_uses;
use crate::domain::Incarnation;
use crate::store::error::StoreError;
use crate::store::format::{Topic, codec, keys};

/// Makes an index that stores of before did not have: for each row of a kind the key that lists it, if it is listed.
/// `is_made` is there from then on.
pub(in crate::store) fn once(
    db: &sled::Db,
    is_made: keys::Key,
    rows: keys::Key,
    listed: impl Fn(&[u8], &[u8]) -> Result<Option<keys::Key>, StoreError>,
) -> Result<(), StoreError> {
    if db.contains_key(&is_made).map_err(StoreError::sled)? {
        return Ok(());
    }
    let mut batch = sled::Batch::default();
    for row in db.scan_prefix(rows) {
        let (key, value) = row.map_err(StoreError::sled)?;
        if let Some(key) = listed(&key, &value)? {
            batch.insert(key, Vec::new());
        }
    }
    batch.insert(is_made, codec::pack(&1_u64)?);
    db.apply_batch(batch).map_err(StoreError::sled)?;
    db.flush().map(drop).map_err(StoreError::sled)
}

/// Stores of before compaction did not count what is in use.
pub(in crate::store) fn count_once(db: &sled::Db, mailbox: Incarnation) -> Result<(), StoreError> {
    let is_counted = db.scan_prefix(keys::topic(Topic::PackUse, mailbox)).next().is_some();
    if is_counted || !db.contains_key(keys::packs(mailbox)).map_err(StoreError::sled)? {
        return Ok(());
    }
    let mut batch = sled::Batch::default();
    for (pack, used) in count_uses(db, mailbox)? {
        batch.insert(keys::pack_use(mailbox, pack), codec::pack(&used)?);
    }
    db.apply_batch(batch).map_err(StoreError::sled)?;
    db.flush().map(drop).map_err(StoreError::sled)
}
