//! Making the state anew: every row that can be read is kept, the rows of messages are written again from
//! the readable ones and from what the packs say of themselves.
//!
//! Without a readable state every message in the packs comes back as it was when it was stored, deleted
//! ones too: the next sync puts that right. With one, only those come back that it still knows.

use super::findings::Findings;
use super::log::Followed;
use super::offline::{Offline, nothing_yet, opened};
use super::old::Old;
use super::place;
use super::salvage::{Sources, begin_log_anew};
use super::scan::Pack;
use super::second::{Second, told};
use super::writer::Writer;
use crate::domain::folder::FolderCounts;
use crate::domain::mailbox::Policy;
use crate::domain::message::{BodyLocation, Envelope};
use crate::domain::{
    Auth, Folder, FolderId, Incarnation, Mailbox, MailboxId, Message, MessageId, MessageState, Uid,
};
use crate::store::engine::{count_uses, open_sled};
use crate::store::files::{RecordHeader, RecordKind, RecordReader, journal, journal_read};
use crate::store::format::{PackState, Topic, codec, keys, uid_index};
use crate::store::tables::mailboxes;
use crate::store::{StoreConfig, StoreError, UidEntry};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// Makes the state anew. `parse` reads the envelope of a raw message.
///
/// # Errors
/// As [`super::check()`]. On an error the store is as it was.
pub fn rebuild(config: &StoreConfig, parse: fn(&[u8]) -> Envelope) -> Result<Findings, StoreError> {
    let Some(offline) = opened(config)? else { return Ok(nothing_yet(config)) };
    let opened = offline.db();
    let why = opened.as_ref().err().map(ToString::to_string);
    let old = opened.ok().map(|db| Old::new(db, offline.data_dir.join("state")));
    let fresh_dir = offline.data_dir.join("state.rebuilt");
    let mut findings = match make(&offline, old.as_ref(), &fresh_dir, parse) {
        Err(error) if old.as_ref().is_some_and(Old::has_failed) => {
            let mut findings = make(&offline, None, &fresh_dir, parse)?;
            findings.problem(format!("made without the old state, which opens and cannot be read: {error}"));
            findings
        }
        other => other?,
    };
    findings.notes.extend(why);
    drop(old);
    place::put(&offline.data_dir, &fresh_dir)?;
    if let Some(aside) = place::finish(&offline.data_dir)? {
        let aside = aside.display();
        findings.notes.push(format!("the old state is kept as {aside}: remove it when all is well"));
    }
    Ok(findings)
}

/// Writes a new state, of the old one if there is one, of the journal and of the packs.
fn make(
    offline: &Offline,
    old: Option<&Old>,
    fresh_dir: &Path,
    parse: fn(&[u8]) -> Envelope,
) -> Result<Findings, StoreError> {
    let mut findings = Findings::default();
    if fresh_dir.is_dir() {
        fs::remove_dir_all(fresh_dir).map_err(StoreError::io("remove", fresh_dir))?;
    }
    let fresh = open_sled(fresh_dir, offline.cache)?;
    let mut writer = Writer::new(fresh);
    let mut log = Followed::default();
    let second = Second::read(offline, old)?;
    let sources = Sources { offline, old, second };
    let back = sources.copy(&mut writer, &mut log, &mut findings)?;
    told(&mut findings, &back);
    writer.put(journal::applied(), codec::pack(&journal_read::REBUILT)?)?;
    writer.flush()?;
    begin_log_anew(&log, &mut writer, &mut findings)?;
    let mut newest = 0;
    for mailbox in offline.packs.folders()? {
        newest = newest.max(mailbox.0);
        let mut restored = Restored { offline, old, mailbox, parse };
        restored.restore(&mut writer, &mut findings)?;
    }
    let counter = keys::meta("incarnation");
    let known = writer.get(&counter)?.map_or(Ok(0), |bytes| codec::unpack::<u64>("counter", &bytes))?;
    writer.put(counter, codec::pack(&known.max(newest))?)?;
    writer.flush()?;
    Ok(findings)
}

/// A message's place in its folder.
type Slot = (FolderId, u32, Uid);

/// Where a message record comes from.
enum Source {
    Row(MessageId),
    Pack(Box<RecordHeader>, BodyLocation),
}

struct Restored<'a> {
    offline: &'a Offline,
    old: Option<&'a Old>,
    mailbox: Incarnation,
    parse: fn(&[u8]) -> Envelope,
}

impl Restored<'_> {
    fn restore(&mut self, writer: &mut Writer, findings: &mut Findings) -> Result<(), StoreError> {
        let mailbox = self.mailbox;
        if writer.get(&keys::erasure(mailbox))?.is_some() {
            return Ok(());
        }
        let (mut slots, mut wanted) = self.known()?;
        // sled may open what is left of a state as an empty one
        let known_to = |old: &Old| old.contains_key(&keys::incarnation(mailbox));
        let is_lost = !self.old.map_or(Ok(false), known_to)?;
        let numbers = self.offline.packs.numbers(mailbox)?;
        let highest = numbers.last().copied().unwrap_or(0);
        if numbers.is_empty() && slots.is_empty() {
            // no mail, and so nothing to restore
            let is_known = writer.get(&keys::incarnation(mailbox))?.is_some();
            findings.mailboxes = findings.mailboxes.saturating_add(u64::from(is_known));
            return Ok(());
        }
        // without the key nothing of it could be kept, and a start would take its packs for rubbish
        let give_up = |error| StoreError::Vault {
            what: format!(
                "{error}. Put the key back, or remove {} to give its mail up; nothing was changed",
                self.offline.packs.folder(mailbox).display()
            ),
        };
        let key = Arc::new(self.offline.vault.mailbox_key(mailbox).map_err(give_up)?);
        for slot in slots.values() {
            if let Source::Row(id) = slot {
                wanted.remove(id);
            }
        }
        for number in numbers {
            let path = self.offline.packs.path(mailbox, number);
            Pack::open(&key, mailbox, number, &path, None)?.walk(|seen| {
                let Ok(found) = seen else { return Ok(()) };
                findings.records = findings.records.saturating_add(1);
                findings.record_bytes = findings.record_bytes.saturating_add(found.place.length);
                let RecordKind::Message { folder, folder_incarnation, uid, .. } = &found.header.kind else {
                    return Ok(());
                };
                let id = MessageId(found.header.id);
                let slot = (*folder, *folder_incarnation, *uid);
                let is_taken = matches!(slots.get(&slot), Some(Source::Row(_)));
                if !is_taken && (is_lost || wanted.contains(&id)) {
                    // of two records for one place the later one holds
                    slots.insert(slot, Source::Pack(Box::new(found.header), found.place));
                }
                Ok(())
            })?;
        }
        self.name(writer, findings)?;
        findings.mailboxes = findings.mailboxes.saturating_add(1);
        self.write(&key, slots, writer, findings)?;
        // no record is appended to a pack whose end nobody vouches for
        let state = PackState { current: 0, end: 0, highest };
        writer.put(keys::packs(mailbox), codec::pack(&state)?)?;
        writer.flush()?;
        for (pack, used) in count_uses(&writer.db, mailbox)? {
            writer.put(keys::pack_use(mailbox, pack), codec::pack(&used)?)?;
        }
        writer.flush()
    }

    /// Readable records by their place, and the ids that UIDs lead to.
    fn known(&self) -> Result<(BTreeMap<Slot, Source>, BTreeSet<MessageId>), StoreError> {
        let (mut slots, mut wanted) = (BTreeMap::new(), BTreeSet::new());
        let Some(old) = self.old else { return Ok((slots, wanted)) };
        for value in old.values(&keys::topic(Topic::Message, self.mailbox)) {
            let Ok(message) = codec::unpack::<Message>("message", &value?) else {
                continue;
            };
            slots.insert((message.folder, message.folder_incarnation, message.uid), Source::Row(message.id));
        }
        for value in old.values(&keys::topic(Topic::UidChunk, self.mailbox)) {
            let entries = uid_index::decode(&value?).unwrap_or_default();
            wanted.extend(entries.into_iter().map(|entry| entry.message));
        }
        Ok((slots, wanted))
    }

    /// A mailbox whose configuration is lost comes back inactive, under a name that says so.
    fn name(&self, writer: &mut Writer, findings: &mut Findings) -> Result<(), StoreError> {
        let key = keys::incarnation(self.mailbox);
        if writer.get(&key)?.is_some() {
            return Ok(());
        }
        let text = format!("recovered-{}", self.mailbox.0);
        let id = MailboxId::new(text.clone()).map_err(|error| StoreError::corrupt(error.to_string()))?;
        let mailbox = Mailbox {
            id: id.clone(),
            address: format!("{text}@invalid"),
            display_name: None,
            provider: None,
            imap: None,
            smtp: None,
            auth: Auth::Password { user: text.clone() },
            policy: Policy::default(),
            owner: None,
            reference: None,
            labels: BTreeMap::new(),
            active: false,
        };
        findings.problem(format!(
            "mailbox {text}: its configuration and sign-in are lost; its mail is back. Change its address and \
             servers, sign in and activate it"
        ));
        let row = mailboxes::MailboxRow { incarnation: self.mailbox, mailbox };
        writer.put(key, codec::join_row(1, &codec::to_json(&id)?))?;
        writer.put(keys::mailbox(&id), codec::join_row(1, &codec::to_json(&row)?))?;
        writer.flush()
    }

    fn write(
        &self,
        key: &crate::store::Key,
        slots: BTreeMap<Slot, Source>,
        writer: &mut Writer,
        findings: &mut Findings,
    ) -> Result<(), StoreError> {
        let mailbox = self.mailbox;
        let mut counts: BTreeMap<FolderId, FolderCounts> = BTreeMap::new();
        let mut chunks: BTreeMap<Vec<u8>, Vec<UidEntry>> = BTreeMap::new();
        for ((folder, incarnation, uid), source) in slots {
            let Some(message) = self.message(key, source, writer, findings)? else { continue };
            findings.messages = findings.messages.saturating_add(1);
            let chunk = keys::uid_chunk(mailbox, folder, incarnation, uid_index::chunk_of(uid));
            let entry = UidEntry { uid, message: message.id, flags_digest: message.flags.digest() };
            uid_index::insert(chunks.entry(chunk).or_default(), entry);
            let count = counts.entry(folder).or_default();
            count.messages = count.messages.saturating_add(1);
            count.unseen = count.unseen.saturating_add(u64::from(!message.flags.seen()));
            count.bytes = count.bytes.saturating_add(message.size);
            writer.put(keys::listing(mailbox, folder, message.id), Vec::new())?;
            writer.put(keys::message(mailbox, message.id), codec::pack(&message)?)?;
        }
        for (key, entries) in chunks {
            writer.put(key, uid_index::encode(&entries)?)?;
        }
        for (folder, count) in counts {
            writer.put(keys::counts(mailbox, folder), codec::pack(&count)?)?;
        }
        writer.flush()
    }

    fn message(
        &self,
        key: &crate::store::Key,
        source: Source,
        writer: &mut Writer,
        findings: &mut Findings,
    ) -> Result<Option<Message>, StoreError> {
        let (header, place) = match source {
            Source::Row(id) => {
                let row =
                    self.old.map(|old| old.get(&keys::message(self.mailbox, id))).transpose()?.flatten();
                return row.map(|row| codec::unpack("message", &row)).transpose();
            }
            Source::Pack(header, place) => (*header, place),
        };
        let RecordKind::Message { folder, path, folder_incarnation, uid_validity, uid, flags, internal_date } =
            header.kind
        else {
            return Ok(None);
        };
        let file = self.offline.packs.file(self.mailbox, place.pack)?;
        let raw = RecordReader::open(key, self.mailbox, file, place.offset)?.read_all()?;
        let folder_key = keys::folder(self.mailbox, folder);
        if writer.get(&folder_key)?.is_none() {
            let row = lost_folder(folder, path, folder_incarnation, uid_validity);
            writer.put(folder_key, codec::join_row(1, &codec::to_json(&row)?))?;
            writer.flush()?;
        }
        findings.notes.push(format!("message {} is back", MessageId(header.id)));
        Ok(Some(Message {
            id: MessageId(header.id),
            folder,
            folder_incarnation,
            uid_validity,
            uid,
            flags,
            size: raw.len() as u64,
            internal_date,
            envelope: (self.parse)(&raw),
            state: MessageState::Stored,
            copy_of: None,
            body: Some(place),
        }))
    }
}

/// A folder as its messages name it; the next LIST completes it.
fn lost_folder(id: FolderId, path: String, incarnation: u32, uid_validity: u32) -> Folder {
    Folder {
        id,
        server_name: path.as_str().into(),
        path,
        role: None,
        selectable: true,
        included: true,
        uid_validity: Some(uid_validity),
        incarnation,
        first_uid_next: None,
        history_complete: false,
        rematch_from: None,
        missing_lists: 0,
        apart: None,
        is_chosen: false,
    }
}
