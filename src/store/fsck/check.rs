//! Looking at every row and every record.

use super::findings::Findings;
use super::offline::{Offline, nothing_yet, opened};
use super::{mailbox, rows, second};
use crate::domain::Incarnation;
use crate::store::engine::unless_it_panics;
use crate::store::format::{Topic, keys};
use crate::store::{StoreConfig, StoreError};
use std::collections::BTreeSet;

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
    for key in db.scan_prefix(Topic::Incarnation.prefix()).keys() {
        let number = keys::trailing_u64(&key.map_err(StoreError::sled)?);
        let Some(mailbox) = number.map(Incarnation) else { continue };
        known.insert(mailbox);
        mailbox::check(offline, db, mailbox, findings)?;
    }
    for mailbox in offline.packs.folders()?.into_iter().filter(|mailbox| !known.contains(mailbox)) {
        let folder = offline.packs.folder(mailbox);
        let is_going = db.contains_key(keys::erasure(mailbox)).map_err(StoreError::sled)?;
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
