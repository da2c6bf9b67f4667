//! Tests of the token endpoint errors: each row of the notes, as real answers.

use super::super::aadsts::AADSTS;
use super::*;
use OauthClass::RetrySlow;

/// Where a class of the notes may land: their words, ours.
const RETRY: OauthClass = Retry;
const SLOW: OauthClass = RetrySlow;
const REAUTH: OauthClass = SignIn;
const CONSENT: OauthClass = Consent;
const ADMIN: OauthClass = TenantAdmin;
const APP: OauthClass = AppBroken;
const BUG: OauthClass = OurBug;

/// Each row of the notes on AADSTS codes (protocol facts, 1.7): codes, class, entry. Where the notes give two classes, the
/// first that somebody can act on.
const NOTES: &[(&str, OauthClass, &str)] = &[
    ("50034 50020 51004 16000 90072 500200 500208", REAUTH, "user_not_in_tenant"),
    ("50053", SLOW, "account_locked"),
    ("50055 50144 50135 50142", REAUTH, "password_expired"),
    ("50056 50064 50126", REAUTH, "sign_in_password_wrong"),
    ("50057 500571", ADMIN, "account_disabled"),
    ("500341", ADMIN, "account_deleted"),
    ("50058", REAUTH, "sign_in_again"),
    ("50059 90019 50128", BUG, "wrong_authority"),
    ("50072 50074 50076 50078 50079 500121", REAUTH, "mfa_required"),
    ("50085 50089 50132 50133 50173 7000012", REAUTH, "sign_in_again"),
    ("50097 50129 50155 50187 53000 53001 53002 530003 700003", ADMIN, "device_policy"),
    ("50105", ADMIN, "user_not_assigned"),
    ("50131 53003 530032 53011 50005 80012", ADMIN, "conditional_access"),
    ("530035", ADMIN, "security_defaults"),
    ("530036", REAUTH, "device_code_blocked"),
    ("53004 53010", REAUTH, "mfa_registration_required"),
    ("50140 50199 50125 50127 9002341", REAUTH, "sign_in_interrupted"),
    ("50158", REAUTH, "mfa_required"),
    ("50194 90124 90130 9002332 9001023 9002331 9002346", BUG, "wrong_authority"),
    ("50196", SLOW, "identity_provider_loop"),
    ("50011 900971 500113 70004 9002325 9002326 9002327 500112 500117 700009", APP, "redirect_uri_mismatch"),
    ("500011 500014 50001 90056 650052 650054 650057", ADMIN, "resource_not_in_tenant"),
    ("500021 500022 50002 500212 500213", ADMIN, "cross_tenant_policy"),
    ("54005 700005 501481", REAUTH, "sign_in_restart"),
    ("70000", REAUTH, "sign_in_again"),
    ("65001 90008", CONSENT, "consent_missing"),
    ("65004", CONSENT, "consent_declined"),
    ("65005 650053 650056", APP, "app_permissions_missing"),
    ("70001 7000112 1000031", APP, "app_disabled"),
    ("70002 7000215", APP, "client_secret_wrong"),
    ("7000222", APP, "client_secret_expired"),
    ("7000218 700025 700213", APP, "client_type_mismatch"),
    ("700027 700030 50012", APP, "app_certificate_wrong"),
    ("700024", BUG, "clock_refused"),
    ("70003 70005 70007 900144 90014 90013 90023 90100 9002313 900561", BUG, "request_refused"),
    ("70008 700081 700082 700084", REAUTH, "sign_in_again"),
    ("70011 28002 28003 700022 700023 28000", BUG, "request_refused"),
    (
        "50000 70012 90006 90012 90024 90033 90036 90090 50033 50087 50088 40010 80002 80005 90091 90092",
        RETRY,
        "identity_provider_unavailable",
    ),
    ("90055", SLOW, "identity_provider_throttled"),
    ("40008 40009 20001 20012 50107 80001 80007 80014", RETRY, "federation_fault"),
    ("70016", RETRY, "device_code_pending"),
    ("70018 70019 70020", REAUTH, "device_code_ended"),
    ("70043 70044", REAUTH, "sign_in_frequency"),
    ("700016 700011 700020", APP, "app_not_found"),
    ("90002 90038 900382 900021 900023 900432 900439", BUG, "tenant_not_found"),
    ("90093 90094 90095 90097 90098 90099 7000229", ADMIN, "admin_consent_required"),
    ("650051", ADMIN, "identity_provider_refused"),
    ("135010 135011", REAUTH, "sign_in_again"),
    ("7000114", BUG, "request_refused"),
];

/// The answer as Entra ID writes it, byte for byte but for its numbers.
fn genuine(error: &str, code: &str) -> String {
    format!(
        r#"{{"error":"{error}","error_description":"AADSTS{code}: What happened, in Microsoft's words.\r\nTrace ID: 0a1b2c3d-1111-2222-3333-444455556666\r\nCorrelation ID: 9f8e7d6c-aaaa-bbbb-cccc-ddddeeeeffff\r\nTimestamp: 2026-11-23 18:59:02Z","error_codes":[{code}],"timestamp":"2026-11-23 18:59:02Z","trace_id":"0a1b2c3d-1111-2222-3333-444455556666","correlation_id":"9f8e7d6c-aaaa-bbbb-cccc-ddddeeeeffff","error_uri":"https://login.microsoftonline.com/error?code={code}"}}"#
    )
}

#[test]
fn each_row_of_the_notes_lands_in_its_class_with_its_entry_whatever_the_error_is_called() {
    let mut count = 0;
    for (codes, class, entry) in NOTES {
        for code in codes.split(' ') {
            for (status, error) in
                [(400, "invalid_grant"), (401, "invalid_client"), (400, "interaction_required")]
            {
                let found = classify_oauth(status, genuine(error, code).as_bytes(), None);
                assert_eq!((found.class, found.entry.code), (*class, *entry), "{code} as {error}");
                assert_eq!(found.code.map(|code| code.to_string()).as_deref(), Some(code));
                assert_eq!(found.trace_id.as_deref(), Some("0a1b2c3d-1111-2222-3333-444455556666"));
                assert_eq!(found.correlation_id.as_deref(), Some("9f8e7d6c-aaaa-bbbb-cccc-ddddeeeeffff"));
                let evidence = found.diagnosis(&Facts::default()).evidence.unwrap();
                assert!(
                    evidence.starts_with(&format!("AADSTS{code}: ")) && evidence.contains("Timestamp"),
                    "{evidence}"
                );
            }
            count += 1;
        }
    }
    let known: usize = AADSTS.iter().map(|(codes, ..)| codes.len()).sum();
    assert_eq!(count, known, "a code of the table that the notes do not have, or the other way about");
}

/// What servers were seen to answer, and the codes that are right for each.
const SEEN: &str = include_str!("../../tests/cases/oauth-errors.json");

#[test]
fn every_text_that_was_seen_gives_one_of_its_codes() {
    let seen: serde_json::Value = serde_json::from_str(SEEN).unwrap();
    let seen = seen.as_array().unwrap();
    assert!(seen.len() > 80);
    let mut wrong = Vec::new();
    for row in seen {
        let answer = serde_json::json!({"error": row["error"], "error_description": row["text"]}).to_string();
        let found = classify_oauth(400, answer.as_bytes(), None);
        if !row["want"].as_array().unwrap().contains(&serde_json::json!(found.entry.code)) {
            wrong.push(format!("{}: {} is no {}", row["text"], row["want"], found.entry.code));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn numbers_that_nobody_listed_are_of_their_family() {
    let families: [(&str, [std::ops::Range<u32>; 2], OauthClass, &str); 6] = [
        ("Conditional Access", [53_100..53_150, 530_100..530_150], ADMIN, "conditional_access"),
        ("admin consent", [90_091..90_100, 900_900..900_999], ADMIN, "admin_consent_required"),
        ("permissions", [65_100..65_150, 650_100..650_150], APP, "app_permissions_missing"),
        ("client proof", [7_000_230..7_000_280, 7_002_100..7_002_150], APP, "app_refused"),
        ("agents", [80_100..80_150, 81_100..81_150], RETRY, "federation_fault"),
        ("the tenant's own provider", [40_020..40_070, 20_020..20_070], RETRY, "federation_fault"),
    ];
    let listed = |code: &u32| AADSTS.iter().any(|(codes, ..)| codes.contains(code));
    for (name, ranges, class, entry) in families {
        let invented: Vec<u32> = ranges.into_iter().flatten().filter(|code| !listed(code)).collect();
        assert!(invented.len() >= 99, "{name}");
        for code in invented {
            let found = classify_oauth(400, &body("invalid_grant", code), None);
            assert_eq!((found.class, found.entry.code), (class, entry), "{name}: {code}");
            assert_eq!(found.unlisted(), Some(code));
        }
    }
    // a detail of a number means what the number means
    for (code, entry) in
        [(501_059, "user_not_assigned"), (500_349, "user_not_in_tenant"), (500_579, "account_disabled")]
    {
        assert_eq!(classify_oauth(400, &body("invalid_grant", code), None).entry.code, entry, "{code}");
    }
    for code in [500_589, 7_000_099, 500_859] {
        let found = classify_oauth(400, &body("invalid_grant", code), None);
        assert_ne!(found.entry.code, "sign_in_again", "{code}");
    }
    let listed = classify_oauth(400, &body("invalid_grant", 530_036), None);
    assert_eq!(listed.unlisted(), None);
}

#[test]
fn what_is_not_known_says_so_and_sends_nobody_to_sign_in() {
    // 52xxx, 59xxx and 990xxx are no family of ours
    for code in (52_000..52_050).chain(59_000..59_050).chain(990_000..990_050) {
        for error in ["invalid_grant", "access_denied", "brand_new"] {
            let found = classify_oauth(400, &body(error, code), None);
            assert_eq!(
                (found.class, found.entry.code),
                (Unknown, "identity_provider_refused"),
                "{error} {code}"
            );
            assert_eq!(found.disposition(), Disposition::NeedsAdmin, "the grant is kept and probed");
        }
    }
    // these do say that a person helps, whatever the number
    for error in ["interaction_required", "login_required"] {
        assert_eq!(classify_oauth(400, &body(error, 52_000), None).class, REAUTH);
    }
    let found = classify_oauth(400, genuine("invalid_grant", "99999999").as_bytes(), None);
    let told = found.diagnosis(&Facts::default());
    assert!(told.evidence.unwrap().starts_with("AADSTS99999999: "), "the provider's own words");
    let found =
        classify_oauth(400, b"{\"error\":\"brand_new\",\"error_description\":\"never heard of\"}", None);
    assert_eq!((found.class, found.description.as_str()), (Unknown, "never heard of"));
}

#[test]
fn a_cancel_at_entra_speaks_of_the_administrator_too() {
    let cancel = br#"{"error":"access_denied","error_subcode":"cancel"}"#;
    let bare = br#"{"error":"access_denied","error_description":"The user denied the request"}"#;
    let named = body("access_denied", 65004);
    let facts = Facts { tenant: "t.example", client_id: "c", ..Facts::default() };
    for found in [
        classify_oauth(400, cancel, None),
        classify_oauth(400, &named, None),
        classify_oauth(400, bare, None).at_entra(),
    ] {
        let told = found.diagnosis(&facts);
        assert_eq!(told.code, "consent_declined");
        assert!(told.summary.contains("administrator"), "{}", told.summary);
        assert!(told.remedy.commands[0].contains("t.example/adminconsent?client_id=c"), "{told:?}");
        assert!(found.is_decline());
    }
    let google = classify_oauth(400, bare, None);
    assert_eq!(google.entry.code, "sign_in_declined");
    assert!(google.diagnosis(&facts).remedy.commands.is_empty(), "no link of Microsoft's");
}

#[test]
fn who_is_not_found_at_a_refresh_has_been_deleted() {
    let at_sign_in = classify_oauth(400, &body("invalid_grant", 50034), None);
    assert_eq!(at_sign_in.entry.code, "user_not_in_tenant");
    let at_refresh = at_sign_in.at_refresh();
    assert_eq!((at_refresh.class, at_refresh.entry.code), (ADMIN, "account_deleted"));
}

#[test]
fn a_demand_of_the_next_sign_in_is_kept_if_it_can_be_sent() {
    let demand = r#"{"access_token":{"capolids":{"essential":true,"values":["c1"]}}}"#;
    let with = |claims: &str| {
        let answer = serde_json::json!({"error": "interaction_required", "claims": claims}).to_string();
        classify_oauth(400, answer.as_bytes(), None).claims
    };
    assert_eq!(with(demand).as_deref(), Some(demand));
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(3000));
    for odd in ["", "[]", "capolids", "{", long.as_str()] {
        assert_eq!(with(odd), None, "{odd}");
    }
}

fn body(error: &str, code: u32) -> Vec<u8> {
    serde_json::json!({
        "error": error,
        "error_description": format!("AADSTS{code}: text.\r\nTrace ID: t-1\r\nCorrelation ID: c-1"),
        "error_codes": [code], "timestamp": "2016-01-09 02:02:12Z", "trace_id": "t-1", "correlation_id": "c-1",
        "error_uri": format!("https://login.microsoftonline.com/error?code={code}")
    })
    .to_string()
    .into_bytes()
}

#[test]
fn every_row_is_found_by_its_code_in_the_list_and_by_its_code_in_the_text() {
    for (codes, class, entry) in AADSTS {
        for code in *codes {
            let listed = classify_oauth(400, &body("invalid_grant", *code), None);
            assert_eq!((listed.class, listed.entry.code, listed.code), (*class, entry.code, Some(*code)));
            assert_eq!(listed.trace_id.as_deref(), Some("t-1"));
            assert_eq!(listed.correlation_id.as_deref(), Some("c-1"));
            let text = format!("{{\"error\":\"x\",\"error_description\":\"AADSTS{code}: text\"}}");
            assert_eq!(classify_oauth(400, text.as_bytes(), None).class, *class, "{code}");
        }
    }
}

#[test]
fn no_code_is_in_two_rows() {
    let mut seen = std::collections::BTreeSet::new();
    for code in AADSTS.iter().flat_map(|(codes, _, _)| *codes) {
        assert!(seen.insert(code), "{code} is there twice");
    }
    assert!(seen.len() > 110);
}

#[test]
fn an_unknown_code_falls_back_to_the_error_name() {
    for (error, class, entry) in BY_ERROR {
        let found = classify_oauth(400, &body(error, 999_999_999), None);
        let says_nothing = matches!(*error, "invalid_grant" | "access_denied");
        let expected = if says_nothing { (Unknown, c::IDP_REFUSED.code) } else { (*class, entry.code) };
        assert_eq!((found.class, found.entry.code), expected, "{error}");
        let bare = classify_oauth(400, format!("{{\"error\":\"{error}\"}}").as_bytes(), None);
        assert_eq!(bare.class, *class, "{error}");
    }
}

#[test]
fn an_unknown_error_keeps_the_grant() {
    assert_eq!(classify_oauth(400, b"{\"error\":\"brand_new\"}", None).class, Unknown);
    assert_eq!(classify_oauth(400, b"<html><body>proxy error", None).class, Retry);
    assert_eq!(classify_oauth(400, b"", None).class, Retry);
}

#[test]
fn plain_text_429_honours_retry_after() {
    let found = classify_oauth(429, b"Too Many Requests", Some("60"));
    assert_eq!(found.disposition(), Disposition::RetryAfter(Duration::from_secs(60)));
    assert_eq!(found.description, "HTTP 429 Too Many Requests");
    let absurd = classify_oauth(429, b"", Some("99999999999"));
    assert_eq!(absurd.retry_after, Some(LONGEST_WAIT));
    assert_eq!(classify_oauth(429, b"", Some("-5")).retry_after, None);
}

#[test]
fn a_5xx_is_transient_even_with_a_grant_error_in_its_body() {
    assert_eq!(classify_oauth(503, &body("invalid_grant", 70008), None).class, Retry);
}

#[test]
fn the_breaker_trips_on_the_app_s_own_credentials_only() {
    let trips: Vec<u32> = AADSTS
        .iter()
        .flat_map(|(codes, _, _)| codes.iter().copied())
        .filter(|code| classify_oauth(401, &body("invalid_client", *code), None).trips_app_breaker())
        .collect();
    assert_eq!(trips, [7_000_112, 7_000_215, 7_000_222, 700_027, 700_030, 700_016]);
}

#[test]
fn the_secret_goes_the_other_way_where_the_words_ask_for_it() {
    let wants = |code: u32, text: &str| {
        let description = format!("AADSTS{code}: {text}");
        let answer = serde_json::json!({"error": "invalid_client", "error_description": description});
        classify_oauth(401, answer.to_string().as_bytes(), None).wants_secret_the_other_way()
    };
    assert!(wants(700_025, "") && wants(7_000_218, ""));
    // personal accounts
    assert!(wants(70002, "The provided request must include a 'client_secret' input parameter."));
    assert!(wants(90023, "Public clients can't send a client secret."));
    assert!(!wants(7_000_215, "") && !wants(70002, "Error validating credentials."));
    assert!(!wants(90023, "No applicable permissions were found for this user."));
    assert!(!wants(700_213, ""), "no secret is sent either way");
}

#[test]
fn only_what_speaks_of_the_credential_counts_against_it() {
    let refuses = |code: u32| classify_oauth(401, &body("invalid_client", code), None).refuses_credential();
    for code in [7_000_215, 7_000_222, 70002, 700_027, 700_030, 50012] {
        assert!(refuses(code), "{code}");
    }
    // a wrong clock, a missing principal, a client type, a number that nobody knows
    for code in [700_024, 7_000_229, 700_025, 7_000_218, 7_000_299, 59_999, 700_016] {
        assert!(!refuses(code), "{code}");
    }
    let bare = br#"{"error":"invalid_client","error_description":"Unauthorized"}"#;
    assert!(classify_oauth(401, bare, None).refuses_credential(), "nothing else is said");
}

#[test]
fn numbers_that_look_like_others_are_what_they_are() {
    let says = |error: &str, text: &str| {
        let body = serde_json::json!({"error": error, "error_description": text}).to_string();
        let failure = classify_oauth(400, body.as_bytes(), None);
        (failure.entry.code, failure.refuses_credential())
    };
    for (error, text, code) in [
        (
            "invalid_client",
            "AADSTS70002: The client application must be marked as 'mobile'.",
            "client_type_mismatch",
        ),
        (
            "invalid_client",
            "AADSTS70002: The client does not exist or is not enabled for consumers.",
            "app_not_found",
        ),
        (
            "invalid_grant",
            "AADSTS70002: Error validating credentials. AADSTS70008: The refresh token has expired.",
            "sign_in_again",
        ),
        (
            "invalid_grant",
            "AADSTS500121: Authentication failed during strong authentication request.",
            "mfa_required",
        ),
        (
            "invalid_grant",
            "AADSTS700081: The refresh token has expired due to maximum lifetime.",
            "sign_in_again",
        ),
        ("invalid_grant", "AADSTS700003: Device object was not found in the tenant.", "device_policy"),
        (
            "interaction_required",
            "AADSTS70044: The session has expired by a sign-in frequency check.",
            "sign_in_frequency",
        ),
        ("server_says", "AADSTS90091: An unexpected error, unreachable.", "identity_provider_unavailable"),
        (
            "invalid_request",
            "AADSTS650051: The service principal name is already present.",
            "identity_provider_refused",
        ),
        ("invalid_client", "AADSTS500129: a number that nobody knows", "app_refused"),
    ] {
        assert_eq!(says(error, text), (code, false), "{text}");
    }
    let wrong =
        "AADSTS70002: Error validating credentials. AADSTS7000215: Invalid client secret is provided.";
    assert_eq!(says("invalid_client", wrong), ("client_secret_wrong", true));
    assert_eq!(
        says("invalid_client", "AADSTS70002: Error validating credentials."),
        ("client_secret_wrong", true)
    );
}
