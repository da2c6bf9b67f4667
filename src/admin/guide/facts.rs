//! What the guide is filled in with, for this installation and one app.

use super::super::context::Context;
use super::consent;
use super::texts::{Facts, Way};
use crate::config::Provider;
use crate::domain::App;
use crate::problem::Problem;
use crate::token::{Endpoints, service_account_scope};
use serde_json::json;

/// What the guide of a way by users or by the app itself is filled in with.
pub(super) fn facts(context: &Context, app: &App, way: Way) -> Result<Facts, Problem> {
    let preset = Provider::of_kind(app.provider).and_then(|provider| provider.oauth.as_ref());
    let required = preset.and_then(|preset| preset.tenant.as_ref()).is_some_and(|tenant| tenant.required);
    let Some(authority) = preset.and_then(|preset| preset.authority.as_deref()).filter(|_| required) else {
        let account = match Endpoints::for_service_account(app) {
            Some(_) => " Without users, by a service account: ask with way=service_account.",
            None => "",
        };
        let detail = format!(
            "there is a guide for Microsoft 365 only; register {} as redirect URI with this provider, and enter the \
             client id and secret that it gives you.{account}",
            context.signin.callback_uri()
        );
        return Err(Problem::unprocessable("not_available_yet", detail));
    };
    let authority = app.authority.as_deref().unwrap_or(authority).trim_end_matches('/');
    let tenant = consent::tenant(context, app)?;
    let client_id = match app.client_id.as_str() {
        "" => "<client id>",
        known => known,
    };
    let redirect_uri = match way {
        Way::Redirect => context.signin.callback_uri(),
        Way::Native => format!("{authority}/common/oauth2/nativeclient"),
        // for the consent link alone
        Way::AppOnly if context.signin.redirects_work() => context.signin.callback_uri(),
        Way::Device | Way::AppOnly | Way::ServiceAccount => String::new(),
    };
    let comes_back = redirect_uri == context.signin.callback_uri();
    let consent_url = consent::url(context, app, comes_back)?.unwrap_or_default();
    let way = json!(way).as_str().map(String::from).unwrap_or_default();
    Ok(Facts::from([
        ("app", app.id.to_string()),
        ("way", way),
        ("consent_url", consent_url),
        ("tenant", tenant),
        ("client_id", String::from(client_id)),
        ("redirect_uri", redirect_uri),
    ]))
}

/// What the guide of a service account is filled in with.
pub(super) fn account_facts(app: &App) -> Result<Facts, Problem> {
    if Endpoints::for_service_account(app).is_none() {
        let detail = format!("only Google has service accounts, {} has none", app.provider.name());
        return Err(Problem::unprocessable("no_such_way", detail));
    }
    let or = |text: String, unknown: &str| if text.is_empty() { String::from(unknown) } else { text };
    Ok(Facts::from([
        ("app", app.id.to_string()),
        ("way", String::from("service_account")),
        ("client_id", or(app.client_id.clone(), "<client id>")),
        ("scope", service_account_scope(app)),
        ("domains", or(app.domains.join(", "), "<domain>")),
    ]))
}
