//! `/v1/apps/{app}/verify`: what can be proved of an app without a user, and links to the two proofs that need one.

use super::super::Shared;
use super::super::extract::json as read;
use super::super::problem::Answer;
use crate::admin::{self, Verification, typed};
use crate::domain::AppId;
use crate::token::CheckResult;
use actix_web::HttpResponse;
use actix_web::web::{Bytes, Data, Path};
use serde::Deserialize;
use serde_json::json;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    /// Whether app-only permissions are wanted; by default if a mailbox uses them.
    #[serde(default)]
    app_only: Option<bool>,
    /// Whether a link to a sign-in test is wanted.
    #[serde(default)]
    sign_in: bool,
}

/// POST `/v1/apps/{app}/verify`.
pub(super) async fn verify(shared: Data<Shared>, id: Path<String>, body: Bytes) -> Answer {
    let id = AppId::new(id.into_inner())?;
    let order: Order = if body.is_empty() { Order::default() } else { typed(&read(&body)?)? };
    let found = admin::verify(&shared.admin, &id, order.app_only, order.sign_in).await?;
    let Verification { checks, tenant_id, consent_url, sign_in_test } = found;
    let is_ok = checks.iter().all(|check| check.result != CheckResult::Failed);
    let sign_in = sign_in_test.map(|(url, expires_at)| json!({"url": url, "expires_at": expires_at}));
    let shown = json!({"app": id, "ok": is_ok, "tenant_id": tenant_id, "checks": checks,
        "consent_url": consent_url, "sign_in": sign_in});
    Ok(HttpResponse::Ok().json(shown))
}
