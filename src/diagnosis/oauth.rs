//! Token endpoint errors → what to do. By `error` first, AADSTS code second, with a fallback: Microsoft says
//! "react on `error`", its codes may change, and bodies may be no JSON at all (429 as plain text, HTML of proxies).

use super::aadsts::{Meaning, code_in, is_listed, meaning, reason_behind, wants_secret_the_other_way};
use super::oauth_class::OauthClass;
use super::{Entry, Facts, catalogue as c, describe, scrub};
use crate::domain::{Diagnosis, Disposition};
use std::time::Duration;

/// A failed answer of a token endpoint, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OauthFailure {
    /// What it asks for.
    pub class: OauthClass,
    /// The catalogue's entry.
    pub entry: &'static Entry,
    /// `error` as sent; empty if the body was no such JSON.
    pub error: String,
    /// `error_codes[0]`, else the number after `AADSTS`.
    pub code: Option<u32>,
    /// `error_description` or the body, scrubbed and shortened.
    pub description: String,
    /// `trace_id`: Microsoft's support asks for it.
    pub trace_id: Option<String>,
    /// `correlation_id`, likewise.
    pub correlation_id: Option<String>,
    /// `claims`, to be passed to `/authorize` when the user signs in again.
    pub claims: Option<String>,
    /// What the answer's Retry-After asked for.
    pub retry_after: Option<Duration>,
    /// The answer's status.
    pub http_status: u16,
}

impl OauthFailure {
    /// The answer to "what now?", Retry-After honoured.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match (self.class, self.retry_after) {
            (OauthClass::Retry, Some(after)) => Disposition::RetryAfter(after),
            (class, _) => class.disposition(),
        }
    }

    /// In words a person can act on.
    #[must_use]
    pub fn diagnosis(&self, facts: &Facts<'_>) -> Diagnosis {
        describe(self.entry, facts, Some(&self.description))
    }

    /// Whether it proves that the app's own credentials or existence are at fault, so that one alert is due and not
    /// one for each mailbox. Only these trip the breaker of an app, and only when met without a user.
    #[must_use]
    pub fn trips_app_breaker(&self) -> bool {
        let of_google = [&c::GOOGLE_KEY_REFUSED, &c::GOOGLE_ACCOUNT_GONE];
        matches!(self.code, Some(7_000_215 | 7_000_222 | 700_016 | 7_000_112 | 700_027 | 700_030))
            || (self.class == AppBroken && of_google.iter().any(|entry| entry.code == self.entry.code))
    }

    /// Whether it says that the app's secret or certificate is wrong, and not something else about the app. Where a
    /// number stands, the number says it.
    #[must_use]
    pub fn refuses_credential(&self) -> bool {
        let is_unnamed = self.code.is_none() && self.error == "invalid_client";
        let unnamed = is_unnamed && self.entry.code == c::APP_REFUSED.code;
        let entries = [&c::SECRET_WRONG, &c::SECRET_EXPIRED, &c::APP_CERTIFICATE, &c::GOOGLE_KEY_REFUSED];
        self.class == AppBroken && (unnamed || entries.iter().any(|entry| entry.code == self.entry.code))
    }

    /// Whether the request should be repeated once with the client secret sent the other way.
    #[must_use]
    pub fn wants_secret_the_other_way(&self) -> bool {
        let lower = self.description.to_ascii_lowercase();
        self.code.is_some_and(|code| wants_secret_the_other_way(code, &lower))
    }

    /// Whether Entra ID refused a refresh token without saying more (AADSTS70000): once in a while that is a fault of its
    /// own, and the old token stays valid there.
    #[must_use]
    pub fn may_be_passing(&self) -> bool {
        self.code == Some(70000) && self.error == "invalid_grant"
    }

    /// The same as the answer to a refresh: who had signed in and is not found now, is gone.
    #[must_use]
    pub fn at_refresh(self) -> Self {
        match self.code {
            Some(50034) => Self { class: TenantAdmin, entry: &c::ACCOUNT_DELETED, ..self },
            Some(_) | None => self,
        }
    }

    /// The same from Entra ID, which says of the page "Need admin approval" what others say of a decline:
    /// `access_denied`, with `error_subcode=cancel` or without a code.
    #[must_use]
    pub fn at_entra(self) -> Self {
        if self.entry.code == c::SIGN_IN_DECLINED.code {
            return Self { entry: &c::CONSENT_DECLINED, ..self };
        }
        self
    }

    /// Whether the user said no, or may have.
    #[must_use]
    pub fn is_decline(&self) -> bool {
        [&c::CONSENT_DECLINED, &c::SIGN_IN_DECLINED].iter().any(|entry| entry.code == self.entry.code)
    }

    /// The AADSTS number, if the tables lack it: it was judged by its family or by `error`.
    #[must_use]
    pub fn unlisted(&self) -> Option<u32> {
        self.code.filter(|code| !is_listed(*code))
    }
}

use OauthClass::{AppBroken, Consent, OurBug, Retry, SignIn, TenantAdmin, Unknown};

/// By RFC 6749 §5.2 and OpenID Connect Core §3.1.2.6 names, for codes the table does not have.
static BY_ERROR: &[(&str, OauthClass, &Entry)] = &[
    ("temporarily_unavailable", Retry, &c::IDP_UNAVAILABLE),
    ("server_error", Retry, &c::IDP_UNAVAILABLE),
    ("slow_down", Retry, &c::IDP_THROTTLED),
    ("invalid_grant", SignIn, &c::SIGN_IN_AGAIN),
    ("interaction_required", SignIn, &c::SIGN_IN_AGAIN),
    ("login_required", SignIn, &c::SIGN_IN_AGAIN),
    ("consent_required", Consent, &c::CONSENT_MISSING),
    ("access_denied", Consent, &c::SIGN_IN_DECLINED),
    // only Entra ID calls it so
    ("authorization_declined", Consent, &c::CONSENT_DECLINED),
    ("authorization_pending", Retry, &c::DEVICE_PENDING),
    ("expired_token", SignIn, &c::DEVICE_CODE_ENDED),
    ("bad_verification_code", SignIn, &c::DEVICE_CODE_ENDED),
    ("invalid_client", AppBroken, &c::APP_REFUSED),
    ("unauthorized_client", AppBroken, &c::APP_REFUSED),
    ("invalid_resource", AppBroken, &c::RESOURCE_MISSING),
    ("invalid_scope", AppBroken, &c::APP_PERMISSIONS),
    ("unsupported_grant_type", AppBroken, &c::APP_REFUSED),
    ("invalid_request", AppBroken, &c::REQUEST_REFUSED),
    // Google's own
    ("disabled_client", AppBroken, &c::GOOGLE_ACCOUNT_GONE),
    ("deleted_client", AppBroken, &c::GOOGLE_ACCOUNT_GONE),
    ("admin_policy_enforced", TenantAdmin, &c::GOOGLE_POLICY),
    ("org_internal", TenantAdmin, &c::GOOGLE_POLICY),
    ("redirect_uri_mismatch", AppBroken, &c::REDIRECT_MISMATCH),
    ("internal_failure", Retry, &c::IDP_UNAVAILABLE),
];

/// Where providers without codes tell more in words than by `error`: Google. Words are compared in lower case.
static BY_WORDS: &[(&str, &str, OauthClass, &Entry)] = &[
    ("invalid_grant", "token has been expired or revoked", SignIn, &c::GOOGLE_SIGN_IN_ENDED),
    ("invalid_grant", "account has been deleted", TenantAdmin, &c::ACCOUNT_DELETED),
    // the Workspace's session control: https://support.google.com/a/answer/9368756
    ("invalid_grant", "rapt_required", TenantAdmin, &c::GOOGLE_POLICY),
    ("invalid_grant", "invalid_rapt", TenantAdmin, &c::GOOGLE_POLICY),
    ("access_denied", "account restricted", TenantAdmin, &c::GOOGLE_POLICY),
    ("invalid_client", "oauth client was not found", AppBroken, &c::GOOGLE_ACCOUNT_GONE),
    // of service accounts: https://developers.google.com/identity/protocols/oauth2/service-account#error-codes
    ("unauthorized_client", "unauthorized client or scope in request", TenantAdmin, &c::DELEGATION_MISSING),
    ("unauthorized_client", "unauthorized to retrieve access tokens", TenantAdmin, &c::DELEGATION_MISSING),
    ("unauthorized_client", "client not found", TenantAdmin, &c::DELEGATION_MISSING),
    ("access_denied", "requested client not authorized", TenantAdmin, &c::DELEGATION_MISSING),
    ("invalid_grant", "invalid email or user id", TenantAdmin, &c::GOOGLE_USER_UNKNOWN),
    ("invalid_grant", "not a valid email", TenantAdmin, &c::GOOGLE_USER_UNKNOWN),
    ("invalid_request", "invalid impersonation", TenantAdmin, &c::GOOGLE_USER_UNKNOWN),
    ("invalid_grant", "invalid jwt signature", AppBroken, &c::GOOGLE_KEY_REFUSED),
    ("invalid_grant", "no valid verifier found for issuer", AppBroken, &c::GOOGLE_ACCOUNT_GONE),
    ("invalid_grant", "account not found", AppBroken, &c::GOOGLE_ACCOUNT_GONE),
    ("invalid_grant", "token must be a short-lived token", OurBug, &c::CLOCK_REFUSED),
];

/// Understands a failed answer. `retry_after` is the header's value as sent.
#[must_use]
pub fn classify_oauth(http_status: u16, body: &[u8], retry_after: Option<&str>) -> OauthFailure {
    let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |key: &str| json.get(key).and_then(serde_json::Value::as_str).map(String::from);
    let error = text("error").unwrap_or_default();
    let description = text("error_description").unwrap_or_default();
    let code = json
        .get("error_codes")
        .and_then(|codes| codes.get(0))
        .and_then(serde_json::Value::as_u64)
        .and_then(|code| u32::try_from(code).ok())
        .or_else(|| code_in(&description))
        .map(|code| reason_behind(code, &description).unwrap_or(code));
    // Google names its session control in a member of its own
    let subtype = text("error_subtype").unwrap_or_default();
    let (class, entry) = decide(http_status, &error, code, &format!("{description} {subtype}"));
    let is_cancelled = code.is_none() && text("error_subcode").is_some_and(|subcode| subcode == "cancel");
    let shown = match (description.is_empty(), error.is_empty()) {
        (false, _) => description,
        (true, false) => error.clone(),
        (true, true) => format!("HTTP {http_status} {}", String::from_utf8_lossy(body)),
    };
    let wait = retry_after.and_then(|header| header.trim().parse().ok()).map(Duration::from_secs);
    let failure = OauthFailure {
        class,
        entry,
        code,
        description: scrub(&shown),
        trace_id: text("trace_id").map(|id| scrub(&id)),
        correlation_id: text("correlation_id").map(|id| scrub(&id)),
        claims: text("claims").filter(|claims| is_demand(claims)),
        retry_after: wait.map(|wait| wait.min(LONGEST_WAIT)),
        http_status,
        error: scrub(&error),
    };
    if is_cancelled { failure.at_entra() } else { failure }
}

/// A broken or hostile Retry-After must not put a mailbox to sleep for years.
const LONGEST_WAIT: Duration = Duration::from_secs(6 * 3600);

/// Whether a text can be sent along as what the next sign-in must prove: a JSON object of bounded size.
fn is_demand(claims: &str) -> bool {
    claims.len() <= LONGEST_CLAIMS
        && serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(claims).is_ok()
}

/// It goes into an address, and into the store.
const LONGEST_CLAIMS: usize = 2000;

fn decide(http_status: u16, error: &str, code: Option<u32>, description: &str) -> Meaning {
    // 429 and 5xx speak of the server's condition whatever the body says.
    if http_status == 429 {
        return (Retry, &c::IDP_THROTTLED);
    }
    if http_status >= 500 {
        return (Retry, &c::IDP_UNAVAILABLE);
    }
    if matches!(error, "temporarily_unavailable" | "server_error") {
        return (Retry, &c::IDP_UNAVAILABLE);
    }
    let lower = description.to_ascii_lowercase();
    if let Some(meaning) = code.and_then(|code| meaning(code, &lower)) {
        return meaning;
    }
    let by_words = BY_WORDS.iter().find(|(name, words, ..)| *name == error && lower.contains(words));
    if let Some((_, _, class, entry)) = by_words {
        return (*class, *entry);
    }
    // with a number that nobody knows, these say no more than that it was refused
    let says_nothing = code.is_some() && matches!(error, "invalid_grant" | "access_denied");
    let by_error = BY_ERROR.iter().find(|(name, ..)| *name == error && !says_nothing);
    match by_error {
        Some((_, class, entry)) => (*class, *entry),
        // no JSON, as a proxy answers: it says nothing about the grant, which is kept
        None if error.is_empty() => (Retry, &c::IDP_UNAVAILABLE),
        None => (Unknown, &c::IDP_REFUSED),
    }
}

#[cfg(test)]
#[path = "oauth_google_tests.rs"]
mod google_tests;
#[cfg(test)]
#[path = "oauth_tests.rs"]
mod tests;
