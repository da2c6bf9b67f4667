//! The worker that goes on with what needs no user: refresh tokens of another system, and mailboxes that an app opens
//! by itself. A few mailboxes at a time, woken when one is added and when something changes that one waits for. What
//! is lost with the process is found again at the next start.

use super::context::Context;
use super::record::end;
use super::schedule::{Next, Turn, Why};
use super::trial_case::{Case, SOON};
use crate::clock;
use crate::domain::{Auth, Incarnation};
use crate::problem::Problem;
use crate::store::{Row, SignIn, SignInState, StoreError, StoredMailbox};
use crate::token::lifecycle::pause;
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::sync::Arc;
use std::time::Duration;

/// How long a trial that ended by a fault of this program is left alone.
const AFTER_FAULT: Duration = Duration::from_secs(15 * 60);

/// Adds every trial that was not finished before a restart. To be called before requests are served.
pub(crate) fn resume_trials(context: &Context) {
    let left = context.store.sign_ins().unwrap_or_else(|error| {
        tracing::error!(%error, "sign-ins cannot be read");
        Vec::new()
    });
    left.iter()
        .filter(|row| row.value.is_to_be_tried())
        .for_each(|row| context.trials.add(row.value.incarnation));
}

/// Tries as long as the server runs.
pub(crate) async fn run_trials(context: Arc<Context>) {
    let mut running = FuturesUnordered::new();
    loop {
        let pause = match context.trials.next() {
            Ok(turn) => {
                let working = context.clone();
                // apart from this worker: a panic costs one trial
                let work = actix::spawn(async move { trial(&working, turn).await });
                running.push(async move { (turn.mailbox, work.await) });
                continue;
            }
            Err(pause) => pause,
        };
        tokio::select! {
            Some((mailbox, ended)) = running.next() => {
                let next = ended.unwrap_or_else(|_| {
                    let until = clock::now().plus(AFTER_FAULT);
                    Next::Retry { until, app: None, why: Why::Other }
                });
                context.trials.ended(mailbox, next);
            }
            () = context.trials.woken() => {}
            () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
        }
    }
}

/// A person says "now": the sign-in that is tried, if the mailbox has one.
pub(crate) fn try_now(context: &Context, stored: &StoredMailbox) -> Result<Option<SignIn>, StoreError> {
    let Some(row) = pending(context, stored.incarnation)? else { return Ok(None) };
    context.trials.add_urgent(stored.incarnation);
    Ok(Some(row.value))
}

/// One trial of a mailbox.
async fn trial(context: &Context, turn: Turn) -> Next {
    match attempt(context, turn).await {
        Ok(next) => next,
        Err(problem) => {
            if !problem.is_conflict() {
                tracing::warn!(mailbox = %turn.mailbox, error = %problem, "a token is not taken over yet");
            }
            let until = clock::now().plus(SOON.max(pause(turn.failures.saturating_add(1), 0.0)));
            Next::Retry { until, app: None, why: Why::Other }
        }
    }
}

/// The sign-in of a mailbox that goes on without a user.
fn pending(context: &Context, mailbox: Incarnation) -> Result<Option<Row<SignIn>>, StoreError> {
    let imported = context.store.take_over(mailbox)?.filter(|row| row.value.is_to_be_tried());
    match imported {
        Some(row) => Ok(Some(row)),
        None => Ok(context.store.moved_by_app(mailbox)?.filter(|row| row.value.is_to_be_tried())),
    }
}

async fn attempt(context: &Context, turn: Turn) -> Result<Next, Problem> {
    let Some(mut row) = pending(context, turn.mailbox)? else { return Ok(Next::Done) };
    let stored = context.store.mailbox(&row.value.mailbox)?;
    let stored = stored.filter(|stored| {
        let is_it = stored.incarnation == row.value.incarnation;
        let fits = match &stored.mailbox.auth {
            Auth::Oauth { .. } => !row.value.by_app,
            Auth::AppOnly { .. } => row.value.by_app,
            Auth::ServiceAccount { .. } | Auth::Password { .. } => false,
        };
        is_it && fits && row.value.expires_at > clock::now()
    });
    let Some(stored) = stored else {
        end(context, &mut row, SignInState::Expired, None).await?;
        return Ok(Next::Done);
    };
    let mut case = Case { context, row, stored, turn };
    if case.row.value.by_app { case.try_app().await } else { case.try_grant().await }
}
