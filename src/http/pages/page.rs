//! The pages a user sees: no script, nothing from elsewhere, everything escaped, German or English.

use crate::diagnosis::{self, Language};
use crate::domain::Diagnosis;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse};

/// A sentence in both languages.
pub(super) struct Words {
    pub(super) en: &'static str,
    pub(super) de: &'static str,
}

/// The language of a page: the sign-in's own, else the browser's.
pub(super) fn language(request: &HttpRequest, asked: Option<&str>) -> &'static str {
    let accepted = request.headers().get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let first = asked.or(accepted).unwrap_or("en").trim().to_ascii_lowercase();
    if first.starts_with("de") { "de" } else { "en" }
}

impl Words {
    pub(super) fn in_language(&self, language: &str) -> &'static str {
        if language == "de" { self.de } else { self.en }
    }
}

/// Text made safe for HTML.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// A page; `body` is HTML.
pub(super) fn page(status: StatusCode, language: &str, title: &str, body: &str) -> HttpResponse {
    build(status, language, title, body, "")
}

/// A page that waits for something, and asks again by itself.
pub(super) fn waiting_page(language: &str, title: &str, body: &str) -> HttpResponse {
    build(StatusCode::OK, language, title, body, "<meta http-equiv=\"refresh\" content=\"4\">")
}

fn build(status: StatusCode, language: &str, title: &str, body: &str, head: &str) -> HttpResponse {
    let title = escape(title);
    let html = format!(
        "<!doctype html><html lang=\"{language}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">{head}<title>{title}</title>\
         <style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:4rem auto;padding:0 1rem}}\
         button{{font:inherit;padding:.6rem 1.4rem}}</style></head>\
         <body><main><h1>{title}</h1>{body}</main></body></html>"
    );
    HttpResponse::build(status)
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        // forms lead to the identity provider, whose host only the app knows
        .insert_header((header::CONTENT_SECURITY_POLICY, CSP))
        .body(html)
}

const CSP: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";

/// A redirect by which the browser's next request is a GET.
pub(super) fn see_other(location: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, location))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
}

/// What is wrong and what to do, in the page's language.
pub(super) fn in_words(found: &Diagnosis, language: &str) -> String {
    let shown = diagnosis::shown(found, Language::of_tag(language).unwrap_or_default());
    let words = format!("{} {}", shown.summary, shown.remedy.text);
    // the remedy of what is not known is to read these
    match &found.evidence {
        Some(said) if found.code == diagnosis::catalogue::IDP_REFUSED.code => {
            format!("{words} {} {said}", THEIR_WORDS.in_language(language))
        }
        Some(_) | None => words,
    }
}

const THEIR_WORDS: Words = Words { en: "The provider's words:", de: "Der Wortlaut des Anbieters:" };

const GONE_TITLE: Words =
    Words { en: "This link cannot be used any more", de: "Dieser Link gilt nicht mehr" };
const GONE: Words = Words {
    en: "It has expired, was used, or was not copied whole. Ask for a new one.",
    de: "Er ist abgelaufen, verbraucht oder unvollständig kopiert. Bitten Sie um einen neuen.",
};

/// A link that cannot be used any more.
pub(super) fn gone(request: &HttpRequest) -> HttpResponse {
    let language = language(request, None);
    let body = format!("<p>{}</p>", GONE.in_language(language));
    page(StatusCode::GONE, language, GONE_TITLE.in_language(language), &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_is_markup() {
        assert_eq!(escape("<a href=\"x\">'&"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;");
    }
}
