//! Facts about token life, and its invariants.

use crate::diagnosis::classify_oauth;
use crate::domain::{GrantWay, Secret, SignedInAs};
use crate::token::mailbox::lifecycle::*;
use proptest::prelude::*;

const NOW: Timestamp = Timestamp(1_795_460_342_000);

fn around(in_doubt: bool, failures: u32) -> Circumstances<'static> {
    Circumstances {
        in_doubt,
        deserves_another_try: true,
        failures,
        signed_in_at: None,
        now: NOW,
        jitter: 0.0,
        facts: Facts::default(),
    }
}

fn refused(status: u16, body: &str, retry_after: Option<&str>) -> FlowError {
    FlowError::Refused { failure: Box::new(classify_oauth(status, body.as_bytes(), retry_after)) }
}

#[test]
fn a_sign_in_that_google_ends_after_seven_days_names_the_consent_screen() {
    let ended = || {
        refused(
            400,
            r#"{"error":"invalid_grant","error_description":"Token has been expired or revoked."}"#,
            None,
        )
    };
    let hours = |hours: i64| Some(Timestamp(NOW.0 - hours * 3_600_000));
    for (signed_in_at, code) in [
        (hours(7 * 24 + 1), "google_consent_screen_testing"),
        (hours(7 * 24 - 1), "google_sign_in_ended"),
        (hours(8 * 24), "google_sign_in_ended"),
        (None, "google_sign_in_ended"),
    ] {
        let verdict = after_failure(&ended(), &Circumstances { signed_in_at, ..around(false, 1) });
        assert_eq!((verdict.diagnosis.code.as_str(), verdict.step), (code, Step::SignIn));
    }
}

#[test]
fn a_grant_that_nobody_uses_is_refreshed_before_its_provider_ends_it() {
    let day = Duration::from_secs(24 * 3600);
    let keep = day * 30;
    let at = |days: i64| Timestamp(NOW.0 - days * 24 * 3_600_000);
    let tried = |days: i64, result: &str| Some(LastRefresh { at: at(days), result: String::from(result) });
    for (signed_in, last, in_flight, due) in [
        (29, None, None, false),
        (30, None, None, true),
        (400, tried(29, "ok"), None, false),
        (400, tried(30, "ok"), None, true),
        // tried daily after a failure, and after an answer that was lost
        (400, tried(0, "sign_in_again"), None, false),
        (400, tried(1, "sign_in_again"), None, true),
        (400, tried(3, "ok"), Some(at(0)), false),
        (400, tried(3, "ok"), Some(at(1)), true),
        // somebody signed in since
        (2, tried(40, "sign_in_again"), None, true),
        (29, tried(40, "ok"), None, false),
    ] {
        let grant = Grant {
            signed_in_at: at(signed_in),
            last_refresh: last,
            refresh_in_flight_since: in_flight,
            ..grant()
        };
        assert_eq!(needs_upkeep(&grant, keep, NOW), due, "{grant:?}");
    }
    let secret = GrantSecret::Password { user: String::from("a"), password: Secret::new("b") };
    assert!(!needs_upkeep(&Grant { secret, signed_in_at: at(400), ..grant() }, keep, NOW));
}

fn invalid_grant() -> FlowError {
    refused(400, r#"{"error":"invalid_grant"}"#, None)
}

fn cut(maybe_consumed: bool) -> FlowError {
    FlowError::Transport { maybe_consumed, cause: "reset".into() }
}

fn grant() -> Grant {
    Grant {
        send_client_secret: true,
        scopes: vec!["a".into()],
        ..Grant::new(GrantWay::Redirect, GrantSecret::Refresh { refresh_token: Secret::new("old") }, NOW)
    }
}

fn signed_in() -> Grant {
    let anna = SignedInAs { name: "anna".into(), oid: None, tid: None };
    Grant { signed_in_as: Some(anna), ..grant() }
}

fn answer(refresh_token: Option<&str>) -> TokenAnswer {
    TokenAnswer {
        access_token: Secret::new("a"),
        refresh_token: refresh_token.map(Secret::new),
        expires_in: Duration::from_secs(3600),
        scopes: vec![],
        id_token: None,
    }
}

#[test]
fn an_hour_s_token_is_refreshed_10_to_15_minutes_ahead() {
    let end = NOW.plus(Duration::from_secs(3600));
    assert_eq!(end.since(refresh_at(NOW, end, 0.0)).as_secs(), 600);
    assert_eq!(end.since(refresh_at(NOW, end, 1.0)).as_secs(), 900);
    let short = NOW.plus(Duration::from_secs(60));
    assert_eq!(short.since(refresh_at(NOW, short, 0.0)).as_secs(), 15);
}

#[test]
fn a_lost_answer_then_invalid_grant_is_told_as_rotation_answer_lost() {
    let (marked, in_doubt) = before_refresh(grant(), NOW);
    assert!(!in_doubt && marked.refresh_in_flight_since == Some(NOW));
    let lost = after_failure(&cut(true), &around(in_doubt, 1));
    assert_eq!((lost.step, lost.in_doubt), (Step::RetryAt(NOW.plus(Duration::from_secs(1))), true));
    let kept = with_failure(marked, &cut(true), &lost, NOW);
    assert_eq!(kept.secret, grant().secret);
    let (again, in_doubt) = before_refresh(kept, NOW.plus(Duration::from_secs(1)));
    assert!(in_doubt && again.refresh_in_flight_since == Some(NOW), "the first doubt is remembered");
    let verdict = after_failure(&invalid_grant(), &around(in_doubt, 2));
    assert_eq!((verdict.step, verdict.diagnosis.code.as_str()), (Step::SignIn, "rotation_answer_lost"));
}

#[test]
fn a_restart_in_flight_is_a_doubt() {
    let found = Grant { refresh_in_flight_since: Some(NOW), ..grant() };
    let (_, in_doubt) = before_refresh(found, NOW.plus(Duration::from_secs(99)));
    assert!(in_doubt);
}

#[test]
fn invalid_grant_without_a_doubt_is_a_plain_sign_in() {
    assert_eq!(after_failure(&invalid_grant(), &around(false, 1)).diagnosis.code, "sign_in_again");
    let mfa = refused(400, r#"{"error":"invalid_grant","error_codes":[50076]}"#, None);
    assert_eq!(after_failure(&mfa, &around(true, 1)).diagnosis.code, "mfa_required", "its cause is known");
}

#[test]
fn what_is_refused_without_a_reason_is_tried_once_more_and_no_more() {
    let bare = || refused(400, r#"{"error":"invalid_grant","error_codes":[70000]}"#, None);
    for in_doubt in [false, true] {
        let (marked, _) = before_refresh(signed_in(), NOW);
        assert!(deserves_another_try(&marked));
        let first = after_failure(&bare(), &around(in_doubt, 1));
        assert_eq!(first.step, Step::RetryAt(NOW.plus(Duration::from_secs(60))));
        assert_eq!((first.diagnosis.code.as_str(), first.in_doubt), ("refresh_refused_once", in_doubt));
        let kept = with_failure(marked, &bare(), &first, NOW);
        assert_eq!(kept.secret, grant().secret, "the old token stays valid there");
        assert!(!deserves_another_try(&kept), "a restart does not begin anew");
        let again = Circumstances { deserves_another_try: false, ..around(in_doubt, 2) };
        let second = after_failure(&bare(), &again);
        let code = if in_doubt { "rotation_answer_lost" } else { "sign_in_again" };
        assert_eq!((second.step, second.diagnosis.code.as_str()), (Step::SignIn, code));
        assert!(
            deserves_another_try(&with_failure(kept, &bare(), &second, NOW)),
            "a person may have it tried"
        );
    }
    assert!(!deserves_another_try(&grant()), "a token that nobody ever used is not known to be good");
    let refreshed = LastRefresh { at: NOW, result: String::from(REFRESHED) };
    assert!(deserves_another_try(&Grant { last_refresh: Some(refreshed), ..grant() }));
    let named = refused(400, r#"{"error":"invalid_grant","error_codes":[50173]}"#, None);
    assert_eq!(after_failure(&named, &around(false, 1)).step, Step::SignIn, "this one has a reason");
}

#[test]
fn what_the_next_sign_in_must_prove_is_kept_until_a_refresh_works() {
    let demand = r#"{\"access_token\":{\"capolids\":{\"essential\":true}}}"#;
    let body = format!(r#"{{"error":"interaction_required","error_codes":[50076],"claims":"{demand}"}}"#);
    let error = refused(400, &body, None);
    let verdict = after_failure(&error, &around(false, 1));
    let kept = with_failure(grant(), &error, &verdict, NOW);
    assert_eq!(kept.claims.as_deref(), Some(r#"{"access_token":{"capolids":{"essential":true}}}"#));
    let other = with_failure(kept, &cut(false), &after_failure(&cut(false), &around(false, 2)), NOW);
    assert!(other.claims.is_some(), "a later failure that demands nothing takes nothing back");
    assert_eq!(with_answer(other, &answer(None), NOW).claims, None);
}

#[test]
fn what_never_left_adds_no_doubt_and_takes_none_away() {
    assert!(!after_failure(&cut(false), &around(false, 1)).in_doubt);
    assert!(after_failure(&cut(false), &around(true, 1)).in_doubt);
    assert!(after_failure(&refused(429, "", None), &around(true, 1)).in_doubt);
    assert!(after_failure(&refused(502, "<html>", None), &around(false, 1)).in_doubt);
}

#[test]
fn each_class_has_its_step() {
    let later = |seconds| NOW.plus(Duration::from_secs(seconds));
    for (error, failures, step) in [
        (cut(false), 1, Step::RetryAt(later(1))),
        (cut(false), 4, Step::RetryAt(later(8))),
        (cut(false), 40, Step::RetryAt(later(300))),
        (refused(429, "Too Many Requests", Some("60")), 1, Step::RetryAt(later(60))),
        (
            refused(400, r#"{"error":"invalid_grant","error_codes":[50196]}"#, None),
            1,
            Step::RetryAt(later(900)),
        ),
        (refused(400, r#"{"error":"invalid_grant","error_codes":[65001]}"#, None), 1, Step::SignIn),
        (
            refused(400, r#"{"error":"invalid_grant","error_codes":[53003]}"#, None),
            1,
            Step::NeedsAdmin(later(60)),
        ),
        (
            refused(401, r#"{"error":"invalid_client","error_codes":[7000222]}"#, None),
            2,
            Step::AppBroken(later(300)),
        ),
        (refused(401, r#"{"error":"invalid_client"}"#, None), 9, Step::AppBroken(later(3600))),
    ] {
        assert_eq!(after_failure(&error, &around(false, failures)).step, step, "{error}");
    }
}

#[test]
fn an_answer_replaces_the_token_only_if_it_brings_one() {
    let (marked, _) = before_refresh(grant(), NOW);
    let kept = with_answer(marked.clone(), &answer(None), NOW);
    assert_eq!(
        (kept.secret, kept.scopes, kept.refresh_in_flight_since),
        (grant().secret, vec!["a".into()], None)
    );
    let rotated = with_answer(marked, &answer(Some("new")), NOW);
    assert_eq!(rotated.secret, GrantSecret::Refresh { refresh_token: Secret::new("new") });
}

proptest! {
    #[test]
    fn an_ended_or_refused_token_is_never_served(
        life in 0_u64..100_000, wait in 0_u64..200_000, validity in 0_u64..7_200, generation in 0_u64..5,
        rejected in proptest::option::of(0_u64..5),
    ) {
        let token = AccessToken { token: Secret::new("t"), issued_at: NOW, expires_at: NOW.plus(Duration::from_secs(life)), generation };
        let now = NOW.plus(Duration::from_secs(wait));
        if may_serve(&token, rejected, Duration::from_secs(validity), now) {
            prop_assert!(token.expires_at > now && wait + validity.min(life / 4) <= life);
            prop_assert!(rejected.is_none_or(|refused| generation > refused));
        }
    }

    #[test]
    fn a_refresh_is_due_in_the_later_part_of_a_life_and_before_its_end(life in 4_u64..1_000_000, jitter in 0.0_f64..1.0) {
        let end = NOW.plus(Duration::from_secs(life));
        let due = refresh_at(NOW, end, jitter);
        prop_assert!(due < end);
        prop_assert!(due.since(NOW) >= Duration::from_secs(life) * 5 / 8);
    }

    #[test]
    fn failures_are_never_repeated_within_a_second_and_no_token_is_dropped(
        kinds in proptest::collection::vec((0_u8..6, 0.0_f64..1.0), 1..40),
    ) {
        let mut grant = signed_in();
        let mut now = NOW;
        for (failures, (kind, jitter)) in kinds.into_iter().enumerate() {
            let (marked, in_doubt) = before_refresh(grant, now);
            let error = match kind {
                0 => cut(true),
                1 => cut(false),
                2 => refused(503, "", None),
                3 => refused(429, "", Some("7")),
                4 => refused(400, "{\"error\":\"new\"}", None),
                _ => {
                    let once = refused(400, r#"{"error":"invalid_grant","error_codes":[70000]}"#, None);
                    // a second one in a row is final, and is its own test
                    if deserves_another_try(&marked) { once } else { cut(true) }
                }
            };
            let failures = u32::try_from(failures).unwrap() + 1;
            let signed_in_at = Some(marked.signed_in_at);
            let deserves_another_try = deserves_another_try(&marked);
            let around = Circumstances {
                in_doubt, deserves_another_try, failures, signed_in_at, now, jitter, facts: Facts::default()
            };
            let verdict = after_failure(&error, &around);
            let (Step::RetryAt(at) | Step::NeedsAdmin(at)) = verdict.step else { panic!("{:?}", verdict.step) };
            prop_assert!(at.since(now) >= Duration::from_secs(1));
            grant = with_failure(marked, &error, &verdict, now);
            prop_assert_eq!(grant.refresh_in_flight_since.is_some(), verdict.in_doubt);
            prop_assert_eq!(&grant.secret, &GrantSecret::Refresh { refresh_token: Secret::new("old") });
            now = at;
        }
    }
}
