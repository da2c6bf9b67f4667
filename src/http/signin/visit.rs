//! The personal link: a GET shows a page and changes nothing, the button's POST leads to the provider.

use super::super::Shared;
use super::super::auth::{random_text, same};
use super::super::problem::Problem;
use super::page::{Words, escape, language, page};
use crate::clock;
use crate::domain::app::AppCredentials;
use crate::store::{Attempt, Row, SignIn, SignInState, StoredMailbox, with_id};
use crate::token::{AuthorizeRequest, Endpoints, FlowError, OauthClient};
use actix_web::http::{StatusCode, header};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};

const TITLE: Words = Words { en: "Sign in to your mailbox", de: "An Ihrem Postfach anmelden" };
const LEAD: Words = Words {
    en: "You are asked to sign in for the mailbox",
    de: "Sie werden gebeten, sich für dieses Postfach anzumelden:",
};
const BUTTON: Words = Words { en: "Continue to sign-in", de: "Weiter zur Anmeldung" };
const CHECKING: Words = Words {
    en: "You did sign in, and the mailbox is still being tried. Only if this does not end, sign in again.",
    de: "Sie haben sich angemeldet, und das Postfach wird noch geprüft. Nur wenn das kein Ende nimmt, melden Sie \
         sich noch einmal an.",
};
const GONE_TITLE: Words =
    Words { en: "This link cannot be used any more", de: "Dieser Link gilt nicht mehr" };
const GONE: Words = Words {
    en: "It has expired, was used, or was not copied whole. Ask for a new one.",
    de: "Er ist abgelaufen, verbraucht oder unvollständig kopiert. Bitten Sie um einen neuen.",
};
const NOT_NOW: Words = Words {
    en: "Sign-in is not possible at the moment",
    de: "Die Anmeldung ist im Augenblick nicht möglich",
};

/// GET `/sign-in/{token}`.
pub(super) async fn show(
    request: HttpRequest,
    shared: Data<Shared>,
    token: Path<String>,
) -> Result<HttpResponse, Problem> {
    let Some((row, stored)) = usable(&shared, &token)? else { return Ok(gone(&request)) };
    let language = language(&request, row.value.language.as_deref());
    let is_checked = row.value.state == SignInState::Probing;
    let lead = if is_checked { CHECKING } else { LEAD };
    let body = format!(
        "<p>{}</p><p><strong>{}</strong></p><form method=\"post\"><button>{}</button></form>",
        lead.in_language(language),
        escape(&stored.mailbox.address),
        BUTTON.in_language(language)
    );
    Ok(page(StatusCode::OK, language, TITLE.in_language(language), &body))
}

/// POST `/sign-in/{token}`: a fresh attempt, then off to the provider.
pub(super) async fn start(
    request: HttpRequest,
    shared: Data<Shared>,
    token: Path<String>,
) -> Result<HttpResponse, Problem> {
    let Some((Row { generation, value: mut sign_in }, stored)) = usable(&shared, &token)? else {
        return Ok(gone(&request));
    };
    let app = stored.mailbox.app().map(|app| shared.store.app(app)).transpose()?.flatten();
    let Some(app) = app else { return Ok(gone(&request)) };
    let attempt = Attempt {
        state: with_id(sign_in.id)?,
        verifier: random_text()?,
        nonce: random_text()?,
        redirect_uri: shared.callback_uri(),
    };
    let location = match authorize_url(&shared, &app.value, &attempt, &stored).await {
        Ok(location) => location,
        Err(error) => {
            let language = language(&request, sign_in.language.as_deref());
            let body = format!("<p>{}</p>", escape(&error.to_string()));
            return Ok(page(StatusCode::BAD_GATEWAY, language, NOT_NOW.in_language(language), &body));
        }
    };
    sign_in.attempt = Some(attempt);
    sign_in.state = SignInState::Opened;
    // this visit takes the place of whatever an earlier one came to
    sign_in.candidate = None;
    sign_in.diagnosis = None;
    shared.store.put_sign_in(&sign_in, generation).await?;
    shared.sign_in_changed();
    Ok(HttpResponse::SeeOther()
        .insert_header((header::LOCATION, location))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish())
}

async fn authorize_url(
    shared: &Shared,
    app: &AppCredentials,
    attempt: &Attempt,
    stored: &StoredMailbox,
) -> Result<String, FlowError> {
    let endpoints = Endpoints::of(&app.app, &shared.http).await?;
    let client = OauthClient::new(shared.http.clone(), endpoints, app.clone());
    let request = AuthorizeRequest {
        redirect_uri: &attempt.redirect_uri,
        state: attempt.state.expose(),
        verifier: &attempt.verifier,
        nonce: attempt.nonce.expose(),
        login_hint: Some(stored.mailbox.login()),
        claims: None,
    };
    client.authorize_url(&request).map(String::from)
}

/// The sign-in of a link, if it can still be used, and its mailbox.
fn usable(shared: &Shared, token: &str) -> Result<Option<(Row<SignIn>, StoredMailbox)>, Problem> {
    let Some(row) = shared.sign_in_of(token)? else { return Ok(None) };
    let is_open = same(row.value.link_token.expose(), token)
        && row.value.expires_at > clock::now()
        && !row.value.state.is_final();
    let stored = shared.store.mailbox(&row.value.mailbox)?;
    let stored = stored.filter(|stored| is_open && stored.incarnation == row.value.incarnation);
    Ok(stored.map(|stored| (row, stored)))
}

fn gone(request: &HttpRequest) -> HttpResponse {
    let language = language(request, None);
    let body = format!("<p>{}</p>", GONE.in_language(language));
    page(StatusCode::GONE, language, GONE_TITLE.in_language(language), &body)
}
