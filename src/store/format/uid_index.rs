//! The UID index of a folder, cut into chunks of 64 UIDs: which UIDs are stored, as which message, with
//! which flags. It is the sync cursor: the set of stored UIDs, written in each message's own commit.

use super::codec;
use crate::domain::{MessageId, Uid};
use crate::store::error::StoreError;
use serde::{Deserialize, Serialize};

/// How many consecutive UIDs share a chunk: 64 entries of at most 27 bytes stay far below a value's limit.
const CHUNK: u32 = 64;

/// What the index knows of a stored message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UidEntry {
    /// Its UID.
    pub uid: Uid,
    /// Its id.
    pub message: MessageId,
    /// [`Flags::digest`](crate::domain::Flags::digest) of its flags.
    pub flags_digest: u32,
}

#[derive(Serialize, Deserialize)]
struct Packed(Uid, u128, u32);

/// The chunk a UID belongs to.
pub(in crate::store) fn chunk_of(uid: Uid) -> u32 {
    uid / CHUNK
}

pub(in crate::store) fn decode(bytes: &[u8]) -> Result<Vec<UidEntry>, StoreError> {
    let packed: Vec<Packed> = codec::unpack("uid index", bytes)?;
    let unpack =
        |Packed(uid, id, flags_digest)| UidEntry { uid, message: MessageId(ulid::Ulid(id)), flags_digest };
    Ok(packed.into_iter().map(unpack).collect())
}

pub(in crate::store) fn encode(entries: &[UidEntry]) -> Result<Vec<u8>, StoreError> {
    let packed: Vec<Packed> =
        entries.iter().map(|entry| Packed(entry.uid, entry.message.0.0, entry.flags_digest)).collect();
    codec::pack(&packed)
}

/// Adds an entry, in order; `false` if the UID is there already.
pub(in crate::store) fn insert(entries: &mut Vec<UidEntry>, entry: UidEntry) -> bool {
    match entries.binary_search_by_key(&entry.uid, |known| known.uid) {
        Ok(_) => false,
        Err(place) => {
            entries.insert(place, entry);
            true
        }
    }
}

/// Takes an entry out; `None` if the UID is not there.
pub(in crate::store) fn remove(entries: &mut Vec<UidEntry>, uid: Uid) -> Option<UidEntry> {
    let place = entries.binary_search_by_key(&uid, |known| known.uid).ok()?;
    Some(entries.remove(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(uid: Uid) -> UidEntry {
        UidEntry { uid, message: MessageId::generate(), flags_digest: uid }
    }

    #[test]
    fn a_full_chunk_fits_a_value() {
        let entries: Vec<UidEntry> = (0..CHUNK).map(|n| entry(u32::MAX - CHUNK + n)).collect();
        assert!(encode(&entries).unwrap().len() < codec::MAX_VALUE / 2);
        assert_eq!(decode(&encode(&entries).unwrap()).unwrap(), entries);
    }

    #[test]
    fn a_uid_is_there_once() {
        let mut entries = Vec::new();
        assert!(insert(&mut entries, entry(5)));
        assert!(insert(&mut entries, entry(3)));
        assert!(!insert(&mut entries, entry(5)));
        assert_eq!(entries.iter().map(|known| known.uid).collect::<Vec<_>>(), [3, 5]);
        assert!(remove(&mut entries, 3).is_some());
        assert!(remove(&mut entries, 3).is_none());
    }
}
