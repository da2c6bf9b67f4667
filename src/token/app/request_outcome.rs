//! What the end of a mailbox's token request says about the other mailboxes of its app.

use super::circuit_breaker::Outcome;
use crate::token::mailbox::Step;
use crate::token::oauth::FlowError;

/// What a failed request says about others.
#[must_use]
pub fn outcome(error: &FlowError, step: Step, diagnosis: &crate::domain::Diagnosis) -> Outcome {
    let trips = match error {
        FlowError::Refused { failure } => failure.trips_app_breaker(),
        FlowError::Transport { .. } | FlowError::Endpoint(_) => false,
    };
    match step {
        Step::AppBroken(_) if trips => Outcome::AppBroken(Box::new(diagnosis.clone())),
        Step::AppBroken(_) | Step::NeedsAdmin(_) => Outcome::NeedsFix(diagnosis.code.clone()),
        Step::RetryAt(_) | Step::SignIn => Outcome::Neutral,
    }
}
