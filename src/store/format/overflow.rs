//! Sealed values that are longer than a value may be, such as a refresh token of several kilobytes: the row keeps the first
//! piece and says how many follow; the others lie under keys of their own, which name the row and its generation. One
//! batch writes all of them.

use super::codec::{self, Row};
use super::keys::{self, Key};
use crate::store::crypto::Vault;
use crate::store::error::StoreError;
use serde::de::DeserializeOwned;

/// The first byte of a row whose value goes on elsewhere.
const LONG: u8 = 2;
/// Bytes of a piece.
const PIECE: usize = codec::MAX_PAYLOAD - 1;
/// Pieces of a value, the first included: a token of 64 KB is a mistake of somebody's.
const MOST: usize = 16;

/// A sealed row as it is read: a generation, and the payload as far as it is in the row.
pub(in crate::store) struct Head<'b> {
    pub(in crate::store) generation: u64,
    /// How many pieces follow.
    pub(in crate::store) following: u8,
    pub(in crate::store) payload: &'b [u8],
}

/// Reads a row that may be long.
pub(in crate::store) fn head(bytes: &[u8]) -> Result<Head<'_>, StoreError> {
    let Some((&LONG, rest)) = bytes.split_first() else {
        let (generation, payload) = codec::split_row(bytes)?;
        return Ok(Head { generation, following: 0, payload });
    };
    let cut = || StoreError::corrupt("a value cut short");
    let (generation, rest) = rest.split_at_checked(8).ok_or_else(cut)?;
    let (following, payload) = rest.split_first().ok_or_else(cut)?;
    let generation = u64::from_be_bytes(generation.try_into().map_err(|_| cut())?);
    Ok(Head { generation, following: *following, payload })
}

/// Puts a row's pieces together; `None`: they are not all there, because it was replaced meanwhile.
pub(in crate::store) fn whole(
    key: &[u8],
    bytes: &[u8],
    get: impl Fn(&[u8]) -> Result<Option<Vec<u8>>, StoreError>,
) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
    let Head { generation, following, payload } = head(bytes)?;
    let mut whole = payload.to_vec();
    for number in 0..following {
        match get(&keys::piece(key, generation, number))? {
            Some(piece) => whole.extend_from_slice(&piece),
            None => return Ok(None),
        }
    }
    Ok(Some((generation, whole)))
}

/// Opens a sealed row; `None`: its pieces are not all there.
pub(in crate::store) fn unseal<T: DeserializeOwned>(
    what: &str,
    (vault, key): (&Vault, &[u8]),
    bytes: &[u8],
    get: impl Fn(&[u8]) -> Result<Option<Vec<u8>>, StoreError>,
) -> Result<Option<Row<T>>, StoreError> {
    let Some((generation, payload)) = whole(key, bytes, get)? else { return Ok(None) };
    let plain = vault.data_key().open(key, &payload)?;
    Ok(Some(Row { generation, value: codec::from_squeezed(what, &plain)? }))
}

/// The rows of a value, the one of `key` itself first.
pub(in crate::store) fn rows(
    key: Key,
    generation: u64,
    payload: &[u8],
) -> Result<Vec<(Key, Vec<u8>)>, StoreError> {
    if payload.len() <= codec::MAX_PAYLOAD {
        return Ok(vec![(key, codec::join_row(generation, payload))]);
    }
    let pieces: Vec<&[u8]> = payload.chunks(PIECE).collect();
    if pieces.len() > MOST {
        return Err(StoreError::TooLarge { bytes: payload.len() });
    }
    let mut rows = Vec::with_capacity(pieces.len());
    for (number, piece) in (0_u8..).zip(pieces.iter().skip(1)) {
        rows.push((keys::piece(&key, generation, number), piece.to_vec()));
    }
    let following = u8::try_from(rows.len()).unwrap_or(u8::MAX);
    let first = pieces.first().copied().unwrap_or_default();
    let head = [&[LONG][..], &generation.to_be_bytes(), &[following], first].concat();
    rows.insert(0, (key, head));
    Ok(rows)
}

/// The keys of the pieces that follow a row.
pub(in crate::store) fn pieces(key: &[u8], bytes: &[u8]) -> Result<Vec<Key>, StoreError> {
    let Some(&LONG) = bytes.first() else { return Ok(Vec::new()) };
    let Head { generation, following, .. } = head(bytes)?;
    Ok((0..following).map(|number| keys::piece(key, generation, number)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_value_of_any_length_comes_back_and_none_of_its_rows_is_too_long() {
        for length in
            [0, 1, codec::MAX_PAYLOAD, codec::MAX_PAYLOAD + 1, 2 * PIECE, 2 * PIECE + 1, MOST * PIECE]
        {
            let payload: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let rows: BTreeMap<_, _> = rows(b"gkey".to_vec(), 7, &payload).unwrap().into_iter().collect();
            assert!(rows.values().all(|row| row.len() <= codec::MAX_VALUE), "{length}");
            let bytes = &rows[&b"gkey"[..]];
            let get = |key: &[u8]| Ok(rows.get(key).cloned());
            assert_eq!(whole(b"gkey", bytes, get).unwrap(), Some((7, payload)), "{length}");
            let following = pieces(b"gkey", bytes).unwrap();
            assert_eq!(following.len() + 1, rows.len());
            if !following.is_empty() {
                assert_eq!(whole(b"gkey", bytes, |_| Ok(None)).unwrap(), None, "replaced meanwhile");
            }
        }
        let too_long = rows(b"gkey".to_vec(), 7, &vec![0; MOST * PIECE + 1]);
        assert!(matches!(too_long, Err(StoreError::TooLarge { .. })));
        assert!(head(&[LONG, 0, 0]).is_err());
    }
}
