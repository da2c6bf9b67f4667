//! Checking a store that no daemon has open, and making it anew from what can be read.
//!
//! The check changes nothing: it neither cuts packs nor finishes erasures. Rebuilding writes a second
//! state beside the first and puts it in its place at the end; the damaged one stays, under another name.

mod log;
mod mailbox;
mod place;
mod rebuild;
mod rows;
mod salvage;
mod scan;
mod second;
#[cfg(test)]
mod tests;

pub(super) use place::finish as finish_rebuild;
pub use rebuild::rebuild;

use super::committer::sled_error;
use super::open::{lock, open_sled};
use super::packs::Packs;
use super::vault::Vault;
use super::{StoreConfig, StoreError, codec, keys};
use crate::domain::Incarnation;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Findings {
    /// Mailboxes looked at.
    pub mailboxes: u64,
    /// Message records.
    pub messages: u64,
    /// Records in packs, every frame opened.
    pub records: u64,
    /// Their bytes.
    pub record_bytes: u64,
    /// Records nothing refers to: of messages that were deleted. Their space is not given back yet.
    pub unreferenced: u64,
    /// What is not as it must be, a line each.
    pub problems: Vec<String>,
    /// What was done or is worth knowing, a line each.
    pub notes: Vec<String>,
}

impl Findings {
    fn problem(&mut self, what: impl Into<String>) {
        self.problems.push(what.into());
    }
}

/// A store that is open for nobody else.
struct Offline {
    data_dir: PathBuf,
    vault: Vault,
    packs: Packs,
    cache: u64,
    // held for its flock
    _lock: File,
}

impl Offline {
    fn open(config: &StoreConfig) -> Result<Self, StoreError> {
        if !config.data_dir.join("vault.key").is_file() {
            let what = format!("{} holds no store: name the data directory", config.data_dir.display());
            return Err(StoreError::Vault { what });
        }
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

    /// sled, if it is there and opens.
    fn db(&self) -> Result<sled::Db, StoreError> {
        let path = self.data_dir.join("state");
        if path.join("db").is_file() {
            return open_sled(&path, self.cache);
        }
        Err(codec::corrupt(format!("{} is gone", path.join("db").display())))
    }
}

/// Looks at every row and every record.
///
/// # Errors
/// [`StoreError::Locked`] while a daemon runs, [`StoreError::Vault`] without the right master key,
/// [`StoreError::Io`]. What is wrong inside is no error but a finding.
pub fn check(config: &StoreConfig) -> Result<Findings, StoreError> {
    let offline = Offline::open(config)?;
    let mut findings = Findings::default();
    let db = match offline.db() {
        Ok(db) => db,
        Err(error) => {
            findings.problem(error.to_string());
            return Ok(findings);
        }
    };
    rows::check_all(&offline, &db, &mut findings)?;
    second::check(&offline, &db, &mut findings)?;
    let mut known = BTreeSet::new();
    for key in db.scan_prefix(b"i").keys() {
        let number = keys::trailing_u64(&key.map_err(sled_error)?);
        let Some(mailbox) = number.map(Incarnation) else { continue };
        known.insert(mailbox);
        mailbox::check(&offline, &db, mailbox, &mut findings)?;
    }
    for mailbox in offline.packs.folders()?.into_iter().filter(|mailbox| !known.contains(mailbox)) {
        let folder = offline.packs.folder(mailbox);
        let is_going = db.contains_key(keys::erasure(mailbox)).map_err(sled_error)?;
        if is_going || offline.packs.numbers(mailbox)?.is_empty() {
            findings
                .notes
                .push(format!("{}: of a mailbox that is being deleted or was never made", folder.display()));
        } else {
            findings
                .problem(format!("{}: holds mail of a mailbox the state does not know", folder.display()));
        }
    }
    Ok(findings)
}
