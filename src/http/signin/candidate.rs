//! A new grant on probation: durable before anything else is done with it, tried as the mailbox, and only then in
//! place of the old one. What an earlier life of the daemon left in the middle of that is taken up again.

use super::super::Shared;
use super::super::extract::settled;
use super::super::problem::Problem;
use super::redeem::Provider;
use crate::clock;
use crate::diagnosis::Facts;
use crate::domain::{
    AppId, Auth, Diagnosis, Disposition, Grant, GrantSecret, GrantWay, RetryClass, Secret, SendState,
    SignInId, Timestamp, Who,
};
use crate::store::{Commit, Row, SignIn, SignInState, Store, StoreError, StoredMailbox, keep_token};
use crate::supervisor::protocol::WakeReason;
use crate::token::credential_trial;
use crate::token::lifecycle::{before_refresh, with_answer};
use crate::token::{FlowError, TokenAnswer};
use actix_web::web::Data;
use std::time::Duration;

/// How long a sign-in is kept after its end, so that one can still ask what became of it.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Old ones are looked for so often.
const CLEANING: Duration = Duration::from_secs(3600);
/// How long an administrator may accept somebody else's grant.
const ACCEPTABLE: Duration = Duration::from_secs(24 * 3600);
/// A candidate that cannot be tried at the moment is tried again after this.
const AGAIN: Duration = Duration::from_secs(60);

/// Writes a sign-in over the one that was read.
pub(super) async fn put(shared: &Shared, row: &mut Row<SignIn>) -> Result<(), StoreError> {
    shared.store.put_sign_in(&row.value, row.generation).await?;
    row.generation = row.generation.saturating_add(1);
    shared.sign_in_changed();
    Ok(())
}

/// The same with a refresh token that was just received, all there is of it: a full disk is waited out with it in hand.
pub(super) async fn put_answer(shared: &Shared, row: &mut Row<SignIn>) -> Result<(), StoreError> {
    keep_token(async || put(shared, row).await).await
}

/// Ends an attempt without a grant.
pub(super) async fn end(
    shared: &Shared,
    row: &mut Row<SignIn>,
    state: SignInState,
    diagnosis: Option<Diagnosis>,
) -> Result<(), StoreError> {
    row.value.state = state;
    row.value.diagnosis = diagnosis;
    if row.value.accept_until.is_none() {
        row.value.candidate = None;
    }
    put(shared, row).await
}

/// Keeps the grant of somebody else of the same tenant, sealed and unused, until an administrator may have accepted it.
pub(super) fn keep(row: &mut Row<SignIn>, grant: Grant, now: Timestamp) {
    row.value.candidate = Some(grant);
    row.value.accept_until = Some(now.plus(ACCEPTABLE));
}

/// An administrator accepts who signed in: his grant is tried, and put in place if it is good.
pub(in crate::http) async fn accept(
    shared: &Shared,
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
    let went_on = go_on(shared, &mut row, stored, candidate).await;
    if is_imported && !matches!(went_on, Ok(true)) {
        shared.trials.add(stored.incarnation);
    }
    if !went_on? {
        // whoever asked for it goes on with it: `go_on_with`
        tracing::info!(mailbox = %stored.mailbox.id, "an accepted sign-in cannot be tried at the moment");
    }
    Ok(row.value)
}

/// The state of a sign-in that was refused for this.
pub(super) fn state_of(diagnosis: &Diagnosis) -> SignInState {
    if diagnosis.who == Who::TenantAdmin { SignInState::NeedsAdmin } else { SignInState::Declined }
}

/// Makes a grant a candidate, tries it, and puts it in place of the old one if it is good.
pub(super) async fn try_out(
    shared: &Shared,
    row: &mut Row<SignIn>,
    stored: &StoredMailbox,
    grant: Grant,
    access_token: Secret,
) -> Result<Result<(), Diagnosis>, Problem> {
    row.value.state = SignInState::Probing;
    row.value.candidate = Some(grant.clone());
    put_answer(shared, row).await?;
    if let Err(diagnosis) = (shared.probe)(stored.clone(), access_token.clone()).await {
        return Ok(Err(diagnosis));
    }
    if let Err(diagnosis) = stops_sending(shared, &row.value, stored, access_token).await? {
        return Ok(Err(diagnosis));
    }
    settle(shared, row, stored, Some(&grant), None).await?;
    Ok(Ok(()))
}

/// Whether a move to another app would end a sending that works. Where nothing is received, sending is all there is to
/// prove it by.
pub(super) async fn stops_sending(
    shared: &Shared,
    sign_in: &SignIn,
    stored: &StoredMailbox,
    access_token: Secret,
) -> Result<Result<(), Diagnosis>, StoreError> {
    let sends = shared.store.status(stored.incarnation)?.value.send_state == SendState::Ready;
    if sign_in.app.is_none() || !(sends || stored.mailbox.imap.is_none()) {
        return Ok(Ok(()));
    }
    Ok((shared.send_probe)(stored.clone(), access_token).await)
}

/// Ends a sign-in with a grant that proved good, in one commit: it takes the place of the old one, and the app that it
/// is by becomes the mailbox's own. Without a grant it was the app's own token that proved good. A conflict: the mailbox
/// was changed meanwhile so that it has no use for it.
pub(super) async fn settle(
    shared: &Shared,
    row: &mut Row<SignIn>,
    stored: &StoredMailbox,
    grant: Option<&Grant>,
    diagnosis: Option<Diagnosis>,
) -> Result<(), Problem> {
    let done = SignIn { state: SignInState::Done, diagnosis, candidate: None, ..row.value.clone() };
    // the token actor may refresh the old grant meanwhile
    let written = settled(async || {
        // what is judged is what the commit expects
        let old = shared.store.grant(stored.incarnation)?;
        let Some(now) = fit(shared, &done, stored, (grant, old.as_ref().map(|row| &row.value)))? else {
            return Ok(false);
        };
        let mut commit = Commit::of_mailbox(now.incarnation);
        shared.store.expect_mailbox(&mut commit, &now);
        if let Some(grant) = grant {
            let old = old.map_or(0, |row| row.generation);
            shared.store.put_grant(&mut commit, now.incarnation, old, grant)?;
        }
        if let Some(app) = &done.app {
            move_to(shared, &mut commit, now, app)?;
        }
        shared.store.add_sign_in(&mut commit, &done, row.generation)?;
        shared.store.commit(commit).await?;
        Ok(true)
    })
    .await?;
    if !written {
        // what goes on without a user finds out by itself what to wait for
        if done.imported.is_none() && !done.by_app {
            end(shared, row, SignInState::Waiting, None).await?;
        }
        return Err(Problem::from(StoreError::Conflict));
    }
    row.value = done;
    row.generation = row.generation.saturating_add(1);
    shared.sign_in_changed();
    if row.value.app.is_some() {
        shared.reconcile().await;
    }
    shared.wake(stored.incarnation, WakeReason::Grant);
    Ok(())
}

/// The mailbox as it is now, if it still takes what was proved: the same life of it, the same app, no move withdrawn.
fn fit(
    shared: &Shared,
    sign_in: &SignIn,
    stored: &StoredMailbox,
    (grant, old): (Option<&Grant>, Option<&Grant>),
) -> Result<Option<StoredMailbox>, StoreError> {
    let now = shared.store.mailbox(&stored.mailbox.id)?;
    let Some(now) = now.filter(|now| now.incarnation == stored.incarnation) else { return Ok(None) };
    if sign_in.imported.is_some() && is_overtaken_by(sign_in, old) {
        return Ok(None);
    }
    let takes_it = match grant {
        Some(grant) => sign_in.counts_for(&now.mailbox, grant.app.as_ref()),
        None => matches!(now.mailbox.auth, Auth::AppOnly { .. }),
    };
    Ok(if takes_it && !shared.is_withdrawn(sign_in, &now)? { Some(now) } else { None })
}

/// Whether a user signed in since a token was handed in: what he gave is newer.
pub(super) fn is_overtaken(shared: &Shared, sign_in: &SignIn) -> Result<bool, StoreError> {
    let grant = shared.store.grant(sign_in.incarnation)?;
    Ok(is_overtaken_by(sign_in, grant.as_ref().map(|row| &row.value)))
}

fn is_overtaken_by(sign_in: &SignIn, grant: Option<&Grant>) -> bool {
    let handed_in = Timestamp(i64::try_from(sign_in.id.0.timestamp_ms()).unwrap_or(i64::MAX));
    grant.is_some_and(|grant| grant.way != GrantWay::Imported && grant.signed_in_at > handed_in)
}

/// Gives a mailbox the app that it was on its way to.
fn move_to(
    shared: &Shared,
    commit: &mut Commit,
    mut now: StoredMailbox,
    to: &AppId,
) -> Result<(), StoreError> {
    match &mut now.mailbox.auth {
        Auth::Oauth { app, .. } => *app = Some(to.clone()),
        Auth::AppOnly { app } => *app = to.clone(),
        Auth::ServiceAccount { .. } | Auth::Password { .. } => return Err(StoreError::Stale),
    }
    shared.store.arrive(commit, now.incarnation, to)?;
    shared.store.put_mailbox(commit, &now)
}

/// Sign-ins in whose middle an earlier life of the daemon ended. To be asked before requests are served.
pub(in crate::http) fn left_behind(store: &Store) -> Vec<Row<SignIn>> {
    let mut left = store.sign_ins().unwrap_or_else(|error| {
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

/// Takes up what was left behind, and removes sign-ins that ended long ago. Runs as long as the server.
pub(in crate::http) async fn keep_house(shared: Data<Shared>, mut left: Vec<Row<SignIn>>) {
    let (coded, tried): (Vec<_>, Vec<_>) = left.into_iter().partition(|row| row.value.device.is_some());
    coded.iter().for_each(|row| super::device::watch(&shared, row.value.id));
    left = tried;
    loop {
        let mut again = Vec::new();
        for mut row in left {
            match take_up(&shared, &mut row).await {
                Ok(true) => {}
                Ok(false) => again.push(row),
                // the link was opened again: that visit counts
                Err(problem) if problem.is_conflict() => {}
                Err(error) => tracing::error!(%error, id = %row.value.id, "a sign-in was not taken up again"),
            }
        }
        let kept = i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX);
        let now = clock::now();
        if let Err(error) = shared.store.forget_sign_ins(Timestamp(now.0.saturating_sub(kept)), now).await {
            tracing::warn!(%error, "old sign-ins are not removed yet");
        }
        tokio::time::sleep(if again.is_empty() { CLEANING } else { AGAIN }).await;
        left = again;
    }
}

/// Goes on with an accepted sign-in that could not be tried at once, until it has come to something.
pub(in crate::http) async fn go_on_with(shared: Data<Shared>, id: SignInId) {
    let pause = AGAIN.min(shared.config.timing.retry_cap);
    loop {
        tokio::time::sleep(pause).await;
        let row = shared.store.sign_in(id).ok().flatten();
        let Some(mut row) = row.filter(|row| row.value.state == SignInState::Probing) else { return };
        match take_up(&shared, &mut row).await {
            Ok(true) => return,
            Ok(false) => {}
            Err(problem) if problem.is_conflict() => {}
            Err(error) => tracing::error!(%error, %id, "an accepted sign-in was not taken up again"),
        }
    }
}

/// Goes on with one; `false`: not possible now, again later.
async fn take_up(shared: &Shared, row: &mut Row<SignIn>) -> Result<bool, Problem> {
    let stored = shared.store.mailbox(&row.value.mailbox)?;
    let stored = stored.filter(|stored| stored.incarnation == row.value.incarnation);
    let Some(stored) = stored.filter(|_| row.value.expires_at > clock::now()) else {
        end(shared, row, SignInState::Expired, None).await?;
        return Ok(true);
    };
    let candidate = row.value.candidate.clone();
    let candidate = candidate.filter(|grant| row.value.counts_for(&stored.mailbox, grant.app.as_ref()));
    let Some(candidate) = candidate else {
        // the code was lost with the process, or is another app's: the link waits for its user again
        end(shared, row, SignInState::Waiting, None).await?;
        return Ok(true);
    };
    go_on(shared, row, &stored, candidate).await
}

/// Tries a candidate with a token of its own; `false`: not possible now, again later.
async fn go_on(
    shared: &Shared,
    row: &mut Row<SignIn>,
    stored: &StoredMailbox,
    candidate: Grant,
) -> Result<bool, Problem> {
    let (grant, answer) = match refresh(shared, row, stored, candidate).await? {
        Ok(refreshed) => refreshed,
        Err(error) => {
            if matches!(error.disposition(), Disposition::Retry | Disposition::RetryAfter(_)) {
                return Ok(false);
            }
            let facts = Facts { address: &stored.mailbox.address, ..Facts::default() };
            let diagnosis = error.diagnosis(&facts);
            end(shared, row, state_of(&diagnosis), Some(diagnosis)).await?;
            return Ok(true);
        }
    };
    match try_out(shared, row, stored, grant, answer.access_token).await? {
        Ok(()) => tracing::info!(mailbox = %stored.mailbox.id, "a sign-in was finished after a restart"),
        Err(diagnosis) if diagnosis.retry == RetryClass::Auto => return Ok(false),
        Err(diagnosis) => end(shared, row, state_of(&diagnosis), Some(diagnosis)).await?,
    }
    Ok(true)
}

const OTHER_CLIENT: &str = "the app has another client id or authority than when the user signed in";

/// An access token to try the candidate with: the one that came with it was never written. The same order as for a
/// grant in place: the mark, the request, the answer, each durable before the next.
async fn refresh(
    shared: &Shared,
    row: &mut Row<SignIn>,
    stored: &StoredMailbox,
    candidate: Grant,
) -> Result<Result<(Grant, TokenAnswer), FlowError>, Problem> {
    let unusable = |what: &str| Ok(Err(FlowError::Endpoint(String::from(what))));
    let GrantSecret::Refresh { refresh_token } = candidate.secret.clone() else {
        return unusable("the candidate holds no refresh token");
    };
    let mut provider = match Provider::of(shared, &row.value, stored).await? {
        Ok(provider) => provider,
        Err(error) => return Ok(Err(error)),
    };
    if !candidate.is_issued_to(&provider.app.app) {
        return unusable(OTHER_CLIENT);
    }
    let _answer_is_waited_for = shared.on_their_way.read().await;
    let (marked, _) = before_refresh(candidate, clock::now());
    row.value.candidate = Some(marked.clone());
    put(shared, row).await?;
    loop {
        let issued_at = clock::now();
        let (client, sent) = (&provider.client, marked.send_client_secret);
        let asked = client.refresh(&refresh_token, &client.endpoints().scopes, sent).await;
        let answer = match asked {
            Ok(answer) => answer,
            // a refused client has used nothing up: the credential before is in use again
            Err(error)
                if credential_trial::settle(&shared.store, &provider.app, sent, Err(&error)).await? =>
            {
                provider = match Provider::of(shared, &row.value, stored).await? {
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
        put_answer(shared, row).await?;
        credential_trial::settle(&shared.store, &provider.app, sent, Ok(())).await?;
        return Ok(Ok((grant, answer)));
    }
}
