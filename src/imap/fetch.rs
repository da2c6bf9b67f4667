//! Fetching messages: the connection is read on the arbiter, messages are parsed, compressed and sealed on
//! the pool, and committed in batches while the next ones arrive.
//!
//! Memory is bounded by the byte budget that all mailboxes share: a message holds its share from the
//! moment it was read until it is durable.

use super::decode::FetchedMessage;
use super::envelope;
use super::plan::uid_sets;
use super::protocol::ImapError;
use super::wire::{Connection, Piece};
use super::workers::{Work, Workers};
use crate::clock;
use crate::domain::{Flags, Folder, Incarnation, Message, MessageId, MessageState, Timestamp, Uid};
use crate::net::LimitExceeded;
use crate::store::{Body, FRAME, Key, LargeWriter, RecordHeader, RecordKind, Store, encode_record};
use futures_util::future::join;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Messages larger than this are fetched in pieces.
const WHOLE: u32 = 2 << 20;
/// Messages larger than this get a file of their own.
const LARGE: usize = 8 << 20;
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
/// Longest UID set in a command: Exchange takes lines of 10,240 bytes.
const SET: usize = 8000;

/// Bytes of message bodies in flight in the whole process, and the threads that prepare them.
#[derive(Clone)]
pub struct ByteBudget {
    permits: Arc<Semaphore>,
    total: u32,
    workers: Workers,
}

impl ByteBudget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let total = u32::try_from(bytes).unwrap_or(u32::MAX).max(1);
        Self { permits: Arc::new(Semaphore::new(total as usize)), total, workers: Workers::start() }
    }

    /// Waits for a share. Who waits must hold none that depends on him: two who wait for each other's
    /// shares would wait for ever.
    async fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, ImapError> {
        let permit = Arc::clone(&self.permits).acquire_many_owned(self.share(bytes)).await;
        permit.map_err(|_| ImapError::Internal(String::from("the byte budget was closed")))
    }

    /// A share if there is one now.
    fn try_take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).try_acquire_many_owned(self.share(bytes)).ok()
    }

    /// Gives back what a share holds beyond so many bytes.
    fn shrink(&self, share: &mut OwnedSemaphorePermit, bytes: usize) {
        let excess = share.num_permits().saturating_sub(self.share(bytes) as usize);
        drop(share.split(excess));
    }

    fn share(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).clamp(1, self.total)
    }
}

/// Where fetched messages belong.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) store: Store,
    pub(super) mailbox: Incarnation,
    pub(super) key: Arc<Key>,
    pub(super) folder: Folder,
    pub(super) budget: ByteBudget,
}

/// A message on its way into the store, its share of the budget held.
pub(super) struct Prepared {
    pub(super) message: Message,
    pub(super) body: Body,
    pub(super) bytes: u64,
    pub(super) share: OwnedSemaphorePermit,
}

type Batch = Work<Result<Vec<Prepared>, ImapError>>;

/// How far a fetch came.
#[derive(Default)]
pub(super) struct Progress {
    /// The window being read, so that a failure can be laid at its door.
    pub(super) reading: Cell<Option<usize>>,
    /// Whose bodies came.
    pub(super) delivered: RefCell<BTreeSet<Uid>>,
}

/// Fetches windows of UIDs and hands prepared messages to `commit`, in batches, in order. The next window is
/// read while the last one is prepared and committed. Where reading fails, what was read before is committed all the
/// same.
pub(super) async fn fetch_windows<C>(
    connection: &mut Connection,
    target: &Target,
    windows: &[&[Uid]],
    progress: &Progress,
    commit: C,
) -> Result<(), ImapError>
where
    C: AsyncFnMut(Vec<Prepared>) -> Result<(), ImapError>,
{
    let (batches, incoming) = mpsc::channel::<Batch>(BATCHES);
    let reader = async move {
        for (group_number, group) in windows.chunks(SIZED).enumerate() {
            let large = large_ones(connection, group).await?;
            for (number, window) in group.iter().enumerate() {
                progress.reading.set(Some(group_number * SIZED + number));
                let (large, small): (Vec<Uid>, Vec<Uid>) = window.iter().partition(|uid| large.contains(uid));
                for set in uid_sets(&small, SET) {
                    read_whole(connection, target, (&small, &set), progress, &batches).await?;
                }
                for uid in large {
                    read_in_pieces(connection, target, uid, progress, &batches).await?;
                }
            }
        }
        Ok(())
    };
    let (read, written) = join(reader, write(incoming, commit)).await;
    // a reader whose writer failed only knows that nobody listens
    written.and(read)
}

/// Which of these are too large to be fetched whole; the server's size is an estimate and only that.
async fn large_ones(connection: &mut Connection, windows: &[&[Uid]]) -> Result<BTreeSet<Uid>, ImapError> {
    let mut uids = windows.concat();
    uids.sort_unstable();
    let mut large = BTreeSet::new();
    for set in uid_sets(&uids, SET) {
        let listed = connection.list_sizes(&set).await?;
        large.extend(listed.iter().filter(|(_, size)| *size > WHOLE).map(|(uid, _)| *uid));
    }
    Ok(large)
}

async fn read_whole(
    connection: &mut Connection,
    target: &Target,
    (asked, set): (&[Uid], &str),
    progress: &Progress,
    batches: &mpsc::Sender<Batch>,
) -> Result<(), ImapError> {
    let mut batch: Vec<(FetchedMessage, OwnedSemaphorePermit)> = Vec::new();
    let mut bytes = 0;
    connection
        .fetch_bodies::<_, ImapError>(set, async |fetched| {
            let Some((uid, length)) = fetched.delivers() else { return Ok(()) };
            // what nobody asked for, or comes twice, is not taken: a UID is stored once
            if asked.binary_search(&uid).is_err() || !progress.delivered.borrow_mut().insert(uid) {
                return Ok(());
            }
            let share = match target.budget.try_take(length) {
                Some(share) => share,
                None => {
                    // what is held here goes on its way first: others may be waiting for it
                    bytes = 0;
                    dispatch(target, std::mem::take(&mut batch), batches).await?;
                    target.budget.take(length).await?
                }
            };
            batch.push((fetched, share));
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

async fn dispatch(
    target: &Target,
    batch: Vec<(FetchedMessage, OwnedSemaphorePermit)>,
    batches: &mpsc::Sender<Batch>,
) -> Result<(), ImapError> {
    let target = target.clone();
    let work = target.budget.workers.clone().run(move || {
        batch
            .into_iter()
            .filter_map(|(fetched, share)| prepare(&target, fetched, share).transpose())
            .collect()
    });
    send(batches, work).await
}

async fn send(batches: &mpsc::Sender<Batch>, work: Batch) -> Result<(), ImapError> {
    batches.send(work).await.map_err(|_| ImapError::Internal(String::from("the writer ended early")))
}

/// Parses, compresses and seals one message. On the pool.
fn prepare(
    target: &Target,
    fetched: FetchedMessage,
    mut share: OwnedSemaphorePermit,
) -> Result<Option<Prepared>, ImapError> {
    let parts = fetched.parts();
    let (uid @ 1.., Some(raw)) = (parts.uid, parts.body) else { return Ok(None) };
    let date = parts.internal_date.unwrap_or_else(clock::now);
    let message = message(target, uid, parts.flags.unwrap_or_default(), date, raw);
    let header = record_header(&message, &target.folder.path);
    let record = encode_record(&target.key, target.mailbox, &header, raw)?;
    target.budget.shrink(&mut share, record.len());
    let bytes = record.len() as u64;
    Ok(Some(Prepared { message, body: Body::Record(record), bytes, share }))
}

fn message(target: &Target, uid: Uid, flags: Flags, date: Timestamp, raw: &[u8]) -> Message {
    Message {
        id: MessageId::at(date),
        folder: target.folder.id,
        folder_incarnation: target.folder.incarnation,
        uid_validity: target.folder.uid_validity.unwrap_or_default(),
        uid,
        flags,
        size: raw.len() as u64,
        internal_date: date,
        envelope: envelope::parse(raw),
        state: MessageState::Stored,
        copy_of: None,
        body: None,
    }
}

fn record_header(message: &Message, path: &str) -> RecordHeader {
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

/// Reads one message piece by piece: in memory up to [`LARGE`], beyond that straight to a file.
async fn read_in_pieces(
    connection: &mut Connection,
    target: &Target,
    uid: Uid,
    progress: &Progress,
    batches: &mpsc::Sender<Batch>,
) -> Result<(), ImapError> {
    let mut head: Vec<u8> = Vec::new();
    // all that may be in memory at once, taken at once
    let share = target.budget.take(LARGE + FRAME).await?;
    let mut spill: Option<LargeWriter> = None;
    let mut offset: u64 = 0;
    let mut first: Option<(Flags, Timestamp, MessageId)> = None;
    loop {
        let at = u32::try_from(offset).map_err(|_| endless())?;
        let Some(Piece { flags, date, bytes: piece, .. }) = connection.fetch_piece(uid, at, FRAME).await?
        else {
            return Ok(()); // expunged meanwhile: the next listing knows
        };
        let (first_of, date, id) = first.get_or_insert_with(|| (flags, date, MessageId::at(date)));
        offset = offset.saturating_add(piece.len() as u64);
        let ended = piece.len() < FRAME;
        if let Some(writer) = spill.take() {
            spill = Some(append(target, writer, piece).await?);
        } else {
            head.extend_from_slice(&piece);
            if head.len() > LARGE {
                let header = large_header(target, uid, first_of.clone(), *id, *date);
                let writer = target.store.large_writer(target.mailbox, header)?;
                spill = Some(append(target, writer, head.clone()).await?);
            }
        }
        if ended {
            break;
        }
    }
    let Some((flags, date, id)) = first else { return Ok(()) };
    progress.delivered.borrow_mut().insert(uid);
    let target = target.clone();
    let work = target.budget.workers.clone().run(move || {
        let mut message = message(&target, uid, flags, date, &head);
        message.id = id;
        message.size = offset;
        let body = match spill {
            Some(writer) => Body::Large(writer.finish(&target.key, target.mailbox)?),
            None => {
                let header = record_header(&message, &target.folder.path);
                Body::Record(encode_record(&target.key, target.mailbox, &header, &head)?)
            }
        };
        let bytes = head.len() as u64;
        Ok(vec![Prepared { message, body, bytes, share }])
    });
    send(batches, work).await
}

/// A message longer than IMAP can count (RFC 3501 §9: `number` has 32 bits) is none.
fn endless() -> ImapError {
    let limit = LimitExceeded::Answer(u64::from(u32::MAX));
    ImapError::Exceeded { what: "FETCH", limit }
}

fn large_header(target: &Target, uid: Uid, flags: Flags, id: MessageId, date: Timestamp) -> RecordHeader {
    let mut stub = message(target, uid, flags, date, b"");
    stub.id = id;
    record_header(&stub, &target.folder.path)
}

async fn append(target: &Target, mut writer: LargeWriter, piece: Vec<u8>) -> Result<LargeWriter, ImapError> {
    let key = Arc::clone(&target.key);
    let work = target.budget.workers.run(move || writer.append(&key, &piece).map(|()| writer));
    Ok(work.result().await??)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_share_larger_than_the_budget_is_the_whole_budget_and_nothing_is_left() {
        let budget = ByteBudget::new(100);
        let all = budget.take(1_000_000).await.unwrap();
        assert!(budget.try_take(1).is_none());
        drop(all);
        let mut all = budget.try_take(100).unwrap();
        budget.shrink(&mut all, 40);
        assert!(budget.try_take(61).is_none());
        assert!(budget.try_take(60).is_some());
    }
}
