//! `/v1/mailboxes/{mb}/messages/{id}/raw`: byte for byte what the server sent, frame by frame.

use super::super::Shared;
use super::super::problem::{Answer, Problem};
use super::messages;
use crate::domain::{Incarnation, Message};
use crate::store::{Store, StoreError};
use actix_web::HttpResponse;
use actix_web::body::SizedStream;
use actix_web::web::{Bytes, Data, Path};
use futures_util::stream;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Frames in flight per reader: with the one being written, 3 MiB.
const AHEAD: usize = 2;
/// A reader that takes nothing for so long is gone.
const SLOWEST: Duration = Duration::from_secs(60);

/// GET `/v1/mailboxes/{mb}/messages/{id}/raw`.
pub(super) async fn raw(shared: Data<Shared>, at: Path<(String, String)>) -> Answer {
    let (mailbox, message) = messages::find(&shared, &at)?;
    let no_body = || Problem::not_found("no_body", "the body of this message is not stored");
    message.body.ok_or_else(no_body)?;
    let (length_of, length) = oneshot::channel();
    let (frames, incoming) = mpsc::channel(AHEAD);
    let store = shared.store.clone();
    drop(tokio::task::spawn_blocking(move || {
        if let Err(error) = read(&store, mailbox, &message, length_of, &frames) {
            tracing::warn!(%error, "a message cannot be read to its end");
            drop(frames.try_send(Err(error)));
        }
    }));
    let unreadable = |_| Problem::internal("the message cannot be read; the log says more");
    let length = length.await.map_err(unreadable)?.ok_or_else(no_body)?;
    let frames = stream::unfold(incoming, async |mut incoming: mpsc::Receiver<_>| {
        incoming.recv().await.map(|frame| (frame, incoming))
    });
    Ok(HttpResponse::Ok().content_type("message/rfc822").body(SizedStream::new(length, Box::pin(frames))))
}

/// Reads frames as fast as they are taken. On the pool.
fn read(
    store: &Store,
    mailbox: Incarnation,
    message: &Message,
    length_of: oneshot::Sender<Option<u64>>,
    frames: &mpsc::Sender<Result<Bytes, StoreError>>,
) -> Result<(), StoreError> {
    let key = store.mailbox_key(mailbox)?;
    let opened = store.open_message(&key, mailbox, message)?;
    let is_awaited = length_of.send(opened.as_ref().map(|reader| reader.raw_length)).is_ok();
    let Some(mut reader) = opened.filter(|_| is_awaited) else { return Ok(()) };
    let runtime = tokio::runtime::Handle::current();
    while let Some(frame) = reader.next_frame()? {
        let taken = runtime
            .block_on(async { tokio::time::timeout(SLOWEST, frames.send(Ok(Bytes::from(frame)))).await });
        if !matches!(taken, Ok(Ok(()))) {
            break;
        }
    }
    Ok(())
}
