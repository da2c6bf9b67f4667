//! How values are written: a version byte, for rows that are replaced a generation, then the payload.
//! Rows that change shape now and then are JSON; rows that exist per message are postcard.

use crate::store::error::StoreError;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The version of every value written today. A reader refuses a newer one by name.
const VERSION: u8 = 1;

/// Values must stay below this: sled puts larger pages into files it never syncs.
pub(in crate::store) const MAX_VALUE: usize = 4096;
/// What most values need: growing by doubling from nothing took a tenth of the committer's time.
const ROOM: usize = 768;
/// What is left of it beside version and generation.
pub(in crate::store) const MAX_PAYLOAD: usize = MAX_VALUE - 9;

/// A value with the generation it had when read; a writer that replaces it names that generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<T> {
    /// Counts every replacement, from 1.
    pub generation: u64,
    /// The value.
    pub value: T,
}

/// Splits a stored value of a replaceable row into generation and payload.
pub(in crate::store) fn split_row(bytes: &[u8]) -> Result<(u64, &[u8]), StoreError> {
    let (version, rest) = bytes.split_first().ok_or_else(|| StoreError::corrupt("an empty value"))?;
    check_version(*version)?;
    let (generation, payload) =
        rest.split_at_checked(8).ok_or_else(|| StoreError::corrupt("a value cut short"))?;
    let generation = generation.try_into().map_err(|_| StoreError::corrupt("a value cut short"))?;
    Ok((u64::from_be_bytes(generation), payload))
}

/// Puts version and generation before a payload.
pub(in crate::store) fn join_row(generation: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(payload.len().saturating_add(9));
    bytes.push(VERSION);
    bytes.extend_from_slice(&generation.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

pub(in crate::store) fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::with_capacity(ROOM);
    let written = serde_json::to_writer(&mut bytes, value);
    written.map_err(|error| StoreError::corrupt(format!("a value that cannot be written: {error}")))?;
    Ok(bytes)
}

pub(in crate::store) fn from_json<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|error| StoreError::corrupt(format!("{what}: {error}")))
}

/// Shorter texts stay readable.
const SQUEEZED_FROM: usize = 1024;
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Far more than a value can hold, however well it is compressed.
pub(in crate::store) const LONGEST_TEXT: usize = 4 << 20;

/// JSON that is long, compressed: many recipients, and refresh tokens of kilobytes, fit a value by it. `None`: it stays
/// as it is.
pub(in crate::store) fn squeeze(json: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    if json.len() < SQUEEZED_FROM {
        return Ok(None);
    }
    // who reads it must be able to open it
    if json.len() > LONGEST_TEXT {
        return Err(StoreError::TooLarge { bytes: json.len() });
    }
    let squeezed = zstd::bulk::compress(json, 9);
    squeezed
        .map(Some)
        .map_err(|error| StoreError::corrupt(format!("a value that cannot be written: {error}")))
}

/// What [`squeeze`] was given; `None`: it left it as it was.
pub(in crate::store) fn unsqueeze(what: &str, bytes: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    if !bytes.starts_with(&ZSTD_MAGIC) {
        return Ok(None);
    }
    let json = zstd::bulk::decompress(bytes, LONGEST_TEXT);
    json.map(Some).map_err(|error| StoreError::corrupt(format!("{what}: {error}")))
}

/// Reads JSON that was squeezed, or was not.
pub(in crate::store) fn from_squeezed<T: DeserializeOwned>(
    what: &str,
    bytes: &[u8],
) -> Result<T, StoreError> {
    match unsqueeze(what, bytes)?.map(zeroize::Zeroizing::new) {
        Some(json) => from_json(what, &json),
        None => from_json(what, bytes),
    }
}

/// Writes a per-message value.
pub(in crate::store) fn pack<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::with_capacity(ROOM);
    bytes.push(VERSION);
    postcard::to_extend(value, bytes)
        .map_err(|error| StoreError::corrupt(format!("a value that cannot be written: {error}")))
}

/// Reads a per-message value.
pub(in crate::store) fn unpack<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, StoreError> {
    let (version, payload) = bytes.split_first().ok_or_else(|| StoreError::corrupt("an empty value"))?;
    check_version(*version)?;
    postcard::from_bytes(payload).map_err(|error| StoreError::corrupt(format!("{what}: {error}")))
}

fn check_version(version: u8) -> Result<(), StoreError> {
    if version == VERSION {
        return Ok(());
    }
    Err(StoreError::corrupt(format!(
        "a value of version {version}, this program knows {VERSION}: start the newer program"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_comes_back_with_its_generation() {
        let bytes = join_row(7, b"payload");
        assert_eq!(split_row(&bytes).unwrap(), (7, &b"payload"[..]));
    }

    #[test]
    fn a_newer_version_is_refused_by_name() {
        let error = unpack::<u32>("x", &[9, 1]).unwrap_err();
        assert!(error.to_string().contains("version 9"), "{error}");
    }

    #[test]
    fn cut_values_are_corrupt_not_panics() {
        assert!(split_row(&[]).is_err());
        assert!(split_row(&[1, 0, 0]).is_err());
        assert!(unpack::<String>("x", &[1, 200]).is_err());
    }
}
