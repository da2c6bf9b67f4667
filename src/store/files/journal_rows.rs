//! Which rows the journal keeps: settings and sign-ins, what is still to be sent, and for some days what became of the
//! submissions that ended and which idempotency keys they were accepted under, so that even without sled's file nothing
//! is sent a second time.

use crate::domain::{Incarnation, Submission, SubmissionId, Timestamp};
use crate::store::engine::Changes;
use crate::store::error::StoreError;
use crate::store::format::{InJournal, Key, Topic, codec, keys, submission_row};
use std::time::Duration;

/// How long ends of submissions and idempotency keys are remembered.
const REMEMBERED: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Submissions that were accepted longer ago than this are not looked at when the file is written anew.
const LOOKED_AT: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// A row of sled.
type Row = (sled::IVec, sled::IVec);

/// Whether a row is one of which all are kept.
pub(in crate::store) fn is_kept(key: &[u8]) -> bool {
    let is_always = |topic: Topic| topic.in_journal() == InJournal::Always;
    Topic::of(key).is_some_and(is_always) || key == keys::meta("incarnation")
}

/// Whether a row is that of a submission, of which the open ones are kept and those that ended lately.
pub(in crate::store) fn is_submission(key: &[u8]) -> bool {
    Topic::of(key) == Some(Topic::Submission)
}

/// Whether a row is of a kind that is kept for a time: where there is none, there may have been one.
pub(in crate::store) fn is_remembered_kind(key: &[u8]) -> bool {
    Topic::of(key).is_some_and(|topic| topic.in_journal() == InJournal::Remembered)
}

/// Whether a row is that of an idempotency key, kept as long as its submission.
fn is_idempotency(key: &[u8]) -> bool {
    Topic::of(key) == Some(Topic::IdempotencyKey)
}

fn decode(row: &[u8]) -> Result<Submission, StoreError> {
    codec::split_row(row).and_then(|(_, payload)| submission_row::decode(payload))
}

/// Whether something is left to do about the submission of this row.
pub(in crate::store) fn is_open(row: &[u8]) -> bool {
    decode(row).is_ok_and(|submission| submission_row::is_open(submission.state))
}

/// Whether a submission that ended did so lately, as far as it says.
fn is_remembered(submission: &Submission, now: Timestamp) -> bool {
    let moments = [submission.send_at, submission.deferred_since, submission.next_attempt_at];
    let last = moments.into_iter().flatten().fold(submission.created_at, Timestamp::max);
    now.since(last) < REMEMBERED
}

/// A row of a group of commits as it is kept; `None`: it is none of these.
pub(in crate::store) fn kept<'c>(
    changes: &Changes,
    key: &[u8],
    value: Option<&'c [u8]>,
    now: Timestamp,
) -> Option<Option<&'c [u8]>> {
    if is_kept(key) || is_idempotency(key) {
        return Some(value);
    }
    if !is_submission(key) {
        return None;
    }
    // an end takes it off the list of open ones; one that ended long ago may have been moved to another pack
    let ends = changes.get(&open_key(key)).is_some_and(Option::is_none);
    let counts = |row: &&[u8]| {
        decode(row).is_ok_and(|submission| {
            submission_row::is_open(submission.state) || ends || is_remembered(&submission, now)
        })
    };
    Some(value.filter(counts))
}

/// The key that lists a submission as open.
fn open_key(submission: &[u8]) -> Key {
    keys::with_topic(submission, Topic::OpenSubmission)
}

/// The rows that are kept for as long as they are there.
pub(in crate::store) fn lasting(db: &sled::Db) -> impl Iterator<Item = Result<Row, StoreError>> + '_ {
    let always = Topic::ALL.into_iter().filter(|topic| topic.in_journal() == InJournal::Always);
    let whole = always.flat_map(|topic| db.scan_prefix(topic.prefix()));
    // what was sent long ago is not looked at
    let open = db.scan_prefix(Topic::OpenSubmission.prefix()).keys();
    let open = open.map(|key| Ok(keys::with_topic(&key?, Topic::Submission)));
    let named = open.chain([Ok(keys::meta("incarnation"))]).filter_map(|key: sled::Result<Key>| {
        let read = |key: Key| Ok(db.get(&key)?.map(|value| (key.into(), value)));
        key.and_then(read).transpose()
    });
    whole.chain(named).map(|row| row.map_err(StoreError::sled))
}

/// All rows of sled that are kept at this time.
pub(in crate::store) fn all(
    db: &sled::Db,
    now: Timestamp,
) -> impl Iterator<Item = Result<Row, StoreError>> + '_ {
    let ended = db.scan_prefix(Topic::Incarnation.prefix()).keys().flat_map(move |key| {
        let mailbox = key.map(|key| keys::trailing_u64(&key).map(Incarnation));
        let (rows, error) = match mailbox {
            Ok(mailbox) => (mailbox.map(|mailbox| ended(db, mailbox, now)), None),
            Err(error) => (None, Some(Err(StoreError::sled(error)))),
        };
        rows.into_iter().flatten().chain(error)
    });
    lasting(db).chain(ended).flat_map(move |row| {
        let idempotency =
            row.as_ref().ok().and_then(|(key, value)| idempotency_row(db, key, value).transpose());
        [Some(row), idempotency].into_iter().flatten()
    })
}

/// A mailbox's submissions that ended lately.
fn ended(
    db: &sled::Db,
    mailbox: Incarnation,
    now: Timestamp,
) -> impl Iterator<Item = Result<Row, StoreError>> + '_ {
    let since = u64::try_from(now.0).unwrap_or(0).saturating_sub(millis(LOOKED_AT));
    let first = SubmissionId(ulid::Ulid::from_parts(since, 0));
    let end = [keys::topic(Topic::Submission, mailbox).as_slice(), &[0xff; 17]].concat();
    let rows = db.range(keys::submission(mailbox, first)..end).map(|row| row.map_err(StoreError::sled));
    rows.filter(move |row| {
        // a row that cannot be read is for `fsck` to tell of
        row.as_ref().map_or(true, |(_, value)| {
            decode(value).is_ok_and(|submission| {
                !submission_row::is_open(submission.state) && is_remembered(&submission, now)
            })
        })
    })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The row of the key under which a submission was accepted.
fn idempotency_row(db: &sled::Db, key: &[u8], value: &[u8]) -> Result<Option<Row>, StoreError> {
    let mailbox = key.get(..9).filter(|_| is_submission(key)).and_then(keys::trailing_u64);
    let (Some(mailbox), Ok(submission)) = (mailbox, decode(value)) else { return Ok(None) };
    let Some((key, _)) = submission_row::key_row(Incarnation(mailbox), &submission) else { return Ok(None) };
    let row = db.get(&key).map_err(StoreError::sled)?;
    Ok(row.map(|value| (key.into(), value)))
}
