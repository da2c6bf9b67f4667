//! The provider's answer to a sign-in, by redirect or by a pasted address: it belongs to one visit, and is used once.

use super::context::Context;
use super::record::{close, keep_claims, put};
use super::redeem::redeem_code;
use super::result::SignInResult;
use super::visit::{is_withdrawn, sign_in_of};
use crate::clock;
use crate::diagnosis::{Facts, OauthFailure};
use crate::domain::digest::same_text;
use crate::domain::{ProviderKind, Secret};
use crate::problem::Problem;
use crate::store::{Attempt, Row, SignIn, SignInState, StoreError, StoredMailbox};
use crate::token::understand;
use serde::Deserialize;

/// What the provider sends along.
#[derive(Default, Deserialize)]
pub(crate) struct Returned {
    pub(crate) code: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) error_description: Option<String>,
    /// Entra's: `cancel` where the user went back, or met the page "Need admin approval".
    pub(crate) error_subcode: Option<String>,
    /// What the next visit has to prove.
    pub(crate) claims: Option<String>,
    pub(crate) iss: Option<String>,
    /// Of an administrator's consent.
    pub(crate) admin_consent: Option<String>,
    /// For which tenant.
    pub(crate) tenant: Option<String>,
}

/// Uses an answer of the provider; `None`: the link was opened again meanwhile, and that visit counts.
pub(crate) async fn use_answer(
    context: &Context,
    found: &mut Found,
    returned: &Returned,
) -> Result<Option<SignInResult>, Problem> {
    let Found { row, attempt, stored } = found;
    // used from here on: the same answer of the provider is not redeemed twice
    row.value.attempt = None;
    row.value.state = SignInState::SignedIn;
    let used = async {
        put(context, row).await?;
        let result = match &returned.code {
            Some(code) => {
                let code = Secret::new(code.as_str());
                redeem_code(context, row, attempt, stored, code, returned.iss.as_deref()).await?
            }
            None => declined(context, row, returned, stored)?,
        };
        close(context, row, &result).await?;
        Ok::<_, Problem>(result)
    };
    match used.await {
        Err(problem) if problem.is_conflict() => Ok(None),
        other => other.map(Some),
    }
}

/// A sign-in that waits for this answer.
pub(crate) struct Found {
    pub(crate) row: Row<SignIn>,
    pub(crate) attempt: Attempt,
    pub(crate) stored: StoredMailbox,
}

/// The sign-in that waits for the answer with this `state`.
pub(crate) fn find(context: &Context, state: &str) -> Result<Option<Found>, Problem> {
    let Some(row) = sign_in_of(context, state)? else { return Ok(None) };
    let Some(attempt) = row.value.attempt.clone() else { return Ok(None) };
    if !same_text(attempt.state.expose(), state) || row.value.expires_at <= clock::now() {
        return Ok(None);
    }
    let stored = context.store.mailbox(&row.value.mailbox)?;
    let stored = stored.filter(|stored| {
        let is_it = stored.incarnation == row.value.incarnation;
        is_it && row.value.counts_for(&stored.mailbox, attempt.app.as_ref())
    });
    match stored {
        Some(stored) if !is_withdrawn(context, &row.value, &stored)? => {
            Ok(Some(Found { row, attempt, stored }))
        }
        Some(_) | None => Ok(None),
    }
}

impl Returned {
    /// The refusal that came in place of a code, understood.
    pub(super) fn refusal(&self, provider: Option<ProviderKind>) -> OauthFailure {
        let said = self.error_description.as_deref().or(self.error.as_deref());
        let answer = serde_json::json!({"error": self.error, "error_description": said,
            "error_subcode": self.error_subcode, "claims": self.claims});
        let failure = understand(400, answer.to_string().as_bytes(), None);
        if provider.is_some_and(ProviderKind::has_tenants) { failure.at_entra() } else { failure }
    }
}

/// The provider sent the user back without a code.
fn declined(
    context: &Context,
    row: &mut Row<SignIn>,
    returned: &Returned,
    stored: &StoredMailbox,
) -> Result<SignInResult, StoreError> {
    let app = row.value.app_for(&stored.mailbox);
    let app = app.map(|app| context.store.app(app)).transpose()?.flatten().map(|row| row.value.app);
    let failure = returned.refusal(app.as_ref().map(|app| app.provider));
    keep_claims(&mut row.value, failure.claims.as_deref());
    if returned.error.is_some() {
        let facts = app.as_ref().map_or_else(Facts::default, Facts::of_app);
        let facts = Facts { address: &stored.mailbox.address, ..facts };
        return Ok(SignInResult::diagnosed(failure.diagnosis(&facts)));
    }
    Ok(SignInResult::unusable(stored, Some("no code came back")))
}
