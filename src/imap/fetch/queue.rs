//! The queue between the reader of a connection and the writer of commits, and how far the reader came.

use super::prepare::Prepared;
use super::workers::Work;
use crate::domain::Uid;
use crate::imap::protocol::ImapError;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use tokio::sync::mpsc;

/// Batches that wait for their turn; their bytes are bounded by the budget.
pub(super) const BATCHES: usize = 16;
/// Bytes and messages of one commit: what comes last waits for no more than that.
const COMMIT_BYTES: u64 = 8 << 20;
const COMMIT_MESSAGES: usize = 256;

/// Messages that workers prepare, in the order in which they were read.
pub(super) type Batch = Work<Result<Vec<Prepared>, ImapError>>;

/// How far a fetch came.
#[derive(Default)]
pub(in crate::imap) struct Progress {
    /// The window being read, on which a failure can be blamed.
    pub(in crate::imap) reading: Cell<Option<usize>>,
    /// Whose bodies came.
    pub(in crate::imap) delivered: RefCell<BTreeSet<Uid>>,
}

/// Hands a batch to the writer.
pub(in crate::imap) async fn send(batches: &mpsc::Sender<Batch>, work: Batch) -> Result<(), ImapError> {
    batches.send(work).await.map_err(|_| ImapError::Internal(String::from("the writer ended early")))
}

/// Collects prepared messages and commits them, until the reader has ended.
pub(super) async fn write<C>(mut incoming: mpsc::Receiver<Batch>, mut commit: C) -> Result<(), ImapError>
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
