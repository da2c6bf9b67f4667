//! The language of an answer: `?language=de`, else Accept-Language.

use super::extract::query;
use crate::diagnosis::Language;
use crate::problem::Problem;
use actix_web::HttpRequest;
use actix_web::http::header::ACCEPT_LANGUAGE;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LanguageQuery {
    language: Option<String>,
}

/// The language of a request, `asked` being what its query says.
pub(super) fn language(request: &HttpRequest, asked: Option<&str>) -> Result<Language, Problem> {
    let unknown = |tag: &str| {
        Problem::bad_request("bad_language", format!("language: {tag:?} is none of \"en\" and \"de\""))
    };
    if let Some(tag) = asked {
        return Language::of_tag(tag).ok_or_else(|| unknown(tag));
    }
    let header = request.headers().get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    Ok(header.map(Language::of_header).unwrap_or_default())
}

/// The same where the query says nothing else.
pub(super) fn language_of(request: &HttpRequest) -> Result<Language, Problem> {
    let asked: LanguageQuery = query(request.query_string())?;
    language(request, asked.language.as_deref())
}
