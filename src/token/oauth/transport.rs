//! Carries a request to a provider and its answer back, whatever the answer says.

use super::answer::{FlowError, RawAnswer};
use crate::net::{HttpClient, HttpError};
use oauth2::HttpRequest;
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

/// A token answer has a few KiB.
pub(in crate::token) const LONGEST_ANSWER: usize = 1 << 20;

/// Carries one request of the `oauth2` crate and keeps the answer for our own reading.
pub(in crate::token) struct Wire<'a> {
    http: &'a HttpClient,
    seen: Mutex<Option<Result<RawAnswer, FlowError>>>,
}

/// Tells the `oauth2` crate that the answer is not its business.
#[derive(Debug, thiserror::Error)]
#[error("read elsewhere")]
pub(in crate::token) struct ReadElsewhere;

impl<'a> Wire<'a> {
    pub(in crate::token) fn new(http: &'a HttpClient) -> Self {
        Self { http, seen: Mutex::new(None) }
    }

    pub(in crate::token) async fn send(
        &self,
        made: HttpRequest,
    ) -> Result<oauth2::HttpResponse, ReadElsewhere> {
        let ended = match reqwest::Request::try_from(made) {
            Ok(request) => fetch(self.http, request).await,
            Err(error) => Err(FlowError::Endpoint(error.without_url().to_string())),
        };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended);
        Err(ReadElsewhere)
    }

    pub(in crate::token) fn answer(self) -> Result<RawAnswer, FlowError> {
        let seen = self.seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        seen.unwrap_or_else(|| Err(FlowError::Endpoint(String::from("the request could not be built"))))
    }
}

/// Sends a request and reads its answer, at most 1 MiB of it.
pub(in crate::token) async fn fetch(
    http: &HttpClient,
    request: reqwest::Request,
) -> Result<RawAnswer, FlowError> {
    let mut response = http.execute(request).await.map_err(|error| match error {
        HttpError::Http(error) => transport(&error),
        HttpError::Denied(_) => FlowError::Endpoint(error.to_string()),
    })?;
    let header = response.headers().get(reqwest::header::RETRY_AFTER);
    let retry_after = header.and_then(|value| value.to_str().ok()).map(String::from);
    let status = response.status().as_u16();
    let mut body = Zeroizing::new(Vec::new());
    while let Some(piece) = response.chunk().await.map_err(|error| transport(&error))? {
        if body.len() + piece.len() > LONGEST_ANSWER {
            let cause = format!("an answer of more than {LONGEST_ANSWER} bytes");
            return Err(FlowError::Transport { maybe_consumed: true, cause });
        }
        body.extend_from_slice(&piece);
    }
    Ok(RawAnswer { status, retry_after, body })
}

/// Only what fails while building or connecting surely never left; everything later may have had its effect.
fn transport(error: &reqwest::Error) -> FlowError {
    let mut cause = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        cause = source.to_string();
        next = source.source();
    }
    FlowError::Transport { maybe_consumed: !(error.is_connect() || error.is_builder()), cause }
}
