//! Staging a commit: checks and the resulting keys are computed over a view; nothing is written here. Pure.

use super::commit::{Body, Commit, Expect, Op, Vanished};
use super::overlay::{Overlay, View};
use crate::domain::message::BodyLocation;
use crate::domain::{Incarnation, Message, MessageId, Submission, SubmissionId, Timestamp};
use crate::events::EventDraft;
use crate::store::error::StoreError;
use crate::store::format::{Key, Topic, UidEntry, codec, keys, overflow, submission_row, uid_index};
use ulid::Ulid;

impl Overlay<'_> {
    /// Checks a commit and stages its changes. On an error nothing of this overlay may be used.
    pub(in crate::store) fn stage(&mut self, commit: Commit) -> Result<Vec<EventDraft>, StoreError> {
        self.check_owner(&commit)?;
        let mailbox = commit.mailbox;
        for op in commit.ops {
            match op {
                Op::Put { key, expect, payload } => self.put_row(key, expect, &payload)?,
                Op::PutSealed { key, expect, payload } => self.put_sealed(key, expect, &payload)?,
                Op::Require { key, expect } => {
                    self.check(&key, expect)?;
                }
                Op::Delete { key, expect } => {
                    if expect != Expect::Any {
                        self.check(&key, expect)?;
                    }
                    self.settle()?;
                    self.drop_pieces(&key)?;
                    self.changes.insert(key, None);
                }
                Op::Set { key, value } => {
                    self.settle()?;
                    self.set(key, value)?;
                }
                Op::AddMessage { message, body } => self.add_message(owned(mailbox)?, *message, body)?,
                Op::ReplaceMessage { message } => self.replace_message(owned(mailbox)?, &message)?,
                Op::RemoveMessage { message } => {
                    let known = self.remove_message(owned(mailbox)?, message)?;
                    self.drop_body(owned(mailbox)?, known.body)?;
                }
                Op::SetAside { message, since } => self.set_aside(owned(mailbox)?, message, since)?,
                Op::ForgetAside { message } => {
                    let aside = self.take_aside(owned(mailbox)?, message)?;
                    self.drop_body(owned(mailbox)?, aside.and_then(|aside| aside.message.body))?;
                }
                Op::RollPack { pack } => self.roll(owned(mailbox)?, pack)?,
                Op::MoveBody { id, from, body } => self.move_body(owned(mailbox)?, id, from, body)?,
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
            Some(bytes) => Some(overflow::head(&bytes)?.generation),
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

    fn put_sealed(&mut self, key: Key, expect: Expect, payload: &[u8]) -> Result<(), StoreError> {
        let generation = self.check(&key, expect)?.saturating_add(1);
        self.drop_pieces(&key)?;
        overflow::rows(key, generation, payload)?
            .into_iter()
            .try_for_each(|(key, value)| self.set(key, value))
    }

    /// Removes what follows a row that is long.
    fn drop_pieces(&mut self, key: &[u8]) -> Result<(), StoreError> {
        if Topic::of(key).is_some_and(Topic::is_sealed)
            && let Some(bytes) = self.get(key)?
        {
            let pieces = overflow::pieces(key, &bytes)?;
            self.changes.extend(pieces.into_iter().map(|piece| (piece, None)));
        }
        Ok(())
    }

    pub(in crate::store) fn set(&mut self, key: Key, value: Vec<u8>) -> Result<(), StoreError> {
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
        message.body = match body {
            Some(body) => Some(self.allocate(mailbox, body)?),
            // a message that turned up again brings its body; where that is now, only we know
            None => match self.take_aside(mailbox, message.id)? {
                Some(aside) => aside.message.body,
                None if message.body.is_none() => None,
                None => return Err(StoreError::Conflict),
            },
        };
        self.changes.insert(keys::listing(mailbox, message.folder, message.id), Some(Vec::new()));
        self.changes
            .insert(keys::quarantine(mailbox, message.folder, message.folder_incarnation, message.uid), None);
        self.count(mailbox, message.folder, None, Some(&message))?;
        self.set(keys::message(mailbox, message.id), codec::pack(&message)?)
    }

    /// New flags, or a new place (folder, UID) of a message that is stored.
    fn replace_message(&mut self, mailbox: Incarnation, message: &Message) -> Result<(), StoreError> {
        let known = self.message(mailbox, message.id)?;
        // it may have been moved to another pack since whoever asks read it
        let message = &Message { body: known.body, ..message.clone() };
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

    /// Takes a message out; its body is the caller's.
    fn remove_message(&mut self, mailbox: Incarnation, id: MessageId) -> Result<Message, StoreError> {
        let known = self.message(mailbox, id)?;
        self.edit_chunk(mailbox, &known, |entries| {
            uid_index::remove(entries, known.uid);
            Ok(())
        })?;
        self.changes.insert(keys::listing(mailbox, known.folder, id), None);
        self.changes.insert(keys::message(mailbox, id), None);
        self.count(mailbox, known.folder, Some(&known), None)?;
        Ok(known)
    }

    fn set_aside(&mut self, mailbox: Incarnation, id: MessageId, since: Timestamp) -> Result<(), StoreError> {
        let message = self.remove_message(mailbox, id)?;
        self.set(keys::vanished(mailbox, id), codec::pack(&Vanished { message, since })?)
    }

    fn take_aside(&mut self, mailbox: Incarnation, id: MessageId) -> Result<Option<Vanished>, StoreError> {
        let key = keys::vanished(mailbox, id);
        let Some(bytes) = self.get(&key)? else { return Ok(None) };
        self.changes.insert(key, None);
        codec::unpack("message set aside", &bytes).map(Some)
    }

    fn drop_body(&mut self, mailbox: Incarnation, body: Option<BodyLocation>) -> Result<(), StoreError> {
        body.map_or(Ok(()), |place| self.count_use(mailbox, place, false))
    }

    /// Puts a copy of a record in its place, if somebody still refers to that.
    fn move_body(
        &mut self,
        mailbox: Incarnation,
        id: Ulid,
        from: BodyLocation,
        body: Body,
    ) -> Result<(), StoreError> {
        let message_key = keys::message(mailbox, MessageId(id));
        let aside_key = keys::vanished(mailbox, MessageId(id));
        let submission_key = keys::submission(mailbox, SubmissionId(id));
        let message =
            self.get(&message_key)?.map(|row| codec::unpack::<Message>("message", &row)).transpose()?;
        let aside = self
            .get(&aside_key)?
            .map(|row| codec::unpack::<Vanished>("message set aside", &row))
            .transpose()?;
        let (key, value) = if let Some(message) = message.filter(|message| message.body == Some(from)) {
            let body = Some(self.allocate(mailbox, body)?);
            (message_key, codec::pack(&Message { body, ..message })?)
        } else if let Some(mut aside) = aside.filter(|aside| aside.message.body == Some(from)) {
            aside.message.body = Some(self.allocate(mailbox, body)?);
            (aside_key, codec::pack(&aside)?)
        } else if let Some(row) = self.get(&submission_key)? {
            let (generation, payload) = codec::split_row(&row)?;
            let mut submission = submission_row::decode(payload)?;
            if submission.body != from {
                return Ok(());
            }
            submission.body = self.allocate(mailbox, body)?;
            let payload = submission_row::encode(&submission)?;
            (submission_key, codec::join_row(generation.saturating_add(1), &payload))
        } else {
            return Ok(());
        };
        self.count_use(mailbox, from, false)?;
        self.set(key, value)
    }

    fn add_submission(
        &mut self,
        mailbox: Incarnation,
        mut submission: Submission,
        body: Body,
    ) -> Result<(), StoreError> {
        submission.body = self.allocate(mailbox, body)?;
        let key = keys::submission(mailbox, submission.id);
        self.changes.insert(keys::open_submission(mailbox, submission.id), Some(Vec::new()));
        self.put_row(key, Expect::Absent, &submission_row::encode_accepted(&submission)?)
    }

    fn message(&self, mailbox: Incarnation, id: MessageId) -> Result<Message, StoreError> {
        let bytes = self.get(&keys::message(mailbox, id))?.ok_or(StoreError::Conflict)?;
        codec::unpack("message", &bytes)
    }
}

fn owned(mailbox: Option<Incarnation>) -> Result<Incarnation, StoreError> {
    mailbox.ok_or_else(|| StoreError::corrupt("a commit of messages that names no mailbox"))
}
