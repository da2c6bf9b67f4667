//! Fetching messages: the connection is read on the arbiter, messages are parsed, compressed and sealed by
//! the workers, and committed in batches while the next ones arrive.
//!
//! Memory is bounded by the byte budget that all mailboxes share: a message holds its share from the
//! moment it was read until it is durable, a large one from before it is read.

use super::partial_fetch::{fetch_in_parts, is_longer};
use super::prepare::{Fetched, Prepared, Target, prepare};
use super::queue::{BATCHES, Batch, Progress, send, write};
use super::sizes::{Sizes, Wanted, sizes};
use crate::domain::Uid;
use crate::imap::connection::{Connection, LONGEST_UID_SET, ListedMessage, uid_sets};
use crate::imap::protocol::ImapError;
use futures_util::future::join;
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::mpsc;

/// Bytes and messages that go to the pool together.
const BATCH_BYTES: usize = 1 << 20;
const BATCH_MESSAGES: usize = 64;
/// Windows whose sizes are requested together.
const SIZED: usize = 20;

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
    // a reader whose writer failed only sees that the queue is closed
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
    let announced = |sizes: &BTreeMap<Uid, u64>| -> Vec<(Uid, u64)> {
        window.iter().filter_map(|uid| Some((*uid, *sizes.get(uid)?))).collect()
    };
    let (mut large, mut headers) = (announced(&sizes.large), announced(&sizes.headers));
    for (uid, size) in announced(&sizes.oversize) {
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
        for set in uid_sets(&uids, LONGEST_UID_SET) {
            let request =
                Request { uids: &uids, set: &set, section, header_of: &header_of, empty: &sizes.empty };
            read_sections(connection, target, request, progress, batches).await?;
        }
    }
    for (uid, size) in large {
        fetch_in_parts(connection, target, (uid, size), progress, batches).await?;
    }
    Ok(())
}

/// What one command requests.
#[derive(Clone, Copy)]
struct Request<'a> {
    /// Ascending.
    uids: &'a [Uid],
    set: &'a str,
    section: &'a str,
    /// Of these only the header is requested; how large the server says that they are.
    header_of: &'a BTreeMap<Uid, u64>,
    /// Of these an empty body is the whole.
    empty: &'a BTreeSet<Uid>,
}

async fn read_sections(
    connection: &mut Connection,
    target: &Target,
    request: Request<'_>,
    progress: &Progress,
    batches: &mpsc::Sender<Batch>,
) -> Result<(), ImapError> {
    let mut batch: Vec<Fetched> = Vec::new();
    let mut bytes = 0;
    connection
        .fetch_sections::<_, ImapError>(request.set, request.section, async |message| {
            let Some(message) = message else {
                // others may be waiting for the memory that is held here
                bytes = 0;
                return dispatch(target, std::mem::take(&mut batch), batches).await;
            };
            let (Some(uid), Some(body)) = (message.uid, &message.body) else { return Ok(()) };
            let length = body.bytes.len();
            // nothing, of a message that is said to be something, is no body
            if length == 0 && (body.is_nil || !request.empty.contains(&uid)) {
                return Ok(());
            }
            // what was not requested, or comes twice, is not taken: a UID is stored once
            if request.uids.binary_search(&uid).is_err() || !progress.delivered.borrow_mut().insert(uid) {
                return Ok(());
            }
            let share = match target.budget.try_take(length) {
                Some(share) => share,
                None => {
                    // what is held here goes to the workers first: others may be waiting for its memory
                    bytes = 0;
                    dispatch(target, std::mem::take(&mut batch), batches).await?;
                    target.budget.take(length).await
                }
            };
            batch.push(Fetched { message, header_of: request.header_of.get(&uid).copied(), share });
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
