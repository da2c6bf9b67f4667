//! When to refresh, what may be served meanwhile, and what a failure means. Pure: `now` and `jitter` (0..1) are
//! arguments.
//!
//! The rule that keeps grants (G2): `refresh_in_flight_since` is durable before a refresh token is sent. While it
//! stands, nobody knows whether the server took the token and its answer was lost; the old token is tried until an
//! answer comes. If that answer is `invalid_grant`, the server rotates strictly and has revoked the grant.

use crate::backoff::{Backoff, probe_pause};
use crate::diagnosis::{Facts, OauthClass, catalogue as c, describe};
use crate::domain::grant::LastRefresh;
use crate::domain::{Diagnosis, Grant, GrantSecret, Timestamp};
use crate::token::oauth::{FlowError, TokenAnswer};
use crate::token::protocol::AccessToken;
use std::time::Duration;

const LONGEST_MARGIN: Duration = Duration::from_secs(600);
/// The age at which Google ends the sign-ins of an app whose consent screen is in Testing: 7 days, met at the next
/// hourly refresh.
const TESTING: std::ops::Range<Duration> =
    Duration::from_secs(7 * 24 * 3600)..Duration::from_secs(7 * 24 * 3600 + 6 * 3600);
/// For what passes by itself.
const PAUSES: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(300)).spread(1.0, 1.2);
/// What was refused without a reason is tried once more after a minute: Entra ID does so now and then, and its old refresh
/// tokens stay valid (<https://learn.microsoft.com/entra/identity-platform/refresh-tokens>).
const ONCE_MORE: Duration = Duration::from_secs(60);
const SLOW_PAUSE: Duration = Duration::from_secs(15 * 60);

/// When a token is to be refreshed: ahead of its end by 600 s or a quarter of its life, whichever is less, and up to
/// half as much again, so that a fleet does not refresh in one second.
#[must_use]
pub fn refresh_at(issued_at: Timestamp, expires_at: Timestamp, jitter: f64) -> Timestamp {
    let life = expires_at.since(issued_at);
    let margin = LONGEST_MARGIN.min(life / 4).mul_f64(1.0 + jitter.clamp(0.0, 1.0) / 2.0);
    issued_at.plus(life.saturating_sub(margin))
}

/// Whether a token may be handed out: the server has not refused it, and it outlives what is to be done with it, or is
/// not due to be refreshed: a provider of shorter lives gives no longer ones when asked again.
#[must_use]
pub fn may_serve(token: &AccessToken, rejected: Option<u64>, min_validity: Duration, now: Timestamp) -> bool {
    let refused = rejected.is_some_and(|generation| token.generation <= generation);
    let min_validity = min_validity.min(token.expires_at.since(token.issued_at) / 4);
    !refused
        && !token.token.is_empty()
        && token.expires_at > now
        && token.expires_at.since(now) >= min_validity
}

/// Whether a grant that nobody uses is to be refreshed, so that its provider does not end it for that: every `keep`, and
/// sooner again after a failure. Microsoft ends a refresh token after 90 days without use, Google after 6 months
/// (<https://learn.microsoft.com/entra/identity-platform/refresh-tokens>,
/// <https://developers.google.com/identity/protocols/oauth2#expiration>).
#[must_use]
pub fn needs_upkeep(grant: &Grant, keep: Duration, now: Timestamp) -> bool {
    let GrantSecret::Refresh { .. } = grant.secret else { return false };
    let last = grant.last_refresh.as_ref();
    let tried_at = [Some(grant.signed_in_at), last.map(|last| last.at), grant.refresh_in_flight_since];
    let has_failed =
        grant.refresh_in_flight_since.is_some() || last.is_some_and(|last| last.result != REFRESHED);
    let pause = if has_failed { keep / FAILED_UPKEEP } else { keep };
    tried_at.into_iter().flatten().max().is_none_or(|tried_at| tried_at.plus(pause) <= now)
}

/// A failed upkeep is tried again so many times within its interval.
const FAILED_UPKEEP: u32 = 30;
/// The result of a refresh that brought a token.
const REFRESHED: &str = "ok";

/// Marks a grant before its refresh token is sent. The result must be durable before the request leaves; the flag
/// tells whether an earlier answer may have been lost already.
#[must_use]
pub fn before_refresh(mut grant: Grant, now: Timestamp) -> (Grant, bool) {
    let in_doubt = grant.refresh_in_flight_since.is_some();
    grant.refresh_in_flight_since.get_or_insert(now);
    (grant, in_doubt)
}

/// The grant with an answer in it, to be committed before the answer is used. A server that sends no new refresh
/// token means the old one to stay (RFC 6749 §6).
#[must_use]
pub fn with_answer(mut grant: Grant, answer: &TokenAnswer, now: Timestamp) -> Grant {
    if let (GrantSecret::Refresh { refresh_token }, Some(fresh)) = (&mut grant.secret, &answer.refresh_token)
    {
        *refresh_token = fresh.clone();
    }
    if !answer.scopes.is_empty() {
        grant.scopes.clone_from(&answer.scopes);
    }
    grant.refresh_in_flight_since = None;
    grant.claims = None;
    grant.access_token_expires_at = Some(now.plus(answer.expires_in));
    grant.last_refresh = Some(LastRefresh { at: now, result: String::from(REFRESHED) });
    grant
}

/// The grant of a registration that wants the client secret the other way.
#[must_use]
pub fn with_secret_inverted(grant: Grant) -> Grant {
    Grant { send_client_secret: !grant.send_client_secret, ..grant }
}

/// What to do after a failed refresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What next.
    pub step: Step,
    /// Whether `refresh_in_flight_since` stays set: the answer may have been lost.
    pub in_doubt: bool,
    /// What to show.
    pub diagnosis: Diagnosis,
}

/// What next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// By itself, then.
    RetryAt(Timestamp),
    /// A person signs in again; the grant is kept until a better one is there.
    SignIn,
    /// An administrator acts; probed then.
    NeedsAdmin(Timestamp),
    /// The app's owner acts; probed then, once for all mailboxes.
    AppBroken(Timestamp),
}

/// What surrounds a failure.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// Whether an earlier answer may have been lost: the flag of [`before_refresh`].
    pub in_doubt: bool,
    /// What [`deserves_another_try`] says of the grant.
    pub deserves_another_try: bool,
    /// How many refreshes failed in a row, this one included.
    pub failures: u32,
    /// When the user signed in, if one did.
    pub signed_in_at: Option<Timestamp>,
    /// The wall clock.
    pub now: Timestamp,
    /// 0..1.
    pub jitter: f64,
    /// For the diagnosis.
    pub facts: Facts<'a>,
}

/// Whether a refusal that can be a passing fault is met with one more try: the token was good for something before, and
/// the refresh before this one was not refused so. All of it is in the stored grant, so that a restart does not begin to
/// count anew.
#[must_use]
pub fn deserves_another_try(grant: &Grant) -> bool {
    let last = grant.last_refresh.as_ref().map(|last| last.result.as_str());
    let was_good = grant.signed_in_as.is_some() || last == Some(REFRESHED);
    was_good && last != Some(c::REFUSED_ONCE.code)
}

/// Decides what a failed refresh means.
#[must_use]
pub fn after_failure(error: &FlowError, around: &Circumstances<'_>) -> Verdict {
    let diagnosis = error.diagnosis(&around.facts);
    let still_in_doubt = around.in_doubt || error.may_have_consumed();
    let failure = match error {
        FlowError::Transport { .. } => {
            let step = Step::RetryAt(around.now.plus(pause(around.failures, around.jitter)));
            return Verdict { step, in_doubt: still_in_doubt, diagnosis };
        }
        FlowError::Endpoint(_) => {
            let step = Step::NeedsAdmin(around.now.plus(probe_pause(around.failures)));
            return Verdict { step, in_doubt: around.in_doubt, diagnosis };
        }
        FlowError::Refused { failure } => failure,
    };
    if failure.may_be_passing() && around.deserves_another_try {
        let step = Step::RetryAt(around.now.plus(ONCE_MORE));
        let diagnosis = describe(&c::REFUSED_ONCE, &around.facts, Some(&failure.description));
        return Verdict { step, in_doubt: around.in_doubt, diagnosis };
    }
    let probe_at = around.now.plus(probe_pause(around.failures));
    let asked = failure.retry_after.unwrap_or_default();
    let (step, in_doubt) = match failure.class {
        OauthClass::Retry => {
            let wait = pause(around.failures, around.jitter).max(asked);
            (Step::RetryAt(around.now.plus(wait)), still_in_doubt)
        }
        OauthClass::RetrySlow => {
            let wait = SLOW_PAUSE.mul_f64(1.0 + around.jitter.clamp(0.0, 1.0) / 5.0).max(asked);
            (Step::RetryAt(around.now.plus(wait)), still_in_doubt)
        }
        OauthClass::SignIn | OauthClass::Consent => (Step::SignIn, false),
        OauthClass::TenantAdmin | OauthClass::OurBug | OauthClass::Unknown => {
            (Step::NeedsAdmin(probe_at), around.in_doubt)
        }
        OauthClass::AppBroken => (Step::AppBroken(probe_at), around.in_doubt),
    };
    let lost = around.in_doubt
        && step == Step::SignIn
        && failure.error == "invalid_grant"
        && failure.entry.code == c::SIGN_IN_AGAIN.code;
    let is_google = failure.entry.code == c::GOOGLE_SIGN_IN_ENDED.code;
    let diagnosis = if lost {
        describe(&c::ROTATION_ANSWER_LOST, &around.facts, Some(&failure.description))
    } else if is_google && around.signed_in_at.is_some_and(|at| TESTING.contains(&around.now.since(at))) {
        describe(&c::GOOGLE_TESTING, &around.facts, Some(&failure.description))
    } else {
        diagnosis
    };
    Verdict { step, in_doubt, diagnosis }
}

/// The grant after a failure, to be committed: the refresh token stays, whatever happened, and what the provider demands of
/// the next sign-in is kept.
#[must_use]
pub fn with_failure(mut grant: Grant, error: &FlowError, verdict: &Verdict, now: Timestamp) -> Grant {
    if let Some(claims) = error.claims() {
        grant.claims = Some(String::from(claims));
    }
    if !verdict.in_doubt {
        grant.refresh_in_flight_since = None;
    }
    grant.last_refresh = Some(LastRefresh { at: now, result: verdict.diagnosis.code.clone() });
    grant
}

/// How long what passes by itself is left alone: 1 s · 2^n up to 5 min, and up to a fifth more.
#[must_use]
pub fn pause(failures: u32, jitter: f64) -> Duration {
    PAUSES.pause(failures, jitter)
}

#[cfg(test)]
#[path = "lifecycle_tests.rs"]
mod tests;
