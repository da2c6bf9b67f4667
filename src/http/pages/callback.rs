//! Back from the provider by redirect: the answer is used, and the outcome shown.

use super::super::Shared;
use super::page::{page, see_other};
use super::words::{Words, language};
use super::{app_page, browser};
use crate::problem::Problem;
use crate::signin::{Returned, find, take_app_answer, use_answer};
use crate::store::SignIn;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Query};
use actix_web::{HttpRequest, HttpResponse};
use maud::html;

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
    if let Some((app, outcome)) = take_app_answer(&shared.signin, &returned).await? {
        return Ok(app_page::shown(&shared.brand, &request, &app, &outcome));
    }
    let found = find(&shared.signin, returned.state.as_deref().unwrap_or_default())?;
    let Some(mut found) = found else { return Ok(foreign(&shared, &request)) };
    if !browser::is_same(&shared, &request, found.row.value.id, &found.attempt) {
        return Ok(other_browser(&shared, &request, &found.row.value));
    }
    Ok(match use_answer(&shared.signin, &mut found, &returned).await? {
        // away from an address with a code in it, so that a reload shows the outcome again
        Some(_) => see_other(&outcome_of(&shared, &found.row.value)),
        None => foreign(&shared, &request),
    })
}

/// Where a sign-in shows how its last try ended.
pub(super) fn outcome_of(shared: &Shared, sign_in: &SignIn) -> String {
    format!("{}/outcome", shared.signin.link(sign_in))
}

/// An answer that belongs to no sign-in.
pub(super) fn foreign(shared: &Shared, request: &HttpRequest) -> HttpResponse {
    const FOREIGN: Words = Words {
        en: "This sign-in is not known here, or was finished already",
        de: "Diese Anmeldung ist hier nicht bekannt oder schon abgeschlossen",
    };
    const OPEN_AGAIN: Words = Words {
        en: "If the mailbox is not connected yet, open your personal link again and sign in once more.",
        de: "Ist das Postfach noch nicht verbunden, öffnen Sie Ihren persönlichen Link noch einmal und melden sich an.",
    };
    plain(shared, StatusCode::BAD_REQUEST, language(request, None), &FOREIGN, &OPEN_AGAIN)
}

/// An answer in another browser than the one that was sent to the provider. The visit goes on there.
fn other_browser(shared: &Shared, request: &HttpRequest, sign_in: &SignIn) -> HttpResponse {
    const OTHER_BROWSER: Words = Words {
        en: "This sign-in was begun in another browser",
        de: "Diese Anmeldung wurde in einem anderen Browser begonnen",
    };
    const ONE_BROWSER: Words = Words {
        en: "Open your personal link in this browser, and sign in from there. If somebody else sent you here, close this \
             page: nothing has happened.",
        de: "Öffnen Sie Ihren persönlichen Link in diesem Browser und melden Sie sich von dort aus an. Hat jemand anderes \
             Sie hierher geschickt, schließen Sie diese Seite: Es ist nichts geschehen.",
    };
    let language = language(request, sign_in.language.as_deref());
    plain(shared, StatusCode::FORBIDDEN, language, &OTHER_BROWSER, &ONE_BROWSER)
}

fn plain(shared: &Shared, status: StatusCode, language: &str, title: &Words, text: &Words) -> HttpResponse {
    let title = title.in_language(language);
    let body = html! {
        h1 { (title) }
        p { (text.in_language(language)) }
        (shared.brand.foot(language, None))
    };
    page(&shared.brand, status, language, title, &body)
}
