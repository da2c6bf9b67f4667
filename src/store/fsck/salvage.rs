//! What of an old state and of the journal goes into a new state.

use super::findings::Findings;
use super::log::Followed;
use super::offline::Offline;
use super::old::Old;
use super::rows;
use super::second::{Second, Worth};
use super::writer::Writer;
use crate::domain::{Incarnation, Submission};
use crate::store::StoreError;
use crate::store::files::journal_rows;
use crate::store::format::{Topic, codec, event_rows, keys, overflow, submission_row};

/// Where rows come from.
pub(super) struct Sources<'a> {
    pub(super) offline: &'a Offline,
    pub(super) old: Option<&'a Old>,
    pub(super) second: Option<Second>,
}

impl Sources<'_> {
    /// Writes what is to be kept of both; the keys that came from the second copy because the state lacked them.
    pub(super) fn copy(
        &self,
        writer: &mut Writer,
        log: &mut Followed,
        findings: &mut Findings,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut back = Vec::new();
        for entry in self.old.into_iter().flat_map(|old| old.rows(&[])) {
            let (key, value) = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    findings.problem(format!("the old state is readable only in part: {error}"));
                    log.broken();
                    break;
                }
            };
            let checked = self.old.map_or(Ok(()), |old| rows::check(self.offline, old, &key, &value));
            match checked {
                Ok(()) if Topic::of(&key).is_some_and(Topic::is_derived) => {}
                // the next start lists them anew
                Ok(()) if *key == *submission_row::is_indexed() => {}
                Ok(()) => {
                    if Topic::of(&key) == Some(Topic::Event) {
                        log.row(&key, &value)?;
                    }
                    if let Some(value) = self.of_state(&key, &value)? {
                        writer.put(key.to_vec(), value)?;
                    }
                }
                Err(error) => {
                    if Topic::of(&key) == Some(Topic::Event) {
                        log.broken();
                    }
                    if !self.take_back(&key, writer)? {
                        findings.problem(format!("row {} is lost: {error}", keys::shown(&key)));
                    } else if self.second.as_ref().is_some_and(|second| second.worth != Worth::Leads) {
                        back.push(key.to_vec());
                    }
                }
            }
        }
        writer.flush()?;
        self.fill(writer, &mut back)?;
        Ok(back)
    }

    /// A row of the state as it is to be kept; `None`: it is not, or comes from the second copy.
    fn of_state(&self, key: &[u8], value: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.second.as_ref().filter(|second| second.leads(key)) {
            None => Ok(Some(value.to_vec())),
            Some(second) if second.copy.contains(key) || !journal_rows::is_remembered_kind(key) => Ok(None),
            // one that has ended meanwhile: how, is not known any more
            Some(_) if journal_rows::is_submission(key) && journal_rows::is_open(value) => {
                doubted(value).map(Some)
            }
            Some(_) => Ok(Some(value.to_vec())),
        }
    }

    /// Takes a row that cannot be read from the second copy, with its further pieces; whether nothing of it is lost.
    fn take_back(&self, key: &[u8], writer: &mut Writer) -> Result<bool, StoreError> {
        let Some(second) = &self.second else { return Ok(false) };
        let Some(value) = second.copy.get(key)? else { return Ok(second.leads(key)) };
        if Topic::of(key).is_some_and(Topic::is_sealed) {
            for piece in overflow::pieces(key, &value)? {
                if let Some(value) = second.copy.get(&piece)? {
                    writer.put(piece, value)?;
                }
            }
        }
        writer.put(key.to_vec(), trusted(key, value, second.worth)?)?;
        Ok(true)
    }

    /// Adds what the state has not, or has in an older form.
    fn fill(&self, writer: &mut Writer, back: &mut Vec<Vec<u8>>) -> Result<(), StoreError> {
        let Some(second) = &self.second else { return Ok(()) };
        let mut lost_keys = Vec::new();
        for row in second.copy.rows() {
            let (key, value) = row?;
            let known = self.old.map(|old| old.get(key)).transpose()?.flatten();
            let is_older = |known: &[u8]| generation(known) < generation(&value);
            let is_taken = match second.worth {
                // but for what nobody heard of
                Worth::Leads => second.leads(key),
                Worth::Fills => known.as_deref().is_none_or(is_older),
                Worth::Helps => false,
            };
            if !is_taken {
                continue;
            }
            if known.as_deref() != Some(value.as_slice()) {
                back.push(key.to_vec());
            }
            let value = trusted(key, value, second.worth)?;
            lost_keys.extend(idempotency(key, &value));
            writer.put(key.to_vec(), value)?;
        }
        writer.flush()?;
        for (key, value) in lost_keys {
            if writer.get(&key)?.is_none() {
                writer.put(key, codec::join_row(1, &value))?;
            }
        }
        Ok(())
    }
}

/// The generation of a row that has one.
fn generation(row: &[u8]) -> u64 {
    overflow::head(row).map_or(0, |head| head.generation)
}

/// A row of the second copy. One with gaps does not know what was sent since.
fn trusted(key: &[u8], value: Vec<u8>, worth: Worth) -> Result<Vec<u8>, StoreError> {
    let is_doubtful =
        worth != Worth::Leads && journal_rows::is_submission(key) && journal_rows::is_open(&value);
    if is_doubtful { doubted(&value) } else { Ok(value) }
}

/// The row of a submission of which nobody knows any more whether it was sent: it is not sent again.
fn doubted(row: &[u8]) -> Result<Vec<u8>, StoreError> {
    let (generation, payload) = codec::split_row(row)?;
    let mut submission = submission_row::decode(payload)?;
    submission.doubt();
    Ok(codec::join_row(generation, &submission_row::encode(&submission)?))
}

/// What the idempotency key of a submission stands for: whoever asks again must not make another.
fn idempotency(key: &[u8], row: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    if !journal_rows::is_submission(key) {
        return None;
    }
    let mailbox = keys::trailing_u64(key.get(..9)?).map(Incarnation)?;
    let submission: Submission = submission_row::decode(codec::split_row(row).ok()?.1).ok()?;
    submission_row::key_row(mailbox, &submission)
}

/// A log with gaps is no log: its readers are told to begin anew.
pub(super) fn begin_log_anew(
    log: &Followed,
    writer: &mut Writer,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let Some(last) = log.anew() else { return Ok(()) };
    for key in writer.db.scan_prefix(keys::events()).keys() {
        writer.batch.remove(key.map_err(StoreError::sled)?);
    }
    findings.notes.push(String::from("the event log begins anew: readers are told by 410 cursor_expired"));
    writer.put(keys::meta(event_rows::BEGINNING), codec::pack(&last)?)?;
    writer.flush()
}
