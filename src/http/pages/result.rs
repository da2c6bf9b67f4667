//! What a user reads when a sign-in has an outcome: what happened, what is next, and the way back.

use super::super::Shared;
use super::page::{Words, escape, in_words, language, page};
use crate::signin::{Message, SignInResult};
use crate::store::{SignIn, SignInState, StoredMailbox};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};

const DONE: Words = Words { en: "You are signed in", de: "Sie sind angemeldet" };
const WRONG: Words = Words { en: "That was another account", de: "Das war ein anderes Konto" };
const REFUSED: Words = Words { en: "The sign-in did not work", de: "Die Anmeldung hat nicht geklappt" };
const CONNECTED: Words = Words {
    en: "The mailbox is connected. Nothing more is to be done, you can close this page:",
    de: "Das Postfach ist verbunden. Mehr ist nicht zu tun, Sie können diese Seite schließen:",
};
const SIGNED_IN: Words = Words { en: "You signed in as", de: "Angemeldet haben Sie sich als" };
const BUT_THE_MAILBOX_IS: Words = Words { en: "but the mailbox is", de: "das Postfach ist aber" };
const NOTHING_CHANGED: Words = Words {
    en: "Nothing was changed, and no message of the other account was read. Choose the right account now:",
    de: "Es wurde nichts geändert und keine Nachricht des anderen Kontos gelesen. Wählen Sie nun das richtige Konto:",
};
const ACCEPTABLE: Words = Words {
    en: "If the other account is meant to open this mailbox, an administrator can accept it within 24 hours.",
    de: "Soll das andere Konto dieses Postfach öffnen, kann eine Administratorin es binnen 24 Stunden annehmen.",
};
const CHOOSE: Words = Words { en: "Choose another account", de: "Anderes Konto wählen" };
const AGAIN: Words = Words { en: "Try again", de: "Noch einmal versuchen" };
pub(super) const BACK: Words = Words { en: "Back to the application", de: "Zurück zur Anwendung" };
const FOREIGN: Words = Words {
    en: "This sign-in is not known here, or was finished already",
    de: "Diese Anmeldung ist hier nicht bekannt oder schon abgeschlossen",
};
const OPEN_AGAIN: Words = Words {
    en: "If the mailbox is not connected yet, open your personal link again and sign in once more.",
    de: "Ist das Postfach noch nicht verbunden, öffnen Sie Ihren persönlichen Link noch einmal und melden sich an.",
};

const OTHER_BROWSER: Words = Words {
    en: "This sign-in was begun in another browser",
    de: "Diese Anmeldung wurde in einem anderen Browser begonnen",
};
const ONE_BROWSER: Words = Words {
    en: "Open your personal link in this browser, and sign in from there. If somebody else sent you here, close this \
         page: nothing has happened.",
    de: "Öffnen Sie Ihren persönlichen Link in diesem Browser und melden Sie sich von dort aus an. Hat jemand anderes Sie \
         hierher geschickt, schließen Sie diese Seite: Es ist nichts geschehen.",
};

const UNUSABLE: Words = Words {
    en: "The provider's answer cannot be used: what was asked for is missing in it. Try again; if it stays, tell \
         whoever sent you the link.",
    de: "Die Antwort des Anbieters ist nicht brauchbar: Es fehlt, worum gebeten wurde. Versuchen Sie es noch einmal; \
         bleibt es dabei, sagen Sie es dem, der Ihnen den Link geschickt hat.",
};

/// The page of an outcome.
pub(super) fn shown(
    request: &HttpRequest,
    shared: &Shared,
    sign_in: &SignIn,
    stored: &StoredMailbox,
    outcome: &SignInResult,
) -> HttpResponse {
    let language = language(request, sign_in.language.as_deref());
    let address = format!("<strong>{}</strong>", escape(&stored.mailbox.address));
    let text = match &outcome.message {
        Message::Connected => format!("<p>{} {address}</p>", CONNECTED.in_language(language)),
        Message::WrongAccount { name, acceptable } => {
            let more = if *acceptable {
                format!("<p>{}</p>", ACCEPTABLE.in_language(language))
            } else {
                String::new()
            };
            format!(
                "<p>{} <strong>{}</strong>, {} {address}. {}</p>{}{more}",
                SIGNED_IN.in_language(language),
                escape(name),
                BUT_THE_MAILBOX_IS.in_language(language),
                NOTHING_CHANGED.in_language(language),
                retry(shared, sign_in, CHOOSE.in_language(language)),
            )
        }
        Message::Diagnosed => {
            let words =
                outcome.diagnosis.as_ref().map_or_else(String::new, |found| in_words(found, language));
            format!("<p>{}</p>{}", escape(&words), retry(shared, sign_in, AGAIN.in_language(language)))
        }
        Message::Words(words) => {
            format!("<p>{}</p>{}", escape(words), retry(shared, sign_in, AGAIN.in_language(language)))
        }
        Message::Unusable => format!(
            "<p>{}</p>{}",
            escape(UNUSABLE.in_language(language)),
            retry(shared, sign_in, AGAIN.in_language(language))
        ),
    };
    let (status, title) = match outcome.state {
        SignInState::Done => (StatusCode::OK, DONE),
        SignInState::WrongAccount => (StatusCode::FORBIDDEN, WRONG),
        SignInState::Waiting
        | SignInState::Opened
        | SignInState::SignedIn
        | SignInState::Probing
        | SignInState::Declined
        | SignInState::NeedsAdmin
        | SignInState::Expired => (StatusCode::FORBIDDEN, REFUSED),
    };
    let back = way_back(sign_in, outcome.state, BACK.in_language(language));
    page(status, language, title.in_language(language), &format!("{text}{back}"))
}

/// A callback that belongs to no sign-in.
pub(super) fn foreign(request: &HttpRequest) -> HttpResponse {
    let language = language(request, None);
    let text = format!("<p>{}</p>", OPEN_AGAIN.in_language(language));
    page(StatusCode::BAD_REQUEST, language, FOREIGN.in_language(language), &text)
}

/// A callback in another browser than the one that was sent to the provider. The visit goes on there.
pub(super) fn other_browser(request: &HttpRequest, sign_in: &SignIn) -> HttpResponse {
    let language = language(request, sign_in.language.as_deref());
    let text = format!("<p>{}</p>", ONE_BROWSER.in_language(language));
    page(StatusCode::FORBIDDEN, language, OTHER_BROWSER.in_language(language), &text)
}

/// One button to the provider's account chooser.
fn retry(shared: &Shared, sign_in: &SignIn, label: &str) -> String {
    format!(
        "<form method=\"post\" action=\"{}\"><button>{}</button></form>",
        escape(&shared.signin.link(sign_in)),
        escape(label)
    )
}

/// The link back to the application, with the outcome in its query.
pub(super) fn way_back(sign_in: &SignIn, state: SignInState, label: &str) -> String {
    let to = sign_in.return_to.as_deref().and_then(|to| url::Url::parse(to).ok());
    to.map_or_else(String::new, |mut to| {
        let state = serde_json::to_value(state).unwrap_or_default();
        to.query_pairs_mut()
            .append_pair("sign_in", &sign_in.id.to_string())
            .append_pair("state", state.as_str().unwrap_or_default());
        format!("<p><a id=\"back\" href=\"{}\">{}</a></p>", escape(to.as_str()), escape(label))
    })
}
