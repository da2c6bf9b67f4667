//! A store that no daemon has open.

use super::findings::Findings;
use super::place;
use crate::store::crypto::Vault;
use crate::store::engine::{lock, open_sled};
use crate::store::files::{Copy, FILE, Packs, state_files};
use crate::store::{StoreConfig, StoreError};
use std::fs::File;
use std::path::PathBuf;

/// A store that is open for nobody else.
pub(super) struct Offline {
    pub(super) data_dir: PathBuf,
    pub(super) vault: Vault,
    pub(super) packs: Packs,
    pub(super) cache: u64,
    // held for its flock
    _lock: File,
}

impl Offline {
    pub(super) fn open(config: &StoreConfig) -> Result<Self, StoreError> {
        let held = lock(&config.data_dir)?;
        place::finish(&config.data_dir)?;
        Ok(Self {
            data_dir: config.data_dir.clone(),
            vault: Vault::open(&config.data_dir, &config.master_key)?,
            packs: Packs::new(config.data_dir.join("packs")),
            cache: config.cache,
            _lock: held,
        })
    }

    /// Whether a start has yet to make the state, and would: there is nothing that it holds or has lost.
    pub(super) fn is_new(&self) -> Result<bool, StoreError> {
        let state = self.data_dir.join("state");
        if state.join("db").is_file() || state_files::has_snapshot(&state)? {
            return Ok(false);
        }
        let is_empty = Copy::read(&self.data_dir.join(FILE))?.is_none_or(|copy| copy.is_empty());
        let mut folders = self.packs.folders()?.into_iter();
        let holds_mail = folders.try_fold(false, |holds, mailbox| {
            self.packs.numbers(mailbox).map(|numbers| holds || !numbers.is_empty())
        })?;
        Ok(is_empty && !holds_mail)
    }

    /// sled, if it is there and opens.
    pub(super) fn db(&self) -> Result<sled::Db, StoreError> {
        let path = self.data_dir.join("state");
        if path.join("db").is_file() {
            return open_sled(&path, self.cache);
        }
        Err(StoreError::corrupt(format!("{} is gone", path.join("db").display())))
    }
}

/// The store that is to be looked at; `None`: a first start was cut off before anything was stored in it.
pub(super) fn opened(config: &StoreConfig) -> Result<Option<Offline>, StoreError> {
    let is_there = |name: &str| config.data_dir.join(name).try_exists().unwrap_or(true);
    if is_there("vault.key") {
        let offline = Offline::open(config)?;
        return Ok(if offline.is_new()? { None } else { Some(offline) });
    }
    // a start locks the directory before it makes anything in it
    let is_new =
        is_there("lock") && !["state", "state.ready", "packs", FILE].iter().any(|name| is_there(name));
    let what = format!("{} holds no store: name the data directory", config.data_dir.display());
    if is_new { Ok(None) } else { Err(StoreError::Vault { what }) }
}

pub(super) fn nothing_yet(config: &StoreConfig) -> Findings {
    let note = format!("{} is new, there is nothing in it yet", config.data_dir.display());
    Findings { notes: vec![note], ..Findings::default() }
}
