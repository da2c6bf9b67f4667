//! Facts about token life, and its invariants.

use crate::diagnosis::classify_oauth;
use crate::domain::{GrantWay, Secret};
use crate::token::mailbox::lifecycle::*;
use proptest::prelude::*;

const NOW: Timestamp = Timestamp(1_795_460_342_000);

fn around(in_doubt: bool, failures: u32) -> Circumstances<'static> {
    Circumstances { in_doubt, failures, signed_in_at: None, now: NOW, jitter: 0.0, facts: Facts::default() }
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
    let kept = with_failure(marked, &lost, NOW);
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

#[test]
fn a_grant_that_names_receiving_alone_is_not_good_for_sending() {
    let may =
        |scopes: &[&str]| may_send(&scopes.iter().map(|scope| String::from(*scope)).collect::<Vec<_>>());
    assert!(may(&[]), "not said: as asked for");
    assert!(may(&["https://mail.google.com/", "openid"]));
    assert!(may(&[
        "https://outlook.office.com/IMAP.AccessAsUser.All",
        "https://outlook.office.com/smtp.send"
    ]));
    assert!(!may(&["https://outlook.office.com/IMAP.AccessAsUser.All", "offline_access"]));
    assert!(!may(&["https://outlook.office365.us/imap.accessasuser.all"]));
}

#[test]
fn missing_scopes_are_found_whatever_their_case() {
    let wanted = ["https://o/IMAP.AccessAsUser.All", "https://o/SMTP.Send", "openid"].map(String::from);
    let granted = ["https://o/imap.accessasuser.all"].map(String::from);
    assert_eq!(missing_scopes(&wanted, &granted), ["https://o/SMTP.Send"]);
    assert!(missing_scopes(&wanted, &[]).is_empty(), "not said: as asked for");
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
        kinds in proptest::collection::vec((0_u8..5, 0.0_f64..1.0), 1..40),
    ) {
        let mut grant = grant();
        let mut now = NOW;
        for (failures, (kind, jitter)) in kinds.into_iter().enumerate() {
            let (marked, in_doubt) = before_refresh(grant, now);
            let error = match kind {
                0 => cut(true),
                1 => cut(false),
                2 => refused(503, "", None),
                3 => refused(429, "", Some("7")),
                _ => refused(400, "{\"error\":\"new\"}", None),
            };
            let failures = u32::try_from(failures).unwrap() + 1;
            let signed_in_at = Some(marked.signed_in_at);
            let around = Circumstances { in_doubt, failures, signed_in_at, now, jitter, facts: Facts::default() };
            let verdict = after_failure(&error, &around);
            let Step::RetryAt(at) = verdict.step else { panic!("{:?}", verdict.step) };
            prop_assert!(at.since(now) >= Duration::from_secs(1));
            grant = with_failure(marked, &verdict, now);
            prop_assert_eq!(grant.refresh_in_flight_since.is_some(), verdict.in_doubt);
            prop_assert_eq!(&grant.secret, &GrantSecret::Refresh { refresh_token: Secret::new("old") });
            now = at;
        }
    }
}
