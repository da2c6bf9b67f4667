//! `app verify`: proves what can be proved of an app without a user, and says of the rest that it is not proved yet.

use super::verify_checks::{self, AppOnlyUse, Check, CheckResult};
use crate::config::{OauthPreset, Provider};
use crate::diagnosis::{Facts, catalogue as c, classify_oauth, describe};
use crate::domain::App;
use crate::domain::app::AppCredentials;
use crate::net::HttpClient;
use crate::token::oauth::{Endpoints, FlowError, OauthClient, checked, fetch};
use serde_json::Value;

/// What was found.
#[derive(Clone, Debug)]
pub struct Verified {
    /// One entry for each thing looked at.
    pub checks: Vec<Check>,
    /// The tenant's id, where its metadata told it.
    pub tenant_id: Option<String>,
    /// What the app's own token request came to, if one was made.
    pub asked: Option<Result<(), FlowError>>,
}

/// What a metadata document told.
enum Metadata {
    /// Its issuer.
    Found(String),
    /// There is no such tenant.
    NoTenant(String),
    /// Nobody answered, or no document.
    Away(FlowError),
}

/// Looks at an app; `used`: what mailboxes do with it without a user.
pub async fn verify(http: &HttpClient, credentials: &AppCredentials, used: AppOnlyUse) -> Verified {
    let app = &credentials.app;
    let preset = Provider::of_kind(app.provider).and_then(|provider| provider.oauth.as_ref());
    let mut verified = Verified { checks: Vec::new(), tenant_id: None, asked: None };
    let endpoints = match Endpoints::of(app, http).await {
        Ok(endpoints) => endpoints,
        Err(error) => {
            let diagnosis = error.diagnosis(&Facts::of_app(app));
            verified.checks.push(Check::failed("authority", error.to_string(), diagnosis));
            let proof = verify_checks::credential_name(credentials);
            skip_rest(&mut verified, &["tenant", "client_id", proof, "app_roles"]);
            return verified;
        }
    };
    let is_there = authority(http, app, preset, &endpoints, &mut verified).await;
    if !is_there {
        let proof = verify_checks::credential_name(credentials);
        skip_rest(&mut verified, &["client_id", proof, "app_roles"]);
        return verified;
    }
    match preset.and_then(|preset| preset.app_scope.as_deref()) {
        Some(scope) => {
            let client = OauthClient::new(http.clone(), endpoints, credentials.clone());
            let answer = client.client_credentials(scope).await;
            verified.checks.extend(verify_checks::client(credentials, &answer));
            verified.checks.push(verify_checks::app_roles(app, answer.as_ref().ok(), used));
            verified.asked = Some(answer.map(drop));
        }
        None => {
            for name in ["client_id", verify_checks::credential_name(credentials)] {
                let detail = "this provider gives no token without a user: the first sign-in proves it";
                verified.checks.push(Check::new(name, CheckResult::NotYetProved, detail));
            }
            let detail = "this provider has no app-only sign-in";
            verified.checks.push(Check::new("app_roles", CheckResult::Skipped, detail));
        }
    }
    verified
}

/// The id of the tenant that an app names, as its metadata tells it; `None`: nobody answers, or there is none.
pub async fn tenant_id(http: &HttpClient, app: &App) -> Option<String> {
    let preset = Provider::of_kind(app.provider).and_then(|provider| provider.oauth.as_ref());
    let base = app.authority.as_deref().or(preset?.authority.as_deref())?.trim_end_matches('/');
    match metadata(http, &format!("{base}/{}/v2.0", app.tenant.as_deref()?)).await {
        Metadata::Found(issuer) => verify_checks::tenant_in(&issuer),
        Metadata::NoTenant(_) | Metadata::Away(_) => None,
    }
}

fn skip_rest(verified: &mut Verified, names: &[&'static str]) {
    let skipped = |name: &&'static str| Check::new(name, CheckResult::Skipped, "what comes before it failed");
    verified.checks.extend(names.iter().map(skipped));
}

/// Authority and tenant; whether the client may be asked for.
async fn authority(
    http: &HttpClient,
    app: &App,
    preset: Option<&OauthPreset>,
    endpoints: &Endpoints,
    verified: &mut Verified,
) -> bool {
    let Some(base) = preset.and_then(|preset| preset.authority.as_deref()) else {
        return issuer(http, app, &endpoints.issuer, verified).await;
    };
    let base = app.authority.as_deref().unwrap_or(base).trim_end_matches('/');
    let default = preset.and_then(|preset| preset.tenant.as_ref()).map(|tenant| tenant.default.as_str());
    let tenant = app.tenant.as_deref().or(default).unwrap_or_default();
    match metadata(http, &format!("{base}/{tenant}/v2.0")).await {
        Metadata::Found(issuer) => {
            verified.checks.push(Check::new("authority", CheckResult::Ok, format!("{base} answers")));
            verified.tenant_id = verify_checks::tenant_in(&issuer);
            let detail = match &verified.tenant_id {
                Some(id) if id == tenant => format!("the tenant {id} exists"),
                Some(id) => format!("{tenant} is the tenant {id}"),
                None => format!("{tenant} stands for every tenant"),
            };
            verified.checks.push(Check::new("tenant", CheckResult::Ok, detail));
            true
        }
        Metadata::NoTenant(said) => {
            verified.checks.push(Check::new("authority", CheckResult::Ok, format!("{base} answers")));
            let swapped = metadata(http, &format!("{base}/{}/v2.0", app.client_id)).await;
            let detail = match swapped {
                Metadata::Found(_) => {
                    "there is no such tenant, but the client id is one: tenant id and client id are swapped"
                }
                Metadata::NoTenant(_) | Metadata::Away(_) => "there is no such tenant",
            };
            let diagnosis = describe(&c::TENANT_NOT_FOUND, &Facts::of_app(app), Some(&said));
            verified.checks.push(Check::failed("tenant", detail, diagnosis));
            false
        }
        Metadata::Away(error) => away(app, &error, verified),
    }
}

/// A provider without tenants.
async fn issuer(http: &HttpClient, app: &App, issuer: &str, verified: &mut Verified) -> bool {
    match metadata(http, issuer.trim_end_matches('/')).await {
        Metadata::Found(said) => {
            verified.checks.push(Check::new("authority", CheckResult::Ok, format!("{said} answers")));
            verified.checks.push(Check::new("tenant", CheckResult::Skipped, "this provider has no tenants"));
            true
        }
        Metadata::NoTenant(said) => {
            let error = FlowError::Endpoint(format!("{issuer} has no discovery document: {said}"));
            away(app, &error, verified)
        }
        Metadata::Away(error) => away(app, &error, verified),
    }
}

fn away(app: &App, error: &FlowError, verified: &mut Verified) -> bool {
    let diagnosis = error.diagnosis(&Facts::of_app(app));
    verified.checks.push(Check::failed("authority", error.to_string(), diagnosis));
    skip_rest(verified, &["tenant"]);
    false
}

async fn metadata(http: &HttpClient, issuer: &str) -> Metadata {
    let url = match checked(&format!("{issuer}/.well-known/openid-configuration")) {
        Ok(url) => url,
        Err(error) => return Metadata::Away(error),
    };
    let answer = match http.get(url.clone()).build() {
        Ok(request) => fetch(http, request).await,
        Err(error) => Err(FlowError::Endpoint(error.without_url().to_string())),
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return Metadata::Away(error),
    };
    let document: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    match document.get("issuer").and_then(Value::as_str) {
        Some(issuer) if answer.status == 200 => Metadata::Found(String::from(issuer)),
        _ if matches!(answer.status, 400 | 404) => {
            let failure = classify_oauth(answer.status, &answer.body, None);
            Metadata::NoTenant(failure.description)
        }
        _ => {
            let cause = format!("{url} answered {} without a metadata document", answer.status);
            Metadata::Away(FlowError::Transport { maybe_consumed: false, cause })
        }
    }
}
