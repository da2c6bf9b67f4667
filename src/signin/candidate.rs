//! A new grant that is not in place yet: durable before anything else is done with it, tried as the mailbox, and only
//! then put in place of the old one.

use super::context::Context;
use super::provider::{Provider, address_only};
use super::record::{end, is_superseded_by, put, put_answer};
use super::result::state_of;
use super::trial_case::{SOON, terse};
use super::visit::is_withdrawn;
use crate::clock;
use crate::domain::{
    AppId, Auth, Diagnosis, Disposition, Grant, GrantSecret, MailboxId, RetryClass, Secret, SendState,
    Timestamp,
};
use crate::problem::Problem;
use crate::store::{Commit, Row, SignIn, SignInState, StoreError, StoredMailbox};
use crate::supervisor::protocol::{RequestPermit, WakeReason};
use crate::token::circuit_breaker::Outcome;
use crate::token::lifecycle::{Step, pause};
use crate::token::{
    FlowError, GrantRefresh, GrantSlot, RefreshRequest, TokenAnswer, TokenError, refresh_grant,
};
use crate::work::retry_conflicts;

/// Makes a grant a candidate, tries it, and puts it in place of the old one if it is good.
pub(super) async fn try_out(
    context: &Context,
    row: &mut Row<SignIn>,
    stored: &StoredMailbox,
    grant: Grant,
    access_token: Secret,
) -> Result<Result<(), Diagnosis>, Problem> {
    row.value.state = SignInState::Probing;
    row.value.candidate = Some(grant.clone());
    put_answer(context, row).await?;
    if let Err(diagnosis) = (context.probe)(stored.clone(), access_token.clone()).await {
        return Ok(Err(diagnosis));
    }
    if let Err(diagnosis) = stops_sending(context, &row.value, stored, access_token).await? {
        return Ok(Err(diagnosis));
    }
    conclude(context, row, stored, Some(&grant), None).await?;
    Ok(Ok(()))
}

/// Whether a move to another app would end a sending that works. Where nothing is received, sending is all there is to
/// prove it by.
pub(super) async fn stops_sending(
    context: &Context,
    sign_in: &SignIn,
    stored: &StoredMailbox,
    access_token: Secret,
) -> Result<Result<(), Diagnosis>, StoreError> {
    let sends = context.store.status(stored.incarnation)?.value.send_state == SendState::Ready;
    if sign_in.app.is_none() || !(sends || stored.mailbox.imap.is_none()) {
        return Ok(Ok(()));
    }
    Ok((context.send_probe)(stored.clone(), access_token).await)
}

/// Ends a sign-in with a grant that proved good, in one commit: it takes the place of the old one, and the app that
/// it is by becomes the mailbox's own. Without a grant it was the app's own token that proved good. A conflict: the
/// mailbox was changed meanwhile so that it cannot use the grant.
pub(super) async fn conclude(
    context: &Context,
    row: &mut Row<SignIn>,
    stored: &StoredMailbox,
    grant: Option<&Grant>,
    diagnosis: Option<Diagnosis>,
) -> Result<(), Problem> {
    let done = SignIn { state: SignInState::Done, diagnosis, candidate: None, ..row.value.clone() };
    // the token actor may refresh the old grant meanwhile
    let written = retry_conflicts(async || {
        // what is judged is what the commit expects
        let old = context.store.grant(stored.incarnation)?;
        let Some(now) = fit(context, &done, stored, (grant, old.as_ref().map(|row| &row.value)))? else {
            return Ok(false);
        };
        let mut commit = Commit::of_mailbox(now.incarnation);
        context.store.expect_mailbox(&mut commit, &now);
        if let Some(grant) = grant {
            let old = old.map_or(0, |row| row.generation);
            context.store.put_grant(&mut commit, now.incarnation, old, grant)?;
        }
        if let Some(app) = &done.app {
            move_to(context, &mut commit, now, app)?;
        }
        context.store.add_sign_in(&mut commit, &done, row.generation)?;
        context.store.commit(commit).await?;
        Ok(true)
    })
    .await?;
    if !written {
        // a trial without a user finds out by itself what to wait for
        if done.imported.is_none() && !done.by_app {
            end(context, row, SignInState::Waiting, None).await?;
        }
        return Err(Problem::from(StoreError::Conflict));
    }
    row.value = done;
    row.generation = row.generation.saturating_add(1);
    context.sign_in_changed();
    if row.value.app.is_some() {
        context.supervisor.reconcile().await;
    }
    context.supervisor.wake(stored.incarnation, WakeReason::Grant);
    Ok(())
}

/// The mailbox as it is now, if it still takes what was proved: the same incarnation, the same app, no move withdrawn.
fn fit(
    context: &Context,
    sign_in: &SignIn,
    stored: &StoredMailbox,
    (grant, old): (Option<&Grant>, Option<&Grant>),
) -> Result<Option<StoredMailbox>, StoreError> {
    let now = context.store.mailbox(&stored.mailbox.id)?;
    let Some(now) = now.filter(|now| now.incarnation == stored.incarnation) else { return Ok(None) };
    if sign_in.imported.is_some() && is_superseded_by(sign_in, old) {
        return Ok(None);
    }
    let takes_it = match grant {
        Some(grant) => sign_in.counts_for(&now.mailbox, grant.app.as_ref()),
        None => matches!(now.mailbox.auth, Auth::AppOnly { .. }),
    };
    Ok(if takes_it && !is_withdrawn(context, sign_in, &now)? { Some(now) } else { None })
}

/// Gives a mailbox the app that it moves to.
fn move_to(
    context: &Context,
    commit: &mut Commit,
    mut now: StoredMailbox,
    to: &AppId,
) -> Result<(), StoreError> {
    match &mut now.mailbox.auth {
        Auth::Oauth { app, .. } => *app = Some(to.clone()),
        Auth::AppOnly { app } => *app = to.clone(),
        Auth::ServiceAccount { .. } | Auth::Password { .. } => return Err(StoreError::Stale),
    }
    context.store.arrive(commit, now.incarnation, to)?;
    context.store.put_mailbox(commit, &now)
}

/// How far a sign-in came that goes on without its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It has an outcome.
    Ended,
    /// It failed, and is to be tried again then.
    Retry(Timestamp),
    /// It was not let through, and comes again then.
    Wait(Timestamp),
}

/// One try of a candidate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Try {
    /// How many failed in a row before.
    pub(super) failures: u32,
    /// A person waits for it.
    pub(super) is_urgent: bool,
}

/// Tries a candidate with a token of its own: the one that came with it was never written.
pub(super) async fn go_on(
    context: &Context,
    row: &mut Row<SignIn>,
    stored: &StoredMailbox,
    attempt: Try,
) -> Result<Progress, Problem> {
    let (grant, answer) = match refresh(context, row, stored, attempt).await? {
        Refreshed::Tokens(tokens) => *tokens,
        Refreshed::Later { until, why, was_sent } => {
            if let Some(why) = why {
                row.value.diagnosis = Some(terse(why));
                put(context, row).await?;
            }
            return Ok(if was_sent { Progress::Retry(until) } else { Progress::Wait(until) });
        }
        Refreshed::Refused(diagnosis) => {
            end(context, row, state_of(&diagnosis), Some(diagnosis)).await?;
            return Ok(Progress::Ended);
        }
    };
    match try_out(context, row, stored, grant, answer.access_token).await? {
        Ok(()) => tracing::info!(mailbox = %stored.mailbox.id, "a sign-in was finished after a restart"),
        Err(diagnosis) if diagnosis.retry == RetryClass::Auto => {
            let wait = pause(attempt.failures.saturating_add(1), rand::random::<f64>());
            return Ok(Progress::Retry(clock::now().plus(wait)));
        }
        Err(diagnosis) => end(context, row, state_of(&diagnosis), Some(diagnosis)).await?,
    }
    Ok(Progress::Ended)
}

const OTHER_CLIENT: &str = "the app has another client id or authority than when the user signed in";

/// What became of the refresh of a candidate.
enum Refreshed {
    Tokens(Box<(Grant, TokenAnswer)>),
    /// The grant may be good: it is tried again.
    Later {
        until: Timestamp,
        why: Option<Diagnosis>,
        was_sent: bool,
    },
    /// It is not.
    Refused(Diagnosis),
}

/// Refreshes a candidate, with the permit that the app's circuit breaker gives.
async fn refresh(
    context: &Context,
    row: &mut Row<SignIn>,
    stored: &StoredMailbox,
    Try { failures, is_urgent }: Try,
) -> Result<Refreshed, Problem> {
    let refused = |error: &FlowError| Ok(Refreshed::Refused(error.diagnosis(&address_only(stored))));
    let unusable = |what: &str| refused(&FlowError::Endpoint(String::from(what)));
    loop {
        let candidate = row.value.candidate.clone();
        let holds_token = |grant: &Grant| matches!(grant.secret, GrantSecret::Refresh { .. });
        let Some(candidate) = candidate.filter(holds_token) else {
            return unusable("the candidate holds no refresh token");
        };
        let provider = match Provider::of(context, &row.value, stored).await? {
            Ok(provider) => provider,
            Err(error) if matches!(error.disposition(), Disposition::Retry | Disposition::RetryAfter(_)) => {
                let until = clock::now().plus(pause(failures.saturating_add(1), rand::random::<f64>()));
                return Ok(Refreshed::Later { until, why: None, was_sent: true });
            }
            Err(error) => return refused(&error),
        };
        if !candidate.is_issued_to(&provider.app.app) {
            return unusable(OTHER_CLIENT);
        }
        let app = provider.app.app.id.clone();
        let request = RequestPermit { app, mailbox: stored.incarnation, urgent: is_urgent };
        let permit = match context.supervisor.permit(request).await {
            Ok(permit) => permit,
            Err(waiting) => {
                let until = waiting.until.unwrap_or_else(|| clock::now().plus(SOON));
                let why = waiting.error.as_ref().and_then(TokenError::diagnosis).cloned();
                return Ok(Refreshed::Later { until, why, was_sent: false });
            }
        };
        let _answer_is_waited_for = context.in_flight.read().await;
        let request = RefreshRequest {
            store: &context.store,
            app: &provider.app,
            client: Ok(&provider.client),
            failures,
            signed_in_at: Some(candidate.signed_in_at),
            address: &stored.mailbox.address,
        };
        let mut slot = CandidateSlot { context, row, points: POINTS };
        let ended = refresh_grant(&mut slot, candidate, request).await?;
        permit.ended(ended.as_ref().map_or(Outcome::Neutral, GrantRefresh::outcome)).await;
        if let Some(ended) = ended {
            return Ok(refreshed(ended));
        }
    }
}

/// What the end of a refresh means for a candidate. An app that is broken says nothing against the grant.
fn refreshed(ended: GrantRefresh) -> Refreshed {
    match ended {
        GrantRefresh::Fresh { grant, answer, .. } => Refreshed::Tokens(Box::new((grant, answer))),
        GrantRefresh::Failed { verdict, .. } => match verdict.step {
            Step::RetryAt(until) => Refreshed::Later { until, why: None, was_sent: true },
            Step::NeedsAdmin(until) | Step::AppBroken(until) => {
                Refreshed::Later { until, why: Some(verdict.diagnosis), was_sent: true }
            }
            Step::SignIn => Refreshed::Refused(verdict.diagnosis),
        },
    }
}

const POINTS: [&str; 3] = ["candidate.marked", "candidate.answered", "candidate.stored"];

/// The grant of a sign-in that is not in use yet.
pub(super) struct CandidateSlot<'a> {
    pub(super) context: &'a Context,
    pub(super) row: &'a mut Row<SignIn>,
    pub(super) points: [&'static str; 3],
}

impl GrantSlot for CandidateSlot<'_> {
    fn points(&self) -> [&'static str; 3] {
        self.points
    }

    fn mailbox(&self) -> &MailboxId {
        &self.row.value.mailbox
    }

    async fn write(&mut self, grant: &Grant, is_answered: bool) -> Result<(), StoreError> {
        self.row.value.candidate = Some(grant.clone());
        self.row.value.state = SignInState::Probing;
        if is_answered {
            self.row.value.diagnosis = None;
        }
        put(self.context, self.row).await
    }
}
