//! `/v1/apps/{app}/guide`: how the app is registered, step by step, for this installation's addresses and the chosen
//! way of signing in.

use super::super::Shared;
use super::super::extract::query;
use super::super::problem::Answer;
use crate::admin::{self, Guide, Language, Way};
use crate::domain::AppId;
use actix_web::http::header;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    Json,
    Markdown,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GuideQuery {
    /// Absent: a service account's own, else by redirect.
    way: Option<Way>,
    #[serde(default)]
    language: Language,
    #[serde(default)]
    format: Option<Format>,
}

/// GET `/v1/apps/{app}/guide`.
pub(super) async fn guide(shared: Data<Shared>, id: Path<String>, request: HttpRequest) -> Answer {
    let id = AppId::new(id.into_inner())?;
    let GuideQuery { way, language, format } = query(request.query_string())?;
    let guide = admin::guide(&shared.admin, &id, way, language)?;
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let wants_text = match format {
        Some(Format::Markdown) => true,
        Some(Format::Json) => false,
        None => accept.is_some_and(|accept| accept.contains("text/markdown")),
    };
    if wants_text {
        return Ok(HttpResponse::Ok().content_type("text/markdown; charset=utf-8").body(guide.markdown()));
    }
    let Guide { way, facts, notes, steps, scripts, .. } = guide;
    Ok(HttpResponse::Ok().json(json!({
        "app": id, "way": way, "language": language, "redirect_uri": facts.get("redirect_uri"),
        "consent_url": facts.get("consent_url"), "notes": notes, "steps": steps, "scripts": scripts,
    })))
}
