//! Every state of delivery, met by everything that can happen.

use super::*;

const NOW: Timestamp = Timestamp(1_000_000);
const LATER: Timestamp = Timestamp(2_000_000);
const POLICY: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(600));

fn ids() -> (SubmissionId, SubmissionId) {
    (SubmissionId::generate(), SubmissionId::generate())
}

/// Every state, as far as steps tell states apart, with `one` or `other` as the witness.
fn states(one: SubmissionId, other: SubmissionId) -> Vec<DeliveryState> {
    let mut states = Vec::new();
    for stage in [Stage::Open, Stage::Held(NOW), Stage::Held(LATER)] {
        for shown in [Shown::Ready, Shown::Waiting, Shown::Cause] {
            for witness in [None, Some(one), Some(other)] {
                for failures in [0, 3] {
                    states.push(DeliveryState { stage, shown, witness, failures });
                }
            }
        }
    }
    states
}

fn refusal(submission: SubmissionId) -> Refusal {
    Refusal { submission, concerns_mailbox: true, outlasts_next: false, has_next: true, until: LATER }
}

#[test]
fn nothing_is_tried_while_delivery_is_held_and_a_sign_in_ends_that() {
    let (one, other) = ids();
    for state in states(one, other) {
        let (woken, action) = state.step(Event::Woken { now: NOW }, &POLICY);
        let is_held = state.stage == Stage::Held(LATER);
        assert_eq!(woken, state);
        assert_eq!(action, if is_held { Action::Wait(LATER) } else { Action::Continue });
        let (signed_in, action) = state.step(Event::SignedIn, &POLICY);
        assert_eq!((signed_in, action), (DeliveryState { stage: Stage::Open, ..state }, Action::Continue));
    }
}

#[test]
fn a_failure_before_mail_holds_everything_and_the_waits_grow() {
    let (one, other) = ids();
    let no_session = |disposition, is_password| Event::NoSession { disposition, is_password, now: NOW };
    for state in states(one, other) {
        for (disposition, is_password, first, fourth) in [
            (Disposition::Retry, false, 2, 16),
            (Disposition::FreshToken, false, 0, 16),
            (Disposition::RetryAfter(Duration::from_secs(60)), false, 60, 60),
            (Disposition::RetryAfter(Duration::from_secs(6000)), false, 600, 600),
            (Disposition::SignIn, true, 3600, 3600),
            (Disposition::SignIn, false, 2, 16),
            (Disposition::NeedsAdmin, false, 2, 16),
            (Disposition::AppBroken, false, 2, 16),
            (Disposition::GiveUp, false, 2, 16),
            (Disposition::Fatal, false, 2, 16),
        ] {
            let (held, action) = state.step(no_session(disposition, is_password), &POLICY);
            let until = NOW.plus(Duration::from_secs(if state.failures == 0 { first } else { fourth }));
            assert_eq!(action, Action::Hold(until), "{disposition:?}");
            let failures = state.failures + 1;
            let expected =
                DeliveryState { stage: Stage::Held(until), shown: Shown::Waiting, failures, ..state };
            assert_eq!(held, expected);
        }
    }
    let long = DeliveryState { failures: u32::MAX, ..DeliveryState::default() };
    let (_, action) = long.step(no_session(Disposition::Retry, false), &POLICY);
    assert_eq!(action, Action::Hold(NOW.plus(POLICY.longest)));
}

#[test]
fn what_is_shown_ends_with_the_next_attempt_or_with_an_accepted_recipient() {
    let (one, other) = ids();
    for state in states(one, other) {
        let ready = DeliveryState { shown: Shown::Ready, ..state };
        let (attempting, action) = state.step(Event::Attempting, &POLICY);
        match state.shown {
            Shown::Waiting => {
                let fresh = DeliveryState { failures: 0, ..ready };
                assert_eq!((attempting, action), (fresh, Action::ShowReady));
            }
            Shown::Ready | Shown::Cause => assert_eq!((attempting, action), (state, Action::Continue)),
        }
        let (accepted, action) = state.step(Event::Accepted, &POLICY);
        match state.shown {
            Shown::Cause => assert_eq!((accepted, action), (ready, Action::ShowReady)),
            Shown::Ready | Shown::Waiting => assert_eq!((accepted, action), (state, Action::Continue)),
        }
        let waiting = DeliveryState { shown: Shown::Waiting, ..state };
        assert_eq!(state.step(Event::Silent, &POLICY), (waiting, Action::Continue));
        let concluded = DeliveryState { witness: None, ..state };
        assert_eq!(state.step(Event::Concluded, &POLICY), (concluded, Action::Continue));
    }
}

#[test]
fn a_refusal_holds_the_mailbox_if_the_next_one_would_meet_it_or_did() {
    let (one, other) = ids();
    for state in states(one, other) {
        let alone = Refusal { concerns_mailbox: false, ..refusal(one) };
        let expected = DeliveryState { witness: None, shown: Shown::Cause, ..state };
        assert_eq!(state.step(Event::Refused(alone), &POLICY), (expected, Action::ShowCause));

        let suspected = DeliveryState { witness: Some(one), ..state };
        let held = DeliveryState { stage: Stage::Held(LATER), shown: Shown::Waiting, ..suspected };
        let is_confirmed = state.witness == Some(other);
        for has_next in [false, true] {
            let lasting = Refusal { outlasts_next: true, has_next, ..refusal(one) };
            assert_eq!(state.step(Event::Refused(lasting), &POLICY), (held, Action::Hold(LATER)));
            let expected = match (is_confirmed, has_next) {
                (true, _) => (held, Action::Hold(LATER)),
                (false, true) => (suspected, Action::TryNext),
                (false, false) => {
                    let resting = DeliveryState { stage: Stage::Open, shown: Shown::Waiting, ..suspected };
                    (resting, Action::Hold(LATER))
                }
            };
            let passing = Refusal { has_next, ..refusal(one) };
            assert_eq!(state.step(Event::Refused(passing), &POLICY), expected);
        }
    }
}
