//! The second copy of settings and sign-ins: whether it agrees with the state, and what comes back from it.

use super::{Findings, Offline};
use crate::store::journal::{FILE, applied_by};
use crate::store::journal_copy::Copy;
use crate::store::{StoreError, keys};

/// Reads the copy, if there is one.
pub(super) fn read(offline: &Offline) -> Result<Option<Copy>, StoreError> {
    Copy::read(&offline.data_dir.join(FILE))
}

/// What a copy is to a state that is made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Worth {
    /// It has all that there was, and is right about what was removed.
    Leads,
    /// It has gaps, and the state is gone or lost more: whatever it has is better than nothing.
    Fills,
    /// The state is newer: only what cannot be read there is taken from here.
    Helps,
}

/// Judges a copy beside the state that could be opened, if any.
pub(super) fn judge(copy: &Copy, old: Option<&sled::Db>) -> Result<Worth, StoreError> {
    let Some(old) = old else {
        return Ok(if copy.is_whole() { Worth::Leads } else { Worth::Fills });
    };
    let applied = applied_by(old)?;
    Ok(match (copy.is_complete(applied), copy.is_ahead(applied)) {
        (true, _) => Worth::Leads,
        (false, true) => Worth::Fills,
        (false, false) => Worth::Helps,
    })
}

/// Says what the copy holds, and whether the state has lost any of it.
pub(super) fn check(offline: &Offline, db: &sled::Db, findings: &mut Findings) -> Result<(), StoreError> {
    let Some(copy) = read(offline)? else { return Ok(()) };
    if let Err(error) = copy.compare(db, applied_by(db)?) {
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
