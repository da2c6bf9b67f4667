//! Pack records: one raw message each, compressed in frames, sealed, and able to say what it is without
//! any other file: message records can be restored from packs alone.
//!
//! ```text
//! record  magic 4 · record length u64 · raw length u64 · nonce 24 · header length u32 · sealed header · frame…
//! frame   flags u8 (1 = zstd) · plain length u32 · sealed length u32 · sealed bytes
//! ```
//! Lengths are little-endian and count bytes; a frame's flags and plain length are sealed with it. Piece `n` (0 is the header) is sealed under the record's
//! nonce with `n` mixed in; the seal's tag is the checksum.
// the kinds of I/O errors grow with the standard library
#![allow(clippy::wildcard_enum_match_arm)]

use crate::domain::{Flags, FolderId, Incarnation, Timestamp, Uid, UidValidity};
use crate::store::crypto::{Key, NONCE, TAG, random};
use crate::store::error::StoreError;
use crate::store::format::codec;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::fs::File;
use std::ops::Deref;
use std::os::unix::fs::FileExt;
use std::path::Path;
use ulid::Ulid;

pub(in crate::store) const MAGIC: [u8; 4] = *b"STR1";
/// Plain bytes per frame: what a reader holds in memory at a time.
pub const FRAME: usize = 1 << 20;
/// zstd level: 3 is the library's own default.
const LEVEL: i32 = 1;
pub(in crate::store) const PRELUDE: usize = 4 + 8 + 8 + NONCE + 4;
const FRAME_PRELUDE: usize = 9;

/// What a record says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordHeader {
    /// The message's or submission's id.
    pub id: Ulid,
    /// What it is.
    pub kind: RecordKind,
}

/// What a record holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecordKind {
    /// A message, as it was when it was stored.
    Message {
        /// Its folder.
        folder: FolderId,
        /// The folder's path.
        path: String,
        /// The folder's incarnation.
        folder_incarnation: u32,
        /// Its UIDVALIDITY.
        uid_validity: UidValidity,
        /// Its UID.
        uid: Uid,
        /// Its flags.
        flags: Flags,
        /// INTERNALDATE.
        internal_date: Timestamp,
    },
    /// A submission's message.
    Submission,
}

/// A compressor and where it writes to.
type Press = (zstd::bulk::Compressor<'static>, Vec<u8>);

thread_local! {
    static PRESS: RefCell<Option<Press>> = const { RefCell::new(None) };
}

/// Seals one raw message as a record. Costs CPU time in proportion to its length: not for an arbiter.
///
/// # Errors
/// [`StoreError::Vault`] if the system gives no randomness.
pub fn encode(
    key: &Key,
    mailbox: Incarnation,
    header: &RecordHeader,
    raw: &[u8],
) -> Result<Vec<u8>, StoreError> {
    let nonce = random::<NONCE>()?;
    let mut record = Vec::with_capacity(512);
    let sealed_header = seal_header(key, mailbox, &nonce, header, raw.len() as u64)?;
    push_prelude(&mut record, &nonce, 0, raw.len() as u64, sealed_header.len());
    record.extend_from_slice(&sealed_header);
    for (index, frame) in (1_u32..).zip(raw.chunks(FRAME)) {
        push_frame(key, &nonce, header.id, index, frame, &mut record)?;
    }
    let length = (record.len() as u64).to_le_bytes();
    record
        .get_mut(4..12)
        .ok_or_else(|| StoreError::corrupt("a record without a prelude"))?
        .copy_from_slice(&length);
    Ok(record)
}

pub(in crate::store) fn push_prelude(
    record: &mut Vec<u8>,
    nonce: &[u8; NONCE],
    length: u64,
    raw: u64,
    header: usize,
) {
    record.extend_from_slice(&MAGIC);
    record.extend_from_slice(&length.to_le_bytes());
    record.extend_from_slice(&raw.to_le_bytes());
    record.extend_from_slice(nonce);
    record.extend_from_slice(&u32::try_from(header).unwrap_or(u32::MAX).to_le_bytes());
}

pub(in crate::store) fn seal_header(
    key: &Key,
    mailbox: Incarnation,
    nonce: &[u8; NONCE],
    header: &RecordHeader,
    raw_length: u64,
) -> Result<Vec<u8>, StoreError> {
    let mut plain = codec::pack(header)?;
    let tag = key.seal_in_place(&piece_nonce(nonce, 0), &header_context(mailbox, raw_length), &mut plain)?;
    plain.extend_from_slice(&tag);
    Ok(plain)
}

/// Compresses and seals one frame onto the end of `out`.
pub(in crate::store) fn push_frame(
    key: &Key,
    nonce: &[u8; NONCE],
    id: Ulid,
    index: u32,
    plain: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), StoreError> {
    PRESS.with_borrow_mut(|press| {
        let squeezed = compress(press, plain);
        let body = squeezed.unwrap_or(plain);
        let sealed = body.len().saturating_add(TAG);
        out.reserve_exact(FRAME_PRELUDE.saturating_add(sealed));
        out.push(u8::from(squeezed.is_some()));
        out.extend_from_slice(&length32(plain.len()).to_le_bytes());
        out.extend_from_slice(&length32(sealed).to_le_bytes());
        let start = out.len();
        out.extend_from_slice(body);
        let context = frame_context(id, index, u8::from(squeezed.is_some()), plain.len());
        let body = out.get_mut(start..).unwrap_or_default();
        let tag = key.seal_in_place(&piece_nonce(nonce, index), &context, body)?;
        out.extend_from_slice(&tag);
        Ok(())
    })
}

fn length32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// The frame compressed; `None` if that would not save a twentieth (media, archives).
fn compress<'p>(press: &'p mut Option<Press>, plain: &[u8]) -> Option<&'p [u8]> {
    let (compressor, scratch) = match press {
        Some(press) => press,
        None => press.insert((zstd::bulk::Compressor::new(LEVEL).ok()?, Vec::new())),
    };
    scratch.clear();
    scratch.reserve(zstd::zstd_safe::compress_bound(plain.len()));
    let length = compressor.compress_to_buffer(plain, scratch).ok()?;
    if length < plain.len() - plain.len() / 20 { scratch.get(..length) } else { None }
}

fn piece_nonce(base: &[u8; NONCE], index: u32) -> [u8; NONCE] {
    let mut nonce = *base;
    for (byte, mixed) in nonce.iter_mut().rev().zip(index.to_le_bytes()) {
        *byte ^= mixed;
    }
    nonce
}

fn header_context(mailbox: Incarnation, raw_length: u64) -> [u8; 16] {
    let mut context = [0; 16];
    context[..8].copy_from_slice(&mailbox.0.to_be_bytes());
    context[8..].copy_from_slice(&raw_length.to_be_bytes());
    context
}

fn frame_context(id: Ulid, index: u32, flags: u8, plain_length: usize) -> [u8; 25] {
    let mut context = [0; 25];
    context[..16].copy_from_slice(&id.to_bytes());
    context[16..20].copy_from_slice(&index.to_be_bytes());
    context[20] = flags;
    context[21..].copy_from_slice(&length32(plain_length).to_be_bytes());
    context
}

/// A record being read, frame by frame, with a key that is borrowed or shared.
pub struct RecordReader<K> {
    key: K,
    file: std::sync::Arc<File>,
    /// What the record says of itself.
    pub header: RecordHeader,
    /// Bytes of the raw message.
    pub raw_length: u64,
    nonce: [u8; NONCE],
    at: u64,
    end: u64,
    next_frame: u32,
}

impl<K: Deref<Target = Key>> RecordReader<K> {
    /// Opens the record that begins at `offset`.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if there is no whole record, [`StoreError::Vault`] if it does not open.
    pub fn open(
        key: K,
        mailbox: Incarnation,
        file: std::sync::Arc<File>,
        offset: u64,
    ) -> Result<Self, StoreError> {
        let prelude = Prelude::read(&file, offset)?;
        let at = offset.saturating_add(PRELUDE as u64);
        let mut sealed = vec![0; prelude.header_length];
        read_exact(&file, &mut sealed, at)?;
        let context = header_context(mailbox, prelude.raw_length);
        key.open_in_place(&piece_nonce(&prelude.nonce, 0), &context, &mut sealed)?;
        Ok(Self {
            key,
            header: codec::unpack("pack record header", &sealed)?,
            raw_length: prelude.raw_length,
            nonce: prelude.nonce,
            at: at.saturating_add(prelude.header_length as u64),
            end: offset.saturating_add(prelude.record_length),
            file,
            next_frame: 1,
        })
    }

    /// The next frame's plain bytes, `None` after the last.
    ///
    /// # Errors
    /// As [`RecordReader::open`].
    pub fn next_frame(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        if self.at >= self.end {
            return Ok(None);
        }
        let mut prelude = [0; FRAME_PRELUDE];
        read_exact(&self.file, &mut prelude, self.at)?;
        let [flags, lengths @ ..] = prelude;
        let plain_length = le32(&lengths[..4]) as usize;
        let sealed_length = le32(&lengths[4..]) as usize;
        let body = self.at.saturating_add(FRAME_PRELUDE as u64);
        if plain_length > FRAME || sealed_length > FRAME + TAG || body + sealed_length as u64 > self.end {
            return Err(StoreError::corrupt("a frame longer than its record"));
        }
        let mut sealed = vec![0; sealed_length];
        read_exact(&self.file, &mut sealed, body)?;
        let nonce = piece_nonce(&self.nonce, self.next_frame);
        let context = frame_context(self.header.id, self.next_frame, flags, plain_length);
        self.key.open_in_place(&nonce, &context, &mut sealed)?;
        self.at = body.saturating_add(sealed_length as u64);
        self.next_frame = self.next_frame.saturating_add(1);
        if flags & 1 == 0 {
            return Ok(Some(sealed));
        }
        zstd::bulk::decompress(&sealed, plain_length)
            .map(Some)
            .map_err(|error| StoreError::corrupt(format!("a frame that does not decompress: {error}")))
    }

    /// All that is left, in one piece.
    ///
    /// # Errors
    /// As [`RecordReader::open`].
    pub fn read_all(&mut self) -> Result<Vec<u8>, StoreError> {
        let mut raw = Vec::new();
        while let Some(frame) = self.next_frame()? {
            raw.extend_from_slice(&frame);
        }
        if raw.len() as u64 == self.raw_length {
            return Ok(raw);
        }
        Err(StoreError::corrupt(format!("a record of {} bytes holds {}", self.raw_length, raw.len())))
    }
}

/// The fixed part in front of a record.
pub(in crate::store) struct Prelude {
    pub(in crate::store) record_length: u64,
    raw_length: u64,
    nonce: [u8; NONCE],
    header_length: usize,
}

impl Prelude {
    pub(in crate::store) fn read(file: &File, offset: u64) -> Result<Self, StoreError> {
        let mut bytes = [0; PRELUDE];
        read_exact(file, &mut bytes, offset)?;
        if bytes[..4] != MAGIC {
            return Err(StoreError::corrupt(format!("no record begins at {offset}")));
        }
        let mut nonce = [0; NONCE];
        nonce.copy_from_slice(&bytes[20..20 + NONCE]);
        let prelude = Self {
            record_length: le64(&bytes[4..12]),
            raw_length: le64(&bytes[12..20]),
            nonce,
            header_length: le32(&bytes[20 + NONCE..]) as usize,
        };
        if prelude.header_length < TAG
            || prelude.header_length > 64 * 1024
            || prelude.record_length < (PRELUDE + prelude.header_length) as u64
        {
            return Err(StoreError::corrupt(format!("the record at {offset} has impossible lengths")));
        }
        Ok(prelude)
    }
}

fn le32(bytes: &[u8]) -> u32 {
    bytes.try_into().map_or(0, u32::from_le_bytes)
}

fn le64(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

fn read_exact(file: &File, buffer: &mut [u8], at: u64) -> Result<(), StoreError> {
    file.read_exact_at(buffer, at).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => {
            StoreError::corrupt("a pack that ends in the middle of a record")
        }
        _ => StoreError::io("read", Path::new("pack"))(error),
    })
}
