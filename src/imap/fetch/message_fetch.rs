//! Fetching messages: the connection is read on the arbiter, messages are parsed, compressed and sealed by
//! the workers, and committed in batches while the next ones arrive.
//!
//! Memory is bounded by the byte budget that all mailboxes share: a message holds its share from the
//! moment it was read until it is durable, a large one from before it is read.

use super::envelope;
use super::partial_fetch::{is_longer, read_in_pieces};
use super::sizes::{Sizes, Wanted, sizes};
use super::workers::{Work, Workers};
use crate::clock;
use crate::domain::mailbox::Policy;
use crate::domain::{Flags, Folder, Incarnation, Message, MessageId, MessageState, Timestamp, Uid};
use crate::imap::connection::{Connection, FetchedMessage};
use crate::imap::protocol::ImapError;
use crate::imap::sync::{ListedMessage, uid_sets};
use crate::net::{ByteBudget, Share};
use crate::store::{Body, Key, RecordHeader, RecordKind, Store, encode_record};
use futures_util::future::join;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Bytes and messages that go to the pool together.
const BATCH_BYTES: usize = 1 << 20;
const BATCH_MESSAGES: usize = 64;
/// Batches that wait for their turn; their bytes are bounded by the budget.
const BATCHES: usize = 16;
/// Windows whose sizes are asked for together.
const SIZED: usize = 20;
/// Bytes and messages of one commit: what comes last waits for no more than that.
const COMMIT_BYTES: u64 = 8 << 20;
const COMMIT_MESSAGES: usize = 256;
/// How far ahead of ours a sender's clock may be, in milliseconds, before its date is none: a day.
const AHEAD: i64 = 24 * 3600 * 1000;
/// Longest UID set in a command: Exchange takes lines of 10,240 bytes.
pub(in crate::imap) const SET: usize = 8000;

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

/// A message on its way into the store, its share of the budget held.
pub(in crate::imap) struct Prepared {
    pub(in crate::imap) message: Message,
    /// `None`: only its header is kept.
    pub(in crate::imap) body: Option<Body>,
    pub(in crate::imap) bytes: u64,
    pub(in crate::imap) share: Share,
}

pub(in crate::imap) type Batch = Work<Result<Vec<Prepared>, ImapError>>;

/// How far a fetch came.
#[derive(Default)]
pub(in crate::imap) struct Progress {
    /// The window being read, so that a failure can be laid at its door.
    pub(in crate::imap) reading: Cell<Option<usize>>,
    /// Whose bodies came.
    pub(in crate::imap) delivered: RefCell<BTreeSet<Uid>>,
}

/// Fetches windows of UIDs, which were listed, and hands prepared messages to `commit`, in batches, in order. The next
/// window is read while the last one is prepared and committed. Where reading fails, what was read before is committed
/// all the same.
pub(in crate::imap) async fn fetch_windows<C>(
    connection: &mut Connection,
    target: &Target,
    windows: &[&[Uid]],
    listed: &[ListedMessage],
    progress: &Progress,
    commit: C,
) -> Result<(), ImapError>
where
    C: AsyncFnMut(Vec<Prepared>) -> Result<(), ImapError>,
{
    let (batches, incoming) = mpsc::channel::<Batch>(BATCHES);
    let reader = async move {
        let wanted = Wanted { policy: &target.policy, other_way: &target.other_way };
        for (group_number, group) in windows.chunks(SIZED).enumerate() {
            let sizes = sizes(connection, &wanted, group, listed).await?;
            progress.delivered.borrow_mut().extend(&sizes.old);
            for (number, window) in group.iter().enumerate() {
                progress.reading.set(Some(group_number * SIZED + number));
                read_window(connection, target, (window, &sizes), progress, &batches).await?;
            }
        }
        Ok(())
    };
    let (read, written) = join(reader, write(incoming, commit)).await;
    // a reader whose writer failed only knows that nobody listens
    written.and(read)
}

/// Reads what one window's messages are to be kept of.
async fn read_window(
    connection: &mut Connection,
    target: &Target,
    (window, sizes): (&[Uid], &Sizes),
    progress: &Progress,
    batches: &mpsc::Sender<Batch>,
) -> Result<(), ImapError> {
    let small: Vec<Uid> = window.iter().copied().filter(|uid| sizes.is_small(*uid)).collect();
    let told = |sizes: &BTreeMap<Uid, u64>| -> Vec<(Uid, u64)> {
        window.iter().filter_map(|uid| Some((*uid, *sizes.get(uid)?))).collect()
    };
    let (mut large, mut headers) = (told(&sizes.large), told(&sizes.headers));
    for (uid, size) in told(&sizes.oversize) {
        // larger than the policy wants it kept, unless the server is wrong
        match is_longer(connection, uid, target.policy.max_message).await? {
            true => headers.push((uid, size)),
            false => large.push((uid, size)),
        }
    }
    headers.sort_unstable();
    let header_of: BTreeMap<Uid, u64> = headers.iter().copied().collect();
    let oversize: Vec<Uid> = headers.into_iter().map(|(uid, _)| uid).collect();
    for (uids, section) in [(small, "[]"), (oversize, "[HEADER]")] {
        for set in uid_sets(&uids, SET) {
            let asked = Asked { uids: &uids, set: &set, section, header_of: &header_of, empty: &sizes.empty };
            read_sections(connection, target, asked, progress, batches).await?;
        }
    }
    for (uid, size) in large {
        read_in_pieces(connection, target, (uid, size), progress, batches).await?;
    }
    Ok(())
}

/// What is asked for in one command.
#[derive(Clone, Copy)]
struct Asked<'a> {
    /// Ascending.
    uids: &'a [Uid],
    set: &'a str,
    section: &'a str,
    /// Of these the header is asked for; how large the server says that they are.
    header_of: &'a BTreeMap<Uid, u64>,
    /// Of these nothing is all.
    empty: &'a BTreeSet<Uid>,
}

async fn read_sections(
    connection: &mut Connection,
    target: &Target,
    asked: Asked<'_>,
    progress: &Progress,
    batches: &mpsc::Sender<Batch>,
) -> Result<(), ImapError> {
    let mut batch: Vec<Fetched> = Vec::new();
    let mut bytes = 0;
    connection
        .fetch_sections::<_, ImapError>(asked.set, asked.section, async |message| {
            let Some(message) = message else {
                // others may be waiting for what is held here
                bytes = 0;
                return dispatch(target, std::mem::take(&mut batch), batches).await;
            };
            let (Some(uid), Some(body)) = (message.uid, &message.body) else { return Ok(()) };
            let length = body.bytes.len();
            // nothing, of a message that is said to be something, is no body
            if length == 0 && (body.is_nil || !asked.empty.contains(&uid)) {
                return Ok(());
            }
            // what nobody asked for, or comes twice, is not taken: a UID is stored once
            if asked.uids.binary_search(&uid).is_err() || !progress.delivered.borrow_mut().insert(uid) {
                return Ok(());
            }
            let share = match target.budget.try_take(length) {
                Some(share) => share,
                None => {
                    // what is held here goes on its way first: others may be waiting for it
                    bytes = 0;
                    dispatch(target, std::mem::take(&mut batch), batches).await?;
                    target.budget.take(length).await
                }
            };
            batch.push(Fetched { message, header_of: asked.header_of.get(&uid).copied(), share });
            bytes += length;
            if bytes >= BATCH_BYTES || batch.len() >= BATCH_MESSAGES {
                bytes = 0;
                dispatch(target, std::mem::take(&mut batch), batches).await?;
            }
            Ok(())
        })
        .await?;
    dispatch(target, batch, batches).await
}

/// A response, its share of the budget held.
pub(in crate::imap) struct Fetched {
    pub(in crate::imap) message: FetchedMessage,
    /// It is the header of a message of this size, as the server tells it.
    pub(in crate::imap) header_of: Option<u64>,
    pub(in crate::imap) share: Share,
}

async fn dispatch(
    target: &Target,
    batch: Vec<Fetched>,
    batches: &mpsc::Sender<Batch>,
) -> Result<(), ImapError> {
    if batch.is_empty() {
        return Ok(());
    }
    let prepare = {
        let target = target.clone();
        move || batch.into_iter().filter_map(|fetched| prepare(&target, fetched).transpose()).collect()
    };
    let work = target.run(prepare);
    send(batches, work).await
}

pub(in crate::imap) async fn send(batches: &mpsc::Sender<Batch>, work: Batch) -> Result<(), ImapError> {
    batches.send(work).await.map_err(|_| ImapError::Internal(String::from("the writer ended early")))
}

/// Does work for one message; a panic is that message's affair alone.
pub(in crate::imap) fn guarded<T>(
    uid: Uid,
    work: impl FnOnce() -> Result<T, ImapError>,
) -> Result<T, ImapError> {
    let work = || {
        crate::faults::message("imap.prepare", uid);
        work()
    };
    // told by the panic hook
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
pub(in crate::imap) fn headers_only(message: Message, size: u64, share: Share) -> Prepared {
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

pub(in crate::imap) fn record_header(message: &Message, path: &str) -> RecordHeader {
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

async fn write<C>(mut incoming: mpsc::Receiver<Batch>, mut commit: C) -> Result<(), ImapError>
where
    C: AsyncFnMut(Vec<Prepared>) -> Result<(), ImapError>,
{
    let mut collected: Vec<Prepared> = Vec::new();
    let mut bytes: u64 = 0;
    while let Some(batch) = incoming.recv().await {
        let prepared = batch.result().await??;
        bytes += prepared.iter().map(|prepared| prepared.bytes).sum::<u64>();
        collected.extend(prepared);
        // nothing waits behind this batch: what we have is committed while the next ones arrive
        if bytes >= COMMIT_BYTES || collected.len() >= COMMIT_MESSAGES || incoming.is_empty() {
            bytes = 0;
            commit(std::mem::take(&mut collected)).await?;
        }
    }
    if collected.is_empty() { Ok(()) } else { commit(collected).await }
}
