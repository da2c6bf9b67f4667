//! Bodies of requests on their way in: bounded in time, and in the memory that all of them take together.

use super::Shared;
use crate::net::Share;
use crate::problem::Problem;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::StatusCode;
use actix_web::middleware::Next;
use actix_web::web::{self, Bytes, Data};
use actix_web::{Error, HttpMessage, body::MessageBody};
use futures_util::{StreamExt, stream};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// A body may pause for so long.
const PAUSE: Duration = Duration::from_secs(30);
/// What a form of the users' pages may take, in bytes and in time.
const FORM: usize = 16 << 10;
const FORM_WITHIN: Duration = Duration::from_secs(10);

/// Why a body was not read to its end.
#[derive(Clone, Copy)]
enum Cut {
    Slow,
    NoRoom,
}

/// What came of a body so far.
#[derive(Default)]
struct Came {
    share: RefCell<Option<Share>>,
    cut: Cell<Option<Cut>>,
}

/// Bounds the body of a request. What it takes of the memory is given back with the answer.
pub(super) async fn bounded(
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let came = Rc::new(Came::default());
    let payload = request.take_payload();
    if let (false, Some(shared)) =
        (matches!(payload, Payload::None), request.app_data::<Data<Shared>>().cloned())
    {
        let bounded = stream::unfold((payload, shared, Rc::clone(&came)), piece);
        request.set_payload(Payload::from(bounded.boxed_local()));
    }
    let answer = next.call(request).await;
    match came.cut.get() {
        None => answer,
        Some(Cut::Slow) => Err(too_slow().into()),
        Some(Cut::NoRoom) => {
            let detail = "too many request bodies are on their way: send it again in a moment";
            Err(Problem::unavailable("busy", detail).retry_after(Duration::from_secs(1)).closing().into())
        }
    }
}

type Reading = (Payload, Data<Shared>, Rc<Came>);

/// The next piece of a body; nothing comes behind an error.
async fn piece((mut payload, shared, came): Reading) -> Option<(Result<Bytes, PayloadError>, Reading)> {
    if came.cut.get().is_some() {
        return None;
    }
    let cut = |why: Cut| {
        came.cut.set(Some(why));
        Err(PayloadError::Incomplete(None))
    };
    let piece = match tokio::time::timeout(PAUSE, payload.next()).await {
        Err(_) => cut(Cut::Slow),
        Ok(None) => return None,
        Ok(Some(Ok(bytes))) => match shared.bodies.try_take(bytes.len()) {
            Some(share) => {
                let mut held = came.share.borrow_mut();
                match held.as_mut() {
                    Some(held) => held.merge(share),
                    None => *held = Some(share),
                }
                drop(held);
                Ok(bytes)
            }
            None => cut(Cut::NoRoom),
        },
        Ok(Some(Err(error))) => Err(error),
    };
    Some((piece, (payload, shared, came)))
}

fn too_slow() -> Problem {
    Problem::of_status(StatusCode::REQUEST_TIMEOUT).closing()
}

/// The form that a page sends. Whoever calls this knows that the link is one.
pub(super) async fn form(body: web::Payload) -> Result<Bytes, Problem> {
    let read = tokio::time::timeout(FORM_WITHIN, body.to_bytes_limited(FORM)).await;
    match read.map_err(|_| too_slow())? {
        Err(_) => Err(Problem::of_status(StatusCode::PAYLOAD_TOO_LARGE).closing()),
        Ok(Err(_)) => Err(Problem::of_status(StatusCode::BAD_REQUEST).closing()),
        Ok(Ok(bytes)) => Ok(bytes),
    }
}
