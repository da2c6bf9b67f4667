//! An app, and how to speak to its provider.

use super::context::Context;
use crate::diagnosis::Facts;
use crate::domain::app::AppCredentials;
use crate::problem::Problem;
use crate::store::{SignIn, StoredMailbox};
use crate::token::{Endpoints, FlowError, OauthClient};

/// An app, and how to speak to its provider.
pub(super) struct Provider {
    pub(super) app: AppCredentials,
    pub(super) client: OauthClient,
}

impl Provider {
    /// The provider of a sign-in for a mailbox.
    pub(super) async fn of(
        context: &Context,
        sign_in: &SignIn,
        stored: &StoredMailbox,
    ) -> Result<Result<Self, FlowError>, Problem> {
        let app = sign_in.app_for(&stored.mailbox);
        let app = app.map(|app| context.store.app(app)).transpose()?.flatten();
        let Some(app) = app.map(|row| row.value) else {
            return Ok(Err(FlowError::Endpoint(String::from("the mailbox names no app any more"))));
        };
        Ok(Self::at(context, &app, |endpoints| endpoints.for_mailbox(&stored.mailbox)).await)
    }

    /// The provider of an app.
    pub(super) async fn of_app(context: &Context, app: &AppCredentials) -> Result<Self, FlowError> {
        Self::at(context, app, |endpoints| endpoints).await
    }

    /// The same app as it is stored now, for the same use.
    pub(super) async fn anew(&self, context: &Context, app: &AppCredentials) -> Result<Self, FlowError> {
        let scopes = self.client.endpoints().scopes.clone();
        Self::at(context, app, |endpoints| Endpoints { scopes, ..endpoints }).await
    }

    async fn at(
        context: &Context,
        app: &AppCredentials,
        narrow: impl FnOnce(Endpoints) -> Endpoints,
    ) -> Result<Self, FlowError> {
        let endpoints = narrow(Endpoints::of(&app.app, &context.http).await?);
        let client = OauthClient::new(context.http.clone(), endpoints, app.clone());
        Ok(Self { app: app.clone(), client })
    }

    pub(super) fn facts<'a>(&'a self, stored: &'a StoredMailbox) -> Facts<'a> {
        Facts { address: &stored.mailbox.address, ..Facts::of_app(&self.app.app) }
    }
}

/// What is known where no app is.
pub(crate) fn address_only(stored: &StoredMailbox) -> Facts<'_> {
    Facts { address: &stored.mailbox.address, ..Facts::default() }
}
