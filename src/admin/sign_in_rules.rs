//! Whether somebody can sign in for a mailbox, and through which app.

use super::context::Context;
use super::presets::Serves;
use crate::config::Provider;
use crate::domain::app::AppCredentials;
use crate::domain::{App, Auth, ProviderKind};
use crate::problem::Problem;
use crate::store::StoredMailbox;

/// The app by which somebody can sign in for it; else what is missing.
pub(super) fn can_sign_in(context: &Context, stored: &StoredMailbox) -> Result<App, Problem> {
    let app = match &stored.mailbox.auth {
        Auth::Oauth { app: Some(app), .. } => {
            let moving = context.store.move_of(stored)?;
            context.store.app(moving.as_ref().map_or(app, |moving| &moving.to))?
        }
        Auth::Oauth { app: None, .. } => None,
        Auth::AppOnly { .. } | Auth::ServiceAccount { .. } | Auth::Password { .. } => {
            return Err(Problem::conflict("no_sign_in", "this mailbox does not sign in by OAuth"));
        }
    };
    let no_app = || Problem::conflict("app_incomplete", "no app is named for this mailbox: set auth.app");
    let app = app.ok_or_else(no_app)?.value;
    serves_users(&app)?;
    is_complete(&app.app)?;
    Ok(app.app)
}

/// Whether an app is one that users sign in through at all.
pub(super) fn serves_users(app: &AppCredentials) -> Result<(), Problem> {
    match Serves::of(app) {
        Serves::Registration => Ok(()),
        Serves::ServiceAccount => {
            let detail = format!(
                "the app {} is a service account, through which nobody signs in: set auth.kind of its mailboxes to \
                 service_account, or use another app",
                app.app.id
            );
            Err(Problem::conflict("no_sign_in", detail))
        }
    }
}

/// Whether anybody can sign in through an app; else what it lacks.
pub(super) fn is_complete(app: &App) -> Result<(), Problem> {
    let missing = missing_fields(app);
    if missing.is_empty() {
        return Ok(());
    }
    let detail = format!("the app {} is not complete, it lacks: {}", app.id, missing.join(", "));
    Err(Problem::conflict("app_incomplete", detail))
}

/// What an app still lacks before anybody can sign in with it.
pub(super) fn missing_fields(app: &App) -> Vec<&'static str> {
    let preset = Provider::of_kind(app.provider).and_then(|provider| provider.oauth.as_ref());
    let tenant = preset.and_then(|preset| preset.tenant.as_ref());
    let tenant = tenant.is_some_and(|tenant| tenant.required) && app.tenant.is_none();
    let authority = app.provider == ProviderKind::Oidc && app.authority.is_none();
    [(tenant, "tenant"), (app.client_id.is_empty(), "client_id"), (authority, "authority")]
        .into_iter()
        .filter_map(|(is_missing, name)| is_missing.then_some(name))
        .collect()
}

/// The address to send a user back to, if it may be one.
pub(super) fn check_return(context: &Context, to: &str) -> Result<String, Problem> {
    let refuse = || {
        let origins = "must be an address under http.public_url or of an origin in signin.return_to";
        Problem::field("return_to", origins)
    };
    let (to, own) =
        (url::Url::parse(to).map_err(|_| refuse())?, url::Url::parse(&context.signin.public_url).ok());
    if context.signin_section.allows(own.as_ref(), &to) { Ok(to.to_string()) } else { Err(refuse()) }
}
