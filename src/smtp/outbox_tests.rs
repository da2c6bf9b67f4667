//! Facts about the outbox machine, and its invariants under any history.

use super::super::protocol::{Cause, SendResult, SmtpPhase};
use super::*;
use crate::domain::message::BodyLocation;
use proptest::prelude::*;

const NOW: Timestamp = Timestamp(1_000_000);

fn submission(to: &[&str]) -> Submission {
    let queued = |address: &&str| Recipient {
        address: String::from(*address),
        state: RecipientState::Queued,
        reply: None,
    };
    Submission {
        id: SubmissionId::generate(),
        state: SubmissionState::Queued,
        phase: Phase::Idle,
        hold: None,
        mail_from: "a@m.example".into(),
        recipients: to.iter().map(queued).collect(),
        message_id: "<1@m.example>".into(),
        created_at: NOW,
        send_at: None,
        attempts: 0,
        deferred_since: None,
        next_attempt_at: None,
        last_reply: None,
        idempotency_key: None,
        size: 1,
        body: BodyLocation { pack: 0, offset: 0, length: 0 },
    }
}

fn reply(code: u16, text: &str) -> Reply {
    Reply { code, text: text.into() }
}

fn outcome(accepted: &[&str], refused: &[(&str, u16)], result: SendResult) -> Outcome {
    Outcome {
        accepted: accepted.iter().map(|who| String::from(*who)).collect(),
        refused: refused.iter().map(|(who, code)| (String::from(*who), reply(*code, "5.1.1 x"))).collect(),
        ended_at: None,
        result,
    }
}

fn sent() -> SendResult {
    SendResult::Sent { reply: reply(250, "ok") }
}

fn attempt(submission: Submission, outcome: &Outcome) -> (Submission, Vec<SubmissionEvent>) {
    let now = due_at(&submission).unwrap().max(NOW);
    conclude(begin(submission, now).unwrap(), outcome, now, 0.0, &RetryPolicy::default())
}

#[test]
fn accepted_by_one_and_refused_by_another_is_sent_with_an_event_for_each_refused() {
    let (after, events) = attempt(submission(&["b", "c"]), &outcome(&["b"], &[("c", 550)], sent()));
    assert_eq!(after.state, SubmissionState::Sent);
    assert!(
        matches!(&events[..], [SubmissionEvent::RecipientFailed { address, .. }, SubmissionEvent::Sent] if address == "c")
    );
}

#[test]
fn a_deferred_recipient_alone_is_in_the_next_attempt() {
    let (after, _) = attempt(submission(&["b", "c"]), &outcome(&["b"], &[("c", 451)], sent()));
    assert_eq!(after.state, SubmissionState::Deferred);
    let again = begin(after, NOW.plus(Duration::from_secs(60))).unwrap();
    assert_eq!(attempted_recipients(&again), ["c"]);
}

#[test]
fn a_refused_message_fails_those_it_was_accepted_for() {
    let refused = SendResult::Refused5xx { phase: SmtpPhase::Message, reply: reply(554, "5.7.1 no") };
    let (after, events) = attempt(submission(&["b"]), &outcome(&["b"], &[], refused));
    assert_eq!((after.state, events.len()), (SubmissionState::Failed, 2));
}

#[test]
fn a_used_up_quota_holds_the_outbox_and_fails_nothing() {
    let text = "5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException";
    let refused = SendResult::Refused5xx { phase: SmtpPhase::Message, reply: reply(554, text) };
    let (after, events) = attempt(submission(&["b"]), &outcome(&["b"], &[], refused));
    assert_eq!((after.state, after.hold.as_deref()), (SubmissionState::Deferred, Some("sending_quota")));
    let Some(SubmissionEvent::Held { hold, until }) = events.last() else { panic!("{events:?}") };
    assert_eq!((hold.finding.entry.code, hold.concerns_mailbox), ("sending_quota", true));
    assert_eq!(*until, NOW.plus(Duration::from_secs(3600)));
}

#[test]
fn an_unsendable_message_fails_at_once() {
    let cause = Cause::Unsendable { code: "message_too_large", reason: "too large".into() };
    let (after, _) = attempt(submission(&["b"]), &outcome(&[], &[], SendResult::NotSent { cause }));
    assert_eq!((after.state, after.last_reply.as_deref()), (SubmissionState::Failed, Some("too large")));
}

#[test]
fn pauses_double_up_to_an_hour_and_end_after_three_days() {
    let policy = RetryPolicy::default();
    let seconds: Vec<u64> = (1..9).map(|n| backoff(n, 0.0, &policy).as_secs()).collect();
    assert_eq!(seconds, [60, 120, 240, 480, 960, 1920, 3600, 3600]);
    assert_eq!(backoff(1, 1.0, &policy).as_secs(), 48);
    let (deferred, _) = attempt(submission(&["b"]), &outcome(&[], &[], greylisted()));
    let later = NOW.plus(policy.give_up_after);
    let begun = begin(deferred, later).unwrap();
    let after = |outcome: &Outcome| conclude(begun.clone(), outcome, later, 0.0, &policy).0.state;
    assert_eq!(after(&outcome(&[], &[], greylisted())), SubmissionState::Failed);
    let cut = outcome(&[], &[], SendResult::NotSent { cause: Cause::Timeout });
    assert_eq!(after(&cut), SubmissionState::Deferred, "no server said a word against it");
}

fn greylisted() -> SendResult {
    SendResult::Deferred { phase: SmtpPhase::Rcpt, reply: reply(451, "4.7.1 greylisted") }
}

#[test]
fn the_days_of_trying_begin_with_the_first_answer() {
    let four_days = NOW.plus(Duration::from_secs(4 * 24 * 3600));
    let (mut planned, mut held) = (submission(&["b"]), submission(&["b"]));
    planned.send_at = Some(four_days);
    held.next_attempt_at = Some(four_days);
    let cut = outcome(&[], &[], SendResult::NotSent { cause: Cause::Timeout });
    let (mut cut_off, _) = attempt(submission(&["b"]), &cut);
    cut_off.next_attempt_at = Some(four_days);
    for late in [planned, held, cut_off] {
        let (after, _) = attempt(late, &outcome(&[], &[], greylisted()));
        assert_eq!((after.state, after.deferred_since), (SubmissionState::Deferred, Some(four_days)));
    }
}

#[test]
fn a_restart_tries_again_before_the_dot_and_doubts_after_it() {
    let sending = begin(submission(&["b"]), NOW).unwrap();
    let (again, _) = recover(sending.clone(), NOW);
    assert_eq!((again.state, due_at(&again)), (SubmissionState::Deferred, Some(NOW)));
    let (doubted, events) = recover(data_sent(sending).unwrap(), NOW);
    assert_eq!((doubted.state, due_at(&doubted)), (SubmissionState::Unknown, None));
    assert_eq!(events, [SubmissionEvent::Unknown]);
    assert!(begin(doubted.clone(), NOW).is_none(), "never re-sent by itself");
    assert_eq!(resolve(doubted.clone(), true, NOW).unwrap().0.state, SubmissionState::Sent);
    assert_eq!(resolve(doubted, false, NOW).unwrap().0.state, SubmissionState::Queued);
}

#[test]
fn the_oldest_due_one_is_next() {
    let (mut early, mut late, mut done) = (submission(&["b"]), submission(&["b"]), submission(&["b"]));
    assert_eq!(peek_next([], NOW), Next::None);
    done.state = SubmissionState::Sent;
    late.send_at = Some(Timestamp(2_000_000));
    assert_eq!(peek_next([&late, &done], NOW), Next::At(Timestamp(2_000_000)));
    early.created_at = Timestamp(1);
    assert_eq!(peek_next([&submission(&["b"]), &late, &early], NOW), Next::Now(early.id));
    assert!(begin(late, NOW).is_none());
}

#[test]
fn one_that_is_on_its_way_cannot_be_cancelled() {
    assert_eq!(cancel(submission(&["b"])).unwrap().state, SubmissionState::Cancelled);
    assert!(cancel(begin(submission(&["b"]), NOW).unwrap()).is_none());
}

/// What servers have said to a single RCPT that reads as if it were about the mailbox.
const MISLEADING: [(u16, &str); 9] = [
    (552, "5.2.2 Mailbox is full"),
    (554, "5.2.2 mailbox full"),
    (550, "5.1.8 Sender address rejected: Domain not found"),
    (550, "5.4.5 Daily user sending limit exceeded"),
    (530, "5.7.1 Authentication required"),
    (535, "5.7.8 Error: authentication failed"),
    (451, "4.7.1 submission rate exceeded for this recipient"),
    (432, "4.3.2 Concurrent connections limit exceeded"),
    (430, "4.2.0 mailbox logon failure"),
];

#[test]
fn an_answer_to_one_rcpt_concerns_that_recipient_whatever_it_says() {
    for (code, text) in MISLEADING {
        let mut made = outcome(&["b"], &[], sent());
        made.refused.push(("c".into(), reply(code, text)));
        let (after, events) = attempt(submission(&["b", "c"]), &made);
        assert_eq!(after.recipients[0].state, RecipientState::Sent, "{code}");
        assert!(
            !events.iter().any(|event| matches!(event, SubmissionEvent::Held { .. })),
            "{code} {events:?}"
        );
        let is_final = code >= 500 && !matches!(code, 530 | 535);
        let expected = if is_final { RecipientState::Failed } else { RecipientState::Deferred };
        assert_eq!((after.recipients[1].state, after.hold), (expected, None), "{code}");
    }
}

#[test]
fn refused_alone_it_never_holds_the_mailbox_and_names_a_cause_only_where_nobody_is_signed_in() {
    for (code, text) in MISLEADING {
        let mut made = outcome(&[], &[], SendResult::NoRecipient);
        made.refused.push(("c".into(), reply(code, text)));
        let (after, events) = attempt(submission(&["c"]), &made);
        let holds: Vec<&Hold> = events
            .iter()
            .filter_map(
                |event| if let SubmissionEvent::Held { hold, .. } = event { Some(hold) } else { None },
            )
            .collect();
        assert!(holds.iter().all(|hold| !hold.concerns_mailbox), "{code}");
        let code_shown = after.hold.as_deref();
        match code {
            530 => assert_eq!(code_shown, Some("smtp_auth_not_offered")),
            535 => assert_eq!(code_shown, Some("smtp_login_refused")),
            _ => assert_eq!((code_shown, holds.len()), (None, 0), "{code}"),
        }
        let last = if code < 500 || code_shown.is_some() {
            SubmissionState::Deferred
        } else {
            SubmissionState::Failed
        };
        assert_eq!(after.state, last, "{code}");
    }
}

#[test]
fn what_a_dialogue_that_went_wrong_says_of_a_recipient_is_not_believed() {
    let (after, _) = attempt(submission(&["b", "c"]), &outcome(&["b"], &[("c", 503)], sent()));
    assert_eq!(
        (after.state, after.recipients[1].state),
        (SubmissionState::Deferred, RecipientState::Deferred)
    );
}

#[test]
fn who_ends_the_connection_waits_until_the_others_have_the_message() {
    let closing = |at: &str, result: SendResult| Outcome {
        ended_at: Some(String::from(at)),
        ..outcome(&[], &[], result)
    };
    let rated = || SendResult::Deferred { phase: SmtpPhase::Rcpt, reply: reply(421, "4.7.0 rate limited") };
    let cut = || SendResult::NotSent { cause: Cause::Cut("reset".into()) };
    for result in [rated, cut] {
        let (after, events) = attempt(submission(&["b", "c", "d"]), &closing("c", result()));
        assert!(!events.iter().any(|event| matches!(event, SubmissionEvent::Held { .. })), "{events:?}");
        assert_eq!(attempted_recipients(&after), ["b", "d"]);
        let (after, _) = attempt(after, &outcome(&["b", "d"], &[], sent()));
        assert_eq!(
            (after.state, attempted_recipients(&after)),
            (SubmissionState::Deferred, vec!["c".into()])
        );
        // two of them, both deferred, do not end each other's attempts for ever
        let (both, _) = attempt(
            submission(&["c", "e"]),
            &outcome(&[], &[("c", 450), ("e", 450)], SendResult::NoRecipient),
        );
        let (both, _) = attempt(both, &closing("c", result()));
        assert_eq!(attempted_recipients(&both), ["e"]);
    }
}

#[test]
fn a_doubt_concerns_those_of_the_attempt_alone() {
    let rated = SendResult::Deferred { phase: SmtpPhase::Rcpt, reply: reply(421, "4.7.0 rate limited") };
    let closing = Outcome { ended_at: Some("c".into()), ..outcome(&[], &[], rated) };
    let (after, _) = attempt(submission(&["b", "c"]), &closing);
    let sending = begin(after, NOW.plus(Duration::from_secs(60))).unwrap();
    let (doubted, _) = recover(data_sent(sending).unwrap(), NOW);
    let states: Vec<RecipientState> = doubted.recipients.iter().map(|who| who.state).collect();
    assert_eq!(states, [RecipientState::Unknown, RecipientState::Deferred]);
    let (settled, _) = resolve(doubted, true, NOW).unwrap();
    assert_eq!((settled.state, attempted_recipients(&settled)), (SubmissionState::Queued, vec!["c".into()]));
}

#[test]
fn after_a_hold_or_a_deferral_another_submission_goes_first() {
    let text = "5.1.8 Access denied, bad outbound sender";
    let blocked = SendResult::Refused5xx { phase: SmtpPhase::Message, reply: reply(550, text) };
    for result in [blocked, greylisted()] {
        let mut other = submission(&["c"]);
        other.created_at = NOW.plus(Duration::from_secs(1));
        let (refused, _) = attempt(submission(&["b"]), &outcome(&[], &[], result));
        let later = NOW.plus(Duration::from_secs(24 * 3600));
        assert_eq!(peek_next([&refused, &other], later), Next::Now(other.id));
        assert_eq!(peek_next([&refused], later), Next::Now(refused.id));
    }
}

#[test]
fn a_pause_is_never_longer_than_the_policy_s_longest() {
    let text = "5.1.8 Access denied, bad outbound sender";
    let refused = SendResult::Refused5xx { phase: SmtpPhase::Mail, reply: reply(550, text) };
    let policy = RetryPolicy { longest: Duration::from_secs(2), ..RetryPolicy::default() };
    let sending = begin(submission(&["b"]), NOW).unwrap();
    let (after, _) = conclude(sending, &outcome(&[], &[], refused), NOW, 0.0, &policy);
    assert_eq!(after.next_attempt_at, Some(NOW.plus(policy.longest)));
}

#[derive(Clone, Debug)]
enum Deed {
    Begin,
    DataSent,
    Conclude(u8, u8),
    Recover,
    Cancel,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        4 => Just(Deed::Begin),
        2 => Just(Deed::DataSent),
        4 => (0_u8..9, 0_u8..27).prop_map(|(result, recipients)| Deed::Conclude(result, recipients)),
        1 => Just(Deed::Recover),
        1 => Just(Deed::Cancel),
    ];
    proptest::collection::vec(deed, 0..40)
}

/// What a server might have said to the recipients of this attempt.
fn any_outcome(now: &Submission, result: u8, recipients: u8) -> Outcome {
    let mut made = outcome(&[], &[], SendResult::NoRecipient);
    for (at, address) in attempted_recipients(now).into_iter().enumerate() {
        match (recipients / 3_u8.pow(u32::try_from(at).unwrap())) % 3 {
            0 => made.accepted.push(address),
            1 => made.refused.push((address, reply(450, "4.2.1 x"))),
            _ => made.refused.push((address, reply(550, "5.1.1 x"))),
        }
    }
    if !made.accepted.is_empty() {
        let phase = SmtpPhase::Message;
        made.result = match result {
            0 | 1 => sent(),
            2 => SendResult::Refused5xx { phase, reply: reply(554, "5.7.1 no") },
            3 => SendResult::Refused5xx { phase, reply: reply(550, "5.1.8 blocked") },
            4 => SendResult::Deferred { phase, reply: reply(451, "4.7.0 later") },
            5 => SendResult::Unknown { cause: Cause::Timeout },
            6 => SendResult::NotSent { cause: Cause::Timeout },
            7 => SendResult::Deferred { phase: SmtpPhase::Mail, reply: reply(421, "4.3.2 busy") },
            _ => {
                made.ended_at = made.accepted.pop();
                SendResult::Deferred { phase: SmtpPhase::Rcpt, reply: reply(421, "4.7.0 rate") }
            }
        };
    }
    made
}

proptest! {
    #[test]
    fn no_history_doubles_or_revives(deeds in deeds()) {
        let mut now = NOW;
        let mut state = submission(&["b", "c", "d"]);
        let mut deliveries = std::collections::BTreeMap::<String, u32>::new();
        for deed in deeds {
            let before = state.clone();
            now = now.plus(Duration::from_secs(1800));
            state = match deed {
                Deed::Begin => begin(state.clone(), now).unwrap_or(state),
                Deed::DataSent => data_sent(state.clone()).unwrap_or(state),
                Deed::Recover => recover(state, now).0,
                Deed::Cancel => cancel(state.clone()).unwrap_or(state),
                Deed::Conclude(result, recipients) => {
                    let made = any_outcome(&state, result, recipients);
                    if state.state == SubmissionState::Sending {
                        // the worst case: what is unknown was delivered
                        if matches!(made.result, SendResult::Sent { .. } | SendResult::Unknown { .. }) {
                            for who in &made.accepted {
                                *deliveries.entry(who.clone()).or_default() += 1;
                            }
                        }
                    }
                    conclude(state, &made, now, 0.5, &RetryPolicy::default()).0
                }
            };
            if before.state.is_final() || before.state == SubmissionState::Unknown {
                prop_assert_eq!(&before, &state, "nothing leaves a final state or unknown by itself");
            }
            for (old, new) in before.recipients.iter().zip(&state.recipients) {
                prop_assert!(old.is_pending() || old == new, "a settled recipient never changes");
            }
            prop_assert_eq!(state.state == SubmissionState::Sending, state.phase != Phase::Idle);
            let waits = matches!(state.state, SubmissionState::Queued | SubmissionState::Deferred);
            prop_assert!(!waits || !attempted_recipients(&state).is_empty(), "who waits has somebody to send to");
        }
        prop_assert!(deliveries.values().all(|times| *times == 1), "{:?}", deliveries);
    }
}
