//! Sign-ins in whose middle the process ended are taken up again, accepted ones are gone on with, and ended ones are
//! removed.

use super::candidate::{Progress, Try, go_on};
use super::context::Context;
use super::device::watch;
use super::record::{end, put};
use super::trial_case::SOON;
use crate::clock;
use crate::domain::{Grant, Timestamp};
use crate::problem::Problem;
use crate::store::{Row, SignIn, SignInState, StoredMailbox};
use crate::token::lifecycle::pause;
use std::sync::Arc;
use std::time::Duration;

/// How long a sign-in is kept after its end, so that its outcome can still be read.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// An administrator accepts who signed in: the grant is tried, and put in place if it is good. One that cannot be tried
/// at the moment is gone on with.
pub(crate) async fn accept(
    context: &Arc<Context>,
    mut row: Row<SignIn>,
    stored: &StoredMailbox,
) -> Result<SignIn, Problem> {
    let nothing = || {
        let detail =
            "nobody of the same tenant signed in here within the last 24 hours: there is nothing to accept";
        Problem::conflict("nothing_to_accept", detail)
    };
    let is_open = row.value.accept_until.is_some_and(|until| until > clock::now());
    let candidate = row.value.candidate.as_ref().filter(|_| is_open).ok_or_else(nothing)?;
    let is_it = stored.incarnation == row.value.incarnation;
    if !(is_it && row.value.counts_for(&stored.mailbox, candidate.app.as_ref())) {
        return Err(nothing());
    }
    row.value.state = SignInState::Probing;
    row.value.accept_until = None;
    if row.value.imported.is_some() {
        accept_imported(context, row, stored).await
    } else {
        accept_user(context, row, stored).await
    }
}

/// Goes on with a token that was handed in; its trials do where this one leaves it.
async fn accept_imported(
    context: &Context,
    mut row: Row<SignIn>,
    stored: &StoredMailbox,
) -> Result<SignIn, Problem> {
    if let Some(imported) = &mut row.value.imported {
        imported.accepted = true;
    }
    // held from before the row says that it is to be tried: no other trial sends the same token beside this one
    let turn = context.trials.hold(stored.incarnation);
    put(context, &mut row).await?;
    if turn.is_some() {
        go_on(context, &mut row, stored, Try { failures: 0, is_urgent: true }).await?;
    } else {
        context.trials.add_urgent(stored.incarnation);
    }
    Ok(row.value)
}

/// Goes on with the grant of somebody who signed in, in the background where it cannot be tried at the moment.
async fn accept_user(
    context: &Arc<Context>,
    mut row: Row<SignIn>,
    stored: &StoredMailbox,
) -> Result<SignIn, Problem> {
    // durable before it is gone on with: whoever takes it up later knows that it was accepted
    put(context, &mut row).await?;
    let went_on = go_on(context, &mut row, stored, Try { failures: 0, is_urgent: true }).await;
    let sign_in = row.value.clone();
    let later = match &went_on {
        Ok(Progress::Ended) => None,
        Ok(Progress::Retry(until) | Progress::Wait(until)) => Some(*until),
        Err(problem) => (!problem.is_conflict()).then(|| clock::now().plus(SOON)),
    };
    if let Some(until) = later {
        tracing::info!(mailbox = %stored.mailbox.id, "an accepted sign-in cannot be tried at the moment");
        actix::spawn(finish(Arc::clone(context), row, until));
    }
    went_on.map(|_| sign_in)
}

/// Sign-ins in whose middle the process ended. To be read before requests are served.
pub(crate) fn unfinished(context: &Context) -> Vec<Row<SignIn>> {
    let mut left = context.store.sign_ins().unwrap_or_else(|error| {
        tracing::error!(%error, "sign-ins cannot be read");
        Vec::new()
    });
    left.retain(|row| {
        if row.value.imported.is_some() || row.value.by_app {
            return false; // has trials of its own
        }
        let is_tried = matches!(row.value.state, SignInState::SignedIn | SignInState::Probing);
        is_tried || (row.value.device.is_some() && !row.value.state.is_final())
    });
    left
}

/// Takes up what is unfinished, each for itself.
pub(crate) fn take_up_unfinished(context: &Arc<Context>, left: Vec<Row<SignIn>>) {
    for row in left {
        match row.value.device {
            Some(_) => watch(context, row.value.id),
            None => drop(actix::spawn(finish(Arc::clone(context), row, Timestamp::default()))),
        }
    }
}

/// Removes sign-ins that ended long ago.
pub(crate) async fn forget_ended(context: &Context) {
    let kept = i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX);
    let now = clock::now();
    if let Err(error) = context.store.forget_sign_ins(Timestamp(now.0.saturating_sub(kept)), now).await {
        tracing::warn!(%error, "old sign-ins are not removed yet");
    }
}

/// Goes on with a sign-in until it has an outcome, or its link is opened again: that visit counts. `until`: when first.
async fn finish(context: Arc<Context>, mut row: Row<SignIn>, mut until: Timestamp) {
    let mut failures = 0_u32;
    loop {
        // the usual pauses may be cut short, as those of mailboxes are
        tokio::time::sleep(until.since(clock::now()).min(context.retry_cap)).await;
        match take_up(&context, &mut row, failures).await {
            Ok(Progress::Ended) => return,
            Ok(Progress::Wait(at)) => until = at,
            Ok(Progress::Retry(at)) => {
                failures = failures.saturating_add(1);
                until = at;
            }
            Err(problem) if problem.is_conflict() => return,
            Err(error) => {
                tracing::error!(%error, id = %row.value.id, "a sign-in was not taken up again");
                failures = failures.saturating_add(1);
                until = clock::now().plus(pause(failures, rand::random::<f64>()));
                // what could not be written did not happen
                match context.store.sign_in(row.value.id) {
                    Ok(Some(stored)) if stored.generation == row.generation => row = stored,
                    Ok(_) => return,
                    Err(_) => {}
                }
            }
        }
    }
}

/// Goes on with one.
async fn take_up(context: &Context, row: &mut Row<SignIn>, failures: u32) -> Result<Progress, Problem> {
    let stored = context.store.mailbox(&row.value.mailbox)?;
    let stored = stored.filter(|stored| stored.incarnation == row.value.incarnation);
    // a grant that was given in time outlives its link: an app may have to be mended first
    let ends_at = match row.value.candidate {
        Some(_) => row.value.expires_at.plus(KEPT),
        None => row.value.expires_at,
    };
    let Some(stored) = stored.filter(|_| ends_at > clock::now()) else {
        end(context, row, SignInState::Expired, None).await?;
        return Ok(Progress::Ended);
    };
    let counts = |grant: &Grant| row.value.counts_for(&stored.mailbox, grant.app.as_ref());
    if !row.value.candidate.as_ref().is_some_and(counts) {
        // the code was lost with the process, or is another app's: the link waits for its user again
        end(context, row, SignInState::Waiting, None).await?;
        return Ok(Progress::Ended);
    }
    go_on(context, row, &stored, Try { failures, is_urgent: false }).await
}
