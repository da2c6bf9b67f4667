//! A second copy of what nobody could bring back if sled's file were damaged: settings, sign-ins, what is still to be
//! sent and what was sent lately (see `journal_rows`). sled gives all of its rows or none; mail comes back from the packs, and this from here.
//!
//! One file of frames, each the rows that one group of commits changed. A frame is durable before sled's batch is
//! written, so that the copy is never behind. The file is written anew from sled at a start and when it has grown.
//!
//! ```text
//! frame   magic 4 · length of what follows the checksum u32 · its CRC-32 u32 · group u64 · row…
//! row     key length u16 · value length u32 (all ones: removed) · key · value
//! ```
//! Numbers are little-endian.

use super::journal_read::{Copy, FILE, MAGIC, PRELUDE, REBUILT, REMOVED};
use super::{durable_file, journal_rows};
use crate::clock;
use crate::store::engine::{Changes, overlay};
use crate::store::error::StoreError;
use crate::store::format::{Key, Topic, codec, keys};
use std::fs;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Bytes of rows in a frame of a file that is written anew.
const CHUNK: usize = 1 << 20;
/// A file is written anew when it is so many times as long as it was, and longer than [`SMALL`].
const GROWTH: u64 = 4;
const SMALL: u64 = if cfg!(test) { 1 << 20 } else { 16 << 20 };

/// A file that speaks of an erased mailbox is written anew when it is that old.
const OUTDATED: Duration = Duration::from_secs(60);

/// A state that was made anew begins at the next multiple of this: a journal of before is older, whatever it counts.
const ERA: u64 = 1 << 32;

/// The number of the last group that changed a row that is kept, in sled.
pub(in crate::store) fn applied() -> Key {
    keys::meta("journal")
}

/// The last group that sled has; [`REBUILT`] if it was made anew.
pub(in crate::store) fn applied_by(db: &dyn overlay::View) -> Result<u64, StoreError> {
    let bytes = db.get(&applied())?;
    bytes.map_or(Ok(0), |bytes| codec::unpack("group of the journal", &bytes))
}

/// The file, open for writing.
pub(in crate::store) struct Journal {
    path: PathBuf,
    file: File,
    length: u64,
    /// How long it may become.
    limit: u64,
    group: u64,
    written_at: Instant,
    /// A mailbox was erased, of which the file still speaks.
    is_outdated: bool,
}

impl Journal {
    /// Compares the copy with what sled opened, and begins it anew.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if sled lost something that it had made durable.
    pub(in crate::store) fn open(db: &sled::Db, data_dir: &Path) -> Result<Self, StoreError> {
        let path = data_dir.join(FILE);
        let applied = applied_by(db)?;
        let copy = Copy::read(&path)?;
        if let Some(copy) = &copy {
            copy.compare(db, applied)?;
        }
        if copy.as_ref().is_some_and(|copy| !copy.is_whole()) {
            let aside = data_dir.join(format!("{FILE}.damaged-{}", ulid::Ulid::new()));
            fs::rename(&path, &aside).map_err(StoreError::io("rename", &path))?;
            tracing::warn!(path = %aside.display(), "the journal is damaged and kept aside, it is written anew");
        }
        if let Some(bytes) = copy.as_ref().map(Copy::cut_off).filter(|bytes| *bytes > 0) {
            tracing::info!(bytes, "the end of the journal was cut off while it was written, and is left out");
        }
        if applied != REBUILT {
            let anew = Self::anew(db, path.clone(), applied);
            return match (anew, copy.and_then(|copy| copy.end_of(applied))) {
                // on a full disk the one that is there serves
                (Err(StoreError::Full { .. }), Some(end)) => Self::go_on(path, end, applied),
                (anew, _) => anew,
            };
        }
        let era = copy.map_or(0, |copy| copy.last_group()) / ERA;
        let journal = Self::anew(db, path, era.saturating_add(1).saturating_mul(ERA))?;
        db.insert(self::applied(), codec::pack(&journal.group)?).map_err(StoreError::sled)?;
        db.flush().map_err(StoreError::sled)?;
        Ok(journal)
    }

    /// Goes on with the file that is there, of which so much counts.
    fn go_on(path: PathBuf, length: u64, group: u64) -> Result<Self, StoreError> {
        let file = File::options().write(true).open(&path).map_err(StoreError::io("open", &path))?;
        file.set_len(length).and_then(|()| file.sync_all()).map_err(StoreError::io("cut", &path))?;
        Ok(Self::of(path, file, length, group))
    }

    fn of(path: PathBuf, file: File, length: u64, group: u64) -> Self {
        let limit = length.saturating_mul(GROWTH).max(SMALL);
        Self { path, file, length, limit, group, written_at: clock::monotonic(), is_outdated: false }
    }

    /// Writes the file anew; until it is whole the one before stays.
    fn anew(db: &sled::Db, path: PathBuf, group: u64) -> Result<Self, StoreError> {
        let (file, length) = write_anew(db, &fresh(&path), group)?;
        Self::place(path, file, length, group)
    }

    /// Gives a file that is whole the journal's name.
    fn place(path: PathBuf, file: File, length: u64, group: u64) -> Result<Self, StoreError> {
        // refused before anything is changed, if it is refused
        let folder = durable_file::open_parent(&path)?;
        fs::rename(fresh(&path), &path).map_err(StoreError::io("rename", &path))?;
        durable_file::sync_folder(&folder, &path)?;
        Ok(Self::of(path, file, length, group))
    }

    /// Adds what a group changes, durably; the group's number, if it changes anything that is kept.
    ///
    /// # Errors
    /// [`StoreError::Full`]: nothing was added; [`StoreError::Io`].
    pub(in crate::store) fn append(&mut self, changes: &Changes) -> Result<Option<u64>, StoreError> {
        let group = self.group.saturating_add(1);
        let mut frame = Frame::begin(group);
        let now = clock::now();
        for (key, value) in changes {
            if let Some(value) = journal_rows::kept(changes, key, value.as_deref(), now) {
                frame.row(key, value);
            }
        }
        if frame.bytes.len() == PRELUDE {
            return Ok(None);
        }
        let bytes = frame.finish();
        if let Err(error) = self.file.write_all_at(&bytes, self.length) {
            self.take_back();
            return Err(StoreError::io("write", &self.path)(error));
        }
        StoreError::fault_point("commit.journal_written")?;
        if !crate::faults::skips_syncs() {
            // never tried again, for whatever it failed: see `committer`
            let failed = |source| StoreError::Io { what: "sync", path: self.path.clone(), source };
            self.file.sync_data().map_err(failed)?;
        }
        self.length = self.length.saturating_add(bytes.len() as u64);
        self.group = group;
        self.is_outdated |=
            changes.iter().any(|(key, value)| Topic::of(key) == Some(Topic::Erasure) && value.is_none());
        Ok(Some(group))
    }

    /// Frees the space of a frame that could not be written whole. If it fails, it is overwritten later.
    fn take_back(&self) {
        if let Err(error) = self.file.set_len(self.length) {
            tracing::debug!(%error, "a frame that was cut off stays until it is overwritten");
        }
    }

    /// Writes the file anew if it has grown, or speaks of mailboxes that were erased. To be called when sled has what was
    /// appended.
    ///
    /// # Errors
    /// [`StoreError::Io`] if it is not known which file has the name.
    pub(in crate::store) fn tidy(&mut self, db: &sled::Db) -> Result<(), StoreError> {
        let is_due = self.is_outdated && self.written_at.elapsed() > OUTDATED;
        if self.length < self.limit && !is_due {
            return Ok(());
        }
        let anew = write_anew(db, &fresh(&self.path), self.group).map(|written| {
            let (file, length) = written;
            Self::place(self.path.clone(), file, length, self.group)
        });
        match anew {
            Ok(Ok(journal)) => *self = journal,
            Ok(Err(error)) if !error.is_passing() => return Err(error),
            Ok(Err(error)) | Err(error) => {
                tracing::warn!(%error, "the journal cannot be written anew, it grows on");
                self.limit = self.length.saturating_mul(2);
                self.written_at = clock::monotonic();
            }
        }
        Ok(())
    }
}

/// Where the file is written that takes the place of this one.
fn fresh(path: &Path) -> PathBuf {
    path.with_extension("new")
}

/// Writes all that is kept to a file of its own, durably; the file and its length. What cannot be written whole is not
/// left.
fn write_anew(db: &sled::Db, fresh: &Path, group: u64) -> Result<(File, u64), StoreError> {
    write_all(db, fresh, group).inspect_err(|_| drop(fs::remove_file(fresh)))
}

fn write_all(db: &sled::Db, fresh: &Path, group: u64) -> Result<(File, u64), StoreError> {
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(fresh)
        .map_err(StoreError::opening(fresh))?;
    let mut length: u64 = 0;
    let mut write = |frame: Frame| {
        let bytes = frame.finish();
        length = length.saturating_add(bytes.len() as u64);
        file.write_all(&bytes).map_err(StoreError::io("write", fresh))
    };
    let mut frame = Frame::begin(group);
    for row in journal_rows::all(db, clock::now()) {
        let (key, value) = row?;
        frame.row(&key, Some(&value));
        if frame.bytes.len() >= CHUNK {
            write(std::mem::replace(&mut frame, Frame::begin(group)))?;
        }
    }
    write(frame)?;
    file.sync_all().map_err(StoreError::io("sync", fresh))?;
    Ok((file, length))
}

struct Frame {
    bytes: Vec<u8>,
}

impl Frame {
    fn begin(group: u64) -> Self {
        let mut bytes = Vec::with_capacity(4096);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&group.to_le_bytes());
        Self { bytes }
    }

    fn row(&mut self, key: &[u8], value: Option<&[u8]>) {
        // keys and values are far shorter than their lengths can say: see `codec::MAX_VALUE`
        let key_length = u16::try_from(key.len()).unwrap_or(u16::MAX);
        let value_length = value.map_or(REMOVED, |value| u32::try_from(value.len()).unwrap_or(REMOVED));
        self.bytes.extend_from_slice(&key_length.to_le_bytes());
        self.bytes.extend_from_slice(&value_length.to_le_bytes());
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value.unwrap_or_default());
    }

    fn finish(mut self) -> Vec<u8> {
        let body = self.bytes.get(12..).unwrap_or_default();
        let (length, checksum) = (u32::try_from(body.len()).unwrap_or(u32::MAX), crc32fast::hash(body));
        for (place, number) in [(4..8, length), (8..12, checksum)] {
            if let Some(bytes) = self.bytes.get_mut(place) {
                bytes.copy_from_slice(&number.to_le_bytes());
            }
        }
        self.bytes
    }
}

#[cfg(test)]
pub(in crate::store) mod tests {
    use super::*;
    use crate::store::engine::open_sled;

    /// Writes a data directory's journal anew, without some of its rows.
    pub(in crate::store) fn without(data_dir: &Path, is_left_out: impl Fn(&[u8]) -> bool) {
        let path = data_dir.join(FILE);
        let copy = Copy::read(&path).unwrap().unwrap();
        let mut frame = Frame::begin(copy.last_group());
        for (key, value) in copy.rows().map(Result::unwrap).filter(|(key, _)| !is_left_out(key)) {
            frame.row(key, Some(&value));
        }
        fs::write(&path, frame.finish()).unwrap();
    }

    fn change(key: &[u8], value: &[u8]) -> Changes {
        Changes::from([(key.to_vec(), Some(value.to_vec()))])
    }

    #[test]
    fn a_file_that_cannot_be_written_anew_is_gone_on_with_after_what_sled_has() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let db = open_sled(&dir.path().join("state"), 1 << 20).unwrap();
        let mut journal = Journal::open(&db, dir.path()).unwrap();
        let group = journal.append(&change(b"ba", b"1")).unwrap().unwrap();
        assert_eq!(journal.append(&change(b"ra", b"a message")).unwrap(), None, "nothing that is kept");
        db.insert(b"ba", b"1").unwrap();
        db.insert(applied(), codec::pack(&group).unwrap()).unwrap();
        // of this one nobody heard: the process ended before sled had it
        journal.append(&change(b"bb", b"2")).unwrap();
        let end = |applied| Copy::read(&path).unwrap().unwrap().end_of(applied);
        let length = fs::metadata(&path).unwrap().len();
        assert_eq!(end(group + 1), Some(length));
        assert!(end(group).is_some_and(|end| end < length));
        assert_eq!((end(group - 1), end(group + 2)), (None, None), "of other times");
        let mut journal = Journal::go_on(path.clone(), end(group).unwrap(), group).unwrap();
        assert_eq!(journal.append(&change(b"bc", b"3")).unwrap(), Some(group + 1));
        let copy = Copy::read(&path).unwrap().unwrap();
        let rows: Vec<_> =
            copy.rows().map(|row| row.map(|(key, value)| (key.to_vec(), value)).unwrap()).collect();
        assert_eq!(rows, [(b"ba".to_vec(), b"1".to_vec()), (b"bc".to_vec(), b"3".to_vec())]);
    }
}
