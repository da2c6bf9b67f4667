//! A new grant that is not in place yet: durable before anything else is done with it, tried as the mailbox, and only
//! then put in place of the old one.

use super::context::Context;
use super::provider::Provider;
use super::record::{end, is_superseded_by, put, put_answer};
use super::result::state_of;
use super::visit::is_withdrawn;
use crate::clock;
use crate::diagnosis::Facts;
use crate::domain::{AppId, Auth, Diagnosis, Disposition, Grant, GrantSecret, RetryClass, Secret, SendState};
use crate::problem::Problem;
use crate::store::{Commit, Row, SignIn, SignInState, StoreError, StoredMailbox};
use crate::supervisor::protocol::WakeReason;
use crate::token::credential_trial;
use crate::token::lifecycle::{before_refresh, with_answer};
use crate::token::{FlowError, TokenAnswer};
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

/// Tries a candidate with a token of its own; `false`: not possible now, again later.
pub(super) async fn go_on(
    context: &Context,
    row: &mut Row<SignIn>,
    stored: &StoredMailbox,
    candidate: Grant,
) -> Result<bool, Problem> {
    let (grant, answer) = match refresh(context, row, stored, candidate).await? {
        Ok(refreshed) => refreshed,
        Err(error) => {
            if matches!(error.disposition(), Disposition::Retry | Disposition::RetryAfter(_)) {
                return Ok(false);
            }
            let facts = Facts { address: &stored.mailbox.address, ..Facts::default() };
            let diagnosis = error.diagnosis(&facts);
            end(context, row, state_of(&diagnosis), Some(diagnosis)).await?;
            return Ok(true);
        }
    };
    match try_out(context, row, stored, grant, answer.access_token).await? {
        Ok(()) => tracing::info!(mailbox = %stored.mailbox.id, "a sign-in was finished after a restart"),
        Err(diagnosis) if diagnosis.retry == RetryClass::Auto => return Ok(false),
        Err(diagnosis) => end(context, row, state_of(&diagnosis), Some(diagnosis)).await?,
    }
    Ok(true)
}

const OTHER_CLIENT: &str = "the app has another client id or authority than when the user signed in";

/// An access token to try the candidate with: the one that came with it was never written. The same order as for a
/// grant in place: the mark, the request, the answer, each durable before the next.
async fn refresh(
    context: &Context,
    row: &mut Row<SignIn>,
    stored: &StoredMailbox,
    candidate: Grant,
) -> Result<Result<(Grant, TokenAnswer), FlowError>, Problem> {
    let unusable = |what: &str| Ok(Err(FlowError::Endpoint(String::from(what))));
    let GrantSecret::Refresh { refresh_token } = candidate.secret.clone() else {
        return unusable("the candidate holds no refresh token");
    };
    let mut provider = match Provider::of(context, &row.value, stored).await? {
        Ok(provider) => provider,
        Err(error) => return Ok(Err(error)),
    };
    if !candidate.is_issued_to(&provider.app.app) {
        return unusable(OTHER_CLIENT);
    }
    let _answer_is_waited_for = context.in_flight.read().await;
    let (marked, _) = before_refresh(candidate, clock::now());
    row.value.candidate = Some(marked.clone());
    put(context, row).await?;
    loop {
        let issued_at = clock::now();
        let (client, sent) = (&provider.client, marked.send_client_secret);
        let asked = client.refresh(&refresh_token, &client.endpoints().scopes, sent).await;
        let answer = match asked {
            Ok(answer) => answer,
            // a refused client has used nothing up: the credential before is in use again
            Err(error)
                if credential_trial::settle(&context.store, &provider.app, sent, Err(&error)).await? =>
            {
                provider = match Provider::of(context, &row.value, stored).await? {
                    Ok(provider) if marked.is_issued_to(&provider.app.app) => provider,
                    Ok(_) => return unusable(OTHER_CLIENT),
                    Err(error) => return Ok(Err(error)),
                };
                continue;
            }
            Err(error) => return Ok(Err(error)),
        };
        let grant = with_answer(marked, &answer, issued_at);
        row.value.candidate = Some(grant.clone());
        put_answer(context, row).await?;
        credential_trial::settle(&context.store, &provider.app, sent, Ok(())).await?;
        return Ok(Ok((grant, answer)));
    }
}
