//! Staging a commit: checks and the resulting keys are computed over a view; nothing is written here. Pure.

use super::commit::{Body, Commit, Expect, Op};
use super::keys::{self, Key};
use super::uid_index::{self, UidEntry};
use super::{StoreError, codec};
use crate::domain::folder::FolderCounts;
use crate::domain::message::BodyLocation;
use crate::domain::{FolderId, Incarnation, Message, MessageId, Submission};
use crate::events::EventDraft;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Where the packs of a mailbox end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct PackState {
    /// The pack that is appended to; 0: none yet.
    pub(super) current: u32,
    /// How long it is.
    pub(super) end: u64,
    /// The highest number given to any pack.
    pub(super) highest: u32,
}

/// Bytes that a staged commit adds to a pack.
pub(super) struct Append {
    pub(super) mailbox: Incarnation,
    pub(super) pack: u32,
    pub(super) offset: u64,
    pub(super) body: Body,
}

impl Append {
    /// Whether this record begins where another one ended.
    pub(super) fn follows(&self, mailbox: Incarnation, pack: u32, end: u64) -> bool {
        let is_record = matches!(self.body, Body::Record(_));
        is_record && self.mailbox == mailbox && self.pack == pack && self.offset == end
    }
}

/// A view of the keyspace: what is stored, overlaid by what earlier commits of the group changed.
pub(super) trait View {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
}

/// Changes over a view.
pub(super) struct Overlay<'v> {
    below: &'v dyn View,
    pub(super) changes: Changes,
    pub(super) appends: Vec<Append>,
    pack_limit: u64,
    derived: Derived,
}

/// Rows that follow from a commit's messages and that many of them share: kept decoded until the commit is staged.
#[derive(Default)]
struct Derived {
    chunks: BTreeMap<Key, Vec<UidEntry>>,
    counts: BTreeMap<Key, FolderCounts>,
    packs: BTreeMap<Key, PackState>,
}

impl View for Overlay<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        overlaid(&self.changes, self.below, key)
    }
}

pub(super) type Changes = BTreeMap<Key, Option<Vec<u8>>>;

fn overlaid(changes: &Changes, below: &dyn View, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    match changes.get(key) {
        Some(changed) => Ok(changed.clone()),
        None => below.get(key),
    }
}

impl<'v> Overlay<'v> {
    pub(super) fn over(below: &'v dyn View, pack_limit: u64) -> Self {
        Self { below, changes: BTreeMap::new(), appends: Vec::new(), pack_limit, derived: Derived::default() }
    }

    /// Checks a commit and stages its changes. On an error nothing of this overlay may be used.
    pub(super) fn stage(&mut self, commit: Commit) -> Result<Vec<EventDraft>, StoreError> {
        self.check_owner(&commit)?;
        let mailbox = commit.mailbox;
        for op in commit.ops {
            match op {
                Op::Put { key, expect, payload } => self.put_row(key, expect, &payload)?,
                Op::Delete { key, expect } => {
                    if expect != Expect::Any {
                        self.check(&key, expect)?;
                    }
                    self.settle()?;
                    self.changes.insert(key, None);
                }
                Op::Set { key, value } => {
                    self.settle()?;
                    self.set(key, value)?;
                }
                Op::AddMessage { message, body } => self.add_message(owned(mailbox)?, *message, body)?,
                Op::ReplaceMessage { message } => self.replace_message(owned(mailbox)?, &message)?,
                Op::RemoveMessage { message } => self.remove_message(owned(mailbox)?, message)?,
                Op::AddSubmission { submission, body } => {
                    self.add_submission(owned(mailbox)?, *submission, body)?;
                }
                Op::Counter { name, at_least } => {
                    let key = keys::meta(name);
                    let known = match self.get(&key)? {
                        Some(bytes) => codec::unpack("counter", &bytes)?,
                        None => 0,
                    };
                    self.set(key, codec::pack(&at_least.max(known))?)?;
                }
            }
        }
        self.settle()?;
        Ok(commit.events)
    }

    /// Writes the derived rows down: before an operation that may name one of them, and at the end.
    fn settle(&mut self) -> Result<(), StoreError> {
        let Derived { chunks, counts, packs } = std::mem::take(&mut self.derived);
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
        Ok(())
    }

    fn check_owner(&self, commit: &Commit) -> Result<(), StoreError> {
        let Some(mailbox) = commit.mailbox else { return Ok(()) };
        if self.get(&keys::incarnation(mailbox))?.is_none() {
            return Err(StoreError::Stale);
        }
        let Some(owner) = commit.owner else { return Ok(()) };
        match self.get(&keys::epoch(owner.mailbox, owner.role.byte()))? {
            Some(bytes) if codec::unpack::<u64>("owner epoch", &bytes)? == owner.epoch => Ok(()),
            _ => Err(StoreError::Stale),
        }
    }

    fn check(&self, key: &[u8], expect: Expect) -> Result<u64, StoreError> {
        let present = match self.get(key)? {
            Some(bytes) => Some(codec::split_row(&bytes)?.0),
            None => None,
        };
        match (expect, present) {
            (Expect::Any, present) => Ok(present.unwrap_or(0)),
            (Expect::Absent, None) => Ok(0),
            (Expect::Generation(wanted), Some(is)) if wanted == is => Ok(is),
            (Expect::Absent | Expect::Generation(_), _) => Err(StoreError::Conflict),
        }
    }

    fn put_row(&mut self, key: Key, expect: Expect, payload: &[u8]) -> Result<(), StoreError> {
        let generation = self.check(&key, expect)?.saturating_add(1);
        self.set(key, codec::join_row(generation, payload))
    }

    fn set(&mut self, key: Key, value: Vec<u8>) -> Result<(), StoreError> {
        if value.len() > codec::MAX_VALUE {
            return Err(StoreError::TooLarge { bytes: value.len() });
        }
        self.changes.insert(key, Some(value));
        Ok(())
    }

    fn add_message(
        &mut self,
        mailbox: Incarnation,
        mut message: Message,
        body: Option<Body>,
    ) -> Result<(), StoreError> {
        let entry = UidEntry { uid: message.uid, message: message.id, flags_digest: message.flags.digest() };
        self.edit_chunk(mailbox, &message, |entries| {
            if uid_index::insert(entries, entry) {
                Ok(())
            } else {
                Err(StoreError::DuplicateUid { uid: entry.uid })
            }
        })?;
        if let Some(body) = body {
            message.body = Some(self.allocate(mailbox, body)?);
        }
        self.changes.insert(keys::listing(mailbox, message.folder, message.id), Some(Vec::new()));
        self.changes
            .insert(keys::quarantine(mailbox, message.folder, message.folder_incarnation, message.uid), None);
        self.count(mailbox, message.folder, None, Some(&message))?;
        self.set(keys::message(mailbox, message.id), codec::pack(&message)?)
    }

    /// New flags, or a new place (folder, UID) of a message that is stored.
    fn replace_message(&mut self, mailbox: Incarnation, message: &Message) -> Result<(), StoreError> {
        let known = self.message(mailbox, message.id)?;
        self.edit_chunk(mailbox, &known, |entries| {
            uid_index::remove(entries, known.uid);
            Ok(())
        })?;
        let entry = UidEntry { uid: message.uid, message: message.id, flags_digest: message.flags.digest() };
        self.edit_chunk(mailbox, message, |entries| {
            if uid_index::insert(entries, entry) {
                Ok(())
            } else {
                Err(StoreError::DuplicateUid { uid: entry.uid })
            }
        })?;
        self.changes.insert(keys::listing(mailbox, known.folder, known.id), None);
        self.changes.insert(keys::listing(mailbox, message.folder, message.id), Some(Vec::new()));
        self.count(mailbox, known.folder, Some(&known), None)?;
        self.count(mailbox, message.folder, None, Some(message))?;
        self.set(keys::message(mailbox, message.id), codec::pack(message)?)
    }

    fn remove_message(&mut self, mailbox: Incarnation, id: MessageId) -> Result<(), StoreError> {
        let known = self.message(mailbox, id)?;
        self.edit_chunk(mailbox, &known, |entries| {
            uid_index::remove(entries, known.uid);
            Ok(())
        })?;
        self.changes.insert(keys::listing(mailbox, known.folder, id), None);
        self.changes.insert(keys::message(mailbox, id), None);
        self.count(mailbox, known.folder, Some(&known), None)
    }

    fn add_submission(
        &mut self,
        mailbox: Incarnation,
        mut submission: Submission,
        body: Body,
    ) -> Result<(), StoreError> {
        submission.body = self.allocate(mailbox, body)?;
        let key = keys::submission(mailbox, submission.id);
        self.put_row(key, Expect::Absent, &super::outbox::encode_accepted(&submission)?)
    }

    fn message(&self, mailbox: Incarnation, id: MessageId) -> Result<Message, StoreError> {
        let bytes = self.get(&keys::message(mailbox, id))?.ok_or(StoreError::Conflict)?;
        codec::unpack("message", &bytes)
    }

    fn edit_chunk(
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

    fn count(
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
    fn allocate(&mut self, mailbox: Incarnation, body: Body) -> Result<BodyLocation, StoreError> {
        let state = match self.derived.packs.entry(keys::packs(mailbox)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let stored = overlaid(&self.changes, self.below, place.key())?;
                let none = Ok(PackState::default());
                place.insert(stored.map_or(none, |bytes| codec::unpack("pack state", &bytes))?)
            }
        };
        let length = body.len();
        let (pack, offset) = match &body {
            Body::Large(_) => {
                state.highest = state.highest.saturating_add(1);
                (state.highest, 0)
            }
            Body::Record(_) => {
                if state.current == 0 || state.end.saturating_add(length) > self.pack_limit {
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
        Ok(BodyLocation { pack, offset, length })
    }
}

fn owned(mailbox: Option<Incarnation>) -> Result<Incarnation, StoreError> {
    mailbox.ok_or_else(|| codec::corrupt("a commit of messages that names no mailbox"))
}
