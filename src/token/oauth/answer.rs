//! What a token endpoint answered, read so that nothing of worth is lost: a refresh token that reached us must
//! reach the store, whatever else is wrong with the answer around it.

use crate::diagnosis::{Facts, OauthFailure, catalogue as c, classify_oauth, describe};
use crate::domain::{Diagnosis, Disposition, Secret};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use zeroize::Zeroizing;

/// Tokens, as received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenAnswer {
    /// The access token; empty if the answer held a refresh token only.
    pub access_token: Secret,
    /// The refresh token, if a new one came: store it before anything else.
    pub refresh_token: Option<Secret>,
    /// How long the access token is valid.
    pub expires_in: Duration,
    /// What was granted; empty: what was asked for (RFC 6749 §5.1).
    pub scopes: Vec<String>,
    /// The identity token.
    pub id_token: Option<String>,
}

/// Why a request brought no tokens.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FlowError {
    /// The endpoint said no.
    #[error("{}: {}", failure.error, failure.description)]
    Refused {
        /// Its words, understood.
        failure: Box<OauthFailure>,
    },
    /// No answer came, or one that cannot be read.
    #[error("the identity provider cannot be asked: {cause}")]
    Transport {
        /// Whether the request may have had its effect: the token or code it carried may be used up. `false`: it
        /// surely never left.
        maybe_consumed: bool,
        /// Why.
        cause: String,
    },
    /// An endpoint of the configuration cannot be used.
    #[error("{0}")]
    Endpoint(String),
}

impl FlowError {
    /// The answer to "what now?".
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Refused { failure } => failure.disposition(),
            Self::Transport { .. } => Disposition::Retry,
            Self::Endpoint(_) => Disposition::NeedsAdmin,
        }
    }

    /// In words a person can act on.
    #[must_use]
    pub fn diagnosis(&self, facts: &Facts<'_>) -> Diagnosis {
        match self {
            Self::Refused { failure } => failure.diagnosis(facts),
            Self::Transport { cause, .. } => describe(&c::IDP_UNAVAILABLE, facts, Some(cause)),
            Self::Endpoint(cause) => describe(&c::REQUEST_REFUSED, facts, Some(cause)),
        }
    }

    /// What the provider demands of the next sign-in, as it is to be sent along.
    #[must_use]
    pub fn claims(&self) -> Option<&str> {
        match self {
            Self::Refused { failure } => failure.claims.as_deref(),
            Self::Transport { .. } | Self::Endpoint(_) => None,
        }
    }

    /// The same as the answer to a refresh.
    #[must_use]
    pub fn at_refresh(self) -> Self {
        match self {
            Self::Refused { failure } => Self::Refused { failure: Box::new(failure.at_refresh()) },
            Self::Transport { .. } | Self::Endpoint(_) => self,
        }
    }

    /// Whether something was asked for that nobody consented to.
    #[must_use]
    pub fn lacks_consent(&self) -> bool {
        match self {
            Self::Refused { failure } => failure.entry.code == c::CONSENT_MISSING.code,
            Self::Transport { .. } | Self::Endpoint(_) => false,
        }
    }

    /// Whether a request should be repeated once with `send_secret` inverted.
    #[must_use]
    pub fn wants_secret_the_other_way(&self) -> bool {
        match self {
            Self::Refused { failure } => failure.wants_secret_the_other_way(),
            Self::Transport { .. } | Self::Endpoint(_) => false,
        }
    }

    /// Whether the client itself was not believed (RFC 6749 §5.2), which uses nothing up.
    #[must_use]
    pub fn is_invalid_client(&self) -> bool {
        match self {
            Self::Refused { failure } => failure.error == "invalid_client",
            Self::Transport { .. } | Self::Endpoint(_) => false,
        }
    }

    /// Whether the app's secret or certificate was refused, which uses nothing up.
    #[must_use]
    pub fn refuses_credential(&self) -> bool {
        match self {
            Self::Refused { failure } => failure.refuses_credential(),
            Self::Transport { .. } | Self::Endpoint(_) => false,
        }
    }

    /// Whether the token or code that was sent may be used up without our having the answer. An answer of a
    /// gateway (5xx) does not say what the server behind it did.
    #[must_use]
    pub fn may_have_consumed(&self) -> bool {
        match self {
            Self::Refused { failure } => failure.http_status >= 500,
            Self::Transport { maybe_consumed, .. } => *maybe_consumed,
            Self::Endpoint(_) => false,
        }
    }
}

/// An HTTP answer, kept whole until it has been read.
pub(in crate::token) struct RawAnswer {
    pub status: u16,
    pub retry_after: Option<String>,
    pub body: Zeroizing<Vec<u8>>,
}

/// If an access token's life is not said or not readable, it is taken for short: it is refreshed soon, and a server
/// that refuses it is believed.
const UNSAID_LIFETIME: Duration = Duration::from_secs(300);
/// Entra gives at most 28 hours (continuous access evaluation); a longer number must not stop refreshing.
const LONGEST_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// So many unlisted numbers are logged at most.
const MOST_LOGGED: usize = 1000;

/// Reads tokens out of an answer of any status: RFC 6749 §5.1 with every field but the tokens optional.
pub(in crate::token) fn read(answer: &RawAnswer) -> Result<TokenAnswer, FlowError> {
    let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = |key: &str| json.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let refresh_token = text("refresh_token").map(Secret::new);
    let access_token = text("access_token").map(Secret::new);
    if access_token.is_none() && refresh_token.is_none() {
        if (200..300).contains(&answer.status) {
            let cause = String::from("the answer holds no token");
            return Err(FlowError::Transport { maybe_consumed: true, cause });
        }
        let failure = understand(answer.status, &answer.body, answer.retry_after.as_deref());
        return Err(FlowError::Refused { failure: Box::new(failure) });
    }
    Ok(TokenAnswer {
        access_token: access_token.unwrap_or_else(|| Secret::new("")),
        refresh_token,
        expires_in: json.get("expires_in").and_then(seconds).unwrap_or(UNSAID_LIFETIME).min(LONGEST_LIFETIME),
        scopes: text("scope").unwrap_or_default().split_whitespace().map(String::from).collect(),
        id_token: text("id_token").map(String::from),
    })
}

/// Understands a refusal. One whose number the tables lack is logged, each number once: somebody has to learn it.
pub(crate) fn understand(http_status: u16, body: &[u8], retry_after: Option<&str>) -> OauthFailure {
    static LOGGED: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());
    let failure = classify_oauth(http_status, body, retry_after);
    if let Some(number) = failure.unlisted() {
        let mut logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
        // numbers are the provider's to choose: there is an end to it
        if logged.len() < MOST_LOGGED && logged.insert(number) {
            let (error, said) = (&failure.error, &failure.description);
            tracing::warn!(number, error, said, "AADSTS number that the tables lack: please report it");
        }
    }
    failure
}

/// A number, or (older Azure endpoints, some proxies) a number in a string or with a fraction.
pub(in crate::token) fn seconds(value: &Value) -> Option<Duration> {
    let whole = value.as_u64().or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()));
    let fraction = || value.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    whole.map(Duration::from_secs).or_else(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Result<TokenAnswer, FlowError> {
        read(&RawAnswer { status, retry_after: None, body: Zeroizing::new(body.as_bytes().to_vec()) })
    }

    #[test]
    fn a_refresh_token_survives_everything_that_is_wrong_around_it() {
        for (body, expires_in) in [
            (r#"{"refresh_token":"r","access_token":"a","expires_in":"3599","token_type":"Bearer"}"#, 3599),
            (r#"{"refresh_token":"r","access_token":"a","expires_in":"soon"}"#, 300),
            (r#"{"refresh_token":"r","access_token":"a","expires_in":-1}"#, 300),
            (r#"{"refresh_token":"r","access_token":"a","expires_in":99999999999999}"#, 30 * 24 * 3600),
            (r#"{"refresh_token":"r","scope":7,"token_type":null,"id_token":[]}"#, 300),
        ] {
            let read = answer(200, body).unwrap();
            assert_eq!(read.refresh_token, Some(Secret::new("r")), "{body}");
            assert_eq!(read.expires_in.as_secs(), expires_in, "{body}");
        }
        assert!(answer(500, r#"{"refresh_token":"r"}"#).is_ok(), "whatever the status");
    }

    #[test]
    fn an_answer_without_tokens_may_have_used_up_what_was_sent() {
        for body in ["", "<html>", "{}", "[]", r#"{"access_token":""}"#] {
            assert!(answer(200, body).unwrap_err().may_have_consumed(), "{body}");
        }
        assert!(answer(502, "<html>").unwrap_err().may_have_consumed());
        assert!(!answer(400, r#"{"error":"invalid_grant"}"#).unwrap_err().may_have_consumed());
    }
}
