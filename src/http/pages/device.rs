//! The page of a device code: where to enter it. It asks again by itself until the code was entered.

use super::super::Shared;
use super::page::{Words, escape, waiting_page};
use crate::store::{DeviceAttempt, SignIn};
use actix_web::HttpResponse;

const TITLE: Words = Words { en: "Sign in with a code", de: "Mit einem Code anmelden" };
const GO: Words = Words {
    en: "Open this page, here or on another device, and enter the code:",
    de: "Öffnen Sie diese Seite, hier oder auf einem anderen Gerät, und geben Sie den Code ein:",
};
const THEN: Words = Words {
    en: "This page goes on by itself when you are done there. The code is valid for 15 minutes at most.",
    de: "Diese Seite geht von selbst weiter, wenn Sie dort fertig sind. Der Code gilt höchstens 15 Minuten.",
};
const ANEW: Words = Words { en: "Get a new code", de: "Neuen Code holen" };

/// The page of a code that was not entered yet.
pub(super) fn shown(shared: &Shared, sign_in: &SignIn, code: &DeviceAttempt, language: &str) -> HttpResponse {
    let uri = escape(&code.verification_uri);
    let body = format!(
        "<p>{}</p><p><a id=\"provider\" href=\"{uri}\" target=\"_blank\" rel=\"noopener noreferrer\">{uri}</a></p>\
         <p><strong id=\"code\" style=\"font-size:2rem\">{}</strong></p><p>{}</p>\
         <form method=\"post\" action=\"{}\"><button name=\"way\" value=\"device\">{}</button></form>",
        GO.in_language(language),
        escape(&code.user_code),
        THEN.in_language(language),
        escape(&shared.signin.link(sign_in)),
        ANEW.in_language(language),
    );
    waiting_page(language, TITLE.in_language(language), &body)
}
