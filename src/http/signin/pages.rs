//! The pages: small, without scripts, everything escaped, in German or English.

use crate::domain::Diagnosis;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT_LANGUAGE, HeaderMap};
use std::fmt::Write;

/// The form is answered by a redirect to the provider, and browsers check form-action against it too.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'; \
    form-action 'self' https: http://localhost:* http://127.0.0.1:*";

/// A page's language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    /// German.
    De,
    /// English.
    En,
}

impl Language {
    /// The one asked for, else the first of the browser's that we have.
    pub(super) fn choose(asked: Option<&str>, headers: &HeaderMap) -> Self {
        let browser = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let wanted = asked.into_iter().chain(browser.split(',')).map(|tag| tag.trim().to_ascii_lowercase());
        let known = |tag: String| match tag.get(..2) {
            Some("de") => Some(Self::De),
            Some("en") => Some(Self::En),
            _ => None,
        };
        wanted.filter_map(known).next().unwrap_or(Self::En)
    }

    /// The text of this language.
    pub(super) fn say<'t>(self, de: &'t str, en: &'t str) -> &'t str {
        match self {
            Self::De => de,
            Self::En => en,
        }
    }
}

/// What a page shows.
pub(super) struct Page<'a> {
    /// Its language.
    pub(super) language: Language,
    /// Answered with it.
    pub(super) status: StatusCode,
    /// What happened.
    pub(super) title: &'a str,
    /// What is next.
    pub(super) text: &'a str,
    /// Whether it has the button that starts a visit to the provider; where that posts to.
    pub(super) button: Option<&'a str>,
    /// Why it did not work.
    pub(super) diagnosis: Option<&'a Diagnosis>,
    /// Back to the application.
    pub(super) return_to: Option<&'a str>,
}

impl Page<'_> {
    /// The page as an answer.
    pub(super) fn answer(&self) -> HttpResponse {
        let language = self.language;
        let mut body = format!("<h1>{}</h1><p>{}</p>", escape(self.title), escape(self.text));
        if let Some(found) = self.diagnosis {
            let _ = write!(body, "<p>{}</p><p>{}</p>", escape(&found.summary), escape(&found.remedy.text));
        }
        if let Some(action) = self.button {
            let label = language.say("Jetzt anmelden", "Sign in now");
            let _ = write!(
                body,
                "<form method=\"post\" action=\"{}\"><button>{label}</button></form>",
                escape(action)
            );
        }
        if let Some(to) = self.return_to {
            let label = language.say("Zurück zur Anwendung", "Back to the application");
            let _ = write!(body, "<p><a href=\"{}\">{label}</a></p>", escape(to));
        }
        let page = format!(
            "<!doctype html><html lang=\"{}\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
             content=\"width=device-width\"><title>{}</title><style>body{{font:1.1em sans-serif;max-width:34em;\
             margin:3em auto;padding:0 1em}}button{{font:inherit;padding:.6em 1.2em}}</style>{body}</html>",
            language.say("de", "en"),
            escape(self.title)
        );
        HttpResponse::build(self.status)
            .content_type("text/html; charset=utf-8")
            .insert_header(("Content-Security-Policy", POLICY))
            .insert_header(("Referrer-Policy", "no-referrer"))
            .insert_header(("Cache-Control", "no-store"))
            .insert_header(("X-Content-Type-Options", "nosniff"))
            .body(page)
    }
}

/// A link that leads nowhere (any more).
pub(super) fn invalid(language: Language) -> HttpResponse {
    let text = language.say(
        "Der Link ist unvollständig, abgelaufen oder schon benutzt. Bitte fordern Sie einen neuen an.",
        "The link is incomplete, has expired or was used already. Please ask for a new one.",
    );
    let title = language.say("Dieser Link gilt nicht", "This link is not valid");
    let status = StatusCode::GONE;
    Page { language, status, title, text, button: None, diagnosis: None, return_to: None }.answer()
}

/// Our own failure.
pub(super) fn failed(language: Language, status: StatusCode) -> HttpResponse {
    let title = language.say("Das hat nicht geklappt", "That did not work");
    let text = language.say(
        "Nichts wurde geändert. Bitte öffnen Sie den Link später noch einmal.",
        "Nothing was changed. Please open the link again later.",
    );
    Page { language, status, title, text, button: None, diagnosis: None, return_to: None }.answer()
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
