//! What the token actor does next. Pure: every input and the time go in, effects come out.
//!
//! | state | an application asks | a person says "now" | another grant | may ask again | due | the refresh ends | stop |
//! |---|---|---|---|---|---|---|---|
//! | resting | token, refusal, or refresh | refresh | forget | forget the refusal | refresh | - | stop |
//! | refreshing | token, or wait for it | wait for it | refresh once more | again, if it was not sent | - | answer all, rest | stop when it ends |

use super::lifecycle::{may_serve, refresh_at};
use super::refresh::{Refreshed, Request};
use crate::domain::Timestamp;
use crate::token::protocol::{AccessToken, TokenError};
use std::time::Duration;

/// Between two refreshes that nobody asked for: a provider that gives no lifetime is not asked without pause.
const SHORTEST: Duration = Duration::from_secs(1);

/// What happens to a token actor.
#[derive(Debug)]
pub(super) enum Input {
    /// A token is wanted that is valid for so long.
    Wanted(Duration),
    /// A person wants a fresh one now.
    RefreshNow,
    /// A server refused the token of this number.
    Rejected(u64),
    /// Another grant was put in place.
    GrantChanged,
    /// What was refused may be asked for again.
    MayAskAgain,
    /// The time that was set has come.
    Due,
    /// The refresh in flight has ended.
    Ended(Refreshed),
    /// The actor is to end.
    Stop,
}

/// When an input comes, and what is known then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// The wall clock.
    pub(super) now: Timestamp,
    /// 0..1.
    pub(super) jitter: f64,
    /// The generation of the stored grant; read where [`TokenState::needs_grant`] says so.
    pub(super) grant: Option<u64>,
}

/// What is to be done about an input, in this order.
#[derive(Debug)]
pub(super) enum Effect {
    /// Whoever asked is answered.
    Answer(Result<AccessToken, TokenError>),
    /// Whoever asked waits for the refresh in flight.
    Wait,
    /// A refresh is begun.
    Refresh(Request),
    /// All who wait are answered.
    AnswerAll(Result<AccessToken, TokenError>),
    /// [`Input::Due`] is wanted then, and no earlier one.
    WakeAt(Timestamp),
    /// The actor cannot go on, and why.
    Fail(String),
    /// The actor ends.
    End,
}

/// An answer that stands, without asking again, until a time comes or the grant is another one.
#[derive(Clone, Debug)]
struct Refusal {
    error: TokenError,
    until: Option<Timestamp>,
    /// The generation of the grant that was refused.
    grant: Option<u64>,
}

/// What happened while a refresh was in flight; what weighs more comes later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Meanwhile {
    Nothing,
    /// It may be asked for again: one that was not sent is.
    MayAskAgain,
    /// Its answer is about a grant that was replaced.
    Replaced,
    /// The actor ends when it does: nobody else would keep its answer.
    Stopping,
}

#[derive(Debug)]
enum Phase {
    Resting(Option<Refusal>),
    Refreshing {
        meanwhile: Meanwhile,
        /// Why there was no token before.
        last: Option<TokenError>,
    },
}

/// A token actor's state.
#[derive(Debug)]
pub(super) struct TokenState {
    phase: Phase,
    cached: Option<AccessToken>,
    /// The newest token that a server refused.
    rejected: Option<u64>,
    next_number: u64,
    /// Refreshes that failed in a row.
    failures: u32,
    /// A person waits for the next refresh.
    is_urgent: bool,
}

impl Default for TokenState {
    fn default() -> Self {
        Self {
            phase: Phase::Resting(None),
            cached: None,
            rejected: None,
            next_number: 1,
            failures: 0,
            is_urgent: false,
        }
    }
}

impl TokenState {
    /// Whether the generation of the stored grant matters for this input.
    pub(super) fn needs_grant(&self, input: &Input) -> bool {
        match input {
            Input::Wanted(_) => matches!(self.phase, Phase::Resting(Some(_))),
            Input::Ended(ended) => matches!(ended, Refreshed::Refused { .. } | Refreshed::Waits(_)),
            Input::RefreshNow
            | Input::Rejected(_)
            | Input::GrantChanged
            | Input::MayAskAgain
            | Input::Due
            | Input::Stop => false,
        }
    }

    /// Takes an input.
    pub(super) fn step(&mut self, input: Input, moment: Moment) -> Vec<Effect> {
        match input {
            Input::Wanted(min_validity) => self.wanted(min_validity, moment),
            Input::RefreshNow => {
                self.is_urgent = true;
                self.meanwhile(Meanwhile::MayAskAgain);
                self.wait_for_refresh()
            }
            Input::Rejected(number) => {
                self.rejected = self.rejected.max(Some(number));
                Vec::new()
            }
            Input::GrantChanged => {
                (self.cached, self.failures) = (None, 0);
                self.meanwhile(Meanwhile::Replaced);
                Vec::new()
            }
            Input::MayAskAgain => {
                self.failures = 0;
                self.meanwhile(Meanwhile::MayAskAgain);
                Vec::new()
            }
            Input::Due => match self.phase {
                Phase::Resting(_) => vec![self.refresh()],
                Phase::Refreshing { .. } => Vec::new(),
            },
            Input::Ended(refreshed) => self.ended(refreshed, moment),
            Input::Stop => {
                let is_resting = matches!(self.phase, Phase::Resting(_));
                self.meanwhile(Meanwhile::Stopping);
                if is_resting { vec![Effect::End] } else { Vec::new() }
            }
        }
    }

    /// At rest, whatever happens ends a refusal.
    fn meanwhile(&mut self, what: Meanwhile) {
        match &mut self.phase {
            Phase::Resting(refusal) => *refusal = None,
            Phase::Refreshing { meanwhile, .. } => *meanwhile = what.max(*meanwhile),
        }
    }

    fn wanted(&mut self, min_validity: Duration, moment: Moment) -> Vec<Effect> {
        let servable = |token: &&AccessToken| may_serve(token, self.rejected, min_validity, moment.now);
        if let Some(token) = self.cached.as_ref().filter(servable) {
            return vec![Effect::Answer(Ok(token.clone()))];
        }
        let stands = |refusal: &&Refusal| {
            // a wake-up may be lost: a grant of another generation is tried whoever told of it
            refusal.until.is_none_or(|until| until > moment.now) && refusal.grant == moment.grant
        };
        if let Phase::Resting(refusal) = &self.phase
            && let Some(refusal) = refusal.as_ref().filter(stands)
        {
            return vec![Effect::Answer(Err(refusal.error.clone()))];
        }
        self.wait_for_refresh()
    }

    fn wait_for_refresh(&mut self) -> Vec<Effect> {
        match self.phase {
            Phase::Resting(_) => vec![Effect::Wait, self.refresh()],
            Phase::Refreshing { .. } => vec![Effect::Wait],
        }
    }

    /// Begins a refresh.
    fn refresh(&mut self) -> Effect {
        let last = match &mut self.phase {
            Phase::Resting(refusal) => refusal.take().map(|refusal| refusal.error),
            Phase::Refreshing { .. } => None,
        };
        self.phase = Phase::Refreshing { meanwhile: Meanwhile::Nothing, last };
        let refused = self.cached.as_ref().filter(|token| Some(token.generation) <= self.rejected);
        Effect::Refresh(Request {
            failures: self.failures,
            is_urgent: std::mem::take(&mut self.is_urgent),
            refused: refused.map(|token| token.token.clone()),
        })
    }

    fn ended(&mut self, refreshed: Refreshed, moment: Moment) -> Vec<Effect> {
        let Phase::Refreshing { meanwhile, last } = std::mem::replace(&mut self.phase, Phase::Resting(None))
        else {
            return Vec::new(); // none was in flight
        };
        let is_again = match &refreshed {
            Refreshed::Fatal(_) => false,
            Refreshed::Waits(_) => matches!(meanwhile, Meanwhile::MayAskAgain | Meanwhile::Replaced),
            Refreshed::Token { .. } | Refreshed::Refused { .. } => meanwhile == Meanwhile::Replaced,
        };
        if is_again {
            return vec![self.refresh()];
        }
        self.is_urgent = false;
        let (result, next) = self.concluded(refreshed, last, moment);
        let end = (meanwhile == Meanwhile::Stopping).then_some(Effect::End);
        [Effect::AnswerAll(result)].into_iter().chain(next).chain(end).collect()
    }

    /// The answer for all who wait, and what is next.
    fn concluded(
        &mut self,
        refreshed: Refreshed,
        last: Option<TokenError>,
        moment: Moment,
    ) -> (Result<AccessToken, TokenError>, Option<Effect>) {
        let Moment { now, jitter, grant } = moment;
        let refusal =
            |error: &TokenError, until| Phase::Resting(Some(Refusal { error: error.clone(), until, grant }));
        match refreshed {
            Refreshed::Token { token, issued_at, expires_at } => {
                let generation = self.next_number;
                self.next_number = generation.saturating_add(1);
                let token = AccessToken { token, issued_at, expires_at, generation };
                self.cached = Some(token.clone());
                self.failures = 0;
                let due = refresh_at(issued_at, expires_at, jitter).max(issued_at.plus(SHORTEST));
                (Ok(token), Some(Effect::WakeAt(due)))
            }
            Refreshed::Refused { error, until } => {
                self.failures = self.failures.saturating_add(1);
                self.phase = refusal(&error, until);
                (Err(error), until.map(Effect::WakeAt))
            }
            Refreshed::Waits(waiting) => {
                let error = waiting.error.or(last).unwrap_or_else(TokenError::restarting);
                let until = waiting.until.unwrap_or_else(|| now.plus(SHORTEST));
                self.phase = refusal(&error, Some(until));
                (Err(error), Some(Effect::WakeAt(until)))
            }
            Refreshed::Fatal(error) => {
                let said = error.to_string();
                (Err(TokenError::Store(said.clone())), Some(Effect::Fail(said)))
            }
        }
    }
}

#[cfg(test)]
#[path = "token_state_tests.rs"]
mod tests;
