//! The personal link: a GET shows a page and changes nothing, a button's POST starts a way of signing in.

use super::super::Shared;
use super::super::bodies::form;
use super::page::{Words, escape, gone, in_words, language, page, see_other, waiting_page};
use super::result::{BACK, way_back};
use super::{browser, device, owner, paste};
use crate::clock;
use crate::domain::GrantWay;
use crate::problem::Problem;
use crate::signin::{self, usable};
use crate::store::{SignIn, SignInState};
use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Path};
use actix_web::{HttpRequest, HttpResponse};

const TITLE: Words = Words { en: "Sign in to your mailbox", de: "An Ihrem Postfach anmelden" };
const LEAD: Words = Words {
    en: "You are asked to sign in for the mailbox",
    de: "Sie werden gebeten, sich für dieses Postfach anzumelden:",
};
const BUTTON: Words = Words { en: "Continue to sign-in", de: "Weiter zur Anmeldung" };
const BY_PASTE: Words = Words { en: "Sign in and copy an address", de: "Anmelden und eine Adresse kopieren" };
const BY_DEVICE: Words = Words { en: "Sign in with a code", de: "Mit einem Code anmelden" };
const CHECKING: Words = Words {
    en: "You did sign in, and the mailbox is still being tried. Only if this does not end, sign in again.",
    de: "Sie haben sich angemeldet, und das Postfach wird noch geprüft. Nur wenn das kein Ende nimmt, melden Sie \
         sich noch einmal an.",
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
    let Some((row, stored)) = usable(&shared.signin, &token)? else { return Ok(gone(&request)) };
    let language = language(&request, row.value.language.as_deref());
    if let Some(code) = row.value.device.as_ref().filter(|code| code.ends_at > clock::now()) {
        return Ok(device::shown(&shared, &row.value, code, language));
    }
    let is_checked = row.value.state == SignInState::Probing;
    let lead = if is_checked { CHECKING } else { LEAD };
    let ended = match row.value.state {
        SignInState::WrongAccount | SignInState::Declined | SignInState::NeedsAdmin => {
            last_time(&row.value, language)
        }
        SignInState::Waiting
        | SignInState::Opened
        | SignInState::SignedIn
        | SignInState::Probing
        | SignInState::Done
        | SignInState::Expired => String::new(),
    };
    let body = format!(
        "{ended}<p>{}</p><p><strong>{}</strong></p>{}{}{}",
        lead.in_language(language),
        escape(&stored.mailbox.address),
        buttons(&shared.signin.link(&row.value), &shared.signin.ways_of(&row.value, &stored)?, language),
        owner::others(&shared, &row.value, &stored, language).await?,
        way_back(&row.value, row.value.state, BACK.in_language(language)),
    );
    let title = TITLE.in_language(language);
    if is_checked {
        return Ok(waiting_page(language, title, &body));
    }
    Ok(page(StatusCode::OK, language, title, &body))
}

/// What came of the last try.
fn last_time(sign_in: &SignIn, language: &str) -> String {
    const LAST: Words =
        Words { en: "The last try did not work:", de: "Der letzte Versuch hat nicht geklappt:" };
    sign_in.diagnosis.as_ref().map_or_else(String::new, |found| {
        let text = format!("{} {}", LAST.in_language(language), in_words(found, language));
        format!("<p>{}</p>", escape(&text))
    })
}

/// One button for each way; the first is the one that users are meant to take.
fn buttons(link: &str, ways: &[GrantWay], language: &str) -> String {
    let action = escape(link);
    let button = |way: &GrantWay| {
        let (name, label) = match way {
            GrantWay::Redirect => ("redirect", BUTTON),
            GrantWay::Native => ("native", BY_PASTE),
            GrantWay::Device => ("device", BY_DEVICE),
            GrantWay::Imported | GrantWay::AppOnly | GrantWay::ServiceAccount | GrantWay::Password => {
                return String::new();
            }
        };
        let label = label.in_language(language);
        format!("<p><button name=\"way\" value=\"{name}\" id=\"{name}\">{label}</button></p>")
    };
    let buttons: String = ways.iter().map(button).collect();
    format!("<form method=\"post\" action=\"{action}\">{buttons}</form>")
}

/// POST `/sign-in/{token}`: a fresh attempt, then off to the provider.
pub(super) async fn start(
    request: HttpRequest,
    shared: Data<Shared>,
    token: Path<String>,
    body: web::Payload,
) -> Result<HttpResponse, Problem> {
    let Some((mut row, stored)) = usable(&shared.signin, &token)? else { return Ok(gone(&request)) };
    let language = language(&request, row.value.language.as_deref());
    let body = form(body).await?;
    let asked = url::form_urlencoded::parse(&body).find(|(name, _)| name == "way").map(|(_, way)| way);
    let offered = |way: &GrantWay| Some(name(*way)) == asked.as_deref();
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
        let body = format!("<p>{}</p>", escape(&error.to_string()));
        page(StatusCode::BAD_GATEWAY, language, NOT_NOW.in_language(language), &body)
    }))
}

fn name(way: GrantWay) -> &'static str {
    match way {
        GrantWay::Redirect => "redirect",
        GrantWay::Native => "native",
        GrantWay::Device => "device",
        GrantWay::Imported => "imported",
        GrantWay::AppOnly => "app_only",
        GrantWay::ServiceAccount => "service_account",
        GrantWay::Password => "password",
    }
}
