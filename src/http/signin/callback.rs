//! Back from the provider: the code is redeemed, the new grant is durable as a candidate before anything
//! else is done with it, the account is compared with the mailbox and tried, and only then replaces the old
//! grant.

use super::super::Shared;
use super::super::auth::same;
use super::super::problem::Problem;
use super::page::{Words, escape, language, page};
use crate::clock;
use crate::domain::app::AppCredentials;
use crate::domain::{Diagnosis, Grant, GrantSecret, GrantWay, Secret};
use crate::store::{Attempt, Commit, Row, SignIn, SignInState, StoredMailbox};
use crate::supervisor::protocol::WakeReason;
use crate::token::identity::{self, Identity};
use crate::token::{Endpoints, FlowError, OauthClient, TokenAnswer};
use actix_web::http::StatusCode;
use actix_web::web::{Data, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

/// What the provider sends along.
#[derive(Deserialize)]
pub(super) struct Returned {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

/// What became of it: the state to keep, and what to say.
struct Ending {
    state: SignInState,
    title: Words,
    text: String,
    diagnosis: Option<Diagnosis>,
}

const DONE: Words = Words { en: "You are signed in", de: "Sie sind angemeldet" };
const WRONG: Words = Words { en: "That was another account", de: "Das war ein anderes Konto" };
const REFUSED: Words = Words { en: "The sign-in did not work", de: "Die Anmeldung hat nicht geklappt" };
const FOREIGN: Words = Words {
    en: "This sign-in is not known here, or was finished already",
    de: "Diese Anmeldung ist hier nicht bekannt oder schon abgeschlossen",
};

/// GET `/sign-in/callback`.
pub(super) async fn come_back(
    request: HttpRequest,
    shared: Data<Shared>,
    returned: Query<Returned>,
) -> Result<HttpResponse, Problem> {
    let Some((row, attempt, stored)) = find(&shared, returned.state.as_deref().unwrap_or_default())? else {
        let language = language(&request, None);
        return Ok(page(StatusCode::BAD_REQUEST, language, FOREIGN.in_language(language), ""));
    };
    let language = language(&request, row.value.language.as_deref());
    // used from here on: the same answer of the provider is not redeemed twice
    let mut sign_in = row.value;
    sign_in.attempt = None;
    sign_in.state = SignInState::SignedIn;
    shared.store.put_sign_in(&sign_in, row.generation).await?;
    shared.sign_in_changed();
    let ending = match &returned.code {
        Some(code) => redeem(&shared, &mut sign_in, &attempt, &stored, Secret::new(code.as_str())).await?,
        None => declined(&returned),
    };
    let status = if ending.state == SignInState::Done { StatusCode::OK } else { StatusCode::FORBIDDEN };
    if ending.state != SignInState::Done {
        keep(&shared, &mut sign_in, &ending).await?;
    }
    shared.sign_in_changed();
    let title = ending.title.in_language(language);
    let back = sign_in
        .return_to
        .as_deref()
        .map_or_else(String::new, |to| format!("<p><a href=\"{0}\">{0}</a></p>", escape(to)));
    Ok(page(status, language, title, &format!("<p>{}</p>{back}", escape(&ending.text))))
}

type Found = (Row<SignIn>, Attempt, StoredMailbox);

fn find(shared: &Shared, state: &str) -> Result<Option<Found>, Problem> {
    let Some(row) = shared.sign_in_of(state)? else { return Ok(None) };
    let Some(attempt) = row.value.attempt.clone() else { return Ok(None) };
    if !same(attempt.state.expose(), state) || row.value.expires_at <= clock::now() {
        return Ok(None);
    }
    let stored = shared.store.mailbox(&row.value.mailbox)?;
    let stored = stored.filter(|stored| stored.incarnation == row.value.incarnation);
    Ok(stored.map(|stored| (row, attempt, stored)))
}

fn declined(returned: &Returned) -> Ending {
    let said =
        returned.error_description.as_deref().or(returned.error.as_deref()).unwrap_or("no code came back");
    let text = said.chars().take(300).collect();
    Ending { state: SignInState::Declined, title: REFUSED, text, diagnosis: None }
}

fn refused(diagnosis: Diagnosis) -> Ending {
    let text = format!("{} {}", diagnosis.summary, diagnosis.remedy.text);
    Ending { state: SignInState::Declined, title: REFUSED, text, diagnosis: Some(diagnosis) }
}

async fn keep(shared: &Shared, sign_in: &mut SignIn, ending: &Ending) -> Result<(), Problem> {
    let generation = shared.store.sign_in(sign_in.id)?.map_or(0, |row| row.generation);
    sign_in.state = ending.state;
    sign_in.diagnosis.clone_from(&ending.diagnosis);
    sign_in.candidate = None;
    shared.store.put_sign_in(sign_in, generation).await?;
    Ok(())
}

async fn redeem(
    shared: &Shared,
    sign_in: &mut SignIn,
    attempt: &Attempt,
    stored: &StoredMailbox,
    code: Secret,
) -> Result<Ending, Problem> {
    let app = stored.mailbox.app().map(|app| shared.store.app(app)).transpose()?.flatten();
    let Some(app) = app.map(|row| row.value) else { return Ok(declined(&nothing_returned())) };
    let facts = crate::diagnosis::Facts {
        address: &stored.mailbox.address,
        tenant: app.app.tenant.as_deref().unwrap_or_default(),
        client_id: &app.app.client_id,
        ..Default::default()
    };
    let endpoints = match Endpoints::of(&app.app, &shared.http).await {
        Ok(endpoints) => endpoints,
        Err(error) => return Ok(refused(error.diagnosis(&facts))),
    };
    let issuer = endpoints.issuer.clone();
    let client = OauthClient::new(shared.http.clone(), endpoints, app.clone());
    let (answer, send_client_secret) = match exchange(&client, &app, attempt, &code).await {
        Ok(exchanged) => exchanged,
        Err(error) => return Ok(refused(error.diagnosis(&facts))),
    };
    let old = shared.store.grant(stored.incarnation)?;
    let now = clock::now();
    let Some(Ok(claims)) = answer.id_token.as_deref().map(identity::parse) else {
        return Ok(declined(&nothing_returned()));
    };
    if let Err(error) = claims.check(&app.app.client_id, &issuer, Some(attempt.nonce.expose()), now) {
        let text = error.to_string();
        return Ok(Ending { state: SignInState::Declined, title: REFUSED, text, diagnosis: None });
    }
    let who = claims.signed_in_as();
    sign_in.signed_in_as = Some(who.clone());
    let pinned = old.as_ref().and_then(|row| row.value.signed_in_as.as_ref());
    if claims.identify(&stored.mailbox, pinned, app.app.tenant.as_deref()) != Identity::Match {
        let text = format!(
            "{} signed in, but the mailbox is {}. Nothing was changed. Open the link again and choose {1}.",
            who.name, stored.mailbox.address
        );
        return Ok(Ending { state: SignInState::WrongAccount, title: WRONG, text, diagnosis: None });
    }
    let Some(refresh_token) = answer.refresh_token.clone() else { return Ok(declined(&nothing_returned())) };
    let grant = Grant {
        way: GrantWay::Redirect,
        secret: GrantSecret::Refresh { refresh_token },
        send_client_secret,
        signed_in_as: Some(who),
        signed_in_at: now,
        scopes: answer.scopes.clone(),
        access_token_expires_at: Some(now.plus(answer.expires_in)),
        last_refresh: None,
        refresh_in_flight_since: None,
    };
    put_in_place(shared, sign_in, stored, grant, answer.access_token).await
}

fn nothing_returned() -> Returned {
    Returned { code: None, state: None, error: None, error_description: None }
}

/// Whether the secret goes along is the registration's business: what the provider demands is done once.
async fn exchange(
    client: &OauthClient,
    app: &AppCredentials,
    attempt: &Attempt,
    code: &Secret,
) -> Result<(TokenAnswer, bool), FlowError> {
    let first = app.client_secret.is_some();
    let try_with = |send| client.exchange_code(code, &attempt.verifier, &attempt.redirect_uri, send);
    match try_with(first).await {
        Err(error) if error.wants_secret_the_other_way() => Ok((try_with(!first).await?, !first)),
        other => Ok((other?, first)),
    }
}

/// Durable as a candidate, tried, then in place of the old one.
async fn put_in_place(
    shared: &Shared,
    sign_in: &mut SignIn,
    stored: &StoredMailbox,
    grant: Grant,
    access_token: Secret,
) -> Result<Ending, Problem> {
    let generation = shared.store.sign_in(sign_in.id)?.map_or(0, |row| row.generation);
    sign_in.state = SignInState::Probing;
    sign_in.candidate = Some(grant.clone());
    shared.store.put_sign_in(sign_in, generation).await?;
    shared.sign_in_changed();
    if let Err(diagnosis) = (shared.probe)(stored.clone(), access_token).await {
        return Ok(refused(diagnosis));
    }
    sign_in.state = SignInState::Done;
    sign_in.candidate = None;
    let old = shared.store.grant(stored.incarnation)?.map_or(0, |row| row.generation);
    let mut commit = Commit::of_mailbox(stored.incarnation);
    shared.store.put_grant(&mut commit, stored.incarnation, old, &grant)?;
    shared.store.add_sign_in(&mut commit, sign_in, generation.saturating_add(1))?;
    shared.store.commit(commit).await?;
    shared.wake(stored.incarnation, WakeReason::Grant);
    let text = format!("{} is connected. You can close this page.", stored.mailbox.address);
    Ok(Ending { state: SignInState::Done, title: DONE, text, diagnosis: None })
}
