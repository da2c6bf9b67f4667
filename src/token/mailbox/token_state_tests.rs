//! Every state of a token actor meets every input.

use super::*;
use crate::domain::Secret;
use crate::store::StoreError;
use crate::token::protocol::Waiting;

const NOW: Timestamp = Timestamp(1_795_460_342_000);
const HOUR: Duration = Duration::from_secs(3600);

fn at(now: Timestamp) -> Moment {
    Moment { now, jitter: 0.0, grant: Some(7) }
}

fn fresh(token: &str) -> Input {
    Input::Ended(Refreshed::Token { token: Secret::new(token), issued_at: NOW, expires_at: NOW.plus(HOUR) })
}

fn refused(until: Option<Timestamp>) -> Input {
    Input::Ended(Refreshed::Refused { error: TokenError::NotSignedIn, until })
}

fn waits(error: Option<TokenError>) -> Input {
    Input::Ended(Refreshed::Waits(Waiting { error, until: Some(NOW.plus(HOUR)) }))
}

fn wanted() -> Input {
    Input::Wanted(Duration::from_secs(60))
}

/// What an effect is, in short.
fn name(effect: &Effect) -> String {
    let answer = |answer: &Result<AccessToken, TokenError>| match answer {
        Ok(token) => format!("token {}", token.generation),
        Err(TokenError::NotSignedIn) => String::from("not signed in"),
        Err(TokenError::NoTokens) => String::from("no tokens"),
        Err(error) => error.to_string(),
    };
    match effect {
        Effect::Answer(result) => answer(result),
        Effect::Wait => String::from("wait"),
        Effect::Refresh(request) => {
            let refused = request.refused.as_ref().map(|_| " instead").unwrap_or_default();
            let urgent = if request.is_urgent { " now" } else { "" };
            format!("refresh {}{urgent}{refused}", request.failures)
        }
        Effect::AnswerAll(result) => format!("all: {}", answer(result)),
        Effect::WakeAt(due) => format!("in {} s", due.since(NOW).as_secs()),
        Effect::Fail(_) => String::from("fail"),
        Effect::End => String::from("end"),
    }
}

/// The effects of inputs that come one after the other at the same time.
fn steps(state: &mut TokenState, inputs: impl IntoIterator<Item = Input>) -> Vec<String> {
    inputs.into_iter().flat_map(|input| state.step(input, at(NOW))).map(|effect| name(&effect)).collect()
}

fn after(inputs: impl IntoIterator<Item = Input>) -> TokenState {
    let mut state = TokenState::default();
    steps(&mut state, inputs);
    state
}

/// Every state, each with what brings it about.
fn states() -> Vec<(&'static str, TokenState)> {
    vec![
        ("new", after([])),
        ("token", after([wanted(), fresh("t")])),
        ("rejected", after([wanted(), fresh("t"), Input::Rejected(1)])),
        ("refused", after([wanted(), refused(None)])),
        ("refreshing", after([wanted()])),
        ("replaced", after([wanted(), Input::GrantChanged])),
        ("again", after([wanted(), Input::MayAskAgain])),
        ("stopping", after([wanted(), Input::Stop])),
    ]
}

fn every(input: impl Fn() -> Input) -> Vec<String> {
    let effects = |state: &mut TokenState| steps(state, [input()]).join(", ");
    states().into_iter().map(|(name, mut state)| format!("{name}: {}", effects(&mut state))).collect()
}

#[test]
fn who_asks_gets_what_is_there_and_else_waits_for_the_one_refresh() {
    let expected = [
        "new: wait, refresh 0",
        "token: token 1",
        "rejected: wait, refresh 0 instead",
        "refused: not signed in",
        "refreshing: wait",
        "replaced: wait",
        "again: wait",
        "stopping: wait",
    ];
    assert_eq!(every(wanted), expected);
}

#[test]
fn a_person_gets_a_fresh_token_whatever_stands() {
    let expected = [
        "new: wait, refresh 0 now",
        "token: wait, refresh 0 now",
        "rejected: wait, refresh 0 now instead",
        "refused: wait, refresh 1 now",
        "refreshing: wait",
        "replaced: wait",
        "again: wait",
        "stopping: wait",
    ];
    assert_eq!(every(|| Input::RefreshNow), expected);
    // the one in flight was not let through: the person's own is
    let mut state = after([wanted(), Input::RefreshNow]);
    assert_eq!(steps(&mut state, [waits(None)]), ["refresh 0 now"]);
    // it came to something: the next one is nobody's
    let mut state = after([wanted(), Input::RefreshNow, fresh("t")]);
    assert_eq!(steps(&mut state, [Input::Due]), ["refresh 0"]);
}

#[test]
fn an_end_answers_all_unless_it_is_about_another_grant() {
    let expected = [
        "new: ",
        "token: ",
        "rejected: ",
        "refused: ",
        "refreshing: all: token 1, in 3000 s",
        "replaced: refresh 0",
        "again: all: token 1, in 3000 s",
        "stopping: all: token 1, in 3000 s, end",
    ];
    assert_eq!(every(|| fresh("t")), expected);
    let expected = [
        "new: ",
        "token: ",
        "rejected: ",
        "refused: ",
        "refreshing: all: not signed in",
        "replaced: refresh 0",
        "again: all: not signed in",
        "stopping: all: not signed in, end",
    ];
    assert_eq!(every(|| refused(None)), expected);
}

#[test]
fn one_that_was_not_sent_is_made_again_if_it_may_be() {
    let expected = [
        "new: ",
        "token: ",
        "rejected: ",
        "refused: ",
        "refreshing: all: no tokens, in 3600 s",
        "replaced: refresh 0",
        "again: refresh 0",
        "stopping: all: no tokens, in 3600 s, end",
    ];
    assert_eq!(every(|| waits(Some(TokenError::NoTokens))), expected);
    // without a reason of its own, the reason of before stands
    let mut state = after([wanted(), refused(Some(NOW)), Input::Due]);
    assert_eq!(steps(&mut state, [waits(None)]), ["all: not signed in", "in 3600 s"]);
}

#[test]
fn a_store_that_cannot_be_trusted_ends_the_actor_and_nothing_is_tried_again() {
    let fatal = || Input::Ended(Refreshed::Fatal(StoreError::Closed));
    for (name, mut state) in states().into_iter().skip(4) {
        let effects = steps(&mut state, [fatal()]);
        assert_eq!(effects.get(1).map(String::as_str), Some("fail"), "{name}");
    }
}

#[test]
fn only_rest_is_stopped_at_once_and_woken_by_time() {
    let expected = [
        "new: end",
        "token: end",
        "rejected: end",
        "refused: end",
        "refreshing: ",
        "replaced: ",
        "again: ",
        "stopping: ",
    ];
    assert_eq!(every(|| Input::Stop), expected);
    let expected = [
        "new: refresh 0",
        "token: refresh 0",
        "rejected: refresh 0 instead",
        "refused: refresh 1",
        "refreshing: ",
        "replaced: ",
        "again: ",
        "stopping: ",
    ];
    assert_eq!(every(|| Input::Due), expected);
}

#[test]
fn another_grant_forgets_token_refusal_and_failures() {
    for input in [|| Input::GrantChanged, || Input::MayAskAgain] {
        assert!(every(input).iter().all(|effects| effects.ends_with(": ")));
    }
    let mut state = after([wanted(), fresh("t"), Input::GrantChanged]);
    assert_eq!(steps(&mut state, [wanted()]), ["wait", "refresh 0"]);
    let mut state = after([wanted(), refused(None), Input::GrantChanged]);
    assert_eq!(steps(&mut state, [wanted()]), ["wait", "refresh 0"]);
    let mut state = after([wanted(), refused(None), Input::MayAskAgain]);
    assert_eq!(steps(&mut state, [wanted()]), ["wait", "refresh 0"]);
}

#[test]
fn a_refusal_stands_until_its_time_or_another_grant() {
    let refusal = || after([wanted(), refused(Some(NOW.plus(HOUR)))]);
    let ask = |mut state: TokenState, moment| {
        let effects = state.step(wanted(), moment);
        effects.iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(ask(refusal(), at(NOW)), ["not signed in"]);
    assert_eq!(ask(refusal(), at(NOW.plus(HOUR))), ["wait", "refresh 1"]);
    assert_eq!(ask(refusal(), Moment { grant: Some(8), ..at(NOW) }), ["wait", "refresh 1"]);
    assert!(refusal().needs_grant(&wanted()) && !after([]).needs_grant(&wanted()));
}

#[test]
fn a_late_refusal_by_a_server_does_not_hit_a_newer_token() {
    let mut state = after([wanted(), fresh("one"), Input::Rejected(1), wanted(), fresh("two")]);
    assert_eq!(steps(&mut state, [Input::Rejected(1), wanted()]), ["token 2"]);
    assert_eq!(steps(&mut state, [Input::Rejected(2), wanted()]), ["wait", "refresh 0 instead"]);
}

#[test]
fn a_provider_that_gives_no_lifetime_is_asked_once_a_second() {
    let ended = Refreshed::Token { token: Secret::new("t"), issued_at: NOW, expires_at: NOW };
    let mut state = after([wanted()]);
    assert_eq!(steps(&mut state, [Input::Ended(ended)]), ["all: token 1", "in 1 s"]);
}
