//! Large messages: a record in a file of its own, written piece by piece, adopted as a pack when committed.

use super::pack::{FRAME, PRELUDE, RecordHeader, push_frame, push_prelude, seal_header};
use super::room::Room;
use crate::domain::Incarnation;
use crate::store::crypto::{Key, NONCE, TAG, random};
use crate::store::error::StoreError;
use crate::store::format::codec;
use std::fs::File;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A file that nobody refers to yet. Adopted as a pack it has another name; else it goes.
#[derive(Debug)]
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        match std::fs::remove_file(&self.0) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(%error, "an unfinished large message stays until the next start");
            }
            _ => {}
        }
    }
}

/// A large message on its way into a pack file of its own: frames are written as they come, the header,
/// which names the length, last.
pub struct LargeWriter {
    file: File,
    unfinished: Unfinished,
    room: Room,
    nonce: [u8; NONCE],
    header: RecordHeader,
    header_length: usize,
    at: u64,
    raw_length: u64,
    next_frame: u32,
}

impl LargeWriter {
    /// Begins a record in a new file at `path`.
    ///
    /// # Errors
    /// [`StoreError::Io`] or [`StoreError::Full`].
    pub(in crate::store) fn create(
        path: PathBuf,
        header: RecordHeader,
        room: Room,
    ) -> Result<Self, StoreError> {
        let created = File::options().write(true).create(true).truncate(true).mode(0o600).open(&path);
        let file = created.map_err(StoreError::opening(&path))?;
        let unfinished = Unfinished(path);
        let header_length = codec::pack(&header)?.len().saturating_add(TAG);
        Ok(Self {
            file,
            unfinished,
            room,
            nonce: random::<NONCE>()?,
            header,
            header_length,
            at: (PRELUDE + header_length) as u64,
            raw_length: 0,
            next_frame: 1,
        })
    }

    /// Adds the next piece of the raw message, at most [`FRAME`] bytes.
    ///
    /// # Errors
    /// [`StoreError::Io`] or [`StoreError::Full`].
    pub fn append(&mut self, key: &Key, piece: &[u8]) -> Result<(), StoreError> {
        self.room.check()?;
        for plain in piece.chunks(FRAME) {
            let mut frame = Vec::with_capacity(plain.len().saturating_add(64));
            push_frame(key, &self.nonce, self.header.id, self.next_frame, plain, &mut frame)?;
            self.file.write_all_at(&frame, self.at).map_err(StoreError::io("write", &self.unfinished.0))?;
            self.at = self.at.saturating_add(frame.len() as u64);
            self.raw_length = self.raw_length.saturating_add(plain.len() as u64);
            self.next_frame = self.next_frame.saturating_add(1);
        }
        Ok(())
    }

    /// Writes the header. The committer syncs and adopts the file.
    ///
    /// # Errors
    /// [`StoreError::Io`] or [`StoreError::Full`].
    pub fn finish(self, key: &Key, mailbox: Incarnation) -> Result<LargeRecord, StoreError> {
        let sealed = seal_header(key, mailbox, &self.nonce, &self.header, self.raw_length)?;
        let mut start = Vec::with_capacity(PRELUDE + self.header_length);
        push_prelude(&mut start, &self.nonce, self.at, self.raw_length, sealed.len());
        start.extend_from_slice(&sealed);
        self.file.write_all_at(&start, 0).map_err(StoreError::io("write", &self.unfinished.0))?;
        Ok(LargeRecord { unfinished: self.unfinished, length: self.at, raw_length: self.raw_length })
    }
}

/// A finished record in a file of its own, not yet part of the store.
#[derive(Debug)]
pub struct LargeRecord {
    unfinished: Unfinished,
    pub(in crate::store) length: u64,
    /// Bytes of the raw message.
    pub raw_length: u64,
}

impl LargeRecord {
    pub(in crate::store) fn path(&self) -> &Path {
        &self.unfinished.0
    }
}
