//! POST `/v1/master-key:rotate`: another master key while the daemon runs.

use super::super::Shared;
use super::super::extract::json as read;
use super::super::problem::Answer;
use crate::admin::typed;
use crate::clock;
use crate::domain::Secret;
use crate::problem::Problem;
use crate::store::StoreError;
use actix_web::HttpResponse;
use actix_web::web::{Bytes, Data, block};
use serde::Deserialize;
use serde_json::json;

/// The request.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    /// 32 bytes in base64; without it a fresh key is made.
    #[serde(default)]
    master_key: Option<Secret>,
}

/// POST `/v1/master-key:rotate`.
pub(super) async fn rotate(shared: Data<Shared>, body: Bytes) -> Answer {
    let order: Order = if body.is_empty() { Order::default() } else { typed(&read(&body)?)? };
    let (store, given) = (shared.store.clone(), order.master_key);
    let rotated = block(move || store.rotate_master_key(given.as_ref())).await;
    let rotated = rotated.map_err(|_| Problem::internal("the rotation was cut off"))?.map_err(refused)?;
    tracing::info!("the master key was rotated");
    Ok(HttpResponse::Ok().json(json!({
        "rotated_at": clock::now(), "kept_in": rotated.kept_in, "todo": rotated.todo,
    })))
}

/// Nothing was changed: the given key does not fit.
fn refused(error: StoreError) -> Problem {
    if let StoreError::Vault { what } = error {
        return Problem::unprocessable("invalid_master_key", what);
    }
    error.into()
}
