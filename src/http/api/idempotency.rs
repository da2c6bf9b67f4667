//! `Idempotency-Key`: a request that is repeated is answered by what the first one made; another request under
//! the same key is refused.

use super::super::Shared;
use crate::domain::{Incarnation, Submission, Timestamp};
use crate::problem::Problem;
use crate::work::blocking;
use actix_web::HttpRequest;
use actix_web::web::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// A key, and a digest of the request it came with.
pub(super) struct KeyedRequest {
    pub(super) key: String,
    pub(super) digest: String,
}

impl KeyedRequest {
    /// `None`: the request has no key.
    pub(super) async fn read(
        request: &HttpRequest,
        body: &Bytes,
        is_raw: bool,
        send_at: Option<Timestamp>,
    ) -> Result<Option<Self>, Problem> {
        let Some(key) = idempotency_key(request)? else { return Ok(None) };
        let body = body.clone();
        let digested =
            blocking(move || Ok::<_, Problem>(Self { key, digest: digest(&body, is_raw, send_at) }));
        digested.await.map(Some)
    }

    /// What the first request with this key made; 422 if it was another request. `None`: this is the first.
    pub(super) fn first(&self, shared: &Shared, mailbox: Incarnation) -> Result<Option<Submission>, Problem> {
        let Some(first) = shared.store.submission_of_key(mailbox, &self.key)? else { return Ok(None) };
        if first.request.is_some_and(|digest| digest != self.digest) {
            let detail = "Idempotency-Key: another message was sent with this key: repeat that one unchanged, or \
                          use a new key for a new message";
            return Err(Problem::unprocessable("idempotency_key_reused", detail));
        }
        Ok(Some(first.submission))
    }
}

fn idempotency_key(request: &HttpRequest) -> Result<Option<String>, Problem> {
    let Some(value) = request.headers().get("Idempotency-Key") else { return Ok(None) };
    match value.to_str().map(str::trim) {
        Ok(key) if (1..=255).contains(&key.len()) => Ok(Some(String::from(key))),
        _ => Err(Problem::bad_request(
            "bad_idempotency_key",
            "Idempotency-Key: use 1 to 255 visible ASCII characters",
        )),
    }
}

/// Tells requests apart. JSON is compared by meaning: a client may write its members in another order when it
/// tries again.
fn digest(body: &[u8], is_raw: bool, send_at: Option<Timestamp>) -> String {
    let value = if is_raw { None } else { serde_json::from_slice::<Value>(body).ok() };
    let mut hasher = Sha256::new();
    hasher.update(serde_json::to_vec(&(is_raw, send_at)).unwrap_or_default());
    match value.and_then(|value| serde_json::to_vec(&value).ok()) {
        Some(canonical) => hasher.update(canonical),
        None => hasher.update(body),
    }
    URL_SAFE_NO_PAD.encode(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_members_makes_no_other_request() {
        let one = digest(br#"{"to": [], "subject": "x"}"#, false, None);
        assert_eq!(one, digest(br#"{"subject":"x","to":[]}"#, false, None));
        assert_ne!(one, digest(br#"{"subject":"y","to":[]}"#, false, None));
        assert_ne!(one, digest(br#"{"to": [], "subject": "x"}"#, true, None));
        assert_ne!(one, digest(br#"{"to": [], "subject": "x"}"#, false, Some(Timestamp(1))));
    }
}
