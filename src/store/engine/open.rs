//! Opening the store: lock, vault, sled, recovery of packs, committer.

use super::committer::{Committer, Fatal};
use super::database::{lock, open_sled, unless_it_panics};
use super::space::{self, Space};
use super::upgrade::count_once;
use crate::domain::Incarnation;
use crate::store::crypto::{MasterKeySource, Vault};
use crate::store::error::StoreError;
use crate::store::files::{Journal, Measure, Packs, Room, durable_file, room};
use crate::store::format::{PackState, Topic, codec, keys};
use crate::store::fsck;
use crate::store::handle::{Inner, Store};
use crate::store::tables::{outbox, sign_ins};
use std::path::PathBuf;
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
        Self::open_measured(config, fatal, room::of_disk(&config.data_dir))
    }

    /// [`Store::open_with`] with another measure of free space than the file system's.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_measured(config: &StoreConfig, fatal: Fatal, measure: Measure) -> Result<Self, StoreError> {
        durable_file::create_folder_durably(&config.data_dir)?;
        durable_file::make_private(&config.data_dir)?;
        let lock = lock(&config.data_dir)?;
        fsck::finish_rebuild(&config.data_dir)?;
        let vault = Vault::open(&config.data_dir, &config.master_key)?;
        durable_file::create_folder_durably(&config.data_dir.join("packs"))?;
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

/// Cuts every mailbox's packs to what was committed; the newest incarnation ever given.
fn recover(db: &sled::Db, packs: &Packs) -> Result<u64, StoreError> {
    let mut newest: u64 = match db.get(keys::meta("incarnation")).map_err(StoreError::sled)? {
        Some(bytes) => codec::unpack("incarnation counter", &bytes)?,
        None => 0,
    };
    for entry in db.scan_prefix(Topic::Incarnation.prefix()) {
        let (key, _) = entry.map_err(StoreError::sled)?;
        let number = keys::trailing_u64(&key).ok_or_else(|| StoreError::corrupt("an incarnation key"))?;
        newest = newest.max(number);
        let mailbox = Incarnation(number);
        let state = match db.get(keys::packs(mailbox)).map_err(StoreError::sled)? {
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
            .map_err(StoreError::sled)?;
        if !is_known && !packs.numbers(mailbox)?.is_empty() {
            return Err(StoreError::corrupt(format!(
                "{} holds mail of a mailbox the state does not know",
                packs.folder(mailbox).display()
            )));
        }
        newest = newest.max(mailbox.0);
    }
    Ok(newest)
}
