//! What the rows of one mailbox must be to each other, and to the mailbox's packs.

use super::findings::Findings;
use super::offline::Offline;
use super::scan::Pack;
use crate::domain::folder::FolderCounts;
use crate::domain::message::BodyLocation;
use crate::domain::{FolderId, Incarnation, MailboxId, Message, MessageId};
use crate::store::format::{PackState, PackUse, Topic, codec, keys, submission_row, uid_index};
use crate::store::tables::mailboxes;
use crate::store::{StoreError, Vanished};
use std::collections::BTreeMap;

/// Who refers to a place in a pack, how long the raw message must be, and how long the record.
type References = BTreeMap<(u32, u64), (String, u64, u64)>;

/// Looks at one mailbox. Rows that cannot be read were told already and are passed over.
pub(super) fn check(
    offline: &Offline,
    db: &sled::Db,
    mailbox: Incarnation,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    findings.mailboxes = findings.mailboxes.saturating_add(1);
    let mut looked = Looked { db, mailbox, findings, references: References::new() };
    looked.names()?;
    looked.messages()?;
    looked.index()?;
    looked.others()?;
    looked.uses()?;
    let Looked { references, .. } = looked;
    packs(offline, db, mailbox, references, findings)
}

struct Looked<'a> {
    db: &'a sled::Db,
    mailbox: Incarnation,
    findings: &'a mut Findings,
    references: References,
}

impl Looked<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<sled::IVec>, StoreError> {
        self.db.get(key).map_err(StoreError::sled)
    }

    /// The number and the name must name each other.
    fn names(&mut self) -> Result<(), StoreError> {
        let Some(row) = self.get(&keys::incarnation(self.mailbox))? else { return Ok(()) };
        let id: Result<MailboxId, _> =
            codec::split_row(&row).and_then(|(_, text)| codec::from_json("id", text));
        let Ok(id) = id else { return Ok(()) };
        let named = self.get(&keys::mailbox(&id))?.and_then(|row| mailboxes::decode(&row).ok());
        if named.is_none_or(|stored| stored.incarnation != self.mailbox) {
            self.findings.problem(format!("mailbox {id}: its configuration is missing or another's"));
        }
        Ok(())
    }

    fn messages(&mut self) -> Result<(), StoreError> {
        let mut counts: BTreeMap<FolderId, FolderCounts> = BTreeMap::new();
        for value in self.db.scan_prefix(keys::topic(Topic::Message, self.mailbox)).values() {
            let Ok(message) = codec::unpack::<Message>("message", &value.map_err(StoreError::sled)?) else {
                continue;
            };
            self.findings.messages = self.findings.messages.saturating_add(1);
            self.message(&message)?;
            let folder = counts.entry(message.folder).or_default();
            folder.messages = folder.messages.saturating_add(1);
            folder.unseen = folder.unseen.saturating_add(u64::from(!message.flags.seen()));
            folder.bytes = folder.bytes.saturating_add(message.size);
        }
        for entry in self.db.scan_prefix(keys::topic(Topic::FolderCounts, self.mailbox)) {
            let (key, value) = entry.map_err(StoreError::sled)?;
            let (Some(id), Ok(kept)) =
                (keys::trailing_ulid(&key), codec::unpack::<FolderCounts>("counts", &value))
            else {
                continue;
            };
            let real = counts.remove(&FolderId(id)).unwrap_or_default();
            if (real.messages, real.unseen, real.bytes) != (kept.messages, kept.unseen, kept.bytes) {
                self.findings
                    .problem(format!("folder {id}: {real:?} are stored, {kept:?} are kept as counts"));
            }
        }
        for id in counts.keys() {
            self.findings.problem(format!("folder {id}: has messages and no counts"));
        }
        Ok(())
    }

    fn message(&mut self, message: &Message) -> Result<(), StoreError> {
        let id = message.id;
        if self.get(&keys::listing(self.mailbox, message.folder, id))?.is_none() {
            self.findings.problem(format!("message {id}: is not in its folder's list"));
        }
        let chunk = uid_index::chunk_of(message.uid);
        let key = keys::uid_chunk(self.mailbox, message.folder, message.folder_incarnation, chunk);
        let entries = self.get(&key)?.and_then(|row| uid_index::decode(&row).ok()).unwrap_or_default();
        let digest = message.flags.digest();
        let is_indexed = |entry: &uid_index::UidEntry| {
            (entry.uid, entry.message, entry.flags_digest) == (message.uid, id, digest)
        };
        if !entries.iter().any(is_indexed) {
            self.findings.problem(format!("message {id}: UID {} does not lead to it", message.uid));
        }
        self.refer(message.body, format!("message {id}"), message.size);
        Ok(())
    }

    /// Every UID and every entry of a list leads to a message.
    fn index(&mut self) -> Result<(), StoreError> {
        let mut ids = Vec::new();
        for value in self.db.scan_prefix(keys::topic(Topic::UidChunk, self.mailbox)).values() {
            let entries = uid_index::decode(&value.map_err(StoreError::sled)?).unwrap_or_default();
            ids.extend(entries.into_iter().map(|entry| entry.message));
        }
        for key in self.db.scan_prefix(keys::topic(Topic::Listing, self.mailbox)).keys() {
            ids.extend(keys::trailing_ulid(&key.map_err(StoreError::sled)?).map(MessageId));
        }
        for id in ids {
            if self.get(&keys::message(self.mailbox, id))?.is_none() {
                self.findings.problem(format!("message {id}: is listed and has no record"));
            }
        }
        Ok(())
    }

    /// Messages set aside and submissions have bodies too.
    fn others(&mut self) -> Result<(), StoreError> {
        for value in self.db.scan_prefix(keys::topic(Topic::Vanished, self.mailbox)).values() {
            let aside = codec::unpack::<Vanished>("message set aside", &value.map_err(StoreError::sled)?);
            let Ok(Vanished { message, .. }) = aside else { continue };
            self.refer(message.body, format!("message {} (set aside)", message.id), message.size);
        }
        let is_indexed = self.get(&submission_row::is_indexed())?.is_some();
        for value in self.db.scan_prefix(keys::topic(Topic::Submission, self.mailbox)).values() {
            let value = value.map_err(StoreError::sled)?;
            let submission =
                codec::split_row(&value).and_then(|(_, payload)| submission_row::decode(payload));
            let Ok(submission) = submission else { continue };
            let is_listed = self.get(&keys::open_submission(self.mailbox, submission.id))?.is_some();
            if is_indexed && is_listed != submission_row::is_open(submission.state) {
                self.findings.problem(format!(
                    "submission {}: is {:?}, the list of open ones says otherwise",
                    submission.id, submission.state
                ));
            }
            self.refer(Some(submission.body), format!("submission {}", submission.id), submission.size);
        }
        Ok(())
    }

    /// What is counted as in use is what is referred to.
    fn uses(&mut self) -> Result<(), StoreError> {
        let mut real: BTreeMap<u32, PackUse> = BTreeMap::new();
        for ((pack, offset), (_, _, length)) in &self.references {
            real.entry(*pack).or_default().add(BodyLocation {
                pack: *pack,
                offset: *offset,
                length: *length,
            });
        }
        for entry in self.db.scan_prefix(keys::topic(Topic::PackUse, self.mailbox)) {
            let (key, value) = entry.map_err(StoreError::sled)?;
            let Ok(kept) = codec::unpack::<PackUse>("use of a pack", &value) else { continue };
            let number = key.last_chunk::<4>().map_or(0, |number| u32::from_be_bytes(*number));
            let real = real.remove(&number).unwrap_or_default();
            if real != kept {
                self.findings.problem(format!("pack {number}: {real:?} is referred to, {kept:?} is counted"));
            }
        }
        for number in real.keys() {
            self.findings.problem(format!("pack {number}: what is in use is not counted"));
        }
        Ok(())
    }

    fn refer(&mut self, body: Option<BodyLocation>, who: String, size: u64) {
        if let Some(place) = body {
            self.references.insert((place.pack, place.offset), (who, size, place.length));
        }
    }
}

fn packs(
    offline: &Offline,
    db: &sled::Db,
    mailbox: Incarnation,
    mut references: References,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let key = match offline.vault.mailbox_key(mailbox) {
        Ok(key) => key,
        Err(error) => {
            findings.problem(format!("mailbox {mailbox}: {error}"));
            return Ok(());
        }
    };
    let row = db.get(keys::packs(mailbox)).map_err(StoreError::sled)?;
    let state: PackState = row.and_then(|row| codec::unpack("pack state", &row).ok()).unwrap_or_default();
    for number in offline.packs.numbers(mailbox)?.into_iter().filter(|number| *number <= state.highest) {
        let path = offline.packs.path(mailbox, number);
        let end = (number == state.current).then_some(state.end);
        Pack::open(&key, mailbox, number, &path, end)?.walk(|seen| {
            match seen {
                Ok(found) => {
                    findings.records = findings.records.saturating_add(1);
                    findings.record_bytes = findings.record_bytes.saturating_add(found.place.length);
                    match references.remove(&(number, found.place.offset)) {
                        Some((_, size, _)) if size == found.raw_length => {}
                        Some((who, size, _)) => findings.problem(format!(
                            "{who}: should be {size} bytes, its record holds {}",
                            found.raw_length
                        )),
                        None => findings.unreferenced = findings.unreferenced.saturating_add(1),
                    }
                }
                Err(damage) => {
                    let who = references.remove(&(number, damage.offset));
                    let who = who.map_or_else(|| String::from("nobody's"), |(who, ..)| who);
                    findings.problem(format!(
                        "{} at byte {} ({who}): {}",
                        path.display(),
                        damage.offset,
                        damage.why
                    ));
                }
            }
            Ok(())
        })?;
    }
    for ((pack, offset), (who, ..)) in references {
        findings.problem(format!("{who}: no record at byte {offset} of pack {pack}"));
    }
    Ok(())
}
