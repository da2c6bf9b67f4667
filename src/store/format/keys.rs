//! Key layouts of the one keyspace. Ordered and prefixed: what is read together lies together.
//! What the topics are is said in `topic`.

use super::topic::Topic;
use crate::domain::ids::SignInId;
use crate::domain::{AppId, FolderId, Incarnation, MailboxId, MessageId, SubmissionId, Uid};

/// A key of the keyspace.
pub(in crate::store) type Key = Vec<u8>;

struct Builder(Key);

impl Builder {
    fn new(topic: Topic) -> Self {
        let mut key = Vec::with_capacity(48);
        key.push(topic.letter());
        Self(key)
    }
    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }
    fn mailbox(self, incarnation: Incarnation) -> Self {
        self.bytes(&incarnation.0.to_be_bytes())
    }
    fn u32(self, number: u32) -> Self {
        self.bytes(&number.to_be_bytes())
    }
    fn folder(self, folder: FolderId) -> Self {
        self.bytes(&folder.0.to_bytes())
    }
    fn message(self, message: MessageId) -> Self {
        self.bytes(&message.0.to_bytes())
    }
}

/// A further piece of a row's value.
pub(in crate::store) fn piece(row: &[u8], generation: u64, number: u8) -> Key {
    Builder::new(Topic::Piece).bytes(row).bytes(&generation.to_be_bytes()).bytes(&[number]).0
}
pub(in crate::store) fn meta(name: &str) -> Key {
    Builder::new(Topic::Meta).bytes(name.as_bytes()).0
}
pub(in crate::store) fn app(id: &AppId) -> Key {
    Builder::new(Topic::App).bytes(id.as_str().as_bytes()).0
}
pub(in crate::store) fn app_facts(id: &AppId) -> Key {
    Builder::new(Topic::AppFacts).bytes(id.as_str().as_bytes()).0
}
pub(in crate::store) fn rotation(id: &AppId) -> Key {
    Builder::new(Topic::AppRotation).bytes(id.as_str().as_bytes()).0
}
pub(in crate::store) fn rotations() -> Key {
    Topic::AppRotation.prefix()
}
pub(in crate::store) fn apps() -> Key {
    Topic::App.prefix()
}
pub(in crate::store) fn mailbox(id: &MailboxId) -> Key {
    Builder::new(Topic::Mailbox).bytes(id.as_str().as_bytes()).0
}
pub(in crate::store) fn mailboxes() -> Key {
    Topic::Mailbox.prefix()
}
pub(in crate::store) fn incarnation(incarnation: Incarnation) -> Key {
    Builder::new(Topic::Incarnation).mailbox(incarnation).0
}
pub(in crate::store) fn epoch(incarnation: Incarnation, role: u8) -> Key {
    Builder::new(Topic::OwnerEpoch).mailbox(incarnation).bytes(&[role]).0
}
pub(in crate::store) fn grant(incarnation: Incarnation) -> Key {
    Builder::new(Topic::Grant).mailbox(incarnation).0
}
pub(in crate::store) fn smtp_password(incarnation: Incarnation) -> Key {
    Builder::new(Topic::SmtpPassword).mailbox(incarnation).0
}
pub(in crate::store) fn status(incarnation: Incarnation) -> Key {
    Builder::new(Topic::Status).mailbox(incarnation).0
}
pub(in crate::store) fn folder(incarnation: Incarnation, folder: FolderId) -> Key {
    Builder::new(Topic::Folder).mailbox(incarnation).folder(folder).0
}
pub(in crate::store) fn counts(incarnation: Incarnation, folder: FolderId) -> Key {
    Builder::new(Topic::FolderCounts).mailbox(incarnation).folder(folder).0
}
pub(in crate::store) fn uid_chunks(mailbox: Incarnation, folder: FolderId, incarnation: u32) -> Key {
    Builder::new(Topic::UidChunk).mailbox(mailbox).folder(folder).u32(incarnation).0
}
pub(in crate::store) fn uid_chunk(
    mailbox: Incarnation,
    folder: FolderId,
    incarnation: u32,
    chunk: u32,
) -> Key {
    Builder::new(Topic::UidChunk).mailbox(mailbox).folder(folder).u32(incarnation).u32(chunk).0
}
pub(in crate::store) fn quarantines(mailbox: Incarnation, folder: FolderId, incarnation: u32) -> Key {
    Builder::new(Topic::Quarantine).mailbox(mailbox).folder(folder).u32(incarnation).0
}
pub(in crate::store) fn quarantine(
    mailbox: Incarnation,
    folder: FolderId,
    incarnation: u32,
    uid: Uid,
) -> Key {
    Builder::new(Topic::Quarantine).mailbox(mailbox).folder(folder).u32(incarnation).u32(uid).0
}
pub(in crate::store) fn message(mailbox: Incarnation, message: MessageId) -> Key {
    Builder::new(Topic::Message).mailbox(mailbox).message(message).0
}
pub(in crate::store) fn listing(mailbox: Incarnation, folder: FolderId, message: MessageId) -> Key {
    Builder::new(Topic::Listing).mailbox(mailbox).folder(folder).message(message).0
}
pub(in crate::store) fn listings(mailbox: Incarnation, folder: FolderId) -> Key {
    Builder::new(Topic::Listing).mailbox(mailbox).folder(folder).0
}
pub(in crate::store) fn vanished(mailbox: Incarnation, message: MessageId) -> Key {
    Builder::new(Topic::Vanished).mailbox(mailbox).message(message).0
}
pub(in crate::store) fn packs(mailbox: Incarnation) -> Key {
    Builder::new(Topic::Packs).mailbox(mailbox).0
}
pub(in crate::store) fn pack_use(mailbox: Incarnation, pack: u32) -> Key {
    Builder::new(Topic::PackUse).mailbox(mailbox).u32(pack).0
}
pub(in crate::store) fn submission(mailbox: Incarnation, submission: SubmissionId) -> Key {
    Builder::new(Topic::Submission).mailbox(mailbox).bytes(&submission.0.to_bytes()).0
}
pub(in crate::store) fn open_submission(mailbox: Incarnation, submission: SubmissionId) -> Key {
    Builder::new(Topic::OpenSubmission).mailbox(mailbox).bytes(&submission.0.to_bytes()).0
}
pub(in crate::store) fn idempotency(mailbox: Incarnation, digest: &[u8]) -> Key {
    Builder::new(Topic::IdempotencyKey).mailbox(mailbox).bytes(digest).0
}
pub(in crate::store) fn sign_in(id: SignInId) -> Key {
    Builder::new(Topic::SignIn).bytes(&id.0.to_bytes()).0
}
pub(in crate::store) fn sign_ins() -> Key {
    Topic::SignIn.prefix()
}
pub(in crate::store) fn sign_ins_of(mailbox: Incarnation) -> Key {
    Builder::new(Topic::SignInOfMailbox).mailbox(mailbox).0
}
pub(in crate::store) fn sign_in_of(mailbox: Incarnation, id: SignInId) -> Key {
    Builder::new(Topic::SignInOfMailbox).mailbox(mailbox).bytes(&id.0.to_bytes()).0
}
pub(in crate::store) fn take_over(mailbox: Incarnation) -> Key {
    Builder::new(Topic::TakeOver).mailbox(mailbox).0
}
pub(in crate::store) fn moves() -> Key {
    Builder::new(Topic::AppMigration).0
}
pub(in crate::store) fn moving(mailbox: Incarnation) -> Key {
    Builder::new(Topic::AppMigration).mailbox(mailbox).0
}
pub(in crate::store) fn invitation(mailbox: Incarnation) -> Key {
    Builder::new(Topic::Notice).bytes(b"i").mailbox(mailbox).0
}
pub(in crate::store) fn alert(code: &str, app: &str) -> Key {
    Builder::new(Topic::Notice).bytes(b"a").bytes(code.as_bytes()).bytes(&[0]).bytes(app.as_bytes()).0
}
pub(in crate::store) fn notices() -> Key {
    Topic::Notice.prefix()
}
pub(in crate::store) fn erasure(mailbox: Incarnation) -> Key {
    Builder::new(Topic::Erasure).mailbox(mailbox).0
}
pub(in crate::store) fn erasures() -> Key {
    Topic::Erasure.prefix()
}
pub(in crate::store) fn event(sequence: u64) -> Key {
    Builder::new(Topic::Event).bytes(&sequence.to_be_bytes()).0
}
pub(in crate::store) fn events() -> Key {
    Topic::Event.prefix()
}
/// The prefix of one topic of one mailbox.
pub(in crate::store) fn topic(topic: Topic, mailbox: Incarnation) -> Key {
    Builder::new(topic).mailbox(mailbox).0
}

/// The key of another topic that is built alike: an open submission's from the submission's.
pub(in crate::store) fn with_topic(key: &[u8], topic: Topic) -> Key {
    Builder::new(topic).bytes(key.get(1..).unwrap_or_default()).0
}

/// The last 16 bytes of a key: the ULID it ends in.
pub(in crate::store) fn trailing_ulid(key: &[u8]) -> Option<ulid::Ulid> {
    let start = key.len().checked_sub(16)?;
    let bytes: [u8; 16] = key.get(start..)?.try_into().ok()?;
    Some(ulid::Ulid::from_bytes(bytes))
}

/// A key as it is shown: its prefix and the rest in hex.
pub(in crate::store) fn shown(key: &[u8]) -> String {
    let (prefix, rest) = key.split_first().unwrap_or((&b'?', &[]));
    let hex: String = rest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}:{hex}", char::from(*prefix))
}

/// The last 8 bytes of a key as a number.
pub(in crate::store) fn trailing_u64(key: &[u8]) -> Option<u64> {
    let start = key.len().checked_sub(8)?;
    Some(u64::from_be_bytes(key.get(start..)?.try_into().ok()?))
}
