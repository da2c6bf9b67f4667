//! Compaction: a pack of which most is referred to by nobody is copied, what is left of it, to the current one; then
//! it is removed. The committer changes each reference together with its copy, and counts what is in use: a pack with
//! nothing in use is never referred to again.

use super::commit::{Body, Commit, Expect, Op, Vanished};
use crate::domain::message::BodyLocation;
use crate::domain::{Incarnation, Message};
use crate::store::error::StoreError;
use crate::store::files::{Prelude, RecordReader};
use crate::store::format::{PackState, PackUse, Topic, codec, keys, submission_row};
use crate::store::handle::Store;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Bytes of records that one commit moves: other commits do not wait long for it.
const AT_ONCE: u64 = 4 << 20;
/// A pack that is being written is left alone while it is smaller.
const WORTHWHILE: u64 = 1 << 20;

/// What a compaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Packs that were removed.
    pub packs: u64,
    /// Their bytes.
    pub freed: u64,
    /// Bytes that were copied for it.
    pub copied: u64,
}

impl Store {
    /// Compacts a mailbox's packs of which at least this share (0 to 1) is dead. A small pack that is being written
    /// stays. Reads and waits: not for an arbiter.
    ///
    /// # Errors
    /// As [`Store::commit`], or [`StoreError::Vault`]. What was done until then is done.
    pub fn compact(&self, mailbox: Incarnation, dead: f64) -> Result<Compacted, StoreError> {
        let mut done = Compacted::default();
        let Some(row) = self.get(&keys::packs(mailbox))? else { return Ok(done) };
        let state: PackState = codec::unpack("pack state", &row)?;
        for pack in self.inner.packs.numbers(mailbox)? {
            // a higher one belongs to a commit under way
            if pack > state.highest {
                continue;
            }
            let path = self.inner.packs.path(mailbox, pack);
            let size = std::fs::metadata(&path).map_err(StoreError::io("read", &path))?.len();
            let used = self.in_use(mailbox, pack)?;
            if used.records > 0 && share(used.bytes, size) > 1.0 - dead {
                continue;
            }
            if pack == state.current {
                if size < WORTHWHILE {
                    continue;
                }
                self.roll(mailbox, pack)?;
            }
            if used.records > 0 {
                done.copied = done.copied.saturating_add(self.move_out(mailbox, pack, size)?);
            }
            if self.in_use(mailbox, pack)?.records == 0 {
                self.remove_pack(mailbox, pack)?;
                done.packs = done.packs.saturating_add(1);
                done.freed = done.freed.saturating_add(size);
            }
        }
        Ok(done)
    }

    /// Lets the next record begin another pack.
    fn roll(&self, mailbox: Incarnation, pack: u32) -> Result<(), StoreError> {
        let mut commit = Commit::of_mailbox(mailbox);
        commit.ops.push(Op::RollPack { pack });
        self.commit_blocking(commit).map(drop)
    }

    fn in_use(&self, mailbox: Incarnation, pack: u32) -> Result<PackUse, StoreError> {
        let row = self.get(&keys::pack_use(mailbox, pack))?;
        row.map_or(Ok(PackUse::default()), |row| codec::unpack("use of a pack", &row))
    }

    /// Copies what is in use; how many bytes.
    fn move_out(&self, mailbox: Incarnation, pack: u32, size: u64) -> Result<u64, StoreError> {
        let key = self.mailbox_key(mailbox)?;
        let file = self.inner.packs.file(mailbox, pack)?;
        let (mut offset, mut copied, mut pending) = (0, 0_u64, 0_u64);
        let mut commit = Commit::of_mailbox(mailbox);
        while offset < size {
            let length = Prelude::read(&file, offset)?.record_length;
            let id = RecordReader::open(&key, mailbox, Arc::clone(&file), offset)?.header.id;
            let from = BodyLocation { pack, offset, length };
            if self.is_referred_to(mailbox, id, from)? {
                let body = Body::Record(bytes_at(&file, from)?);
                commit.ops.push(Op::MoveBody { id, from, body });
                pending = pending.saturating_add(length);
            }
            offset = offset.saturating_add(length);
            if pending >= AT_ONCE || (offset >= size && pending > 0) {
                self.commit_blocking(std::mem::replace(&mut commit, Commit::of_mailbox(mailbox)))?;
                StoreError::fault_point("compact.moved")?;
                copied = copied.saturating_add(std::mem::take(&mut pending));
            }
        }
        Ok(copied)
    }

    fn is_referred_to(
        &self,
        mailbox: Incarnation,
        id: ulid::Ulid,
        place: BodyLocation,
    ) -> Result<bool, StoreError> {
        let mut found = false;
        for_each_body(self.db(), mailbox, Some(id), |body| found |= body == place)?;
        Ok(found)
    }

    /// Removes a pack that nobody refers to, durably.
    fn remove_pack(&self, mailbox: Incarnation, pack: u32) -> Result<(), StoreError> {
        // durable before the file goes: a start must not find references to it
        let mut commit = Commit::of_mailbox(mailbox);
        commit.ops.push(Op::Delete { key: keys::pack_use(mailbox, pack), expect: Expect::Any });
        self.commit_blocking(commit)?;
        StoreError::fault_point("compact.before_unlink")?;
        self.inner.packs.remove(mailbox, pack)
    }
}

#[allow(clippy::cast_precision_loss)] // a share, of sizes far below 2^52
fn share(used: u64, size: u64) -> f64 {
    used as f64 / size.max(1) as f64
}

fn bytes_at(file: &File, place: BodyLocation) -> Result<Vec<u8>, StoreError> {
    let length =
        usize::try_from(place.length).map_err(|_| StoreError::corrupt("a record of an impossible length"))?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, place.offset)
        .map_err(StoreError::io("read", std::path::Path::new("a pack")))?;
    Ok(bytes)
}

/// Where the bodies of a mailbox's messages and submissions are: of all of them, or of those with this id.
fn for_each_body(
    db: &sled::Db,
    mailbox: Incarnation,
    id: Option<ulid::Ulid>,
    mut see: impl FnMut(BodyLocation),
) -> Result<(), StoreError> {
    let rows = |topic: Topic| {
        let mut key = keys::topic(topic, mailbox);
        key.extend(id.iter().flat_map(ulid::Ulid::to_bytes));
        db.scan_prefix(key).values().map(|value| value.map_err(StoreError::sled))
    };
    // a message moves between the first two, so that who looks for one looks twice
    for (pass, topic) in [Topic::Vanished, Topic::Message, Topic::Vanished].into_iter().enumerate() {
        if pass == 2 && id.is_none() {
            break;
        }
        for value in rows(topic) {
            let message = if topic == Topic::Vanished {
                codec::unpack::<Vanished>("message set aside", &value?).map(|aside| aside.message)
            } else {
                codec::unpack::<Message>("message", &value?)
            };
            message?.body.into_iter().for_each(&mut see);
        }
    }
    for value in rows(Topic::Submission) {
        see(submission_row::decode(codec::split_row(&value?)?.1)?.body);
    }
    Ok(())
}

/// How much of each pack is in use, counted from the rows.
pub(in crate::store) fn count_uses(
    db: &sled::Db,
    mailbox: Incarnation,
) -> Result<BTreeMap<u32, PackUse>, StoreError> {
    let mut uses: BTreeMap<u32, PackUse> = BTreeMap::new();
    for_each_body(db, mailbox, None, |body| uses.entry(body.pack).or_default().add(body))?;
    Ok(uses)
}
