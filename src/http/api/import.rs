//! `/v1/mailboxes:import`: a file of mailboxes, all or nothing.

use super::super::Shared;
use super::super::extract::query;
use super::super::problem::Answer;
use crate::admin::{self, Imported};
use actix_web::http::header;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImportQuery {
    #[serde(default)]
    dry_run: bool,
}

/// POST `/v1/mailboxes:import`.
pub(super) async fn import(shared: Data<Shared>, request: HttpRequest, body: Bytes) -> Answer {
    let ImportQuery { dry_run } = query(request.query_string())?;
    let media_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = media_type.unwrap_or("application/json");
    let Imported { created, items } = admin::import(&shared.admin, media_type, body, dry_run).await?;
    let to_be_tried = items.iter().filter(|item| item.get("to_be_tried").is_some()).count();
    let mut response = if dry_run { HttpResponse::Ok() } else { HttpResponse::Created() };
    Ok(response.json(json!({
        "dry_run": dry_run, "created": created, "to_be_tried": to_be_tried, "items": items})))
}
