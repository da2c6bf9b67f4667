//! The breaker and its probes, without a clock.

use crate::diagnosis::{Facts, catalogue, describe};
use crate::token::app::circuit_breaker::*;

const NOW: Timestamp = Timestamp(1_795_460_342_000);

fn later(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

fn mb(number: u64) -> Incarnation {
    Incarnation(number)
}

fn expired() -> Outcome {
    Outcome::AppBroken(Box::new(describe(&catalogue::SECRET_EXPIRED, &Facts::default(), None)))
}

/// A fleet asks once each at this time; how many requests left, each ending so.
fn wave(gate: &mut Gate, fleet: u64, now: Timestamp, outcome: &Outcome) -> usize {
    let mut asked = 0;
    let mut waiting: Vec<Incarnation> = (1..=fleet).map(mb).collect();
    while !waiting.is_empty() {
        let mut left = Vec::new();
        let mut queued = Vec::new();
        for who in waiting {
            match gate.admit(who, false, now) {
                Admission::Queue if gate.take_room(who) => left.push(who),
                Admission::Queue => queued.push(who),
                Admission::Wait { until, .. } => assert!(until > now),
            }
        }
        asked += left.len();
        for who in left {
            gate.ended(who, outcome.clone(), now);
        }
        waiting = queued;
    }
    asked
}

#[test]
fn a_broken_app_costs_a_fleet_of_two_thousand_three_requests_then_one_for_each_probe() {
    let mut gate = Gate::default();
    assert_eq!(wave(&mut gate, 2000, NOW, &expired()), IN_FLIGHT);
    assert_eq!(wave(&mut gate, 2000, later(30), &expired()), 0);
    for (at, asked) in [(60, 1), (61, 0), (359, 0), (360, 1), (1259, 0), (1260, 1), (4860, 1), (8459, 0)] {
        assert_eq!(wave(&mut gate, 2000, later(at), &expired()), asked, "after {at} s");
    }
}

#[test]
fn a_probe_that_succeeds_frees_everybody() {
    let mut gate = Gate::default();
    wave(&mut gate, 100, NOW, &expired());
    assert_eq!(gate.admit(mb(7), false, later(60)), Admission::Queue);
    assert!(gate.take_room(mb(7)));
    assert!(matches!(gate.admit(mb(8), false, later(60)), Admission::Wait { app_broken: Some(_), .. }));
    let freed = gate.ended(mb(7), Outcome::Good, later(61));
    assert_eq!(freed.len(), 100);
    assert!(gate.app_broken().is_none());
    assert_eq!(gate.admit(mb(8), false, later(61)), Admission::Queue);
}

#[test]
fn a_changed_app_and_a_person_are_tried_at_once_but_once() {
    let mut gate = Gate::default();
    wave(&mut gate, 10, NOW, &expired());
    gate.app_changed(later(5));
    assert_eq!(wave(&mut gate, 10, later(5), &expired()), 1);
    assert_eq!(gate.admit(mb(3), true, later(6)), Admission::Queue);
    assert!(matches!(gate.admit(mb(4), true, later(6)), Admission::Wait { .. }));
}

#[test]
fn what_one_mailbox_met_holds_only_those_who_met_it() {
    let mut gate = Gate::default();
    let denied = Outcome::NeedsFix(String::from("conditional_access"));
    for who in [1, 2] {
        assert_eq!(gate.admit(mb(who), false, NOW), Admission::Queue);
        gate.take_room(mb(who));
        gate.ended(mb(who), denied.clone(), NOW);
    }
    assert_eq!(gate.admit(mb(3), false, NOW), Admission::Queue, "who did not meet it asks");
    assert_eq!(
        gate.admit(mb(1), false, later(1)),
        Admission::Wait { until: later(60), app_broken: None },
        "the first probe is due after a minute"
    );
    assert_eq!(gate.admit(mb(2), false, later(60)), Admission::Queue);
    assert!(matches!(gate.admit(mb(1), false, later(60)), Admission::Wait { .. }));
    assert_eq!(gate.ended(mb(2), Outcome::Good, later(61)), [mb(1), mb(2)]);
    assert_eq!(gate.admit(mb(1), false, later(61)), Admission::Queue);
}

#[test]
fn a_prober_that_is_lost_is_replaced() {
    let mut gate = Gate::default();
    wave(&mut gate, 3, NOW, &expired());
    assert_eq!(gate.admit(mb(1), false, later(60)), Admission::Queue);
    assert!(gate.take_room(mb(1)));
    gate.ended(mb(1), Outcome::Neutral, later(61));
    assert!(matches!(gate.admit(mb(2), false, later(62)), Admission::Wait { .. }));
    assert_eq!(gate.admit(mb(2), false, later(121)), Admission::Queue);
}

#[test]
fn few_are_on_their_way_at_once_and_room_comes_back() {
    let mut gate = Gate::default();
    let took: Vec<bool> = (0..5).map(|who| gate.take_room(mb(who))).collect();
    assert_eq!(took, [true, true, true, false, false]);
    gate.ended(mb(1), Outcome::Neutral, NOW);
    assert!(gate.take_room(mb(4)));
}

#[test]
fn while_a_credential_is_on_trial_one_request_is_on_its_way() {
    let mut gate = Gate::default();
    gate.set_trial(true);
    assert!(gate.take_room(mb(1)) && !gate.take_room(mb(2)));
    gate.ended(mb(1), Outcome::Neutral, NOW);
    assert!(gate.take_room(mb(2)), "the next one tries, if the first found nothing out");
    gate.set_trial(false);
    let took: Vec<bool> = (3..6).map(|who| gate.take_room(mb(who))).collect();
    assert_eq!(took, [true, true, false]);
}
