//! Sign-ins in whose middle the process ended are taken up again, accepted ones are gone on with, and ended ones are
//! removed.

use super::candidate::go_on;
use super::context::Context;
use super::device::watch;
use super::record::end;
use crate::clock;
use crate::domain::{SignInId, Timestamp};
use crate::problem::Problem;
use crate::store::{Row, SignIn, SignInState, StoredMailbox};
use std::sync::Arc;
use std::time::Duration;

/// How long a sign-in is kept after its end, so that its outcome can still be read.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Old ones are looked for so often.
const CLEANING: Duration = Duration::from_secs(3600);
/// A candidate that cannot be tried at the moment is tried again after this.
const AGAIN: Duration = Duration::from_secs(60);

/// An administrator accepts who signed in: the grant is tried, and put in place if it is good.
pub(crate) async fn accept(
    context: &Context,
    mut row: Row<SignIn>,
    stored: &StoredMailbox,
) -> Result<SignIn, Problem> {
    let nothing = || {
        let detail =
            "nobody of the same tenant signed in here within the last 24 hours: there is nothing to accept";
        Problem::conflict("nothing_to_accept", detail)
    };
    let is_open = row.value.accept_until.is_some_and(|until| until > clock::now());
    let candidate = row.value.candidate.clone().filter(|_| is_open).ok_or_else(nothing)?;
    let is_it = stored.incarnation == row.value.incarnation;
    if !(is_it && row.value.counts_for(&stored.mailbox, candidate.app.as_ref())) {
        return Err(nothing());
    }
    row.value.state = SignInState::Probing;
    row.value.accept_until = None;
    let is_imported = row.value.imported.is_some();
    if let Some(imported) = &mut row.value.imported {
        imported.accepted = true;
    }
    let went_on = go_on(context, &mut row, stored, candidate).await;
    if is_imported && !matches!(went_on, Ok(true)) {
        context.trials.add(stored.incarnation);
    }
    if !went_on? {
        // the caller goes on with it: `finish_accepted`
        tracing::info!(mailbox = %stored.mailbox.id, "an accepted sign-in cannot be tried at the moment");
    }
    Ok(row.value)
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

/// Takes up what is unfinished, and removes sign-ins that ended long ago. Runs as long as the server.
pub(crate) async fn tidy_up(context: Arc<Context>, mut left: Vec<Row<SignIn>>) {
    let (coded, tried): (Vec<_>, Vec<_>) = left.into_iter().partition(|row| row.value.device.is_some());
    coded.iter().for_each(|row| watch(&context, row.value.id));
    left = tried;
    loop {
        let mut again = Vec::new();
        for mut row in left {
            match take_up(&context, &mut row).await {
                Ok(true) => {}
                Ok(false) => again.push(row),
                // the link was opened again: that visit counts
                Err(problem) if problem.is_conflict() => {}
                Err(error) => tracing::error!(%error, id = %row.value.id, "a sign-in was not taken up again"),
            }
        }
        let kept = i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX);
        let now = clock::now();
        if let Err(error) = context.store.forget_sign_ins(Timestamp(now.0.saturating_sub(kept)), now).await {
            tracing::warn!(%error, "old sign-ins are not removed yet");
        }
        tokio::time::sleep(if again.is_empty() { CLEANING } else { AGAIN }).await;
        left = again;
    }
}

/// Goes on with an accepted sign-in that could not be tried at once, until it has an outcome.
pub(crate) async fn finish_accepted(context: Arc<Context>, id: SignInId) {
    let pause = AGAIN.min(context.retry_cap);
    loop {
        tokio::time::sleep(pause).await;
        let row = context.store.sign_in(id).ok().flatten();
        let Some(mut row) = row.filter(|row| row.value.state == SignInState::Probing) else { return };
        match take_up(&context, &mut row).await {
            Ok(true) => return,
            Ok(false) => {}
            Err(problem) if problem.is_conflict() => {}
            Err(error) => tracing::error!(%error, %id, "an accepted sign-in was not taken up again"),
        }
    }
}

/// Goes on with one; `false`: not possible now, again later.
async fn take_up(context: &Context, row: &mut Row<SignIn>) -> Result<bool, Problem> {
    let stored = context.store.mailbox(&row.value.mailbox)?;
    let stored = stored.filter(|stored| stored.incarnation == row.value.incarnation);
    let Some(stored) = stored.filter(|_| row.value.expires_at > clock::now()) else {
        end(context, row, SignInState::Expired, None).await?;
        return Ok(true);
    };
    let candidate = row.value.candidate.clone();
    let candidate = candidate.filter(|grant| row.value.counts_for(&stored.mailbox, grant.app.as_ref()));
    let Some(candidate) = candidate else {
        // the code was lost with the process, or is another app's: the link waits for its user again
        end(context, row, SignInState::Waiting, None).await?;
        return Ok(true);
    };
    go_on(context, row, &stored, candidate).await
}
