//! The page of a device code: where to enter it. A frame in it waits until it was entered.

use super::super::Shared;
use super::page::page;
use super::words::Words;
use crate::store::{DeviceAttempt, SignIn};
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use maud::html;

const TITLE: Words = Words { en: "Sign in with a code", de: "Mit einem Code anmelden" };
const GO: Words = Words {
    en: "Open this page, here or on another device, and enter the code:",
    de: "Öffnen Sie diese Seite, hier oder auf einem anderen Gerät, und geben Sie den Code ein:",
};
const THEN: Words =
    Words { en: "The code is valid for 15 minutes at most.", de: "Der Code gilt höchstens 15 Minuten." };
const WAITS: Words = Words { en: "Whether you are done there", de: "Ob Sie dort fertig sind" };
const ANEW: Words = Words { en: "Get a new code", de: "Neuen Code holen" };

/// The page of a code that was not entered yet.
pub(super) fn shown(shared: &Shared, sign_in: &SignIn, code: &DeviceAttempt, language: &str) -> HttpResponse {
    let (title, link) = (TITLE.in_language(language), shared.signin.link(sign_in));
    let body = html! {
        h1 { (title) }
        p { (GO.in_language(language)) }
        p { a #provider href=(code.verification_uri) target="_blank" rel="noopener noreferrer" {
            (code.verification_uri)
        } }
        p { strong.code #code { (code.user_code) } }
        p { (THEN.in_language(language)) }
        iframe src=(format!("{link}/status")) title=(WAITS.in_language(language)) {}
        form method="post" action=(link) {
            button.button name="way" value="device" { (ANEW.in_language(language)) }
        }
        (shared.brand.foot(language, Some(sign_in.expires_at)))
    };
    page(&shared.brand, StatusCode::OK, language, title, &body)
}
