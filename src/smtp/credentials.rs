//! What a mailbox logs in to its SMTP server with: a password, a login of its own, or an access token that is good for
//! sending. Whatever is missing holds the outbox.

use super::protocol::SmtpError;
use super::session::SmtpCredentials;
use crate::clock;
use crate::diagnosis::{Facts, catalogue, describe};
use crate::domain::{Auth, Disposition, GrantSecret, SmtpAuth, SmtpEndpoint};
use crate::store::{Owner, Store, StoreError, StoredMailbox};
use crate::token::protocol::{GetAccessToken, TokenError};
use crate::token::scopes::may_send;
use actix::Recipient;
use std::time::Duration;

/// Where a mailbox's credentials come from.
pub(super) struct CredentialSource {
    store: Store,
    stored: StoredMailbox,
    auth: SmtpAuth,
    owner: Owner,
    token: Recipient<GetAccessToken>,
}

impl CredentialSource {
    pub(super) fn new(
        store: Store,
        stored: StoredMailbox,
        (endpoint, owner): (&SmtpEndpoint, Owner),
        token: Recipient<GetAccessToken>,
    ) -> Self {
        Self { store, stored, auth: endpoint.auth.clone(), owner, token }
    }

    /// What to log in with, and which access token that is.
    pub(super) async fn credentials(&self) -> Result<(SmtpCredentials, Option<u64>), SmtpError> {
        match &self.auth {
            SmtpAuth::None => return Ok((SmtpCredentials::None, None)),
            SmtpAuth::Own { user } => {
                let password =
                    self.store.smtp_password(self.owner.mailbox).map_err(|error| self.broken(&error))?;
                let password = password.ok_or_else(|| self.held(&TokenError::NotSignedIn))?;
                return Ok((SmtpCredentials::Plain { user: user.clone(), password }, None));
            }
            SmtpAuth::Inherit => {}
        }
        if matches!(self.stored.mailbox.auth, Auth::Password { .. }) {
            let grant = self.store.grant(self.owner.mailbox).map_err(|error| self.broken(&error))?;
            return match grant.map(|row| row.value.secret) {
                Some(GrantSecret::Password { user, password }) => {
                    Ok((SmtpCredentials::Plain { user, password }, None))
                }
                Some(GrantSecret::Refresh { .. }) | None => Err(self.held(&TokenError::NotSignedIn)),
            };
        }
        let answer = self.token.send(GetAccessToken { min_validity: Duration::from_secs(60) }).await;
        let gone = |_| self.held(&TokenError::Store(String::from("the token actor is being restarted")));
        let token = answer.map_err(gone)?.map_err(|error| self.held(&error))?;
        self.may_send()?;
        let user = self.stored.mailbox.login().to_owned();
        Ok((SmtpCredentials::Xoauth2 { user, token: token.token }, Some(token.generation)))
    }

    fn held(&self, error: &TokenError) -> SmtpError {
        held(error, &self.stored.mailbox.address)
    }

    fn broken(&self, error: &StoreError) -> SmtpError {
        self.held(&TokenError::Store(error.to_string()))
    }

    /// Without permission to send the server would only say that the log-in is wrong.
    fn may_send(&self) -> Result<(), SmtpError> {
        let (store, mailbox) = (&self.store, &self.stored.mailbox);
        if store
            .grant(self.owner.mailbox)
            .map_err(|error| self.broken(&error))?
            .is_none_or(|row| may_send(&row.value.scopes))
        {
            return Ok(());
        }
        let app = mailbox
            .app()
            .map(|app| store.app(app))
            .transpose()
            .map_err(|error| self.broken(&error))?
            .flatten();
        let client_id = app.as_ref().map_or("", |row| &row.value.app.client_id);
        let facts = Facts { address: &mailbox.address, detail: "SMTP.Send", client_id, ..Facts::default() };
        let diagnosis = Box::new(describe(&catalogue::SCOPES_MISSING, &facts, None));
        Err(SmtpError::Hold { diagnosis, retry: Disposition::NeedsAdmin })
    }
}

/// No token: a cause before MAIL.
fn held(error: &TokenError, address: &str) -> SmtpError {
    let entry = match error {
        TokenError::Throttled { .. } => &catalogue::IDP_THROTTLED,
        TokenError::Store(_) | TokenError::Unreachable(_) => &catalogue::TOKEN_UNAVAILABLE,
        TokenError::NotSignedIn
        | TokenError::NoTokens
        | TokenError::SignInNeeded(_)
        | TokenError::NeedsAdmin(_)
        | TokenError::AppBroken(_) => &catalogue::SIGN_IN_AGAIN,
    };
    let (text, facts) = (error.to_string(), Facts { address, ..Facts::default() });
    let diagnosis = error.diagnosis().cloned().unwrap_or_else(|| describe(entry, &facts, Some(&text)));
    SmtpError::Hold { diagnosis: Box::new(diagnosis), retry: error.disposition(clock::now()) }
}
