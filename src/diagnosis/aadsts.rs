//! Microsoft's AADSTS numbers → what to do. A number of the table first; where the same number says two things, its words
//! decide; a number that nobody listed is judged by the family it is of. Pure.
//!
//! Numbers and texts: <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>, and what the public
//! trackers of programs that sign in at Entra ID quote.

use super::catalogue::{self as c, Entry};
use super::oauth_class::OauthClass;
use OauthClass::{AppBroken, Consent, OurBug, Retry, RetrySlow, SignIn, TenantAdmin};

pub(super) type Meaning = (OauthClass, &'static Entry);
type Row = (&'static [u32], OauthClass, &'static Entry);

pub(super) static AADSTS: &[Row] = &[
    (&[50034, 50020, 51004, 16000, 90072, 500_200, 500_208], SignIn, &c::USER_NOT_IN_TENANT),
    (&[50053], RetrySlow, &c::LOCKED_OUT),
    (&[50055, 50144, 50135, 50142], SignIn, &c::PASSWORD_EXPIRED),
    (&[50056, 50064, 50126], SignIn, &c::IDP_PASSWORD),
    (&[50057, 500_571], TenantAdmin, &c::ACCOUNT_DISABLED),
    (&[500_341], TenantAdmin, &c::ACCOUNT_DELETED),
    (&[50058], SignIn, &c::SIGN_IN_AGAIN),
    (&[50059, 90019, 50128], OurBug, &c::WRONG_AUTHORITY),
    (&[50072, 50074, 50076, 50078, 50079, 50158, 500_121], SignIn, &c::MFA_REQUIRED),
    (&[53004, 53010], SignIn, &c::MFA_REGISTRATION),
    (&[50085, 50089, 50132, 50133, 50173, 7_000_012], SignIn, &c::SIGN_IN_AGAIN),
    (&[50097, 50129, 50155, 50187, 53000, 53001, 53002, 530_003, 700_003], TenantAdmin, &c::DEVICE_POLICY),
    (&[50105], TenantAdmin, &c::USER_NOT_ASSIGNED),
    (&[50131, 53003, 530_032, 53011, 50005, 80012], TenantAdmin, &c::CONDITIONAL_ACCESS),
    (&[530_035], TenantAdmin, &c::SECURITY_DEFAULTS),
    (&[530_036], SignIn, &c::DEVICE_FLOW_BLOCKED),
    (&[50140, 50199, 50125, 50127, 9_002_341], SignIn, &c::SIGN_IN_INTERRUPTED),
    (&[50194, 90124, 90130, 9_002_332, 9_001_023, 9_002_331, 9_002_346], OurBug, &c::WRONG_AUTHORITY),
    (&[50196], RetrySlow, &c::IDP_LOOP),
    (
        &[50011, 900_971, 500_113, 70004, 9_002_325, 9_002_326, 9_002_327, 500_112, 500_117, 700_009],
        AppBroken,
        &c::REDIRECT_MISMATCH,
    ),
    (&[500_011, 500_014, 50001, 90056, 650_052, 650_054, 650_057], TenantAdmin, &c::RESOURCE_MISSING),
    (&[500_021, 500_022, 50002, 500_212, 500_213], TenantAdmin, &c::CROSS_TENANT_POLICY),
    // a refresh token can be refused as 70000, too
    (&[70000], SignIn, &c::SIGN_IN_AGAIN),
    (&[54005, 700_005, 501_481], SignIn, &c::SIGN_IN_RESTART),
    (&[65001, 90008], Consent, &c::CONSENT_MISSING),
    (&[65004], Consent, &c::CONSENT_DECLINED),
    (&[65005, 650_053, 650_056], AppBroken, &c::APP_PERMISSIONS),
    (&[70001, 7_000_112, 1_000_031], AppBroken, &c::APP_DISABLED),
    (&[70002, 7_000_215], AppBroken, &c::SECRET_WRONG),
    (&[7_000_222], AppBroken, &c::SECRET_EXPIRED),
    (&[7_000_218, 700_025, 700_213], AppBroken, &c::CLIENT_TYPE),
    (&[700_027, 700_030, 50012], AppBroken, &c::APP_CERTIFICATE),
    (&[700_024], OurBug, &c::CLOCK_REFUSED),
    (
        &[70003, 70005, 70007, 900_144, 90014, 90013, 90023, 90100, 9_002_313, 900_561],
        OurBug,
        &c::REQUEST_REFUSED,
    ),
    (&[70008, 700_081, 700_082, 700_084], SignIn, &c::SIGN_IN_AGAIN),
    (&[70011, 28002, 28003, 700_022, 700_023, 28000], OurBug, &c::REQUEST_REFUSED),
    (
        &[
            50000, 70012, 90006, 90012, 90024, 90033, 90036, 90090, 50033, 50087, 50088, 40010, 80002, 80005,
            90091, 90092,
        ],
        Retry,
        &c::IDP_UNAVAILABLE,
    ),
    (&[90055], RetrySlow, &c::IDP_THROTTLED),
    (&[40008, 40009, 20001, 20012, 50107, 80001, 80007, 80014], Retry, &c::FEDERATION_FAULT),
    (&[70016], Retry, &c::DEVICE_PENDING),
    (&[70018, 70019, 70020], SignIn, &c::DEVICE_CODE_ENDED),
    (&[70043, 70044], SignIn, &c::SIGN_IN_FREQUENCY),
    (&[700_016, 700_011, 700_020], AppBroken, &c::APP_NOT_FOUND),
    (&[90002, 90038, 900_382, 900_021, 900_023, 900_432, 900_439], OurBug, &c::TENANT_NOT_FOUND),
    (&[90093, 90094, 90095, 90097, 90098, 90099, 7_000_229], TenantAdmin, &c::ADMIN_CONSENT),
    // the tenant's directory is in no state to take the app: nothing that the app's owner can mend
    (&[650_051], TenantAdmin, &c::IDP_REFUSED),
    (&[135_010, 135_011], SignIn, &c::SIGN_IN_AGAIN),
    (&[7_000_114], OurBug, &c::REQUEST_REFUSED),
];

/// Numbers that say several things, by words of their text in lower case.
static BY_WORDS: &[(u32, &str, OauthClass, &Entry)] = &[
    (90023, "client secret", AppBroken, &c::CLIENT_TYPE),
    (90023, "applicable permissions", AppBroken, &c::APP_PERMISSIONS),
    // of personal accounts, for a registration that has a secret
    (70002, "must include a 'client_secret'", AppBroken, &c::CLIENT_TYPE),
    (70002, "marked as 'mobile'", AppBroken, &c::CLIENT_TYPE),
    (70002, "does not exist or is not enabled", AppBroken, &c::APP_NOT_FOUND),
];

/// The numbers that begin so, where none of them is listed: what Microsoft adds to a family is of the family. The more
/// digits, the earlier.
static FAMILIES: &[(&str, OauthClass, &Entry)] = &[
    // 900941 is 90094 with a reason
    ("9009", TenantAdmin, &c::ADMIN_CONSENT),
    // Conditional Access: 530xx, and since 2020 530xxx
    ("53", TenantAdmin, &c::CONDITIONAL_ACCESS),
    // what an app asks for and is allowed
    ("65", AppBroken, &c::APP_PERMISSIONS),
    // how a client proves itself
    ("70002", AppBroken, &c::APP_REFUSED),
    ("70021", AppBroken, &c::APP_REFUSED),
    // agents on the tenant's own premises, and seamless single sign-on
    ("80", Retry, &c::FEDERATION_FAULT),
    ("81", Retry, &c::FEDERATION_FAULT),
    // the tenant's own identity provider
    ("400", Retry, &c::FEDERATION_FAULT),
    ("200", Retry, &c::FEDERATION_FAULT),
];

/// What a number says; `None`: nobody knows it. `lower`: the text that came with it, in lower case.
pub(super) fn meaning(code: u32, lower: &str) -> Option<Meaning> {
    let listed = |code| AADSTS.iter().find(|(codes, ..)| codes.contains(&code));
    let worded = BY_WORDS.iter().find(|(number, words, ..)| *number == code && lower.contains(words));
    if let Some((_, _, class, entry)) = worded {
        return Some((*class, *entry));
    }
    if let Some((_, class, entry)) = listed(code) {
        return Some((*class, *entry));
    }
    let digits = code.to_string();
    // the longest family first
    let family = FAMILIES
        .iter()
        .filter(|(prefix, ..)| digits.len() >= 5 && digits.starts_with(prefix))
        .max_by_key(|(prefix, ..)| prefix.len());
    if let Some((_, class, entry)) = family {
        return Some((*class, *entry));
    }
    // a number of six or seven digits details the one that its first five are
    let parent = digits.get(..5).filter(|_| digits.len() > 5)?.parse().ok()?;
    let (_, class, entry) = listed(parent)?;
    // what ended a sign-in without a reason gives no reason to think that another one helps, and a credential is not to
    // be doubted for a number that was never met
    let says_much = [&c::SIGN_IN_AGAIN, &c::SECRET_WRONG, &c::SECRET_EXPIRED, &c::APP_CERTIFICATE];
    (!says_much.iter().any(|known| known.code == entry.code)).then_some((*class, *entry))
}

/// Whether a number is in the table.
pub(super) fn is_listed(code: u32) -> bool {
    AADSTS.iter().any(|(codes, ..)| codes.contains(&code))
}

/// The number that a text gives as the reason behind its first one: older texts say AADSTS70002 of every refusal, and what
/// it was after that.
pub(super) fn reason_behind(code: u32, description: &str) -> Option<u32> {
    let (_, rest) = description.split_once("AADSTS")?;
    (code == 70002).then(|| code_in(rest)).flatten()
}

/// The number in a text.
pub(super) fn code_in(description: &str) -> Option<u32> {
    let digits = description.split_once("AADSTS")?.1;
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits.get(..end)?.parse().ok()
}

/// Whether the request should be repeated once with the client secret sent the other way: a public client with a secret,
/// or a confidential one without. Personal accounts have numbers of their own for it.
pub(super) fn wants_secret_the_other_way(code: u32, lower: &str) -> bool {
    let is_about_it = meaning(code, lower).is_some_and(|(_, entry)| entry.code == c::CLIENT_TYPE.code);
    is_about_it && matches!(code, 700_025 | 7_000_218 | 90023 | 70002)
}
