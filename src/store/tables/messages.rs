//! Verbs about messages: add, change, remove, list, read.

use crate::domain::{FolderId, Incarnation, Message, MessageId, Timestamp};
use crate::store::crypto::Key;
use crate::store::engine::{Body, Commit, Op, Vanished};
use crate::store::error::StoreError;
use crate::store::files::RecordReader;
use crate::store::format::{Topic, codec, keys};
use crate::store::handle::Store;
use std::ops::Deref;

/// Which messages a list holds; all conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct MessageFilter {
    /// In this folder.
    pub folder: Option<FolderId>,
    /// Not older.
    pub since: Option<Timestamp>,
    /// Older.
    pub before: Option<Timestamp>,
    /// Part of the sender's name or address, without regard to case.
    pub from: Option<String>,
    /// Part of the subject, without regard to case.
    pub subject: Option<String>,
    /// Without `\Seen`, or with.
    pub unseen: Option<bool>,
    /// With an attachment, or without.
    pub has_attachment: Option<bool>,
    /// With this Message-ID.
    pub message_id: Option<String>,
}

/// One page of a list.
#[derive(Clone, Debug, Default)]
pub struct FolderPage {
    /// The messages, newest first.
    pub messages: Vec<Message>,
    /// The last id looked at, if there may be more.
    pub next: Option<MessageId>,
}

impl Commit {
    /// Adds a message and its sealed body, or one that was set aside and has its body already. Refused if the folder
    /// has its UID already.
    pub fn add_message(&mut self, message: Message, body: Option<Body>) {
        self.ops.push(Op::AddMessage { message: Box::new(message), body });
    }

    /// Changes flags or place (folder, UID) of a stored message; its body stays where it is.
    pub fn replace_message(&mut self, message: Message) {
        self.ops.push(Op::ReplaceMessage { message: Box::new(message) });
    }

    /// Removes a message.
    pub fn remove_message(&mut self, message: MessageId) {
        self.ops.push(Op::RemoveMessage { message });
    }

    /// Takes a message out of its folder and keeps it aside in case it turns up in another.
    pub fn set_aside(&mut self, message: MessageId, since: Timestamp) {
        self.ops.push(Op::SetAside { message, since });
    }

    /// Forgets a message that was set aside: it is believed deleted.
    pub fn forget_aside(&mut self, message: MessageId) {
        self.ops.push(Op::ForgetAside { message });
    }
}

impl Store {
    /// A message; `None` if there is none of this id.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn message(&self, mailbox: Incarnation, id: MessageId) -> Result<Option<Message>, StoreError> {
        self.get(&keys::message(mailbox, id))?.map(|bytes| codec::unpack("message", &bytes)).transpose()
    }

    /// Messages by (`internal_date`, id) descending, after the one named.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn list_messages(
        &self,
        mailbox: Incarnation,
        filter: &MessageFilter,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<FolderPage, StoreError> {
        let prefix = match filter.folder {
            Some(folder) => keys::listings(mailbox, folder),
            None => keys::topic(Topic::Message, mailbox),
        };
        let end = match after {
            Some(id) => [prefix.as_slice(), &id.0.to_bytes()].concat(),
            None => [prefix.as_slice(), &[0xff; 17]].concat(),
        };
        let mut page = FolderPage::default();
        for entry in self.db().range(prefix..end).rev() {
            let (key, _) = entry.map_err(StoreError::sled)?;
            let id =
                MessageId(keys::trailing_ulid(&key).ok_or_else(|| StoreError::corrupt("a message key"))?);
            let Some(message) = self.message(mailbox, id)? else { continue };
            if filter.since.is_some_and(|since| message.internal_date < since) {
                return Ok(page);
            }
            if filter.accepts(&message) {
                if page.messages.len() == limit {
                    page.next = page.messages.last().map(|last| last.id);
                    return Ok(page);
                }
                page.messages.push(message);
            }
        }
        Ok(page)
    }

    /// Stored messages with this INTERNALDATE: ids begin with it, so that a moved or copied message's twin
    /// is found without an index of its own.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn messages_at(&self, mailbox: Incarnation, date: Timestamp) -> Result<Vec<Message>, StoreError> {
        let millis = MessageId::at(date).0.timestamp_ms();
        let bound = |random| MessageId(ulid::Ulid::from_parts(millis, random));
        let range = keys::message(mailbox, bound(0))..=keys::message(mailbox, bound(u128::MAX));
        self.db()
            .range(range)
            .values()
            .map(|value| codec::unpack("message", &value.map_err(StoreError::sled)?))
            .collect()
    }

    /// Messages that are set aside.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn set_aside(&self, mailbox: Incarnation) -> Result<Vec<Vanished>, StoreError> {
        self.db()
            .scan_prefix(keys::topic(Topic::Vanished, mailbox))
            .values()
            .map(|value| codec::unpack("message set aside", &value.map_err(StoreError::sled)?))
            .collect()
    }

    /// Opens a raw message for reading, frame by frame. Reads the disk: not for an arbiter.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], [`StoreError::Vault`] or [`StoreError::Io`].
    pub fn open_body<K: Deref<Target = Key>>(
        &self,
        key: K,
        mailbox: Incarnation,
        body: crate::domain::message::BodyLocation,
    ) -> Result<RecordReader<K>, StoreError> {
        let file = self.inner.packs.file(mailbox, body.pack)?;
        RecordReader::open(key, mailbox, file, body.offset)
    }

    /// [`Store::open_body`] of a message; `None` if it is gone or has no body. Compaction may take the body to
    /// another place between the reading of the record and the opening of the pack: then it is opened there.
    ///
    /// # Errors
    /// As [`Store::open_body`].
    pub fn open_message<K: Deref<Target = Key> + Clone>(
        &self,
        key: K,
        mailbox: Incarnation,
        message: &Message,
    ) -> Result<Option<RecordReader<K>>, StoreError> {
        let mut place = message.body;
        while let Some(body) = place {
            let error = match self.open_body(key.clone(), mailbox, body) {
                Ok(reader) => return Ok(Some(reader)),
                Err(error) => error,
            };
            place = self.message(mailbox, message.id)?.and_then(|message| message.body);
            if place == Some(body) {
                return Err(error);
            }
        }
        Ok(None)
    }

    /// A whole raw message. Reads the disk: not for an arbiter.
    ///
    /// # Errors
    /// As [`Store::open_body`].
    pub fn read_body(
        &self,
        mailbox: Incarnation,
        body: crate::domain::message::BodyLocation,
    ) -> Result<Vec<u8>, StoreError> {
        let key = self.mailbox_key(mailbox)?;
        self.open_body(&key, mailbox, body)?.read_all()
    }
}

impl MessageFilter {
    fn accepts(&self, message: &Message) -> bool {
        let contains = |text: &str, part: &str| text.to_lowercase().contains(&part.to_lowercase());
        let from = |part: &String| {
            message.envelope.from.iter().any(|address| {
                contains(&address.address, part)
                    || address.name.as_deref().is_some_and(|name| contains(name, part))
            })
        };
        let subject =
            |part: &String| message.envelope.subject.as_deref().is_some_and(|text| contains(text, part));
        self.before.is_none_or(|before| message.internal_date < before)
            && self.from.as_ref().is_none_or(from)
            && self.subject.as_ref().is_none_or(subject)
            && self.unseen.is_none_or(|unseen| unseen != message.flags.seen())
            && self.has_attachment.is_none_or(|has| has == message.envelope.has_attachments)
            && self.message_id.as_ref().is_none_or(|id| message.envelope.message_id.as_ref() == Some(id))
    }
}
