//! The second copy of settings and sign-ins: whether it agrees with the state, and what comes back from it.

use super::findings::Findings;
use super::offline::Offline;
use super::old::Old;
use crate::store::StoreError;
use crate::store::files::{Copy, FILE, applied_by, journal_rows};
use crate::store::format::{Topic, keys};

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

/// A copy beside the state that could be opened, if any.
pub(super) struct Second {
    pub(super) copy: Copy,
    pub(super) worth: Worth,
    /// The last group that the state has.
    applied: Option<u64>,
}

impl Second {
    /// Reads and judges the copy, if there is one.
    pub(super) fn read(offline: &Offline, old: Option<&Old>) -> Result<Option<Self>, StoreError> {
        let Some(copy) = read(offline)? else { return Ok(None) };
        let applied = old.map(|old| applied_by(old)).transpose()?;
        let (is_complete, is_ahead) = match applied {
            Some(applied) => (copy.is_complete(applied), copy.is_ahead(applied)),
            None => (copy.is_whole(), true),
        };
        let worth = match (is_complete, is_ahead) {
            (true, _) => Worth::Leads,
            (false, true) => Worth::Fills,
            (false, false) => Worth::Helps,
        };
        Ok(Some(Self { copy, worth, applied }))
    }

    /// Whether the copy and not the state says what becomes of a row.
    pub(super) fn leads(&self, key: &[u8]) -> bool {
        let is_its = journal_rows::is_kept(key) || journal_rows::is_remembered_kind(key);
        let is_unheard = self.applied.is_some_and(|applied| self.copy.is_unheard(key, applied));
        self.worth == Worth::Leads && is_its && !is_unheard
    }
}

fn read(offline: &Offline) -> Result<Option<Copy>, StoreError> {
    Copy::read(&offline.data_dir.join(FILE))
}

/// Says what the copy holds, and whether the state has lost any of it.
pub(super) fn check(offline: &Offline, db: &sled::Db, findings: &mut Findings) -> Result<(), StoreError> {
    let Some(copy) = read(offline)? else { return Ok(()) };
    if let Err(error) = copy.compare(db, applied_by(db)?) {
        findings.problem(error.to_string());
    }
    findings.notes.push(match copy.is_whole() {
        true => format!("{} rows of settings, sign-ins and submissions have a second copy", copy.len()),
        false => {
            String::from("the second copy of settings and sign-ins is damaged; the next start writes it anew")
        }
    });
    Ok(())
}

/// What is told of rows that came back.
pub(super) fn told(findings: &mut Findings, keys: &[Vec<u8>]) {
    let count = |topic| keys.iter().filter(|key| Topic::of(key) == Some(topic)).count();
    if !keys.is_empty() {
        findings.notes.push(format!(
            "{} rows are back from the journal, of them {} mailboxes, {} apps and {} sign-ins of users",
            keys.len(),
            count(Topic::Mailbox),
            count(Topic::App),
            count(Topic::Grant)
        ));
    }
    tracing::debug!(rows = ?keys.iter().map(|key| keys::shown(key)).collect::<Vec<_>>(), "back from the journal");
}
