//! From a fetched message to what the store takes: parsed, compressed, sealed. On the workers.

use super::envelope;
use super::workers::{Work, Workers};
use crate::clock;
use crate::domain::mailbox::Policy;
use crate::domain::{Flags, Folder, Incarnation, Message, MessageId, MessageState, Timestamp, Uid};
use crate::imap::connection::FetchedMessage;
use crate::imap::protocol::ImapError;
use crate::net::{ByteBudget, Share};
use crate::store::{Body, Key, RecordHeader, RecordKind, Store, encode_record};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How far ahead of ours a sender's clock may be, in milliseconds, before its date is none: a day.
const AHEAD: i64 = 24 * 3600 * 1000;
/// Where fetched messages belong.
#[derive(Clone)]
pub(in crate::imap) struct Target {
    pub(in crate::imap) store: Store,
    pub(in crate::imap) mailbox: Incarnation,
    pub(in crate::imap) key: Arc<Key>,
    pub(in crate::imap) folder: Folder,
    pub(in crate::imap) budget: ByteBudget,
    pub(in crate::imap) workers: Workers,
    pub(in crate::imap) policy: Policy,
    /// Messages that could not be read in the way that their sizes suggest.
    pub(in crate::imap) other_way: Arc<BTreeSet<Uid>>,
}

impl Target {
    /// Has work done for this mailbox.
    pub(in crate::imap) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Work<T> {
        self.workers.run(self.mailbox, work)
    }
}

/// A message that is ready for the store, with its share of the budget.
pub(in crate::imap) struct Prepared {
    pub(in crate::imap) message: Message,
    /// `None`: only its header is kept.
    pub(in crate::imap) body: Option<Body>,
    pub(in crate::imap) bytes: u64,
    pub(in crate::imap) share: Share,
}

/// A response, its share of the budget held.
pub(in crate::imap) struct Fetched {
    pub(in crate::imap) message: FetchedMessage,
    /// It is the header of a message of this size, as the server tells it.
    pub(in crate::imap) header_of: Option<u64>,
    pub(in crate::imap) share: Share,
}

/// Does work for one message; a panic fails that message alone.
pub(super) fn guarded<T>(uid: Uid, work: impl FnOnce() -> Result<T, ImapError>) -> Result<T, ImapError> {
    let work = || {
        crate::faults::message("imap.prepare", uid);
        work()
    };
    // the panic hook logs it
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    done.unwrap_or(Err(ImapError::Unprocessable { uid }))
}

/// Parses, compresses and seals one message. On the workers.
pub(in crate::imap) fn prepare(target: &Target, fetched: Fetched) -> Result<Option<Prepared>, ImapError> {
    let Fetched { message: fetched, header_of, share } = fetched;
    let FetchedMessage { uid, flags, internal_date, body, .. } = fetched;
    let (Some(uid), Some(body)) = (uid, body) else { return Ok(None) };
    guarded(uid, || {
        let message = message(target, uid, flags.unwrap_or_default(), internal_date, &body.bytes);
        if header_of.is_some() || message.size > target.policy.max_message {
            let size = header_of.unwrap_or(message.size);
            return Ok(Some(headers_only(message, size, share)));
        }
        sealed(target, message, &body.bytes, share).map(Some)
    })
}

/// A message whose body goes into a pack.
pub(in crate::imap) fn sealed(
    target: &Target,
    message: Message,
    raw: &[u8],
    mut share: Share,
) -> Result<Prepared, ImapError> {
    let header = record_header(&message, &target.folder.path);
    let record = encode_record(&target.key, target.mailbox, &header, raw)?;
    target.budget.shrink(&mut share, record.len());
    let bytes = record.len() as u64;
    Ok(Prepared { message, body: Some(Body::Record(record)), bytes, share })
}

/// A message whose body is larger than the policy wants it kept.
pub(super) fn headers_only(message: Message, size: u64, share: Share) -> Prepared {
    let message = Message { state: MessageState::Headers, size, ..message };
    Prepared { message, body: None, bytes: 0, share }
}

/// What is known of a message whose beginning this is; `date` is its INTERNALDATE, where it has one.
pub(in crate::imap) fn message(
    target: &Target,
    uid: Uid,
    flags: Flags,
    date: Option<Timestamp>,
    raw: &[u8],
) -> Message {
    let envelope = envelope::parse(raw);
    let now = clock::now();
    // a date that no message can have is none: the server's, then the sender's, counts
    let is_date = |date: &Timestamp| date.0 > 0 && date.0 <= now.0.saturating_add(AHEAD);
    let date = date.or(envelope.date.filter(is_date)).unwrap_or(now);
    Message {
        id: MessageId::at(date),
        folder: target.folder.id,
        folder_incarnation: target.folder.incarnation,
        uid_validity: target.folder.uid_validity.unwrap_or_default(),
        uid,
        flags,
        size: raw.len() as u64,
        internal_date: date,
        envelope,
        state: MessageState::Stored,
        copy_of: None,
        body: None,
    }
}

pub(super) fn record_header(message: &Message, path: &str) -> RecordHeader {
    let kind = RecordKind::Message {
        folder: message.folder,
        path: path.to_owned(),
        folder_incarnation: message.folder_incarnation,
        uid_validity: message.uid_validity,
        uid: message.uid,
        flags: message.flags.clone(),
        internal_date: message.internal_date,
    };
    RecordHeader { id: message.id.0, kind }
}
