//! The native redirect: the provider sends the user to an empty page of its own, and he brings its address here. Entra
//! ID has it for apps that are registered as clients without a secret (`…/oauth2/nativeclient`).

use super::super::Shared;
use super::super::bodies;
use super::super::problem::Problem;
use super::callback::{Found, Returned, conclude, find};
use super::outcome;
use super::page::{Words, escape, language, page};
use super::redeem::{Ending, Provider};
use super::visit::{attempt, gone, usable};
use crate::store::{Row, SignIn, StoredMailbox};
use crate::token::FlowError;
use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};

const TITLE: Words =
    Words { en: "Sign in, then bring the address", de: "Anmelden, dann die Adresse bringen" };
const FIRST: Words = Words {
    en: "1. Open this link and sign in. It opens in a new tab.",
    de: "1. Öffnen Sie diesen Link und melden Sie sich an. Er öffnet einen neuen Tab.",
};
const OPEN: Words = Words { en: "Open the sign-in", de: "Zur Anmeldung" };
const SECOND: Words = Words {
    en: "2. The page you land on stays empty, that is right. Copy its whole address from the address bar.",
    de: "2. Die Seite, auf der Sie landen, bleibt leer, das ist richtig. Kopieren Sie ihre ganze Adresse aus der \
         Adresszeile.",
};
const THIRD: Words = Words { en: "3. Paste it here:", de: "3. Fügen Sie sie hier ein:" };
const FINISH: Words = Words { en: "Finish", de: "Abschließen" };

/// Why a pasted text is not the answer that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum PasteError {
    /// It is no address, or one without a code.
    NoCode,
    /// It answers another sign-in, or an earlier visit of this one.
    OtherSignIn,
    /// No visit is waited for.
    NotStarted,
}

impl PasteError {
    const fn words(self) -> Words {
        match self {
            Self::NoCode => Words {
                en: "There is no sign-in code in this address. Copy the whole address of the empty page you landed \
                     on: it contains code= and state=.",
                de: "In dieser Adresse steckt kein Anmeldecode. Kopieren Sie die ganze Adresse der leeren Seite, auf \
                     der Sie gelandet sind: Sie enthält code= und state=.",
            },
            Self::OtherSignIn => Words {
                en: "This address belongs to another sign-in or to an earlier try. Open the sign-in below again, and \
                     copy the address it leads to.",
                de: "Diese Adresse gehört zu einer anderen Anmeldung oder einem früheren Versuch. Öffnen Sie die \
                     Anmeldung unten noch einmal und kopieren Sie die Adresse, zu der sie führt.",
            },
            Self::NotStarted => Words {
                en: "No sign-in was started here yet, or it was finished already. Start it below.",
                de: "Hier wurde noch keine Anmeldung begonnen, oder sie ist schon abgeschlossen. Beginnen Sie sie unten.",
            },
        }
    }

    /// The API's code for it.
    pub(in crate::http) fn problem(self) -> Problem {
        let code = match self {
            Self::NoCode => "no_code",
            Self::OtherSignIn => "other_sign_in",
            Self::NotStarted => "not_started",
        };
        Problem::unprocessable(code, format!("address: {}", self.words().en))
    }
}

/// Begins a visit and shows where to go and where to paste.
pub(super) async fn begin(
    shared: &Shared,
    row: &mut Row<SignIn>,
    stored: &StoredMailbox,
    language: &str,
) -> Result<Result<HttpResponse, FlowError>, Problem> {
    let redirect = match Provider::of(shared, &row.value, stored).await? {
        Ok(provider) => provider.client.endpoints().native_redirect.clone(),
        Err(error) => return Ok(Err(error)),
    };
    let missing =
        || FlowError::Endpoint(String::from("this provider has no native redirect: use another way"));
    let Some(redirect) = redirect else { return Ok(Err(missing())) };
    let location = attempt(shared, row, stored, redirect, None).await?;
    Ok(location.map(|location| form(shared, &row.value, &location, language, None)))
}

fn form(
    shared: &Shared,
    sign_in: &SignIn,
    location: &str,
    language: &str,
    wrong: Option<PasteError>,
) -> HttpResponse {
    let wrong = wrong.map_or_else(String::new, |wrong| {
        format!("<p role=\"alert\"><strong>{}</strong></p>", escape(wrong.words().in_language(language)))
    });
    let body = format!(
        "{wrong}<p>{}</p><p><a id=\"provider\" href=\"{}\" target=\"_blank\" rel=\"noopener noreferrer\">{}</a></p>\
         <p>{}</p><p>{}</p><form method=\"post\" action=\"{}/paste\">\
         <p><textarea name=\"address\" id=\"address\" rows=\"4\" cols=\"50\" required autocomplete=\"off\"></textarea></p>\
         <p><button id=\"finish\">{}</button></p></form>",
        FIRST.in_language(language),
        escape(location),
        OPEN.in_language(language),
        SECOND.in_language(language),
        THIRD.in_language(language),
        escape(&shared.link(sign_in)),
        FINISH.in_language(language),
    );
    let status = if wrong.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    page(status, language, TITLE.in_language(language), &body)
}

/// POST `/sign-in/{token}/paste`.
pub(super) async fn pasted(
    request: HttpRequest,
    shared: Data<Shared>,
    token: Path<String>,
    body: web::Payload,
) -> Result<HttpResponse, Problem> {
    if usable(&shared, &token)?.is_none() {
        return Ok(gone(&request));
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
    let Some((mut row, stored)) = usable(&shared, &token)? else { return Ok(gone(&request)) };
    let address = url::form_urlencoded::parse(&body).find(|(name, _)| name == "address");
    let address = address.map(|(_, address)| address.into_owned()).unwrap_or_default();
    match accept(&shared, &row.value, &address).await? {
        Ok((found, Some(ending))) => {
            Ok(outcome::shown(&request, &shared, &found.row.value, &found.stored, &ending))
        }
        Ok((_, None)) => Ok(outcome::foreign(&request)),
        Err(wrong) => {
            let language = language(&request, row.value.language.as_deref());
            let redirect = match Provider::of(&shared, &row.value, &stored).await? {
                Ok(provider) => provider.client.endpoints().native_redirect.clone().unwrap_or_default(),
                Err(_) => String::new(),
            };
            // a fresh visit, so that the page can lead there again
            Ok(match attempt(&shared, &mut row, &stored, redirect, None).await? {
                Ok(location) => form(&shared, &row.value, &location, language, Some(wrong)),
                Err(_) => outcome::foreign(&request),
            })
        }
    }
}

/// Takes a pasted address for this sign-in. The ending is `None` if another visit began meanwhile.
pub(in crate::http) async fn accept(
    shared: &Shared,
    sign_in: &SignIn,
    address: &str,
) -> Result<Result<(Found, Option<Ending>), PasteError>, Problem> {
    let Some(returned) = parse(address) else { return Ok(Err(PasteError::NoCode)) };
    if sign_in.attempt.is_none() {
        return Ok(Err(PasteError::NotStarted));
    }
    let found = find(shared, returned.state.as_deref().unwrap_or_default())?;
    let Some(mut found) = found.filter(|found| found.row.value.id == sign_in.id) else {
        return Ok(Err(PasteError::OtherSignIn));
    };
    let ending = conclude(shared, &mut found, &returned).await?;
    Ok(Ok((found, ending)))
}

/// What an address says: the query, or the fragment, of what was pasted. `None`: neither a code nor an error.
pub(super) fn parse(address: &str) -> Option<Returned> {
    let joined: String = address.split_whitespace().collect();
    let text = joined.trim_matches(['"', '\'', '<', '>']);
    let start = text.find(['?', '#'])?;
    let mut returned = Returned::default();
    let pairs = text.get(start.saturating_add(1)..)?.replace('#', "&");
    for (name, value) in url::form_urlencoded::parse(pairs.as_bytes()).into_owned() {
        match name.as_str() {
            "code" => returned.code = Some(value),
            "state" => returned.state = Some(value),
            "error" => returned.error = Some(value),
            "error_description" => returned.error_description = Some(value),
            "iss" => returned.iss = Some(value),
            _ => {}
        }
    }
    let says_something =
        returned.code.as_ref().or(returned.error.as_ref()).is_some_and(|text| !text.is_empty());
    says_something.then_some(returned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_however_it_was_copied() {
        for text in [
            "https://login.microsoftonline.com/common/oauth2/nativeclient?code=1.AX&state=s.t&session_state=0",
            "  https://login.microsoftonline.com/common/oauth2/nativeclient?code=1.\r\nAX&state=s.t \n",
            "\"https://login.microsoftonline.com/common/oauth2/nativeclient#code=1.AX&state=s.t\"",
            "/common/oauth2/nativeclient?state=s.t&code=1.AX#",
        ] {
            let read = parse(text).unwrap();
            assert_eq!((read.code.as_deref(), read.state.as_deref()), (Some("1.AX"), Some("s.t")), "{text}");
        }
        let declined = parse("https://x/nativeclient?error=access_denied&state=s").unwrap();
        assert_eq!((declined.code, declined.error.as_deref()), (None, Some("access_denied")));
    }

    #[test]
    fn what_holds_no_code_is_told_apart() {
        for text in [
            "",
            "hello",
            "https://login.microsoftonline.com/common/oauth2/nativeclient",
            "https://x/?code=&state=s",
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}
