//! Rows that follow from the messages of a commit: the UID index, counts, where packs end and how much of them is in
//! use. Pure.

use super::commit::Body;
use super::overlay::{Append, Derived, Overlay, overlaid};
use crate::domain::folder::FolderCounts;
use crate::domain::message::BodyLocation;
use crate::domain::{FolderId, Incarnation, Message};
use crate::store::error::StoreError;
use crate::store::format::{PackState, PackUse, UidEntry, codec, keys, uid_index};
use std::collections::btree_map::Entry;

impl Overlay<'_> {
    /// Writes the derived rows down: before an operation that may name one of them, and at the end.
    pub(in crate::store) fn settle(&mut self) -> Result<(), StoreError> {
        let Derived { chunks, counts, packs, uses } = std::mem::take(&mut self.derived);
        for (key, entries) in chunks {
            if entries.is_empty() {
                self.changes.insert(key, None);
            } else {
                self.set(key, uid_index::encode(&entries)?)?;
            }
        }
        for (key, counts) in counts {
            self.set(key, codec::pack(&counts)?)?;
        }
        for (key, state) in packs {
            self.set(key, codec::pack(&state)?)?;
        }
        for (key, used) in uses {
            self.set(key, codec::pack(&used)?)?;
        }
        Ok(())
    }

    pub(in crate::store) fn edit_chunk(
        &mut self,
        mailbox: Incarnation,
        place: &Message,
        edit: impl FnOnce(&mut Vec<UidEntry>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let chunk = uid_index::chunk_of(place.uid);
        let key = keys::uid_chunk(mailbox, place.folder, place.folder_incarnation, chunk);
        let entries = match self.derived.chunks.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let stored = overlaid(&self.changes, self.below, place.key())?;
                place.insert(stored.map_or(Ok(Vec::new()), |bytes| uid_index::decode(&bytes))?)
            }
        };
        edit(entries)
    }

    pub(in crate::store) fn count(
        &mut self,
        mailbox: Incarnation,
        folder: FolderId,
        less: Option<&Message>,
        more: Option<&Message>,
    ) -> Result<(), StoreError> {
        let counts = match self.derived.counts.entry(keys::counts(mailbox, folder)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let stored = overlaid(&self.changes, self.below, place.key())?;
                let none = Ok(FolderCounts::default());
                place.insert(stored.map_or(none, |bytes| codec::unpack("folder counts", &bytes))?)
            }
        };
        if let Some(message) = less {
            counts.messages = counts.messages.saturating_sub(1);
            counts.unseen = counts.unseen.saturating_sub(u64::from(!message.flags.seen()));
            counts.bytes = counts.bytes.saturating_sub(message.size);
        }
        if let Some(message) = more {
            counts.messages = counts.messages.saturating_add(1);
            counts.unseen = counts.unseen.saturating_add(u64::from(!message.flags.seen()));
            counts.bytes = counts.bytes.saturating_add(message.size);
        }
        Ok(())
    }

    /// Gives a body its place: at the end of the mailbox's current pack, in a new one where that is full,
    /// or as a pack of its own.
    pub(in crate::store) fn allocate(
        &mut self,
        mailbox: Incarnation,
        body: Body,
    ) -> Result<BodyLocation, StoreError> {
        let pack_limit = self.pack_limit;
        let state = self.pack_state(mailbox)?;
        let length = body.len();
        let (pack, offset) = match &body {
            Body::Large(_) => {
                state.highest = state.highest.saturating_add(1);
                (state.highest, 0)
            }
            Body::Record(_) => {
                if state.current == 0 || state.end.saturating_add(length) > pack_limit {
                    state.highest = state.highest.saturating_add(1);
                    state.current = state.highest;
                    state.end = 0;
                }
                let offset = state.end;
                state.end = state.end.saturating_add(length);
                (state.current, offset)
            }
        };
        self.appends.push(Append { mailbox, pack, offset, body });
        self.count_use(mailbox, BodyLocation { pack, offset, length }, true)?;
        Ok(BodyLocation { pack, offset, length })
    }

    /// The next record begins another pack.
    pub(in crate::store) fn roll(&mut self, mailbox: Incarnation, pack: u32) -> Result<(), StoreError> {
        let state = self.pack_state(mailbox)?;
        if state.current == pack {
            state.current = 0;
            state.end = 0;
        }
        Ok(())
    }

    fn pack_state(&mut self, mailbox: Incarnation) -> Result<&mut PackState, StoreError> {
        Ok(match self.derived.packs.entry(keys::packs(mailbox)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let stored = overlaid(&self.changes, self.below, place.key())?;
                let none = Ok(PackState::default());
                place.insert(stored.map_or(none, |bytes| codec::unpack("pack state", &bytes))?)
            }
        })
    }

    /// Notes that a record is referred to from now on, or no longer.
    pub(in crate::store) fn count_use(
        &mut self,
        mailbox: Incarnation,
        place: BodyLocation,
        is_used: bool,
    ) -> Result<(), StoreError> {
        let used = match self.derived.uses.entry(keys::pack_use(mailbox, place.pack)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => {
                let stored = overlaid(&self.changes, self.below, free.key())?;
                let none = Ok(PackUse::default());
                free.insert(stored.map_or(none, |bytes| codec::unpack("use of a pack", &bytes))?)
            }
        };
        if is_used {
            used.add(place)
        } else {
            used.take(place)
        }
        Ok(())
    }
}
