//! From a code to a grant in place: exchange, identity, candidate made durable, probe, one commit.

use super::super::Shared;
use super::super::problem::Problem;
use super::visit;
use crate::clock;
use crate::diagnosis::{Facts, OauthClass, catalogue, classify_oauth, describe};
use crate::domain::grant::LastRefresh;
use crate::domain::{Diagnosis, Grant, GrantSecret, GrantWay, Secret, SignedInAs, Who};
use crate::store::{Attempt, Commit, Row, SignIn, SignInState, StoreError, StoredMailbox};
use crate::supervisor::protocol::WakeReason;
use crate::token::identity::{self, Identity};
use crate::token::{FlowError, OauthClient, TokenAnswer};

/// Redeems a code. The old grant stays as it is unless everything went well.
pub(super) async fn redeem(
    shared: &Shared,
    row: Row<SignIn>,
    attempt: &Attempt,
    stored: &StoredMailbox,
    code: &Secret,
) -> Result<SignIn, Problem> {
    let credentials = visit::credentials(shared, &stored.mailbox)?;
    let client = visit::client(shared, &stored.mailbox).await?;
    let app = &credentials.app;
    let facts = Facts {
        address: &stored.mailbox.address,
        tenant: app.tenant.as_deref().unwrap_or_default(),
        client_id: &app.client_id,
        ..Facts::default()
    };
    let has_secret = credentials.client_secret.is_some();
    let (answer, send_client_secret) = match exchange(&client, attempt, code, has_secret).await {
        Ok(exchanged) => exchanged,
        Err(error) => return refuse(shared, row, None, error.diagnosis(&facts)).await,
    };
    let who = match who(shared, &answer, &client, &credentials.app, attempt, stored)? {
        Ok(who) => who,
        Err((state, who, found)) => return end(shared, row, state, who, Some(found)).await,
    };
    let Some(refresh_token) = answer.refresh_token.clone() else {
        let found = describe(&catalogue::CONSENT_MISSING, &facts, Some("the answer holds no refresh token"));
        return refuse(shared, row, Some(who), found).await;
    };
    let grant = grant(&answer, refresh_token, send_client_secret, who, &client);
    install(shared, row, stored, grant, answer.access_token).await
}

async fn exchange(
    client: &OauthClient,
    attempt: &Attempt,
    code: &Secret,
    send_secret: bool,
) -> Result<(TokenAnswer, bool), FlowError> {
    let (verifier, redirect) = (&attempt.verifier, attempt.redirect_uri.as_str());
    match client.exchange_code(code, verifier, redirect, send_secret).await {
        Err(error) if send_secret && error.wants_secret_the_other_way() => {
            Ok((client.exchange_code(code, verifier, redirect, false).await?, false))
        }
        other => Ok((other?, send_secret)),
    }
}

type Refusal = (SignInState, Option<SignedInAs>, Diagnosis);

/// Who signed in, if that is the mailbox's user.
fn who(
    shared: &Shared,
    answer: &TokenAnswer,
    client: &OauthClient,
    app: &crate::domain::App,
    attempt: &Attempt,
    stored: &StoredMailbox,
) -> Result<Result<SignedInAs, Refusal>, Problem> {
    let address = stored.mailbox.address.as_str();
    let claims = identity::parse(answer.id_token.as_deref().unwrap_or_default()).and_then(|claims| {
        let issuer = &client.endpoints().issuer;
        claims.check(&app.client_id, issuer, Some(attempt.nonce.expose()), clock::now()).map(|()| claims)
    });
    let claims = match claims {
        Ok(claims) => claims,
        Err(error) => {
            let facts = Facts { address, client_id: &app.client_id, ..Facts::default() };
            let found = describe(&catalogue::SIGN_IN_AGAIN, &facts, Some(&error.to_string()));
            return Ok(Err((SignInState::Declined, None, found)));
        }
    };
    let old = shared.store.grant(stored.incarnation)?.and_then(|row| row.value.signed_in_as);
    let who = claims.signed_in_as();
    match claims.identify(&stored.mailbox, old.as_ref(), app.tenant.as_deref()) {
        Identity::Match => Ok(Ok(who)),
        Identity::SameTenantOther | Identity::Stranger => {
            let facts = Facts { address, detail: &who.name, ..Facts::default() };
            let found = describe(&catalogue::WRONG_ACCOUNT, &facts, None);
            Ok(Err((SignInState::WrongAccount, Some(who), found)))
        }
    }
}

fn grant(
    answer: &TokenAnswer,
    refresh_token: Secret,
    send_client_secret: bool,
    who: SignedInAs,
    client: &OauthClient,
) -> Grant {
    let now = clock::now();
    let asked = || client.endpoints().scopes.clone();
    Grant {
        way: GrantWay::Redirect,
        secret: GrantSecret::Refresh { refresh_token },
        send_client_secret,
        signed_in_as: Some(who),
        signed_in_at: now,
        scopes: if answer.scopes.is_empty() { asked() } else { answer.scopes.clone() },
        access_token_expires_at: Some(now.plus(answer.expires_in)),
        last_refresh: Some(LastRefresh { at: now, result: String::from("ok") }),
        refresh_in_flight_since: None,
    }
}

/// Makes the candidate durable, tries it, and puts it in place.
async fn install(
    shared: &Shared,
    mut row: Row<SignIn>,
    stored: &StoredMailbox,
    grant: Grant,
    access_token: Secret,
) -> Result<SignIn, Problem> {
    row.value.state = SignInState::Probing;
    row.value.signed_in_as.clone_from(&grant.signed_in_as);
    row.value.candidate = Some(grant.clone());
    shared.store.put_sign_in(&row.value, row.generation).await?;
    shared.sign_in_changed();
    if let Err(found) = (shared.probe)(stored.clone(), access_token).await {
        let row = shared.store.sign_in(row.value.id)?.ok_or(StoreError::Stale)?;
        return refuse(shared, row, grant.signed_in_as, found).await;
    }
    loop {
        let mut row = shared.store.sign_in(row.value.id)?.ok_or(StoreError::Stale)?;
        let generation = shared.store.grant(stored.incarnation)?.map_or(0, |old| old.generation);
        row.value.state = SignInState::Done;
        row.value.signed_in_as.clone_from(&grant.signed_in_as);
        row.value.diagnosis = None;
        row.value.attempt = None;
        row.value.candidate = None;
        let mut commit = Commit::of_mailbox(stored.incarnation);
        shared.store.put_grant(&mut commit, stored.incarnation, generation, &grant)?;
        shared.store.add_sign_in(&mut commit, &row.value, row.generation)?;
        match shared.store.commit(commit).await {
            // a refresh of the old grant came between
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(Problem::from(error)),
            Ok(_) => {
                shared.sign_in_changed();
                shared.wake(stored.incarnation, WakeReason::Grant);
                return Ok(row.value);
            }
        }
    }
}

/// The provider sent the user back without a code.
pub(super) async fn declined(
    shared: &Shared,
    row: Row<SignIn>,
    stored: &StoredMailbox,
    error: &str,
    description: &str,
) -> Result<SignIn, Problem> {
    let body = serde_json::json!({"error": error, "error_description": description}).to_string();
    let failure = classify_oauth(400, body.as_bytes(), None);
    let app = visit::credentials(shared, &stored.mailbox)?.app;
    let facts = Facts {
        address: &stored.mailbox.address,
        tenant: app.tenant.as_deref().unwrap_or_default(),
        client_id: &app.client_id,
        ..Facts::default()
    };
    if error == "access_denied" && failure.class != OauthClass::TenantAdmin {
        let found = describe(&catalogue::CONSENT_DECLINED, &facts, Some(description));
        return end(shared, row, SignInState::Declined, None, Some(found)).await;
    }
    refuse(shared, row, None, failure.diagnosis(&facts)).await
}

async fn refuse(
    shared: &Shared,
    row: Row<SignIn>,
    who: Option<SignedInAs>,
    found: Diagnosis,
) -> Result<SignIn, Problem> {
    let state = match found.who {
        Who::TenantAdmin | Who::AppOwner | Who::Operator => SignInState::NeedsAdmin,
        Who::User | Who::Provider | Who::Nobody => SignInState::Declined,
    };
    end(shared, row, state, who, Some(found)).await
}

async fn end(
    shared: &Shared,
    mut row: Row<SignIn>,
    state: SignInState,
    who: Option<SignedInAs>,
    diagnosis: Option<Diagnosis>,
) -> Result<SignIn, Problem> {
    row.value.state = state;
    row.value.signed_in_as = who;
    row.value.diagnosis = diagnosis;
    shared.store.put_sign_in(&row.value, row.generation).await?;
    shared.sign_in_changed();
    Ok(row.value)
}
