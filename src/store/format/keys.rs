//! Key layouts of the one keyspace. Ordered and prefixed: what is read together lies together.
//!
//! | prefix | key | value |
//! |---|---|---|
//! | `m` | name | counters and the schema version |
//! | `a` | app id | app, sealed |
//! | `y` | app id | what was found out about the app |
//! | `j` | app id | the last replacement of the app's credential, sealed |
//! | `b` | mailbox id | mailbox and its incarnation |
//! | `i` | incarnation | mailbox id |
//! | `o` | incarnation, role | owner epoch |
//! | `g` | incarnation | grant, sealed |
//! | `h` | incarnation | password of an SMTP login of its own, sealed |
//! | `d` | incarnation | states and diagnoses shown for the mailbox |
//! | `f` | incarnation, folder | folder |
//! | `c` | incarnation, folder | counts of the folder |
//! | `u` | incarnation, folder, folder incarnation, chunk | UID index (see `uid_index`) |
//! | `q` | incarnation, folder, folder incarnation, UID | quarantined message and why |
//! | `r` | incarnation, message | message record |
//! | `l` | incarnation, folder, message | nothing: order of a folder's list |
//! | `v` | incarnation, message | message that vanished and may turn up elsewhere |
//! | `p` | incarnation | where the packs end |
//! | `x` | incarnation, pack | how much of the pack is in use |
//! | `t` | incarnation, submission | submission |
//! | `s` | incarnation, submission | nothing: it is open, there is something left to do about it |
//! | `k` | incarnation, digest | submission of an idempotency key |
//! | `w` | sign-in | sign-in under way, sealed |
//! | `0` | incarnation | which sign-in holds the refresh token that was handed in last |
//! | `3` | incarnation, sign-in | nothing: it is of this mailbox |
//! | `1` | incarnation | which sign-in moves it to another app |
//! | `2` | key of a sealed row, generation, number | a further piece of a value that is long |
//! | `n` | invitation or alert | mail that was sent to people about it |
//! | `z` | incarnation | erasure under way |
//! | `e` | sequence | events |

use crate::domain::ids::SignInId;
use crate::domain::{AppId, FolderId, Incarnation, MailboxId, MessageId, SubmissionId, Uid};

/// A key of the keyspace.
pub(in crate::store) type Key = Vec<u8>;

struct Builder(Key);

impl Builder {
    fn new(prefix: u8) -> Self {
        let mut key = Vec::with_capacity(48);
        key.push(prefix);
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

/// Prefixes of everything that belongs to one mailbox, followed by its incarnation.
pub(in crate::store) const PER_MAILBOX: &[u8] = b"odghfcuqrlvpxtsk013";

/// Whether a key is that of an erasure under way.
pub(in crate::store) fn is_erasure(key: &[u8]) -> bool {
    key.first() == Some(&b'z')
}

/// Whether a key is that of a sealed row, whose value may be long.
pub(in crate::store) fn is_sealed(key: &[u8]) -> bool {
    key.first().is_some_and(|prefix| b"ajghw".contains(prefix))
}

/// A further piece of a row's value.
pub(in crate::store) fn piece(row: &[u8], generation: u64, number: u8) -> Key {
    Builder::new(b'2').bytes(row).bytes(&generation.to_be_bytes()).bytes(&[number]).0
}
pub(in crate::store) fn meta(name: &str) -> Key {
    Builder::new(b'm').bytes(name.as_bytes()).0
}
pub(in crate::store) fn app(id: &AppId) -> Key {
    Builder::new(b'a').bytes(id.as_str().as_bytes()).0
}
pub(in crate::store) fn app_facts(id: &AppId) -> Key {
    Builder::new(b'y').bytes(id.as_str().as_bytes()).0
}
pub(in crate::store) fn rotation(id: &AppId) -> Key {
    Builder::new(b'j').bytes(id.as_str().as_bytes()).0
}
pub(in crate::store) fn rotations() -> Key {
    vec![b'j']
}
pub(in crate::store) fn apps() -> Key {
    vec![b'a']
}
pub(in crate::store) fn mailbox(id: &MailboxId) -> Key {
    Builder::new(b'b').bytes(id.as_str().as_bytes()).0
}
pub(in crate::store) fn mailboxes() -> Key {
    vec![b'b']
}
pub(in crate::store) fn incarnation(incarnation: Incarnation) -> Key {
    Builder::new(b'i').mailbox(incarnation).0
}
pub(in crate::store) fn epoch(incarnation: Incarnation, role: u8) -> Key {
    Builder::new(b'o').mailbox(incarnation).bytes(&[role]).0
}
pub(in crate::store) fn grant(incarnation: Incarnation) -> Key {
    Builder::new(b'g').mailbox(incarnation).0
}
pub(in crate::store) fn smtp_password(incarnation: Incarnation) -> Key {
    Builder::new(b'h').mailbox(incarnation).0
}
pub(in crate::store) fn status(incarnation: Incarnation) -> Key {
    Builder::new(b'd').mailbox(incarnation).0
}
pub(in crate::store) fn folder(incarnation: Incarnation, folder: FolderId) -> Key {
    Builder::new(b'f').mailbox(incarnation).folder(folder).0
}
pub(in crate::store) fn counts(incarnation: Incarnation, folder: FolderId) -> Key {
    Builder::new(b'c').mailbox(incarnation).folder(folder).0
}
pub(in crate::store) fn uid_chunks(mailbox: Incarnation, folder: FolderId, incarnation: u32) -> Key {
    Builder::new(b'u').mailbox(mailbox).folder(folder).u32(incarnation).0
}
pub(in crate::store) fn uid_chunk(
    mailbox: Incarnation,
    folder: FolderId,
    incarnation: u32,
    chunk: u32,
) -> Key {
    Builder::new(b'u').mailbox(mailbox).folder(folder).u32(incarnation).u32(chunk).0
}
pub(in crate::store) fn quarantines(mailbox: Incarnation, folder: FolderId, incarnation: u32) -> Key {
    Builder::new(b'q').mailbox(mailbox).folder(folder).u32(incarnation).0
}
pub(in crate::store) fn quarantine(
    mailbox: Incarnation,
    folder: FolderId,
    incarnation: u32,
    uid: Uid,
) -> Key {
    Builder::new(b'q').mailbox(mailbox).folder(folder).u32(incarnation).u32(uid).0
}
pub(in crate::store) fn message(mailbox: Incarnation, message: MessageId) -> Key {
    Builder::new(b'r').mailbox(mailbox).message(message).0
}
pub(in crate::store) fn listing(mailbox: Incarnation, folder: FolderId, message: MessageId) -> Key {
    Builder::new(b'l').mailbox(mailbox).folder(folder).message(message).0
}
pub(in crate::store) fn listings(mailbox: Incarnation, folder: FolderId) -> Key {
    Builder::new(b'l').mailbox(mailbox).folder(folder).0
}
pub(in crate::store) fn vanished(mailbox: Incarnation, message: MessageId) -> Key {
    Builder::new(b'v').mailbox(mailbox).message(message).0
}
pub(in crate::store) fn packs(mailbox: Incarnation) -> Key {
    Builder::new(b'p').mailbox(mailbox).0
}
pub(in crate::store) fn pack_use(mailbox: Incarnation, pack: u32) -> Key {
    Builder::new(b'x').mailbox(mailbox).u32(pack).0
}
pub(in crate::store) fn submission(mailbox: Incarnation, submission: SubmissionId) -> Key {
    Builder::new(b't').mailbox(mailbox).bytes(&submission.0.to_bytes()).0
}
pub(in crate::store) fn open_submission(mailbox: Incarnation, submission: SubmissionId) -> Key {
    Builder::new(b's').mailbox(mailbox).bytes(&submission.0.to_bytes()).0
}
pub(in crate::store) fn idempotency(mailbox: Incarnation, digest: &[u8]) -> Key {
    Builder::new(b'k').mailbox(mailbox).bytes(digest).0
}
pub(in crate::store) fn sign_in(id: SignInId) -> Key {
    Builder::new(b'w').bytes(&id.0.to_bytes()).0
}
pub(in crate::store) fn sign_ins() -> Key {
    vec![b'w']
}
pub(in crate::store) fn sign_ins_of(mailbox: Incarnation) -> Key {
    Builder::new(b'3').mailbox(mailbox).0
}
pub(in crate::store) fn sign_in_of(mailbox: Incarnation, id: SignInId) -> Key {
    Builder::new(b'3').mailbox(mailbox).bytes(&id.0.to_bytes()).0
}
pub(in crate::store) fn take_over(mailbox: Incarnation) -> Key {
    Builder::new(b'0').mailbox(mailbox).0
}
pub(in crate::store) fn moves() -> Key {
    Builder::new(b'1').0
}
pub(in crate::store) fn moving(mailbox: Incarnation) -> Key {
    Builder::new(b'1').mailbox(mailbox).0
}
pub(in crate::store) fn invitation(mailbox: Incarnation) -> Key {
    Builder::new(b'n').bytes(b"i").mailbox(mailbox).0
}
pub(in crate::store) fn alert(code: &str, app: &str) -> Key {
    Builder::new(b'n').bytes(b"a").bytes(code.as_bytes()).bytes(&[0]).bytes(app.as_bytes()).0
}
pub(in crate::store) fn notices() -> Key {
    vec![b'n']
}
pub(in crate::store) fn erasure(mailbox: Incarnation) -> Key {
    Builder::new(b'z').mailbox(mailbox).0
}
pub(in crate::store) fn erasures() -> Key {
    vec![b'z']
}
pub(in crate::store) fn event(sequence: u64) -> Key {
    Builder::new(b'e').bytes(&sequence.to_be_bytes()).0
}
pub(in crate::store) fn events() -> Key {
    vec![b'e']
}
pub(in crate::store) fn is_event(key: &[u8]) -> bool {
    key.first() == Some(&b'e')
}
/// The prefix of one topic of one mailbox.
pub(in crate::store) fn topic(prefix: u8, mailbox: Incarnation) -> Key {
    Builder::new(prefix).mailbox(mailbox).0
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
