//! The personal link: its page, and the button that sends the user to the provider.

use super::super::Shared;
use super::super::auth::{random_text, same};
use super::super::problem::Problem;
use super::pages::{self, Language, Page};
use super::with_id;
use crate::clock;
use crate::domain::app::AppCredentials;
use crate::domain::{Mailbox, SignInId};
use crate::store::{Attempt, Row, SignIn, SignInState, StoredMailbox};
use crate::token::{AuthorizeRequest, Endpoints, OauthClient};
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, ResponseError};

/// GET of a personal link; changes nothing.
pub(super) async fn show(shared: Data<Shared>, token: Path<String>, request: HttpRequest) -> HttpResponse {
    let asked = Language::choose(None, request.headers());
    let (row, stored) = match usable(&shared, &token) {
        Ok(Some(found)) => found,
        Ok(None) => return pages::invalid(asked),
        Err(problem) => return pages::failed(asked, problem.status_code()),
    };
    let language = Language::choose(row.value.language.as_deref(), request.headers());
    let text = match language {
        Language::De => {
            format!("Bitte melden Sie sich als {} an. Wählen Sie genau dieses Konto.", stored.mailbox.address)
        }
        Language::En => format!("Please sign in as {}. Choose exactly this account.", stored.mailbox.address),
    };
    Page {
        language,
        status: StatusCode::OK,
        title: language.say("Postfach verbinden", "Connect a mailbox"),
        text: &text,
        button: Some(&shared.link(&row.value)),
        diagnosis: row.value.diagnosis.as_ref(),
        return_to: row.value.return_to.as_deref(),
    }
    .answer()
}

/// POST of a personal link: off to the provider.
pub(super) async fn start(shared: Data<Shared>, token: Path<String>, request: HttpRequest) -> HttpResponse {
    let language = Language::choose(None, request.headers());
    match visit(&shared, &token).await {
        Ok(Some(url)) => HttpResponse::SeeOther()
            .insert_header(("Location", url))
            .insert_header(("Referrer-Policy", "no-referrer"))
            .insert_header(("Cache-Control", "no-store"))
            .finish(),
        Ok(None) => pages::invalid(language),
        Err(problem) => pages::failed(language, problem.status_code()),
    }
}

async fn visit(shared: &Shared, token: &str) -> Result<Option<String>, Problem> {
    let Some((mut row, stored)) = usable(shared, token)? else { return Ok(None) };
    let client = client(shared, &stored.mailbox).await?;
    let attempt = Attempt {
        state: with_id(row.value.id)?,
        verifier: random_text()?,
        nonce: random_text()?,
        redirect_uri: format!("{}/sign-in/callback", shared.public_url),
    };
    let asked = AuthorizeRequest {
        redirect_uri: &attempt.redirect_uri,
        state: attempt.state.expose(),
        verifier: &attempt.verifier,
        nonce: attempt.nonce.expose(),
        login_hint: Some(&stored.mailbox.address),
        claims: None,
    };
    let url = client.authorize_url(&asked).map_err(|error| Problem::unavailable("idp", error.to_string()))?;
    row.value.attempt = Some(attempt);
    row.value.state = SignInState::Opened;
    row.value.diagnosis = None;
    shared.store.put_sign_in(&row.value, row.generation).await?;
    shared.sign_in_changed();
    Ok(Some(url.to_string()))
}

/// The app of a mailbox, with its secret.
pub(super) fn credentials(shared: &Shared, mailbox: &Mailbox) -> Result<AppCredentials, Problem> {
    let no_app = || Problem::conflict("app_incomplete", "no app is named for this mailbox");
    let app = mailbox.app().ok_or_else(no_app)?;
    Ok(shared.store.app(app)?.ok_or_else(no_app)?.value)
}

/// Speaks to a mailbox's identity provider.
pub(super) async fn client(shared: &Shared, mailbox: &Mailbox) -> Result<OauthClient, Problem> {
    let credentials = credentials(shared, mailbox)?;
    let endpoints = Endpoints::of(&credentials.app, &shared.http).await;
    let endpoints = endpoints.map_err(|error| Problem::unavailable("idp", error.to_string()))?;
    Ok(OauthClient::new(shared.http.clone(), endpoints, credentials))
}

/// The sign-in that a text (`<id>.<random>`) may belong to.
pub(super) fn of_text(shared: &Shared, text: &str) -> Result<Option<Row<SignIn>>, Problem> {
    let id = text.split_once('.').and_then(|(id, _)| id.parse::<SignInId>().ok());
    Ok(match id {
        Some(id) => shared.store.sign_in(id)?,
        None => None,
    })
}

/// The mailbox of a sign-in, if it still is the same one.
pub(super) fn mailbox_of(shared: &Shared, sign_in: &SignIn) -> Result<Option<StoredMailbox>, Problem> {
    let stored = shared.store.mailbox(&sign_in.mailbox)?;
    Ok(stored.filter(|stored| stored.incarnation == sign_in.incarnation))
}

fn usable(shared: &Shared, token: &str) -> Result<Option<(Row<SignIn>, StoredMailbox)>, Problem> {
    let Some(row) = of_text(shared, token)? else { return Ok(None) };
    let is_usable = same(row.value.link_token.expose(), token)
        && !row.value.state.is_final()
        && row.value.expires_at > clock::now();
    if !is_usable {
        return Ok(None);
    }
    Ok(mailbox_of(shared, &row.value)?.map(|stored| (row, stored)))
}
