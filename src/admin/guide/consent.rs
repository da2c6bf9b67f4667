//! The link by which an administrator consents for the whole tenant.

use super::super::context::Context;
use crate::config::Provider;
use crate::domain::App;
use crate::signin;
use crate::store::StoreError;

/// The link; `None`: this provider has no such consent. `comes_back`: our redirect URI is registered, and the provider
/// sends the administrator there, by which it is known that the consent was given.
pub(crate) fn url(context: &Context, app: &App, comes_back: bool) -> Result<Option<String>, StoreError> {
    let preset = Provider::of_kind(app.provider).and_then(|provider| provider.oauth.as_ref());
    let required = preset.and_then(|preset| preset.tenant.as_ref()).is_some_and(|tenant| tenant.required);
    let Some(authority) = preset.and_then(|preset| preset.authority.as_deref()).filter(|_| required) else {
        return Ok(None);
    };
    let authority = app.authority.as_deref().unwrap_or(authority).trim_end_matches('/');
    let tenant = tenant(context, app)?;
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    match app.client_id.as_str() {
        // to be filled in by hand: without an app there is nothing to come back for
        "" => return Ok(Some(format!("{authority}/{tenant}/adminconsent?client_id=<client id>"))),
        known => query.append_pair("client_id", known),
    };
    if comes_back {
        query.append_pair("redirect_uri", &context.signin.callback_uri());
        query.append_pair("state", signin::consent_state(&context.signin, app)?.expose());
    }
    Ok(Some(format!("{authority}/{tenant}/adminconsent?{}", query.finish())))
}

/// The tenant as it is written in addresses: by its id, where that is known.
pub(super) fn tenant(context: &Context, app: &App) -> Result<String, StoreError> {
    let found = context.store.app_facts(&app.id)?.value.tenant;
    let found = found.filter(|found| Some(&found.named) == app.tenant.as_ref()).map(|found| found.id);
    Ok(found.or_else(|| app.tenant.clone()).unwrap_or_else(|| String::from("<tenant id>")))
}
