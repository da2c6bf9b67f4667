//! The personal link: a GET shows a page and changes nothing, a button's POST starts a way of signing in.

use super::super::Shared;
use super::super::bodies::form;
use super::page::{frame, gone, page, see_other};
use super::words::{Words, language};
use super::{browser, device, link, paste};
use crate::clock;
use crate::domain::GrantWay;
use crate::problem::Problem;
use crate::signin::{self, Opened, opened, usable};
use crate::store::SignInState;
use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use maud::html;

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
    let Some(found) = opened(&shared.signin, &token)? else { return Ok(gone(&shared.brand, &request)) };
    if let Some(code) = code(&found) {
        let language = language(&request, found.row.value.language.as_deref());
        return Ok(device::shown(&shared, &found.row.value, code, language));
    }
    link::shown(&request, &shared, &found, link::status(&found)).await
}

/// GET `/sign-in/{token}/outcome`: the same page, where the answer's status tells how the last try ended.
pub(super) async fn outcome(
    request: HttpRequest,
    shared: Data<Shared>,
    token: Path<String>,
) -> Result<HttpResponse, Problem> {
    let Some(found) = opened(&shared.signin, &token)? else { return Ok(gone(&shared.brand, &request)) };
    link::shown(&request, &shared, &found, link::outcome_status(&found.row.value)).await
}

fn code(found: &Opened) -> Option<&crate::store::DeviceAttempt> {
    found.row.value.device.as_ref().filter(|code| found.is_usable && code.ends_at > clock::now())
}

/// GET `/sign-in/{token}/status`: the part of a page that waits.
pub(super) async fn status(
    request: HttpRequest,
    shared: Data<Shared>,
    token: Path<String>,
) -> Result<HttpResponse, Problem> {
    const WAITING: Words = Words {
        en: "Waiting. This line changes by itself.",
        de: "Wird gewartet. Diese Zeile ändert sich von selbst.",
    };
    const READY: Words = Words { en: "There is an outcome.", de: "Es gibt ein Ergebnis." };
    const ON: Words = Words { en: "Continue", de: "Weiter" };
    let Some(found) = opened(&shared.signin, &token)? else { return Ok(gone(&shared.brand, &request)) };
    let language = language(&request, found.row.value.language.as_deref());
    let is_tried = matches!(found.row.value.state, SignInState::SignedIn | SignInState::Probing);
    let waits = found.is_usable && (is_tried || code(&found).is_some());
    let words = if waits { WAITING } else { READY };
    let body = html! {
        p { (words.in_language(language)) }
        @if !waits {
            a.button.primary.wide target="_top" href=(format!("{}/outcome", shared.signin.link(&found.row.value))) {
                (ON.in_language(language))
            }
        }
    };
    Ok(frame(language, words.in_language(language), !waits, &body))
}

/// POST `/sign-in/{token}`: a fresh attempt, then off to the provider.
pub(super) async fn start(
    request: HttpRequest,
    shared: Data<Shared>,
    token: Path<String>,
    body: web::Payload,
) -> Result<HttpResponse, Problem> {
    let Some((mut row, stored)) = usable(&shared.signin, &token)? else {
        return Ok(gone(&shared.brand, &request));
    };
    let language = language(&request, row.value.language.as_deref());
    let body = form(body).await?;
    let asked = url::form_urlencoded::parse(&body).find(|(name, _)| name == "way").map(|(_, way)| way);
    let offered = |way: &GrantWay| Some(link::name(*way)) == asked.as_deref();
    let ways = shared.signin.ways_of(&row.value, &stored)?;
    let way = ways.iter().find(|way| offered(way)).or(ways.first()).copied();
    let begun = match way.unwrap_or(GrantWay::Redirect) {
        GrantWay::Device => {
            let begun = signin::begin_device(&shared.signin, &mut row, &stored).await?;
            begun.map(|()| see_other(&shared.signin.link(&row.value)))
        }
        GrantWay::Native => paste::begin(&shared, &mut row, &stored, language).await?,
        GrantWay::Redirect
        | GrantWay::Imported
        | GrantWay::AppOnly
        | GrantWay::ServiceAccount
        | GrantWay::Password => {
            let callback = shared.signin.callback_uri();
            let (cookie, known_by) = browser::mark(&shared, &row.value)?;
            let location = signin::begin(&shared.signin, &mut row, &stored, callback, Some(known_by)).await?;
            location.map(|location| {
                let mut answer = see_other(&location);
                // a name and a value that can always be written
                let _ = answer.add_cookie(&cookie);
                answer
            })
        }
    };
    Ok(begun.unwrap_or_else(|error| {
        let title = NOT_NOW.in_language(language);
        let body = html! {
            h1 { (title) }
            (link::told(&error.diagnosis(&signin::address_only(&stored)), language))
            (shared.brand.foot(language, Some(row.value.expires_at)))
        };
        page(&shared.brand, StatusCode::BAD_GATEWAY, language, title, &body)
    }))
}
