//! `/v1/mailboxes/{mb}/messages/{id}/raw`: byte for byte what the server sent, frame by frame.

use super::super::Shared;
use super::super::problem::Answer;
use super::super::shared::READERS;
use super::messages;
use crate::problem::Problem;
use crate::store::{Key, RecordReader, StoreError};
use crate::work::blocking;
use actix_web::HttpResponse;
use actix_web::body::SizedStream;
use actix_web::web::{Bytes, Data, Path};
use futures_util::stream;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Frames in flight per reader: with the one being written, 3 MiB.
const AHEAD: usize = 2;
/// A reader that takes nothing for so long is gone.
const SLOWEST: Duration = Duration::from_secs(60);

/// GET `/v1/mailboxes/{mb}/messages/{id}/raw`.
pub(super) async fn raw(shared: Data<Shared>, at: Path<(String, String)>) -> Answer {
    let (mailbox, message) = messages::find(&shared, &at)?;
    let no_body = || Problem::not_found("no_body", "the body of this message is not stored");
    message.body.ok_or_else(no_body)?;
    let Ok(reading) = Arc::clone(&shared.readers).try_acquire_owned() else {
        let detail = format!("{READERS} messages are being read already: try again in a moment");
        return Err(Problem::unavailable("busy", detail).retry_after(Duration::from_secs(2)));
    };
    let store = shared.store.clone();
    let opened = blocking(move || {
        let key = Arc::new(store.mailbox_key(mailbox)?);
        store.open_message(key, mailbox, &message)
    });
    let reader = opened.await?.ok_or_else(no_body)?;
    let length = reader.raw_length;
    let (frames, incoming) = mpsc::channel(AHEAD);
    actix_web::rt::spawn(async move {
        read(reader, &frames).await;
        drop(reading);
    });
    let frames = stream::unfold(incoming, async |mut incoming: mpsc::Receiver<_>| {
        incoming.recv().await.map(|frame| (frame, incoming))
    });
    Ok(HttpResponse::Ok().content_type("message/rfc822").body(SizedStream::new(length, Box::pin(frames))))
}

/// Reads frames as fast as they are taken; each is a piece of work of its own for the pool.
async fn read(mut reader: RecordReader<Arc<Key>>, frames: &mpsc::Sender<Result<Bytes, StoreError>>) {
    loop {
        let next = tokio::task::spawn_blocking(move || {
            let frame = reader.next_frame();
            (reader, frame)
        });
        let Ok((back, frame)) = next.await else { return }; // the panic hook logs it
        reader = back;
        let frame = match frame {
            Ok(None) => return,
            Ok(Some(frame)) => Ok(Bytes::from(frame)),
            Err(error) => {
                tracing::warn!(%error, "a message cannot be read to its end");
                Err(error)
            }
        };
        let is_last = frame.is_err();
        let taken = tokio::time::timeout(SLOWEST, frames.send(frame)).await;
        if is_last || !matches!(taken, Ok(Ok(()))) {
            return;
        }
    }
}
