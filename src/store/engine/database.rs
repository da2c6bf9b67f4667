//! sled's files: opening them for one process at a time, its panics as answers, and the few things that are read of
//! them without a handle.

use super::overlay::View;
use crate::store::error::StoreError;
use crate::store::files::state_files;
use crate::store::format::{codec, event_rows, keys};
use std::fs::{File, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::panic::AssertUnwindSafe;
use std::path::Path;

/// Takes the data directory for this process; the system gives it back when the process ends.
pub(in crate::store) fn lock(data_dir: &Path) -> Result<File, StoreError> {
    let path = data_dir.join("lock");
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(StoreError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: data_dir.to_path_buf() }),
        Err(TryLockError::Error(error)) => Err(StoreError::io("lock", &path)(error)),
    }
}

pub(in crate::store) fn open_sled(state_dir: &Path, cache: u64) -> Result<sled::Db, StoreError> {
    wait_for_earlier_self(&state_dir.join("db"))?;
    state_files::clear(state_dir)?;
    let settings = sled::Config::new()
        .path(state_dir)
        .cache_capacity(cache)
        .flush_every_ms(None)
        .mode(sled::Mode::HighThroughput);
    let db = unless_it_panics(state_dir, || settings.open().map_err(StoreError::sled))?;
    state_files::sync(state_dir)?;
    Ok(db)
}

/// sled meets some kinds of damage with a panic, when it opens a file or when it reads from it.
pub(in crate::store) fn unless_it_panics<T>(
    state_dir: &Path,
    work: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    std::panic::catch_unwind(AssertUnwindSafe(work))
        .map_err(|_| StoreError::corrupt(format!("{} cannot be read", state_dir.display())))?
}

/// sled holds a lock of its own until its last background task is gone, a moment after it was closed. We have
/// the data directory's lock: whoever still has sled's was opened earlier by this process, and is going.
fn wait_for_earlier_self(db: &Path) -> Result<(), StoreError> {
    match File::open(db) {
        Ok(file) => file.lock().and_then(|()| file.unlock()).map_err(StoreError::io("lock", db)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::io("open", db)(error)),
    }
}

impl View for sled::Db {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(sled::Tree::get(self, key).map_err(StoreError::sled)?.map(|value| value.to_vec()))
    }
}

/// The sequence number of the newest event; before the first one that of the beginning.
pub(in crate::store) fn last_sequence(db: &sled::Db) -> Result<u64, StoreError> {
    match db.scan_prefix(keys::events()).next_back() {
        Some(entry) => {
            let (key, value) = entry.map_err(StoreError::sled)?;
            Ok(event_rows::read_chunk(&key, &value)?.last().map_or(0, |event| event.cursor.0))
        }
        None => {
            let beginning = View::get(db, &keys::meta(event_rows::BEGINNING))?;
            beginning.map_or(Ok(0), |bytes| codec::unpack("beginning of the log", &bytes))
        }
    }
}
