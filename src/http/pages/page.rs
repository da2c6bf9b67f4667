//! What all pages of users have in common: no script, nothing from elsewhere, every text escaped, German or English, and
//! whose page it is.

use super::brand::Brand;
use super::words::{Words, language};
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::sync::LazyLock;

const STYLE: &str = include_str!("style.css");

/// Forms lead to the identity provider, whose host only the app knows.
static CSP: LazyLock<String> = LazyLock::new(|| {
    let digest = STANDARD.encode(ring::digest::digest(&ring::digest::SHA256, STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{digest}'; img-src data:; frame-src 'self'; base-uri 'none'"
    )
});

/// A page.
pub(super) fn page(
    brand: &Brand,
    status: StatusCode,
    language: &str,
    title: &str,
    body: &Markup,
) -> HttpResponse {
    let content = html! {
        div.single { main.card {
            div.brand { (brand.mark()) (brand.name) }
            (body)
        } }
    };
    send(status, "'none'", &document(language, &format!("{title} · {}", brand.name), None, &content))
}

/// The part of a page that waits for something and asks again by itself. It is a frame, so that whoever reads the page
/// around it, or has the focus there, is not disturbed.
pub(super) fn frame(language: &str, title: &str, is_over: bool, body: &Markup) -> HttpResponse {
    let again = (!is_over).then_some(4);
    let content = html! { main.bare role="status" { (body) } };
    send(StatusCode::OK, "'self'", &document(language, title, again, &content))
}

fn document(language: &str, title: &str, again: Option<u8>, content: &Markup) -> String {
    let document = html! {
        (DOCTYPE)
        html lang=(language) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                @if let Some(seconds) = again { meta http-equiv="refresh" content=(seconds); }
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (content) }
        }
    };
    document.into_string()
}

fn send(status: StatusCode, framed_by: &str, document: &str) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::CONTENT_SECURITY_POLICY, format!("{}; frame-ancestors {framed_by}", *CSP)))
        .body(String::from(document))
}

/// A redirect by which the browser's next request is a GET.
pub(super) fn see_other(location: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, location))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .finish()
}

const GONE_TITLE: Words =
    Words { en: "This link cannot be used any more", de: "Dieser Link gilt nicht mehr" };
const GONE: Words = Words {
    en: "It has expired, was withdrawn, or was not copied whole. Ask for a new one.",
    de: "Er ist abgelaufen, zurückgezogen oder unvollständig kopiert. Bitten Sie um einen neuen.",
};

/// A link that cannot be used any more.
pub(super) fn gone(brand: &Brand, request: &HttpRequest) -> HttpResponse {
    let language = language(request, None);
    let title = GONE_TITLE.in_language(language);
    let body = html! {
        h1 { (title) }
        p { (GONE.in_language(language)) }
        (brand.foot(language, None))
    };
    page(brand, StatusCode::GONE, language, title, &body)
}
