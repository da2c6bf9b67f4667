//! What every row must be, by itself.

use super::findings::Findings;
use super::log::Followed;
use super::offline::Offline;
use crate::domain::folder::FolderCounts;
use crate::domain::{Folder, Grant, MailboxId, Message, Rotation, Secret};
use crate::store::engine::View;
use crate::store::format::{
    PackState, PackUse, Topic, codec, event_rows, keys, overflow, submission_row, uid_index,
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
        } else if Topic::of(&key) == Some(Topic::Event)
            && let Some((from, to)) = log.row(&key, &value)?
        {
            findings.problem(format!("events {from} to {} are missing", to.saturating_sub(1)));
        }
    }
    Ok(())
}

/// Whether a row can be read.
pub(super) fn check(offline: &Offline, db: &dyn View, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
    let topic = Topic::of(key).ok_or_else(|| StoreError::corrupt("a key of an unknown kind"))?;
    match topic {
        Topic::Meta | Topic::OwnerEpoch => packed::<u64>(value),
        Topic::App => sealed::<apps::AppRow>(offline, db, key, value),
        Topic::AppFacts => json::<AppFacts>(value),
        Topic::AppRotation => sealed::<Rotation>(offline, db, key, value),
        Topic::Mailbox => json::<mailboxes::MailboxRow>(value),
        Topic::Incarnation => json::<MailboxId>(value),
        Topic::Grant => sealed::<Grant>(offline, db, key, value),
        Topic::SmtpPassword => sealed::<Secret>(offline, db, key, value),
        Topic::Status => json::<MailboxStatus>(value),
        Topic::Folder => json::<Folder>(value),
        Topic::FolderCounts => packed::<FolderCounts>(value),
        Topic::UidChunk => uid_index::decode(value).map(drop),
        Topic::Quarantine => packed::<Quarantined>(value),
        Topic::Message => packed::<Message>(value),
        Topic::Vanished => packed::<Vanished>(value),
        Topic::Packs => packed::<PackState>(value),
        Topic::PackUse => packed::<PackUse>(value),
        Topic::Submission => submission_row::decode(codec::split_row(value)?.1).map(drop),
        Topic::IdempotencyKey => json::<submission_row::KeyRow>(value),
        Topic::TakeOver => json::<take_over::TakeOverRow>(value),
        Topic::AppMigration => json::<Move>(value),
        Topic::Notice => json::<Notice>(value),
        Topic::SignIn => sealed::<SignIn>(offline, db, key, value),
        Topic::Event => event_rows::read_chunk(key, value).map(drop),
        Topic::Listing | Topic::OpenSubmission | Topic::Erasure | Topic::SignInOfMailbox => Ok(()),
        // what it belongs to is read with it
        Topic::Piece => Ok(()),
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
