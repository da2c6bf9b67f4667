//! From a request to what a handler needs: bodies as JSON, queries and pages of lists.

use crate::problem::Problem;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;

/// The most items of a list.
const LONGEST_LIST: usize = 1000;

/// A JSON body as a value; 400 if it is none.
pub(super) fn json(body: &[u8]) -> Result<Value, Problem> {
    serde_json::from_slice(body)
        .map_err(|error| Problem::bad_request("bad_json", format!("the body: {error}")))
}

/// The query, its unknown names refused.
pub(super) fn query<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    let pairs = serde_urlencoded::Deserializer::new(url::form_urlencoded::parse(text.as_bytes()));
    serde_path_to_error::deserialize(pairs).map_err(|error| {
        let place = error.path().to_string();
        let name = if place == "." { "the query" } else { &place };
        Problem::bad_request("bad_query", format!("{name}: {}", error.inner()))
    })
}

/// How many items a page has.
pub(super) fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    match asked.unwrap_or(50) {
        limit @ 1..=LONGEST_LIST => Ok(limit),
        other => Err(Problem::bad_request(
            "bad_limit",
            format!("limit: {other} is not within 1 to {LONGEST_LIST}"),
        )),
    }
}

/// The first `limit` of what is left of a list, and the cursor to go on by if there is more.
pub(super) fn first_page<T, C>(items: &[T], limit: usize, cursor: impl Fn(&T) -> C) -> (&[T], Option<C>) {
    match items.split_at_checked(limit) {
        Some((shown, rest)) if !rest.is_empty() => (shown, shown.last().map(cursor)),
        _ => (items, None),
    }
}

/// A list as every list is shown.
pub(super) fn page<T: serde::Serialize>(
    items: Vec<T>,
    next: Option<impl fmt::Display>,
) -> actix_web::HttpResponse {
    let next = next.map(|next| next.to_string());
    actix_web::HttpResponse::Ok().json(serde_json::json!({"items": items, "next": next}))
}
