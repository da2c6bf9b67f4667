//! GET `/v1/diagnoses`: every code and every state in every language, for whoever shows them.

use super::super::problem::Answer;
use crate::diagnosis::catalogue;
use actix_web::HttpResponse;
use serde_json::json;

/// GET `/v1/diagnoses`. Facts stand in the texts as `{address}`.
pub(super) async fn list() -> Answer {
    let items: Vec<_> = catalogue::all().collect();
    Ok(HttpResponse::Ok().json(json!({
        "items": items,
        "states": catalogue::STATES,
        "send_states": catalogue::SEND_STATES,
        "next": null,
    })))
}
