//! `/v1/apps/{app}/verify`: what can be proved of an app without a user, and links to the two proofs that need one.

use super::super::Shared;
use super::super::extract::{json, typed};
use super::super::problem::Answer;
use super::guide::consent;
use super::presets::{self, Serves};
use super::{apps, proofs, sign_ins};
use crate::clock;
use crate::domain::app::AppCredentials;
use crate::domain::{AppId, Auth};
use crate::problem::Problem;
use crate::signin;
use crate::store::{FoundTenant, StoreError};
use crate::token::{Check, CheckResult, Verified};
use crate::token::{credential_trial, verify as look, verify_account};
use actix_web::HttpResponse;
use actix_web::web::{Bytes, Data, Path};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    /// Whether app-only permissions are wanted; by default if a mailbox uses them.
    #[serde(default)]
    app_only: Option<bool>,
    /// Whether a link to a trial sign-in is wanted.
    #[serde(default)]
    sign_in: bool,
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
    let is_account = Serves::of(&credentials) == Serves::ServiceAccount;
    if order.sign_in {
        sign_ins::serves_users(&credentials)?;
    }
    if missing.is_empty() {
        checks.push(Check::new("fields", CheckResult::Ok, "nothing is missing"));
        let found: Verified = match is_account {
            true => verify_account(&shared.http, &credentials, &users_of(&shared, &id)?).await,
            false => look(&shared.http, &credentials, is_app_only).await,
        };
        if let Some(asked) = &found.asked {
            // a credential on trial is proven, or refused, by this as by any other request
            credential_trial::settle(&shared.store, &credentials, true, asked.as_ref().copied()).await?;
        }
        checks.extend(found.checks);
        tenant_id = found.tenant_id;
    } else {
        let detail = format!("enter what is missing: {}", missing.join(", "));
        checks.push(Check::new("fields", CheckResult::Failed, detail));
    }
    checks.push(proofs::expiry(&credentials, clock::now()));
    let facts = shared.store.app_facts(&id)?.value;
    if !is_account {
        checks.extend(proofs::checks(&credentials.app, &shared.signin.callback_uri(), &facts));
    }
    if let (Some(found), Some(named)) = (&tenant_id, &credentials.app.tenant) {
        keep(&shared, &id, FoundTenant { named: named.clone(), id: found.clone() }).await?;
    }
    let is_ok = checks.iter().all(|check| check.result != CheckResult::Failed);
    let consent_url = consent::url(&shared, &credentials.app, shared.signin.redirects_work())?;
    let sign_in = match missing.is_empty() && order.sign_in {
        true => Some(trial_link(&shared, &credentials).await?),
        false => None,
    };
    let shown = json!({"app": id, "ok": is_ok, "tenant_id": tenant_id, "checks": checks,
        "consent_url": consent_url, "sign_in": sign_in});
    Ok(HttpResponse::Ok().json(shown))
}

/// For whom a service account is to act: one user of each domain, as each has its own administrator.
fn users_of(shared: &Shared, id: &AppId) -> Result<Vec<String>, StoreError> {
    let mut users = BTreeMap::new();
    for stored in shared.store.mailboxes()? {
        let Auth::ServiceAccount { app, .. } = &stored.mailbox.auth else { continue };
        if app == id && stored.mailbox.active {
            let login = stored.mailbox.login();
            users.entry(presets::domain(login)).or_insert_with(|| String::from(login));
        }
    }
    Ok(users.into_values().take(MOST_DOMAINS).collect())
}

/// A person waits while they are asked for one after another.
const MOST_DOMAINS: usize = 10;

/// Where anybody of the tenant signs in, to prove redirect and consent; nothing else of it is stored.
async fn trial_link(shared: &Shared, credentials: &AppCredentials) -> Result<Value, Problem> {
    if !shared.signin.redirects_work() {
        let detail = "providers send users back to https addresses only: set http.public_url to one. Otherwise the \
                      first user's sign-in, by pasted address or device code, proves the consent";
        return Err(Problem::conflict("redirect_unreachable", detail));
    }
    match signin::begin_sign_in_test(&shared.signin, credentials).await? {
        Ok((url, expires_at)) => Ok(json!({"url": url, "expires_at": expires_at})),
        Err(error) => Err(Problem::conflict("no_trial", format!("nobody can sign in now: {error}"))),
    }
}

async fn keep(shared: &Shared, id: &AppId, tenant: FoundTenant) -> Result<(), Problem> {
    if shared.store.app_facts(id)?.value.tenant.as_ref() == Some(&tenant) {
        return Ok(());
    }
    Ok(shared.store.change_app_facts(id, |facts| facts.tenant = Some(tenant.clone())).await?)
}
