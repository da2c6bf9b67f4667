//! Google's words at the token endpoint, which has no numbers.

use super::*;

#[test]
fn google_s_words_tell_more_than_its_error() {
    let revoked = br#"{"error":"invalid_grant","error_description":"Token has been expired or revoked."}"#;
    let found = classify_oauth(400, revoked, None);
    assert_eq!((found.class, found.entry.code), (SignIn, "google_sign_in_ended"));
    let delegation =
        br#"{"error":"unauthorized_client","error_description":"Unauthorized client or scope in request."}"#;
    let found = classify_oauth(401, delegation, None);
    assert_eq!((found.class, found.entry.code), (TenantAdmin, "google_delegation_missing"));
}

/// What Google answers to the assertion of a service account, as it is on the wire: status, body, class, entry.
const OF_SERVICE_ACCOUNTS: &[(u16, &str, OauthClass, &str)] = &[
    (
        401,
        r#"{"error":"unauthorized_client","error_description":"Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the scopes requested."}"#,
        TenantAdmin,
        "google_delegation_missing",
    ),
    (
        400,
        r#"{"error":"unauthorized_client","error_description":"Client not found."}"#,
        TenantAdmin,
        "google_delegation_missing",
    ),
    (
        403,
        r#"{"error":"access_denied","error_description":"Requested client not authorized."}"#,
        TenantAdmin,
        "google_delegation_missing",
    ),
    (
        400,
        r#"{"error":"invalid_grant","error_description":"Invalid email or User ID"}"#,
        TenantAdmin,
        "google_user_unknown",
    ),
    (
        400,
        r#"{"error":"invalid_grant","error_description":"Not a valid email or user ID."}"#,
        TenantAdmin,
        "google_user_unknown",
    ),
    (
        400,
        r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#,
        AppBroken,
        "service_account_key_refused",
    ),
    (
        400,
        r#"{"error":"invalid_grant","error_description":"Invalid grant: account not found"}"#,
        AppBroken,
        "google_client_gone",
    ),
    (
        401,
        r#"{"error":"disabled_client","error_description":"The OAuth client was disabled."}"#,
        AppBroken,
        "google_client_gone",
    ),
    (
        401,
        r#"{"error":"invalid_client","error_description":"The OAuth client was not found."}"#,
        AppBroken,
        "google_client_gone",
    ),
    (
        400,
        r#"{"error":"invalid_grant","error_description":"Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim."}"#,
        OurBug,
        "clock_refused",
    ),
    (400, r#"{"error":"admin_policy_enforced"}"#, TenantAdmin, "google_admin_policy"),
    (
        400,
        r#"{"error":"invalid_scope","error_description":"Invalid OAuth scope or ID token audience provided."}"#,
        AppBroken,
        "app_permissions_missing",
    ),
    (503, r#"{"error":"internal_failure"}"#, Retry, "identity_provider_unavailable"),
];

#[test]
fn what_google_says_of_a_service_account_is_understood() {
    for (status, body, class, entry) in OF_SERVICE_ACCOUNTS {
        let found = classify_oauth(*status, body.as_bytes(), None);
        assert_eq!((found.class, found.entry.code), (*class, *entry), "{body}");
        let is_of_the_key = matches!(*entry, "service_account_key_refused" | "app_refused");
        assert_eq!(found.refuses_credential(), is_of_the_key, "{body}");
        let trips = matches!(*entry, "service_account_key_refused" | "google_client_gone");
        assert_eq!(found.trips_app_breaker(), trips, "{body}");
    }
}

#[test]
fn whoever_delegates_is_told_what_to_enter() {
    let words = br#"{"error":"unauthorized_client","error_description":"Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the scopes requested."}"#;
    let facts = Facts {
        address: "anna@makler.example",
        client_id: "113000000000000000017",
        detail: "https://mail.google.com/",
        ..Facts::default()
    };
    let stored = classify_oauth(401, words, None).diagnosis(&facts);
    for (language, domain_wide) in [
        (crate::diagnosis::Language::En, "Domain-wide delegation"),
        (crate::diagnosis::Language::De, "Domainweite Delegierung"),
    ] {
        let shown = crate::diagnosis::shown(&stored, language);
        let clicks = shown.remedy.clicks.join("\n");
        for word in [domain_wide, facts.client_id, facts.detail] {
            assert!(clicks.contains(word), "{word} is missing: {clicks}");
        }
        assert!(shown.summary.contains(facts.address), "{}", shown.summary);
    }
}

#[test]
fn google_s_session_control_is_a_policy_wherever_it_stands() {
    for answer in [
        r#"{"error":"invalid_grant","error_description":"reauth related error (invalid_rapt)","error_uri":"https://support.google.com/a/answer/9368756","error_subtype":"invalid_rapt"}"#,
        r#"{"error":"invalid_grant","error_description":"Bad Request","error_subtype":"rapt_required"}"#,
    ] {
        let found = classify_oauth(400, answer.as_bytes(), None);
        assert_eq!((found.class, found.entry.code), (TenantAdmin, "google_admin_policy"), "{answer}");
    }
}

#[test]
fn google_s_invalid_grant_asks_for_a_sign_in() {
    let text = br#"{"error":"invalid_grant","error_description":"Token has been expired or revoked."}"#;
    let found = classify_oauth(400, text, None);
    assert_eq!((found.class, found.description.as_str()), (SignIn, "Token has been expired or revoked."));
}
