//! The native redirect: the provider sends the user to an empty page of its own, and the user brings its address
//! here. Entra ID has it for apps that are registered as clients without a secret (`…/oauth2/nativeclient`).

use super::super::Shared;
use super::super::bodies;
use super::callback;
use super::page::{gone, page, see_other};
use super::words::{Words, language};
use crate::problem::Problem;
use crate::signin::{self, PasteError, accept_pasted, native_redirect, usable};
use crate::store::{Row, SignIn, StoredMailbox};
use crate::token::FlowError;
use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use maud::html;

const TITLE: Words =
    Words { en: "Sign in, then bring the address", de: "Anmelden, dann die Adresse bringen" };
const FIRST: Words = Words {
    en: "Open this link and sign in. It opens in a new tab.",
    de: "Öffnen Sie diesen Link und melden Sie sich an. Er öffnet einen neuen Tab.",
};
const OPEN: Words = Words { en: "Open the sign-in", de: "Zur Anmeldung" };
const SECOND: Words = Words {
    en: "The page you land on stays empty, that is right. Copy its whole address from the address bar.",
    de: "Die Seite, auf der Sie landen, bleibt leer, das ist richtig. Kopieren Sie ihre ganze Adresse aus der \
         Adresszeile.",
};
const THIRD: Words = Words { en: "Paste the address here", de: "Fügen Sie die Adresse hier ein" };
const FINISH: Words = Words { en: "Finish", de: "Abschließen" };

fn words(wrong: PasteError) -> Words {
    match wrong {
        PasteError::NoCode => Words {
            en: "There is no sign-in code in this address. Copy the whole address of the empty page you landed \
                 on: it contains code= and state=.",
            de: "In dieser Adresse steckt kein Anmeldecode. Kopieren Sie die ganze Adresse der leeren Seite, auf \
                 der Sie gelandet sind: Sie enthält code= und state=.",
        },
        PasteError::OtherSignIn => Words {
            en: "This address belongs to another sign-in or to an earlier try. Open the sign-in below again, and \
                 copy the address it leads to.",
            de: "Diese Adresse gehört zu einer anderen Anmeldung oder einem früheren Versuch. Öffnen Sie die \
                 Anmeldung unten noch einmal und kopieren Sie die Adresse, zu der sie führt.",
        },
        PasteError::NotStarted => Words {
            en: "No sign-in was started here yet, or it was finished already. Start it below.",
            de: "Hier wurde noch keine Anmeldung begonnen, oder sie ist schon abgeschlossen. Beginnen Sie sie unten.",
        },
    }
}

/// The API's code for it.
pub(in crate::http) fn problem_of(wrong: PasteError) -> Problem {
    let code = match wrong {
        PasteError::NoCode => "no_code",
        PasteError::OtherSignIn => "other_sign_in",
        PasteError::NotStarted => "not_started",
    };
    Problem::unprocessable(code, format!("address: {}", words(wrong).en))
}

/// Begins a visit and shows where to go and where to paste.
pub(super) async fn begin(
    shared: &Shared,
    row: &mut Row<SignIn>,
    stored: &StoredMailbox,
    language: &str,
) -> Result<Result<HttpResponse, FlowError>, Problem> {
    let redirect = match native_redirect(&shared.signin, row, stored).await? {
        Ok(redirect) => redirect,
        Err(error) => return Ok(Err(error)),
    };
    let missing =
        || FlowError::Endpoint(String::from("this provider has no native redirect: use another way"));
    let Some(redirect) = redirect else { return Ok(Err(missing())) };
    let location = signin::begin(&shared.signin, row, stored, redirect, None).await?;
    Ok(location.map(|location| form(shared, &row.value, &location, language, None)))
}

fn form(
    shared: &Shared,
    sign_in: &SignIn,
    location: &str,
    language: &str,
    wrong: Option<PasteError>,
) -> HttpResponse {
    let title = TITLE.in_language(language);
    let status = if wrong.is_none() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let body = html! {
        h1 { (title) }
        @if let Some(wrong) = wrong { div.note role="alert" { p { (words(wrong).in_language(language)) } } }
        ol {
            li { (FIRST.in_language(language)) " "
                a #provider href=(location) target="_blank" rel="noopener noreferrer" { (OPEN.in_language(language)) } }
            li { (SECOND.in_language(language)) }
        }
        form method="post" action=(format!("{}/paste", shared.signin.link(sign_in))) {
            label for="address" { (THIRD.in_language(language)) }
            p { textarea #address name="address" rows="4" required autocomplete="off" spellcheck="false" {} }
            p { button.button.primary.wide #finish { (FINISH.in_language(language)) } }
        }
        (shared.brand.foot(language, Some(sign_in.expires_at)))
    };
    page(&shared.brand, status, language, title, &body)
}

/// POST `/sign-in/{token}/paste`.
pub(super) async fn pasted(
    request: HttpRequest,
    shared: Data<Shared>,
    token: Path<String>,
    body: web::Payload,
) -> Result<HttpResponse, Problem> {
    if usable(&shared.signin, &token)?.is_none() {
        return Ok(gone(&shared.brand, &request));
    }
    let body = bodies::form(body).await?;
    let work = actix_web::rt::spawn(take(request, shared, token.into_inner(), body));
    work.await.map_err(|_| Problem::internal("the sign-in was cut off: open the personal link again"))?
}

async fn take(
    request: HttpRequest,
    shared: Data<Shared>,
    token: String,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let Some((mut row, stored)) = usable(&shared.signin, &token)? else {
        return Ok(gone(&shared.brand, &request));
    };
    let address = url::form_urlencoded::parse(&body).find(|(name, _)| name == "address");
    let address = address.map(|(_, address)| address.into_owned()).unwrap_or_default();
    match accept_pasted(&shared.signin, &row.value, &address).await? {
        Ok((found, Some(_))) => Ok(see_other(&callback::outcome_of(&shared, &found.row.value))),
        Ok((_, None)) => Ok(callback::foreign(&shared, &request)),
        Err(wrong) => {
            let language = language(&request, row.value.language.as_deref());
            let redirect = native_redirect(&shared.signin, &row, &stored).await?;
            let redirect = redirect.ok().flatten().unwrap_or_default();
            // a fresh visit, so that the page can lead there again
            Ok(match signin::begin(&shared.signin, &mut row, &stored, redirect, None).await? {
                Ok(location) => form(&shared, &row.value, &location, language, Some(wrong)),
                Err(_) => callback::foreign(&shared, &request),
            })
        }
    }
}
