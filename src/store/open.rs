//! Opening the store: lock, vault, sled, recovery of packs, committer.

use super::committer::{Committer, Fatal, sled_error};
use super::derived::PackState;
use super::journal::Journal;
use super::master_key::MasterKeySource;
use super::packs::Packs;
use super::space::{self, Measure, Room, Space};
use super::vault::Vault;
use super::{Inner, Store, StoreError, codec, files, fsck, keys, outbox, sign_ins, state_files};
use crate::domain::Incarnation;
use std::fs::{File, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The data directory.
    pub data_dir: PathBuf,
    /// Where the master key comes from.
    pub master_key: MasterKeySource,
    /// Bytes sled may cache.
    pub cache: u64,
    /// Bytes at which a pack is full.
    pub pack_limit: u64,
    /// Bytes of disk below which no bodies are written; 0: as long as there is any.
    pub min_free: u64,
}

impl StoreConfig {
    /// The defaults for a data directory: 32 MiB of cache, packs of 256 MiB.
    #[must_use]
    pub fn at(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            master_key: MasterKeySource::DataDir,
            cache: 32 << 20,
            pack_limit: 256 << 20,
            min_free: 0,
        }
    }
}

impl Store {
    /// Opens the store, makes it if the directory is empty. A disk that cannot be trusted ends the process
    /// with exit code 74.
    ///
    /// # Errors
    /// [`StoreError::Locked`], [`StoreError::Vault`], [`StoreError::Corrupt`], [`StoreError::Io`].
    pub fn open(config: &StoreConfig) -> Result<Self, StoreError> {
        let fatal: Fatal = Arc::new(|error| {
            tracing::error!(%error, "the disk cannot be trusted, ending");
            std::process::exit(74);
        });
        Self::open_with(config, fatal)
    }

    /// [`Store::open`] with another end than the process's.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_with(config: &StoreConfig, fatal: Fatal) -> Result<Self, StoreError> {
        Self::open_measured(config, fatal, space::of_disk(&config.data_dir))
    }

    /// [`Store::open_with`] with another measure of free space than the file system's.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_measured(config: &StoreConfig, fatal: Fatal, measure: Measure) -> Result<Self, StoreError> {
        files::create_folder_durably(&config.data_dir)?;
        files::make_private(&config.data_dir)?;
        let lock = lock(&config.data_dir)?;
        fsck::finish_rebuild(&config.data_dir)?;
        let vault = Vault::open(&config.data_dir, &config.master_key)?;
        files::create_folder_durably(&config.data_dir.join("packs"))?;
        let state_dir = config.data_dir.join("state");
        let packs = Arc::new(Packs::new(config.data_dir.join("packs")));
        let open = || {
            let db = open_sled(&state_dir, config.cache)?;
            outbox::index_once(&db)?;
            sign_ins::index_once(&db, &vault)?;
            // before anything is cut to what sled knows
            let journal = Journal::open(&db, &config.data_dir)?;
            let newest = recover(&db, &packs)?;
            Ok((db, journal, newest))
        };
        let (db, journal, newest) = match unless_it_panics(&state_dir, open) {
            Err(StoreError::Full { .. }) if space::give_reserve_back(&config.data_dir) => {
                unless_it_panics(&state_dir, open)?
            }
            other => other?,
        };
        let room = Room { data_dir: config.data_dir.clone(), min_free: config.min_free, measure };
        let space = Space::new(room.clone());
        let (handle, committer) = Committer::start(
            db.clone(),
            &state_dir,
            (Arc::clone(&packs), journal),
            (config.pack_limit, space),
            fatal,
        )?;
        let inner = Inner {
            handle: Some(handle),
            committer: Some(committer),
            db,
            vault,
            packs,
            room,
            next_incarnation: AtomicU64::new(newest.saturating_add(1)),
            _lock: lock,
        };
        Ok(Self { inner: Arc::new(inner) })
    }
}

/// Takes the data directory for this process; the system gives it back when the process ends.
pub(super) fn lock(data_dir: &Path) -> Result<File, StoreError> {
    let path = data_dir.join("lock");
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(files::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: data_dir.to_path_buf() }),
        Err(TryLockError::Error(error)) => Err(files::io("lock", &path)(error)),
    }
}

pub(super) fn open_sled(state_dir: &Path, cache: u64) -> Result<sled::Db, StoreError> {
    wait_for_earlier_self(&state_dir.join("db"))?;
    state_files::clear(state_dir)?;
    let settings = sled::Config::new()
        .path(state_dir)
        .cache_capacity(cache)
        .flush_every_ms(None)
        .mode(sled::Mode::HighThroughput);
    let db = unless_it_panics(state_dir, || settings.open().map_err(sled_error))?;
    state_files::sync(state_dir)?;
    Ok(db)
}

/// sled meets some kinds of damage with a panic, when it opens a file or when it reads from it.
pub(super) fn unless_it_panics<T>(
    state_dir: &Path,
    work: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    std::panic::catch_unwind(AssertUnwindSafe(work))
        .map_err(|_| codec::corrupt(format!("{} cannot be read", state_dir.display())))?
}

/// sled holds a lock of its own until its last background task is gone, a moment after it was closed. We have
/// the data directory's lock: whoever still has sled's was opened earlier by this process, and is going.
fn wait_for_earlier_self(db: &Path) -> Result<(), StoreError> {
    match File::open(db) {
        Ok(file) => file.lock().and_then(|()| file.unlock()).map_err(files::io("lock", db)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(files::io("open", db)(error)),
    }
}

/// Makes an index that stores of before did not have: for each row of a kind the key that lists it, if it is listed.
/// `is_made` is there from then on.
pub(super) fn once(
    db: &sled::Db,
    is_made: keys::Key,
    rows: keys::Key,
    listed: impl Fn(&[u8], &[u8]) -> Result<Option<keys::Key>, StoreError>,
) -> Result<(), StoreError> {
    if db.contains_key(&is_made).map_err(sled_error)? {
        return Ok(());
    }
    let mut batch = sled::Batch::default();
    for row in db.scan_prefix(rows) {
        let (key, value) = row.map_err(sled_error)?;
        if let Some(key) = listed(&key, &value)? {
            batch.insert(key, Vec::new());
        }
    }
    batch.insert(is_made, codec::pack(&1_u64)?);
    db.apply_batch(batch).map_err(sled_error)?;
    db.flush().map(drop).map_err(sled_error)
}

/// Stores of before compaction did not count what is in use.
fn count_once(db: &sled::Db, mailbox: Incarnation) -> Result<(), StoreError> {
    let is_counted = db.scan_prefix(keys::topic(b'x', mailbox)).next().is_some();
    if is_counted || !db.contains_key(keys::packs(mailbox)).map_err(sled_error)? {
        return Ok(());
    }
    let mut batch = sled::Batch::default();
    for (pack, used) in super::compact::count_uses(db, mailbox)? {
        batch.insert(keys::pack_use(mailbox, pack), codec::pack(&used)?);
    }
    db.apply_batch(batch).map_err(sled_error)?;
    db.flush().map(drop).map_err(sled_error)
}

/// Cuts every mailbox's packs to what was committed; the newest incarnation ever given.
fn recover(db: &sled::Db, packs: &Packs) -> Result<u64, StoreError> {
    let mut newest: u64 = match db.get(keys::meta("incarnation")).map_err(sled_error)? {
        Some(bytes) => codec::unpack("incarnation counter", &bytes)?,
        None => 0,
    };
    for entry in db.scan_prefix(b"i") {
        let (key, _) = entry.map_err(sled_error)?;
        let number = keys::trailing_u64(&key).ok_or_else(|| codec::corrupt("an incarnation key"))?;
        newest = newest.max(number);
        let mailbox = Incarnation(number);
        let state = match db.get(keys::packs(mailbox)).map_err(sled_error)? {
            Some(bytes) => codec::unpack("pack state", &bytes)?,
            None => PackState::default(),
        };
        packs.recover(mailbox, state)?;
        count_once(db, mailbox)?;
    }
    for mailbox in packs.folders()? {
        let is_known = [keys::incarnation(mailbox), keys::erasure(mailbox)]
            .iter()
            .try_fold(false, |known, key| db.contains_key(key).map(|is_there| known || is_there))
            .map_err(sled_error)?;
        if !is_known && !packs.numbers(mailbox)?.is_empty() {
            return Err(codec::corrupt(format!(
                "{} holds mail of a mailbox the state does not know",
                packs.folder(mailbox).display()
            )));
        }
        newest = newest.max(mailbox.0);
    }
    Ok(newest)
}
