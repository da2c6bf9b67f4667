//! What of an old state goes into a new one: the rows that can be read, and for the others their second copy.

use super::log::Followed;
use super::rebuild::{DERIVED, Writer};
use super::{Findings, Offline, rows};
use crate::store::committer::sled_error;
use crate::store::journal_copy::Copy;
use crate::store::{StoreError, codec, events_log, keys, outbox};

/// Where rows come from.
pub(super) struct From<'a> {
    pub(super) offline: &'a Offline,
    pub(super) old: &'a sled::Db,
    pub(super) second: Option<&'a Copy>,
}

/// Copies what can be read; what cannot is taken from the second copy, if it is there: the keys of that.
pub(super) fn copy(
    from: &From<'_>,
    writer: &mut Writer,
    log: &mut Followed,
    findings: &mut Findings,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut back = Vec::new();
    for entry in from.old.iter() {
        let (key, value) = match entry {
            Ok(entry) => entry,
            Err(error) => {
                findings.problem(format!("the old state is readable only in part: {error}"));
                log.broken();
                break;
            }
        };
        match rows::check(from.offline, from.old, &key, &value) {
            Ok(()) if key.first().is_some_and(|prefix| DERIVED.contains(prefix)) => {}
            // the next start lists them anew
            Ok(()) if *key == *outbox::is_indexed() => {}
            Ok(()) => {
                if keys::is_event(&key) {
                    log.row(&key, &value)?;
                }
                writer.put(key.to_vec(), value.to_vec())?;
            }
            Err(error) => {
                if keys::is_event(&key) {
                    log.broken();
                }
                if let Some(value) = from.second.map(|second| second.get(&key)).transpose()?.flatten() {
                    writer.put(key.to_vec(), value)?;
                    back.push(key.to_vec());
                } else {
                    findings.problem(format!("row {} is lost: {error}", keys::shown(&key)));
                }
            }
        }
    }
    Ok(back)
}

/// Adds what the state lost without a trace.
pub(super) fn fill(second: &Copy, writer: &mut Writer, back: &mut Vec<Vec<u8>>) -> Result<(), StoreError> {
    for row in second.rows() {
        let (key, value) = row?;
        if writer.get(key)?.is_none() {
            writer.put(key.to_vec(), value)?;
            back.push(key.to_vec());
        }
    }
    Ok(())
}

/// A log with gaps is no log: its readers are told to begin anew.
pub(super) fn begin_log_anew(
    log: &Followed,
    writer: &mut Writer,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let Some(last) = log.anew() else { return Ok(()) };
    for key in writer.db.scan_prefix(keys::events()).keys() {
        writer.batch.remove(key.map_err(sled_error)?);
    }
    findings.notes.push(String::from("the event log begins anew: readers are told by 410 cursor_expired"));
    writer.put(keys::meta(events_log::BEGINNING), codec::pack(&last)?)?;
    writer.flush()
}
