//! The `state` of a consent link and of a sign-in test: sealed, it says all there is to know when the browser comes
//! back.

use super::context::Context;
use super::provider::Provider;
use crate::clock;
use crate::domain::app::{AppCredentials, Registration};
use crate::domain::{App, AppId, Secret, Timestamp};
use crate::problem::Problem;
use crate::store::{Attempt, StoreError, random_text};
use crate::token::{AuthorizeRequest, FlowError};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A guide is printed and handed on, so its link lives long.
const CONSENT_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// A sign-in test is made at once.
const TEST_LIFE: Duration = Duration::from_secs(3600);

/// What a sealed `state` says.
#[derive(Serialize, Deserialize)]
pub(super) struct AppState {
    pub(super) app: AppId,
    /// The app as it was then: what comes back says nothing about another registration.
    pub(super) registration: Registration,
    pub(super) until: Timestamp,
    /// `None`: a consent.
    pub(super) trial: Option<Attempt>,
}

/// The `state` of a consent link of this app.
pub(crate) fn consent_state(context: &Context, app: &App) -> Result<Secret, StoreError> {
    let until = clock::now().plus(CONSENT_LIFE);
    let registration = Registration::of(app);
    context.store.seal_app_state(&AppState { app: app.id.clone(), registration, until, trial: None })
}

/// Where an administrator makes a sign-in test, and until when.
pub(crate) async fn begin_sign_in_test(
    context: &Context,
    credentials: &AppCredentials,
) -> Result<Result<(String, Timestamp), FlowError>, Problem> {
    let provider = match Provider::of_app(context, credentials).await {
        Ok(provider) => provider,
        Err(error) => return Ok(Err(error)),
    };
    let until = clock::now().plus(TEST_LIFE);
    let attempt = Attempt {
        // the sealed state, which holds this, takes its place
        state: Secret::new(""),
        verifier: random_text()?,
        nonce: random_text()?,
        redirect_uri: context.callback_uri(),
        app: Some(credentials.app.id.clone()),
        browser: None,
    };
    let app = &credentials.app;
    let sent = AppState {
        app: app.id.clone(),
        registration: Registration::of(app),
        until,
        trial: Some(attempt.clone()),
    };
    let state = context.store.seal_app_state(&sent)?;
    let request = AuthorizeRequest {
        redirect_uri: &attempt.redirect_uri,
        state: state.expose(),
        verifier: &attempt.verifier,
        nonce: attempt.nonce.expose(),
        login_hint: None,
        claims: None,
    };
    Ok(provider.client.authorize_url(&request).map(|url| (String::from(url), until)))
}
