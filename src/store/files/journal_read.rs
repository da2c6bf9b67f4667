//! Reading the journal: which rows it holds, whether it is whole, and whether sled has lost any of them.

use super::{durable_file, journal_rows};
use crate::store::error::StoreError;
use crate::store::format::keys;
use memchr::memmem;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Its name in the data directory.
pub(in crate::store) const FILE: &str = "journal";
pub(in crate::store) const MAGIC: [u8; 4] = *b"STJ1";
/// Bytes of a frame before its rows.
pub(in crate::store) const PRELUDE: usize = 4 + 4 + 4 + 8;
/// A value's length where the row was removed.
pub(in crate::store) const REMOVED: u32 = u32::MAX;
/// What sled holds instead of a group where it was made anew: the journal is older than that.
pub(in crate::store) const REBUILT: u64 = u64::MAX;
/// Bytes of a group's number.
const GROUP: usize = 8;

/// Where a row's value lies.
struct Place {
    offset: u64,
    length: usize,
}

/// The rows of a journal, as its last frames left them.
pub(in crate::store) struct Copy {
    path: PathBuf,
    file: File,
    rows: BTreeMap<Vec<u8>, Place>,
    last_group: u64,
    /// Where the last frame begins and ends.
    last: (u64, u64),
    /// What the last frame changed or removed.
    last_keys: BTreeSet<Vec<u8>>,
    is_whole: bool,
    /// Bytes behind the last frame that are none: one was being written when the machine or the process ended.
    cut_off: usize,
}

impl Copy {
    /// Reads a journal; `None` if there is none.
    pub(in crate::store) fn read(path: &Path) -> Result<Option<Self>, StoreError> {
        let Some(bytes) = durable_file::read_if_there(path)? else { return Ok(None) };
        let file = File::open(path).map_err(StoreError::io("open", path))?;
        let path = path.to_path_buf();
        let mut copy = Self {
            path,
            file,
            rows: BTreeMap::new(),
            last_group: 0,
            last: (0, 0),
            last_keys: BTreeSet::new(),
            is_whole: true,
            cut_off: 0,
        };
        let (mut at, mut is_gap, mut last) = (0, false, None);
        while at < bytes.len() {
            match frame(bytes.get(at..).unwrap_or_default()) {
                Some(body) => {
                    copy.is_whole &= !is_gap;
                    copy.take(body, at);
                    last = Some(body);
                    let end = at.saturating_add(12).saturating_add(body.len());
                    copy.last = (at as u64, end as u64);
                    at = end;
                }
                None => {
                    // one that was cut off at the end, or damage: what lies behind that is of use all the same
                    is_gap = true;
                    let behind = bytes.get(at.saturating_add(1)..).unwrap_or_default();
                    let next = memmem::find(behind, &MAGIC);
                    at = next.map_or(bytes.len(), |next| at.saturating_add(1).saturating_add(next));
                }
            }
        }
        copy.cut_off = usize::try_from(copy.last.1).map_or(0, |end| bytes.len().saturating_sub(end));
        copy.last_keys = last.into_iter().flat_map(rows_of).map(|(key, _)| key.to_vec()).collect();
        Ok(Some(copy))
    }

    /// Takes the rows of the frame that begins at `at`.
    fn take(&mut self, body: &[u8], at: usize) {
        let Some((group, _)) = body.split_first_chunk() else { return };
        self.last_group = self.last_group.max(u64::from_le_bytes(*group));
        let mut offset = at.saturating_add(PRELUDE);
        for (key, value) in rows_of(body) {
            let begin = offset.saturating_add(6).saturating_add(key.len());
            match value {
                Some(value) => {
                    let place = Place { offset: begin as u64, length: value.len() };
                    self.rows.insert(key.to_vec(), place);
                }
                None => drop(self.rows.remove(key)),
            }
            offset = begin.saturating_add(value.map_or(0, <[u8]>::len));
        }
    }

    /// The last group of commits that changed anything here.
    pub(in crate::store) fn last_group(&self) -> u64 {
        self.last_group
    }

    /// Where the frames of all groups up to `applied` end, if this is a copy of them and of at most one more.
    pub(in crate::store) fn end_of(&self, applied: u64) -> Option<u64> {
        let (begin, end) = self.last;
        match self.last_group.checked_sub(applied).filter(|_| self.is_whole)? {
            0 => Some(end),
            1 => Some(begin),
            _ => None,
        }
    }

    /// Bytes of a frame that was cut off at the end.
    pub(in crate::store) fn cut_off(&self) -> usize {
        self.cut_off
    }

    /// Whether every frame could be read, up to one that was cut off at the end.
    pub(in crate::store) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// How many rows there are.
    pub(in crate::store) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it speaks of nothing: no group of commits changed anything here.
    pub(in crate::store) fn is_empty(&self) -> bool {
        self.is_whole && self.last_group == 0 && self.rows.is_empty()
    }

    /// Whether there is such a row.
    pub(in crate::store) fn contains(&self, key: &[u8]) -> bool {
        self.rows.contains_key(key)
    }

    /// A row's value.
    pub(in crate::store) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.rows.get(key).map(|place| self.value(place)).transpose()
    }

    /// All rows.
    pub(in crate::store) fn rows(&self) -> impl Iterator<Item = Result<(&[u8], Vec<u8>), StoreError>> {
        self.rows.iter().map(|(key, place)| Ok((key.as_slice(), self.value(place)?)))
    }

    fn value(&self, place: &Place) -> Result<Vec<u8>, StoreError> {
        let mut value = vec![0; place.length];
        self.file.read_exact_at(&mut value, place.offset).map_err(StoreError::io("read", &self.path))?;
        Ok(value)
    }

    /// Whether the last group changed this row, and it is one more than sled has: then nobody heard of it.
    pub(in crate::store) fn is_unheard(&self, key: &[u8], applied: u64) -> bool {
        self.last_group == applied.saturating_add(1) && self.last_keys.contains(key)
    }

    /// Whether sled lacks groups that were told to be durable.
    pub(in crate::store) fn is_ahead(&self, applied: u64) -> bool {
        applied != REBUILT && self.last_group > applied.saturating_add(1)
    }

    /// Whether these are all rows that sled should have, which has all groups up to `applied`.
    pub(in crate::store) fn is_complete(&self, applied: u64) -> bool {
        self.is_whole && applied != REBUILT && self.last_group >= applied
    }

    /// Whether sled, which has all groups up to `applied`, has the same rows.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if it lost some of them, or has some that were removed.
    pub(in crate::store) fn compare(&self, db: &sled::Db, applied: u64) -> Result<(), StoreError> {
        if self.is_ahead(applied) {
            return Err(lost(format!("{} groups of commits", self.last_group.saturating_sub(applied))));
        }
        if !self.is_complete(applied) {
            return Ok(());
        }
        for (key, place) in self.rows.iter().filter(|(key, _)| !self.is_unheard(key, applied)) {
            let is = db.get(key).map_err(StoreError::sled)?;
            if is.as_deref() != Some(self.value(place)?.as_slice()) {
                return Err(lost(format!("row {}", keys::shown(key))));
            }
        }
        for row in journal_rows::lasting(db) {
            let (key, _) = row?;
            if !self.contains(&key) && !self.is_unheard(&key, applied) {
                return Err(lost(format!("that row {} was removed", keys::shown(&key))));
            }
        }
        Ok(())
    }
}

/// What is wrong with sled, and what to do.
fn lost(what: impl std::fmt::Display) -> StoreError {
    StoreError::corrupt(format!("the state lost what was durable: {what}; it comes back from the journal"))
}

/// What follows the checksum of the frame that begins here, if it is one and whole.
fn frame(bytes: &[u8]) -> Option<&[u8]> {
    let rest = bytes.strip_prefix(&MAGIC)?;
    let (length, rest) = rest.split_first_chunk()?;
    let (checksum, rest) = rest.split_first_chunk()?;
    let body = rest.get(..usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    (crc32fast::hash(body) == u32::from_le_bytes(*checksum)).then_some(body)
}

/// The rows of a frame: each key, and its value unless it was removed.
fn rows_of(body: &[u8]) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    let mut rest = body.get(GROUP..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (key, value, after) = row(rest)?;
        rest = after;
        Some((key, value))
    })
}

/// The first row: its key, its value unless it was removed, and what follows.
type First<'b> = (&'b [u8], Option<&'b [u8]>, &'b [u8]);

fn row(bytes: &[u8]) -> Option<First<'_>> {
    let (key_length, rest) = bytes.split_first_chunk()?;
    let (value_length, rest) = rest.split_first_chunk()?;
    let (key, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*key_length)))?;
    match u32::from_le_bytes(*value_length) {
        REMOVED => Some((key, None, rest)),
        length => {
            let (value, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            Some((key, Some(value), rest))
        }
    }
}
