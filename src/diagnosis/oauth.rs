//! Token endpoint errors → what to do. By `error` first, AADSTS code second, with a fallback: Microsoft says
//! "react on `error`", its codes may change, and bodies may be no JSON at all (429 as plain text, HTML of proxies).

use super::{Entry, Facts, catalogue as c, describe, scrub};
use crate::domain::{Diagnosis, Disposition};
use std::time::Duration;

/// What a failed token request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OauthClass {
    /// Again, by backoff.
    Retry,
    /// Again, not before 15 minutes: lockouts and loops get worse by haste.
    RetrySlow,
    /// The user signs in again.
    SignIn,
    /// The user, else an administrator, gives consent.
    Consent,
    /// The tenant's administrator changes something.
    TenantAdmin,
    /// The app's registration or secret is broken.
    AppBroken,
    /// Our request is wrong for this authority.
    OurBug,
}

impl OauthClass {
    /// The answer to "what now?".
    #[must_use]
    pub fn disposition(self) -> Disposition {
        match self {
            Self::Retry => Disposition::Retry,
            Self::RetrySlow => Disposition::RetryAfter(Duration::from_secs(15 * 60)),
            Self::SignIn | Self::Consent => Disposition::SignIn,
            Self::TenantAdmin | Self::OurBug => Disposition::NeedsAdmin,
            Self::AppBroken => Disposition::AppBroken,
        }
    }
}

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

    /// Whether it says that the app's secret or certificate is wrong, and not something else about the app.
    #[must_use]
    pub fn refuses_credential(&self) -> bool {
        let unnamed = self.error == "invalid_client" && self.entry.code == c::APP_REFUSED.code;
        let entries = [&c::SECRET_WRONG, &c::SECRET_EXPIRED, &c::APP_CERTIFICATE, &c::GOOGLE_KEY_REFUSED];
        self.class == AppBroken && (unnamed || entries.iter().any(|entry| entry.code == self.entry.code))
    }

    /// Whether the request should be repeated once with the client secret sent the other way:
    /// AADSTS700025 (public client with a secret), AADSTS7000218 (secret missing).
    #[must_use]
    pub fn wants_secret_the_other_way(&self) -> bool {
        matches!(self.code, Some(700_025 | 7_000_218))
    }
}

type Row = (&'static [u32], OauthClass, &'static Entry);

use OauthClass::{AppBroken, Consent, OurBug, Retry, RetrySlow, SignIn, TenantAdmin};

/// Codes as documented by Microsoft (entra-docs, reference-error-codes).
static AADSTS: &[Row] = &[
    (&[50034, 50020, 51004, 16000], SignIn, &c::USER_NOT_IN_TENANT),
    (&[50053], RetrySlow, &c::LOCKED_OUT),
    (&[50055, 50144], SignIn, &c::PASSWORD_EXPIRED),
    (&[50056, 50064, 50126], SignIn, &c::IDP_PASSWORD),
    (&[50057], TenantAdmin, &c::ACCOUNT_DISABLED),
    (&[50058], SignIn, &c::SIGN_IN_AGAIN),
    (&[50059, 90019, 50128], OurBug, &c::WRONG_AUTHORITY),
    (&[50072, 50074, 50076, 50078, 50079, 50158], SignIn, &c::MFA_REQUIRED),
    (&[53004, 53010], SignIn, &c::MFA_REGISTRATION),
    (&[50085, 50089, 50132, 50133, 50173], SignIn, &c::SIGN_IN_AGAIN),
    (&[50097, 50129, 50155, 50187, 53000, 53001, 53002], TenantAdmin, &c::DEVICE_POLICY),
    (&[50105], TenantAdmin, &c::USER_NOT_ASSIGNED),
    (&[50131, 53003, 530_032, 53011], TenantAdmin, &c::CONDITIONAL_ACCESS),
    (&[530_035], TenantAdmin, &c::SECURITY_DEFAULTS),
    (&[50140, 50199, 50125, 50127], SignIn, &c::SIGN_IN_INTERRUPTED),
    (&[50194, 90124, 90130, 9_002_332, 9_001_023], OurBug, &c::WRONG_AUTHORITY),
    (&[50196], RetrySlow, &c::IDP_LOOP),
    (&[50011, 900_971, 500_113, 70004], AppBroken, &c::REDIRECT_MISMATCH),
    (&[500_011, 50001, 650_052, 650_054, 650_057], TenantAdmin, &c::RESOURCE_MISSING),
    (&[500_021, 500_022, 50002, 500_212, 500_213, 90072], TenantAdmin, &c::CROSS_TENANT_POLICY),
    // a refresh token can be refused as 70000, too
    (&[70000], SignIn, &c::SIGN_IN_AGAIN),
    (&[54005, 700_005, 501_481], SignIn, &c::SIGN_IN_RESTART),
    (&[65001], Consent, &c::CONSENT_MISSING),
    (&[65004], Consent, &c::CONSENT_DECLINED),
    (&[65005, 650_056], AppBroken, &c::APP_PERMISSIONS),
    (&[70001, 7_000_112, 1_000_031], AppBroken, &c::APP_DISABLED),
    (&[70002, 7_000_215], AppBroken, &c::SECRET_WRONG),
    (&[7_000_222], AppBroken, &c::SECRET_EXPIRED),
    (&[7_000_218, 700_025], AppBroken, &c::CLIENT_TYPE),
    (&[700_027, 700_030, 50012], AppBroken, &c::APP_CERTIFICATE),
    (
        &[70003, 70005, 70007, 900_144, 90014, 90013, 90023, 90100, 9_002_313, 900_561],
        OurBug,
        &c::REQUEST_REFUSED,
    ),
    (&[70008, 700_082, 700_084], SignIn, &c::SIGN_IN_AGAIN),
    (&[70011, 28002, 28003, 700_022, 700_023, 28000], OurBug, &c::REQUEST_REFUSED),
    (
        &[70012, 90006, 90012, 90024, 90033, 90090, 50033, 50087, 50088, 40010, 80002, 80005],
        Retry,
        &c::IDP_UNAVAILABLE,
    ),
    (&[90055], RetrySlow, &c::IDP_THROTTLED),
    (&[40008, 40009, 20001, 20012, 50107, 80001, 80007], Retry, &c::FEDERATION_FAULT),
    (&[70016], Retry, &c::DEVICE_PENDING),
    (&[70018, 70019, 70020], SignIn, &c::DEVICE_CODE_ENDED),
    (&[70043], SignIn, &c::SIGN_IN_FREQUENCY),
    (&[700_016, 700_011, 700_020], AppBroken, &c::APP_NOT_FOUND),
    (&[90002, 90038, 900_382], OurBug, &c::TENANT_NOT_FOUND),
    (&[90094, 90095, 90099], TenantAdmin, &c::ADMIN_CONSENT),
    (&[135_010, 135_011], SignIn, &c::SIGN_IN_AGAIN),
    (&[7_000_114], OurBug, &c::REQUEST_REFUSED),
];

/// By RFC 6749 §5.2 and OpenID Connect Core §3.1.2.6 names, for codes the table does not have.
static BY_ERROR: &[(&str, OauthClass, &Entry)] = &[
    ("temporarily_unavailable", Retry, &c::IDP_UNAVAILABLE),
    ("server_error", Retry, &c::IDP_UNAVAILABLE),
    ("slow_down", Retry, &c::IDP_THROTTLED),
    ("invalid_grant", SignIn, &c::SIGN_IN_AGAIN),
    ("interaction_required", SignIn, &c::SIGN_IN_AGAIN),
    ("login_required", SignIn, &c::SIGN_IN_AGAIN),
    ("consent_required", Consent, &c::CONSENT_MISSING),
    ("access_denied", Consent, &c::CONSENT_DECLINED),
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
];

/// Where providers without codes tell more in words than by `error`: Google. Words are compared in lower case.
static BY_WORDS: &[(&str, &str, OauthClass, &Entry)] = &[
    ("invalid_grant", "token has been expired or revoked", SignIn, &c::GOOGLE_SIGN_IN_ENDED),
    // of service accounts: https://developers.google.com/identity/protocols/oauth2/service-account#error-codes
    ("unauthorized_client", "unauthorized client or scope in request", TenantAdmin, &c::DELEGATION_MISSING),
    ("unauthorized_client", "unauthorized to retrieve access tokens", TenantAdmin, &c::DELEGATION_MISSING),
    ("unauthorized_client", "client not found", TenantAdmin, &c::DELEGATION_MISSING),
    ("access_denied", "requested client not authorized", TenantAdmin, &c::DELEGATION_MISSING),
    ("invalid_grant", "invalid email or user id", TenantAdmin, &c::GOOGLE_USER_UNKNOWN),
    ("invalid_grant", "not a valid email", TenantAdmin, &c::GOOGLE_USER_UNKNOWN),
    ("invalid_grant", "invalid jwt signature", AppBroken, &c::GOOGLE_KEY_REFUSED),
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
        .or_else(|| code_in(&description));
    let (class, entry) = decide(http_status, &error, code, &description);
    let shown = match (description.is_empty(), error.is_empty()) {
        (false, _) => description,
        (true, false) => error.clone(),
        (true, true) => format!("HTTP {http_status} {}", String::from_utf8_lossy(body)),
    };
    let wait = retry_after.and_then(|header| header.trim().parse().ok()).map(Duration::from_secs);
    OauthFailure {
        class,
        entry,
        code,
        description: scrub(&shown),
        trace_id: text("trace_id").map(|id| scrub(&id)),
        correlation_id: text("correlation_id").map(|id| scrub(&id)),
        claims: text("claims"),
        retry_after: wait.map(|wait| wait.min(LONGEST_WAIT)),
        http_status,
        error: scrub(&error),
    }
}

/// A broken or hostile Retry-After must not put a mailbox to sleep for years.
const LONGEST_WAIT: Duration = Duration::from_secs(6 * 3600);

fn decide(
    http_status: u16,
    error: &str,
    code: Option<u32>,
    description: &str,
) -> (OauthClass, &'static Entry) {
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
    let by_code = code.and_then(|code| AADSTS.iter().find(|(codes, _, _)| codes.contains(&code)));
    if let Some((_, class, entry)) = by_code {
        return (*class, entry);
    }
    let lower = description.to_ascii_lowercase();
    let by_words = BY_WORDS.iter().find(|(name, words, ..)| *name == error && lower.contains(words));
    if let Some((_, _, class, entry)) = by_words {
        return (*class, entry);
    }
    if let Some((_, class, entry)) = BY_ERROR.iter().find(|(name, _, _)| *name == error) {
        return (*class, entry);
    }
    // No JSON, or an error nobody has heard of: it says nothing about the grant, so the grant is kept.
    (Retry, &c::IDP_UNAVAILABLE)
}

fn code_in(description: &str) -> Option<u32> {
    let digits = description.split_once("AADSTS")?.1;
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits.get(..end)?.parse().ok()
}

#[cfg(test)]
#[path = "oauth_tests.rs"]
mod tests;
