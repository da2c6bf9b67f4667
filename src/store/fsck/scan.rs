//! Walking a pack from its first byte: every record is opened and every frame of it; behind a damaged one
//! the walk goes on at the next that opens.

use crate::domain::Incarnation;
use crate::domain::message::BodyLocation;
use crate::store::files::{MAGIC, Prelude, RecordHeader, RecordReader};
use crate::store::{Key, StoreError};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// A record that is whole.
pub(super) struct Found {
    pub(super) header: RecordHeader,
    pub(super) raw_length: u64,
    pub(super) place: BodyLocation,
}

/// Bytes that are no record.
pub(super) struct Damage {
    pub(super) offset: u64,
    pub(super) why: StoreError,
}

/// A pack and the key it is sealed with.
pub(super) struct Pack<'k> {
    pub(super) key: &'k Key,
    pub(super) mailbox: Incarnation,
    pub(super) number: u32,
    pub(super) file: Arc<File>,
    /// Where the records end.
    pub(super) end: u64,
}

impl<'k> Pack<'k> {
    /// Opens a pack; without `end` it is read to its last byte.
    pub(super) fn open(
        key: &'k Key,
        mailbox: Incarnation,
        number: u32,
        path: &Path,
        end: Option<u64>,
    ) -> Result<Self, StoreError> {
        let file = File::open(path).map_err(StoreError::io("open", path))?;
        let length = file.metadata().map_err(StoreError::io("read", path))?.len();
        Ok(Self { key, mailbox, number, file: Arc::new(file), end: end.unwrap_or(length) })
    }

    /// Shows every record and every damage, in order.
    pub(super) fn walk(
        &self,
        mut see: impl FnMut(Result<Found, Damage>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut offset = 0;
        while offset < self.end {
            match self.record(offset) {
                Ok(found) => {
                    offset = offset.saturating_add(found.place.length);
                    see(Ok(found))?;
                }
                Err(why) => {
                    see(Err(Damage { offset, why }))?;
                    offset = self.next_record(offset.saturating_add(1))?;
                }
            }
        }
        Ok(())
    }

    fn record(&self, offset: u64) -> Result<Found, StoreError> {
        let length = Prelude::read(&self.file, offset)?.record_length;
        let mut reader = RecordReader::open(self.key, self.mailbox, Arc::clone(&self.file), offset)?;
        let mut bytes: u64 = 0;
        while let Some(frame) = reader.next_frame()? {
            bytes = bytes.saturating_add(frame.len() as u64);
        }
        if bytes != reader.raw_length || offset.saturating_add(length) > self.end {
            return Err(StoreError::corrupt("a record of another length than it says"));
        }
        let place = BodyLocation { pack: self.number, offset, length };
        Ok(Found { header: reader.header, raw_length: reader.raw_length, place })
    }

    /// The next place from `from` on at which a record opens, or the end.
    fn next_record(&self, from: u64) -> Result<u64, StoreError> {
        let mut buffer = vec![0; 1 << 20];
        let mut at = from;
        while at < self.end {
            let read =
                self.file.read_at(&mut buffer, at).map_err(StoreError::io("read", Path::new("pack")))?;
            let bytes = buffer.get(..read).unwrap_or_default();
            for (place, _) in bytes.windows(MAGIC.len()).enumerate().filter(|(_, four)| *four == MAGIC) {
                let offset = at.saturating_add(place as u64);
                let opened = RecordReader::open(self.key, self.mailbox, Arc::clone(&self.file), offset);
                if opened.is_ok() {
                    return Ok(offset);
                }
            }
            if read < MAGIC.len() {
                break;
            }
            at = at.saturating_add((read - MAGIC.len() + 1) as u64);
        }
        Ok(self.end)
    }
}
