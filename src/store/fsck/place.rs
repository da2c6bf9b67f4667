//! A state made anew takes the old one's place. A crash at any point of it leaves one whole state: the old one, or the
//! new one on its way, which the next start or `fsck` puts in place.

use crate::store::StoreError;
use crate::store::files::{durable_file, state_files};
use std::fs;
use std::path::{Path, PathBuf};

/// The name of a state that is whole and not yet in place.
const READY: &str = "state.ready";

/// Says durably that a new state is whole.
pub(super) fn put(data_dir: &Path, fresh: &Path) -> Result<(), StoreError> {
    let db = fresh.join("db");
    let synced = fs::File::open(&db).and_then(|file| file.sync_all());
    synced.map_err(StoreError::io("sync", &db))?;
    // its snapshot, if sled made one meanwhile, and the rest
    state_files::sync(fresh)?;
    let ready = data_dir.join(READY);
    fs::rename(fresh, &ready).map_err(StoreError::io("rename", fresh))?;
    durable_file::sync_parent(&ready)
}

/// Puts a new state that is whole in the old one's place; where the old one is kept, if there was one. To be called
/// with the data directory locked, before its state is opened.
pub(in crate::store) fn finish(data_dir: &Path) -> Result<Option<PathBuf>, StoreError> {
    let (ready, state) = (data_dir.join(READY), data_dir.join("state"));
    if !ready.is_dir() {
        return Ok(None);
    }
    let aside = data_dir.join(format!("state.damaged-{}", ulid::Ulid::new()));
    let had_one = state.is_dir();
    if had_one {
        fs::rename(&state, &aside).map_err(StoreError::io("rename", &state))?;
    }
    fs::rename(&ready, &state).map_err(StoreError::io("rename", &ready))?;
    durable_file::sync_parent(&state)?;
    Ok(had_one.then_some(aside))
}
