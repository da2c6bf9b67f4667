//! What every row must be, by itself.

use super::findings::Findings;
use super::log::Followed;
use super::offline::Offline;
use crate::domain::folder::FolderCounts;
use crate::domain::{Folder, Grant, MailboxId, Message, Rotation, Secret};
use crate::store::engine::View;
use crate::store::format::{
    PackState, PackUse, codec, event_rows, keys, overflow, submission_row, uid_index,
};
use crate::store::tables::{apps, mailboxes, take_over};
use crate::store::{AppFacts, MailboxStatus, Move, Notice, Quarantined, SignIn, StoreError, Vanished};
use serde::de::DeserializeOwned;

/// Reads every row.
pub(super) fn check_all(offline: &Offline, db: &sled::Db, findings: &mut Findings) -> Result<(), StoreError> {
    let mut log = Followed::default();
    for entry in db.iter() {
        let (key, value) = entry.map_err(StoreError::sled)?;
        if let Err(error) = check(offline, db, &key, &value) {
            findings.problem(format!("row {}: {error}", keys::shown(&key)));
        } else if keys::is_event(&key)
            && let Some((from, to)) = log.row(&key, &value)?
        {
            findings.problem(format!("events {from} to {} are missing", to.saturating_sub(1)));
        }
    }
    Ok(())
}

/// Whether a row can be read.
pub(super) fn check(offline: &Offline, db: &dyn View, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
    match key.first() {
        Some(b'm' | b'o') => packed::<u64>(value),
        Some(b'a') => sealed::<apps::AppRow>(offline, db, key, value),
        Some(b'y') => json::<AppFacts>(value),
        Some(b'j') => sealed::<Rotation>(offline, db, key, value),
        Some(b'b') => json::<mailboxes::MailboxRow>(value),
        Some(b'i') => json::<MailboxId>(value),
        Some(b'g') => sealed::<Grant>(offline, db, key, value),
        Some(b'h') => sealed::<Secret>(offline, db, key, value),
        Some(b'd') => json::<MailboxStatus>(value),
        Some(b'f') => json::<Folder>(value),
        Some(b'c') => packed::<FolderCounts>(value),
        Some(b'u') => uid_index::decode(value).map(drop),
        Some(b'q') => packed::<Quarantined>(value),
        Some(b'r') => packed::<Message>(value),
        Some(b'v') => packed::<Vanished>(value),
        Some(b'p') => packed::<PackState>(value),
        Some(b'x') => packed::<PackUse>(value),
        Some(b't') => submission_row::decode(codec::split_row(value)?.1).map(drop),
        Some(b'k') => json::<submission_row::KeyRow>(value),
        Some(b'0') => json::<take_over::TakeOverRow>(value),
        Some(b'1') => json::<Move>(value),
        Some(b'n') => json::<Notice>(value),
        Some(b'w') => sealed::<SignIn>(offline, db, key, value),
        Some(b'e') => event_rows::read_chunk(key, value).map(drop),
        Some(b'l' | b's' | b'z' | b'3') => Ok(()),
        // what it belongs to is read with it
        Some(b'2') => Ok(()),
        _ => Err(StoreError::corrupt("a key of an unknown kind")),
    }
}

fn packed<T: DeserializeOwned>(value: &[u8]) -> Result<(), StoreError> {
    codec::unpack::<T>("value", value).map(drop)
}

fn json<T: DeserializeOwned>(value: &[u8]) -> Result<(), StoreError> {
    codec::from_json::<T>("value", codec::split_row(value)?.1).map(drop)
}

fn sealed<T: DeserializeOwned>(
    offline: &Offline,
    db: &dyn View,
    key: &[u8],
    value: &[u8],
) -> Result<(), StoreError> {
    let piece = |key: &[u8]| db.get(key);
    let row = overflow::unseal::<T>("value", (&offline.vault, key), value, piece)?;
    row.map(drop).ok_or_else(|| StoreError::corrupt("a value whose further pieces are lost"))
}
