//! What can be proved of an app without a user, and what only a user's return from the provider proves.

use super::context::Context;
use super::presets::{self, Serves};
use super::sign_in_rules::{missing_fields, serves_users};
use super::{guide, lookup, proofs};
use crate::clock;
use crate::domain::app::AppCredentials;
use crate::domain::{AppId, Auth, Timestamp};
use crate::problem::Problem;
use crate::signin;
use crate::store::{FoundTenant, StoreError};
use crate::token::{AppOnlyUse, Check, CheckResult, Verified};
use crate::token::{credential_trial, verify as look, verify_account};
use std::collections::BTreeMap;

/// What is known of an app.
pub(crate) struct Verification {
    /// Each proof.
    pub(crate) checks: Vec<Check>,
    /// The tenant's id.
    pub(crate) tenant_id: Option<String>,
    /// Where an administrator consents.
    pub(crate) consent_url: Option<String>,
    /// Where a sign-in test is made, and until when.
    pub(crate) sign_in_test: Option<(String, Timestamp)>,
}

/// Looks at an app. `app_only`: whether app-only permissions are wanted; by default if a mailbox uses them.
pub(crate) async fn verify(
    context: &Context,
    id: &AppId,
    app_only: Option<bool>,
    with_sign_in_test: bool,
) -> Result<Verification, Problem> {
    let credentials = lookup::app(&context.store, id)?.value;
    let used = app_only_use(context, id, app_only)?;
    let mut checks = Vec::new();
    let missing = missing_fields(&credentials.app);
    let mut tenant_id = None;
    let is_account = Serves::of(&credentials) == Serves::ServiceAccount;
    if with_sign_in_test {
        serves_users(&credentials)?;
    }
    if missing.is_empty() {
        checks.push(Check::new("fields", CheckResult::Ok, "nothing is missing"));
        let found: Verified = match is_account {
            true => verify_account(&context.http, &credentials, &users_of(context, id)?).await,
            false => look(&context.http, &credentials, used).await,
        };
        if let Some(asked) = &found.asked {
            // a credential on trial is proven, or refused, by this as by any other request
            credential_trial::conclude(&context.store, &credentials, true, asked.as_ref().copied()).await;
        }
        checks.extend(found.checks);
        tenant_id = found.tenant_id;
    } else {
        let detail = format!("enter what is missing: {}", missing.join(", "));
        checks.push(Check::new("fields", CheckResult::Failed, detail));
    }
    checks.push(proofs::expiry(&credentials, clock::now()));
    let facts = context.store.app_facts(id)?.value;
    if !is_account {
        checks.extend(proofs::checks(&credentials.app, &context.signin.callback_uri(), &facts));
    }
    if let (Some(found), Some(named)) = (&tenant_id, &credentials.app.tenant) {
        store_tenant(context, id, FoundTenant { named: named.clone(), id: found.clone() }).await?;
    }
    let consent_url = guide::consent_url(context, &credentials.app, context.signin.redirects_work())?;
    let sign_in_test = match missing.is_empty() && with_sign_in_test {
        true => Some(sign_in_test(context, &credentials).await?),
        false => None,
    };
    Ok(Verification { checks, tenant_id, consent_url, sign_in_test })
}

/// What mailboxes do with the app's own tokens; of an app that is wanted for it and has none yet, everything.
fn app_only_use(context: &Context, id: &AppId, wanted: Option<bool>) -> Result<AppOnlyUse, StoreError> {
    let none = AppOnlyUse::default();
    if wanted == Some(false) {
        return Ok(none);
    }
    let mailboxes = context.store.mailboxes()?;
    let uses = |auth: &Auth| matches!(auth, Auth::AppOnly { app } if app == id);
    let served = mailboxes.iter().map(|stored| &stored.mailbox).filter(|mailbox| uses(&mailbox.auth));
    let used = served.map(AppOnlyUse::of).fold(none, AppOnlyUse::and);
    let is_unknown = wanted == Some(true) && used == none;
    Ok(if is_unknown { AppOnlyUse { receives: true, sends: true } } else { used })
}

/// For whom a service account is to act: one user of each domain, as each has its own administrator.
fn users_of(context: &Context, id: &AppId) -> Result<Vec<String>, StoreError> {
    let mut users = BTreeMap::new();
    for stored in context.store.mailboxes()? {
        let Auth::ServiceAccount { app, .. } = &stored.mailbox.auth else { continue };
        if app == id && stored.mailbox.active {
            let login = stored.mailbox.login();
            users.entry(presets::domain(login)).or_insert_with(|| String::from(login));
        }
    }
    Ok(users.into_values().take(MOST_DOMAINS).collect())
}

/// A person waits while their tokens are requested one after another.
const MOST_DOMAINS: usize = 10;

/// Where anybody of the tenant signs in, to prove redirect and consent; nothing else of it is stored.
async fn sign_in_test(
    context: &Context,
    credentials: &AppCredentials,
) -> Result<(String, Timestamp), Problem> {
    if !context.signin.redirects_work() {
        let detail = "providers send users back to https addresses only: set http.public_url to one. Otherwise the \
                      first user's sign-in, by pasted address or device code, proves the consent";
        return Err(Problem::conflict("redirect_unreachable", detail));
    }
    let begun = signin::begin_sign_in_test(&context.signin, credentials).await?;
    begun.map_err(|error| Problem::conflict("no_trial", format!("nobody can sign in now: {error}")))
}

async fn store_tenant(context: &Context, id: &AppId, tenant: FoundTenant) -> Result<(), Problem> {
    if context.store.app_facts(id)?.value.tenant.as_ref() == Some(&tenant) {
        return Ok(());
    }
    Ok(context.store.change_app_facts(id, |facts| facts.tenant = Some(tenant.clone())).await?)
}
