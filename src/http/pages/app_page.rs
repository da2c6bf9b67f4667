//! What an administrator reads when a consent or a sign-in test came back.

use super::brand::Brand;
use super::page::page;
use super::words::{Words, language};
use crate::diagnosis::{self, Language};
use crate::domain::{AppId, Diagnosis};
use crate::signin::AppResult;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use maud::{Markup, html};

const CONSENTED: Words = Words { en: "Consent has been given", de: "Die Zustimmung ist erteilt" };
const CONSENTED_TEXT: Words = Words {
    en: "An administrator has consented to the app for the whole tenant, and Stafette has noted it. You can close \
         this page. App:",
    de: "Ein Administrator hat der App für den ganzen Mandanten zugestimmt, und Stafette hat es vermerkt. Sie können \
         diese Seite schließen. App:",
};
const NO_CONSENT: Words = Words { en: "Consent was not given", de: "Die Zustimmung wurde nicht erteilt" };
const OTHER_TENANT: Words = Words { en: "That was another tenant", de: "Das war ein anderer Mandant" };
const OTHER_TENANT_TEXT: Words = Words {
    en: "The account belongs to the tenant {theirs}, the app to {wanted}. Open the link again and choose an account \
         of that tenant.",
    de: "Das Konto gehört zum Mandanten {theirs}, die App zu {wanted}. Öffnen Sie den Link noch einmal und wählen Sie \
         ein Konto jenes Mandanten.",
};
const WORKED: Words = Words { en: "The trial sign-in worked", de: "Die Probeanmeldung hat geklappt" };
const WORKED_TEXT: Words = Words {
    en: "Redirect URI and consent are proven. You signed in as",
    de: "Umleitungs-URI und Zustimmung sind bewiesen. Angemeldet haben Sie sich als",
};
const NOTHING_KEPT: Words = Words {
    en: "Nothing of this sign-in was stored but its outcome: no mailbox was opened, and no token was kept. You can \
         close this page.",
    de: "Von dieser Anmeldung wurde nichts gespeichert außer ihrem Ergebnis: Es wurde kein Postfach geöffnet und kein \
         Token behalten. Sie können diese Seite schließen.",
};
const REFUSED: Words =
    Words { en: "The trial sign-in did not work", de: "Die Probeanmeldung hat nicht geklappt" };
const UNUSABLE: Words = Words {
    en: "The provider's answer cannot be used: what was asked for is missing in it. Begin a new trial.",
    de: "Die Antwort des Anbieters ist nicht brauchbar: Es fehlt, worum gebeten wurde. Beginnen Sie eine neue Probe.",
};
const UNSURE: Words = Words { en: "This cannot be checked now", de: "Das lässt sich gerade nicht prüfen" };
const UNSURE_TEXT: Words = Words {
    en: "The identity provider cannot be asked which tenant that is. Open the link again in a few minutes.",
    de: "Der Identitätsanbieter kann nicht gefragt werden, welcher Mandant das ist. Öffnen Sie den Link in einigen \
         Minuten noch einmal.",
};
const STALE: Words = Words { en: "This link is out of date", de: "Dieser Link ist veraltet" };
const STALE_TEXT: Words = Words {
    en: "It is too old, or the app was changed since. Get a new one with `stafette app guide` or `stafette app verify \
         --sign-in`. App:",
    de: "Er ist zu alt, oder die App wurde seither geändert. Holen Sie einen neuen mit `stafette app guide` oder \
         `stafette app verify --sign-in`. App:",
};

/// The page.
pub(super) fn shown(brand: &Brand, request: &HttpRequest, app: &AppId, result: &AppResult) -> HttpResponse {
    let language = language(request, None);
    let say = |words: &Words| html! { p { (words.in_language(language)) } };
    let named =
        |words: &Words, name: &str| html! { p { (words.in_language(language)) " " strong { (name) } } };
    let found = |diagnosis: &Diagnosis| in_full(diagnosis, language);
    let kept = say(&NOTHING_KEPT);
    let (status, title, body) = match result {
        AppResult::Consented => (StatusCode::OK, CONSENTED, named(&CONSENTED_TEXT, app.as_str())),
        AppResult::ConsentRefused(diagnosis) => (StatusCode::FORBIDDEN, NO_CONSENT, found(diagnosis)),
        AppResult::OtherTenant { theirs, wanted } => {
            let text = OTHER_TENANT_TEXT.in_language(language);
            let text = text.replace("{theirs}", theirs).replace("{wanted}", wanted);
            (StatusCode::FORBIDDEN, OTHER_TENANT, html! { p { (text) } })
        }
        AppResult::TestWorked { name } => {
            (StatusCode::OK, WORKED, html! { (named(&WORKED_TEXT, name)) (kept) })
        }
        AppResult::TestRefused(diagnosis) => {
            (StatusCode::FORBIDDEN, REFUSED, html! { (found(diagnosis)) (kept) })
        }
        AppResult::Unusable => (StatusCode::FORBIDDEN, REFUSED, html! { (say(&UNUSABLE)) (kept) }),
        AppResult::Unsure => (StatusCode::SERVICE_UNAVAILABLE, UNSURE, say(&UNSURE_TEXT)),
        AppResult::Stale => (StatusCode::GONE, STALE, named(&STALE_TEXT, app.as_str())),
    };
    let title = title.in_language(language);
    page(brand, status, language, title, &html! { h1 { (title) } (body) })
}

/// A diagnosis as its administrator reads it, with what is to be clicked and run.
fn in_full(found: &Diagnosis, language: &str) -> Markup {
    let shown = diagnosis::shown(found, Language::of_tag(language).unwrap_or_default());
    html! {
        p { (shown.summary) } p { (shown.remedy.text) }
        @if !shown.remedy.clicks.is_empty() { ol { @for click in &shown.remedy.clicks { li { (click) } } } }
        @for command in &shown.remedy.commands { p {
            @if command.starts_with("https:") { a href=(command) { (command) } } @else { code { (command) } }
        } }
        @if let Some(said) = &shown.evidence { p.small.muted { (said) } }
    }
}
