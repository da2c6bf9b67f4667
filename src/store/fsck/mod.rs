//! Checking a store that no daemon has open, and making it anew from what can be read.
//!
//! The check neither cuts packs nor finishes erasures; it opens sled, as a start does. Rebuilding writes a second
//! state beside the first and puts it in its place at the end; the damaged one stays, under another name.

mod log;
#[cfg(test)]
mod lying_tests;
mod mailbox;
mod old;
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
use super::journal::FILE;
use super::journal_copy::Copy;
use super::open::{lock, open_sled, unless_it_panics};
use super::packs::Packs;
use super::vault::Vault;
use super::{StoreConfig, StoreError, codec, keys, state_files};
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
    fn is_new(&self) -> Result<bool, StoreError> {
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
    fn db(&self) -> Result<sled::Db, StoreError> {
        let path = self.data_dir.join("state");
        if path.join("db").is_file() {
            return open_sled(&path, self.cache);
        }
        Err(codec::corrupt(format!("{} is gone", path.join("db").display())))
    }
}

/// The store that is to be looked at; `None`: a first start was cut off before anything was stored in it.
fn opened(config: &StoreConfig) -> Result<Option<Offline>, StoreError> {
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

fn nothing_yet(config: &StoreConfig) -> Findings {
    let note = format!("{} is new, there is nothing in it yet", config.data_dir.display());
    Findings { notes: vec![note], ..Findings::default() }
}

/// Looks at every row and every record.
///
/// # Errors
/// [`StoreError::Locked`] while a daemon runs, [`StoreError::Vault`] without the right master key,
/// [`StoreError::Io`]. What is wrong inside is no error but a finding.
pub fn check(config: &StoreConfig) -> Result<Findings, StoreError> {
    let Some(offline) = opened(config)? else { return Ok(nothing_yet(config)) };
    let mut findings = Findings::default();
    let db = match offline.db() {
        Ok(db) => db,
        Err(error) => {
            findings.problem(error.to_string());
            return Ok(findings);
        }
    };
    let path = offline.data_dir.join("state");
    // what cannot be read is what was looked for
    match unless_it_panics(&path, || look(&offline, &db, &mut findings)) {
        Err(error @ (StoreError::Corrupt { .. } | StoreError::Io { .. })) => {
            findings.problem(format!("not all could be looked at: {error}"));
        }
        other => other?,
    }
    Ok(findings)
}

fn look(offline: &Offline, db: &sled::Db, findings: &mut Findings) -> Result<(), StoreError> {
    rows::check_all(offline, db, findings)?;
    second::check(offline, db, findings)?;
    let mut known = BTreeSet::new();
    for key in db.scan_prefix(b"i").keys() {
        let number = keys::trailing_u64(&key.map_err(sled_error)?);
        let Some(mailbox) = number.map(Incarnation) else { continue };
        known.insert(mailbox);
        mailbox::check(offline, db, mailbox, findings)?;
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
    Ok(())
}
