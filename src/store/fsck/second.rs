//! The second copy of settings and sign-ins: whether it agrees with the state, and what comes back from it.

use super::{Findings, Offline};
use crate::store::committer::sled_error;
use crate::store::journal::{FILE, applied};
use crate::store::journal_copy::Copy;
use crate::store::{StoreError, codec, keys};

/// Reads the copy, if there is one.
pub(super) fn read(offline: &Offline) -> Result<Option<Copy>, StoreError> {
    Copy::read(&offline.data_dir.join(FILE))
}

/// Says what the copy holds, and whether the state has lost any of it.
pub(super) fn check(offline: &Offline, db: &sled::Db, findings: &mut Findings) -> Result<(), StoreError> {
    let Some(copy) = read(offline)? else { return Ok(()) };
    let of_state = db.get(applied()).map_err(sled_error)?;
    let of_state = of_state.map_or(Ok(0), |bytes| codec::unpack::<u64>("group of the journal", &bytes))?;
    if let Err(error) = copy.compare(db, of_state) {
        findings.problem(error.to_string());
    }
    findings.notes.push(match copy.is_whole() {
        true => format!("{} rows of settings and sign-ins have a second copy", copy.len()),
        false => {
            String::from("the second copy of settings and sign-ins is damaged; the next start writes it anew")
        }
    });
    Ok(())
}

/// What is told of rows that came back.
pub(super) fn told(findings: &mut Findings, keys: &[Vec<u8>]) {
    let count = |prefix: u8| keys.iter().filter(|key| key.first() == Some(&prefix)).count();
    if !keys.is_empty() {
        findings.notes.push(format!(
            "{} rows are back from the journal, of them {} mailboxes, {} apps and {} sign-ins of users",
            keys.len(),
            count(b'b'),
            count(b'a'),
            count(b'g')
        ));
    }
    tracing::debug!(rows = ?keys.iter().map(|key| keys::shown(key)).collect::<Vec<_>>(), "back from the journal");
}
