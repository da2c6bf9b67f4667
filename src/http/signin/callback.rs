//! Back from the provider: the code is redeemed, the new grant is durable as a candidate before anything
//! else is done with it, the account is compared with the mailbox and tried, and only then replaces the old
//! grant.

use super::super::Shared;
use super::super::auth::same;
use super::super::problem::Problem;
use super::candidate::{end, put, state_of, try_out};
use super::page::{Words, escape, language, page};
use crate::clock;
use crate::diagnosis::{self, Facts, Language, OauthClass};
use crate::domain::app::AppCredentials;
use crate::domain::{Diagnosis, Grant, GrantSecret, GrantWay, Secret};
use crate::store::{Attempt, Row, SignIn, SignInState, StoredMailbox};
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

const AGAIN: Words = Words {
    en: "If the mailbox is not connected yet, open your personal link again and sign in once more.",
    de: "Ist das Postfach noch nicht verbunden, öffnen Sie Ihren persönlichen Link noch einmal und melden sich an.",
};

/// GET `/sign-in/callback`.
pub(super) async fn come_back(
    request: HttpRequest,
    shared: Data<Shared>,
    returned: Query<Returned>,
) -> Result<HttpResponse, Problem> {
    // apart from this connection: a browser that hangs up must not end it half-way
    let work = actix_web::rt::spawn(finish(request, shared, returned.into_inner()));
    work.await.map_err(|_| Problem::internal("the sign-in was cut off: open the personal link again"))?
}

async fn finish(
    request: HttpRequest,
    shared: Data<Shared>,
    returned: Returned,
) -> Result<HttpResponse, Problem> {
    let Some((mut row, attempt, stored)) = find(&shared, returned.state.as_deref().unwrap_or_default())?
    else {
        return Ok(foreign(&request));
    };
    let language = language(&request, row.value.language.as_deref());
    // used from here on: the same answer of the provider is not redeemed twice
    row.value.attempt = None;
    row.value.state = SignInState::SignedIn;
    let concluded = async {
        put(&shared, &mut row).await?;
        let ending = match &returned.code {
            Some(code) => redeem(&shared, &mut row, &attempt, &stored, Secret::new(code.as_str())).await?,
            None => declined(&returned, &stored),
        };
        if ending.state != SignInState::Done {
            end(&shared, &mut row, ending.state, ending.diagnosis.clone()).await?;
        }
        Ok::<_, Problem>(ending)
    };
    let ending = match concluded.await {
        // the link was opened again meanwhile: that visit counts
        Err(problem) if problem.is_conflict() => return Ok(foreign(&request)),
        other => other?,
    };
    let status = if ending.state == SignInState::Done { StatusCode::OK } else { StatusCode::FORBIDDEN };
    let title = ending.title.in_language(language);
    let back = row
        .value
        .return_to
        .as_deref()
        .map_or_else(String::new, |to| format!("<p><a href=\"{0}\">{0}</a></p>", escape(to)));
    let text = ending.diagnosis.as_ref().map_or(ending.text, |found| in_words(found, language));
    Ok(page(status, language, title, &format!("<p>{}</p>{back}", escape(&text))))
}

/// What is wrong and what to do, in the page's language.
fn in_words(found: &Diagnosis, language: &str) -> String {
    let shown = diagnosis::shown(found, Language::of_tag(language).unwrap_or_default());
    format!("{} {}", shown.summary, shown.remedy.text)
}

fn foreign(request: &HttpRequest) -> HttpResponse {
    let language = language(request, None);
    let text = format!("<p>{}</p>", AGAIN.in_language(language));
    page(StatusCode::BAD_REQUEST, language, FOREIGN.in_language(language), &text)
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

/// The provider sent the user back without a code.
fn declined(returned: &Returned, stored: &StoredMailbox) -> Ending {
    let said = returned.error_description.as_deref().or(returned.error.as_deref());
    let answer = serde_json::json!({"error": returned.error, "error_description": said});
    let failure = crate::diagnosis::classify_oauth(400, answer.to_string().as_bytes(), None);
    if returned.error.is_some() && failure.class != OauthClass::Retry {
        let facts = Facts { address: &stored.mailbox.address, ..Facts::default() };
        return refused(failure.diagnosis(&facts));
    }
    let text = said.unwrap_or("no code came back").chars().take(300).collect();
    Ending { state: SignInState::Declined, title: REFUSED, text, diagnosis: None }
}

fn refused(diagnosis: Diagnosis) -> Ending {
    let text = format!("{} {}", diagnosis.summary, diagnosis.remedy.text);
    Ending { state: state_of(&diagnosis), title: REFUSED, text, diagnosis: Some(diagnosis) }
}

fn unusable() -> Ending {
    let text = String::from("The provider's answer cannot be used: what was asked for is missing in it.");
    Ending { state: SignInState::Declined, title: REFUSED, text, diagnosis: None }
}

async fn redeem(
    shared: &Shared,
    row: &mut Row<SignIn>,
    attempt: &Attempt,
    stored: &StoredMailbox,
    code: Secret,
) -> Result<Ending, Problem> {
    let app = stored.mailbox.app().map(|app| shared.store.app(app)).transpose()?.flatten();
    let Some(app) = app.map(|row| row.value) else { return Ok(unusable()) };
    let facts = Facts {
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
        return Ok(unusable());
    };
    if let Err(error) = claims.check(&app.app.client_id, &issuer, Some(attempt.nonce.expose()), now) {
        let text = error.to_string();
        return Ok(Ending { state: SignInState::Declined, title: REFUSED, text, diagnosis: None });
    }
    let who = claims.signed_in_as();
    row.value.signed_in_as = Some(who.clone());
    let pinned = old.as_ref().and_then(|row| row.value.signed_in_as.as_ref());
    if claims.identify(&stored.mailbox, pinned, app.app.tenant.as_deref()) != Identity::Match {
        let text = format!(
            "{} signed in, but the mailbox is {}. Nothing was changed. Open the link again and choose {1}.",
            who.name, stored.mailbox.address
        );
        return Ok(Ending { state: SignInState::WrongAccount, title: WRONG, text, diagnosis: None });
    }
    let Some(refresh_token) = answer.refresh_token.clone() else { return Ok(unusable()) };
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
    Ok(match try_out(shared, row, stored, grant, answer.access_token).await? {
        Ok(()) => {
            let text = format!("{} is connected. You can close this page.", stored.mailbox.address);
            Ending { state: SignInState::Done, title: DONE, text, diagnosis: None }
        }
        Err(diagnosis) => refused(diagnosis),
    })
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
