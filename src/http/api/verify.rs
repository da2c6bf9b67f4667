//! `/v1/apps/{app}/verify`: what can be proved of an app without a user.

use super::super::Shared;
use super::super::extract::{json, typed};
use super::super::problem::{Answer, Problem};
use super::apps;
use crate::domain::{AppId, Auth};
use crate::store::{FoundTenant, StoreError};
use crate::token::{Check, CheckResult, Verified, trial, verify as look};
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
}

/// POST `/v1/apps/{app}/verify`.
pub(super) async fn verify(shared: Data<Shared>, id: Path<String>, body: Bytes) -> Answer {
    let id = AppId::new(id.into_inner())?;
    let order: Order = if body.is_empty() { Order::default() } else { typed(&json(&body)?)? };
    let credentials = shared.store.app(&id)?.ok_or_else(|| apps::no_such_app(&id))?.value;
    let is_used = || {
        let mailboxes = shared.store.mailboxes()?;
        let uses = |auth: &Auth| matches!(auth, Auth::AppOnly { app } if *app == id);
        Ok::<_, StoreError>(mailboxes.iter().any(|stored| uses(&stored.mailbox.auth)))
    };
    let is_app_only = match order.app_only {
        Some(said) => said,
        None => is_used()?,
    };
    let mut checks = Vec::new();
    let missing = apps::missing_fields(&credentials.app);
    let mut tenant_id = None;
    if missing.is_empty() {
        checks.push(Check::new("fields", CheckResult::Ok, "nothing is missing"));
        let found: Verified = look(&shared.http, &credentials, is_app_only).await;
        if let Some(asked) = &found.asked {
            // a credential on trial is proven, or refused, by this as by any other request
            trial::settle(&shared.store, &credentials, true, asked.as_ref().copied()).await?;
        }
        checks.extend(found.checks);
        tenant_id = found.tenant_id;
    } else {
        let detail = format!("enter what is missing: {}", missing.join(", "));
        checks.push(Check::new("fields", CheckResult::Failed, detail));
    }
    let redirect = format!("only a sign-in proves that {} is registered", shared.callback_uri());
    checks.push(Check::new("redirect", CheckResult::NotYetProved, redirect));
    let consent = "only a sign-in, or an administrator's consent, proves it";
    checks.push(Check::new("consent", CheckResult::NotYetProved, consent));
    if let (Some(found), Some(named)) = (&tenant_id, &credentials.app.tenant) {
        keep(&shared, &id, FoundTenant { named: named.clone(), id: found.clone() }).await?;
    }
    let is_ok = checks.iter().all(|check| check.result != CheckResult::Failed);
    let shown = json!({"app": id, "ok": is_ok, "tenant_id": tenant_id, "checks": checks});
    Ok(HttpResponse::Ok().json(shown))
}

async fn keep(shared: &Shared, id: &AppId, tenant: FoundTenant) -> Result<(), Problem> {
    let mut facts = shared.store.app_facts(id)?;
    if facts.value.tenant.as_ref() == Some(&tenant) {
        return Ok(());
    }
    facts.value.tenant = Some(tenant);
    match shared.store.put_app_facts(id, &facts).await {
        // another verification found it at the same time
        Ok(()) | Err(StoreError::Conflict) => Ok(()),
        Err(error) => Err(Problem::from(error)),
    }
}
