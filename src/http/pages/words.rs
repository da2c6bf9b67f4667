//! The pages' sentences, in German and English, and which of both a reader wants.

use actix_web::HttpRequest;
use actix_web::http::header;

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
