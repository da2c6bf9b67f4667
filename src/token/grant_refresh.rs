//! One refresh of one grant, wherever the grant is kept (G2). The steps are in this order, each durable before the next:
//! the mark that a refresh is in flight, the request, the answer. Only then is anybody told of it: a new refresh token
//! has one copy until it is written, so nothing is waited for before that.

use super::app::{Outcome, credential_trial, outcome};
use super::mailbox::lifecycle::{
    Circumstances, Verdict, after_failure, before_refresh, deserves_another_try, with_answer, with_failure,
    with_secret_inverted,
};
use super::oauth::{FlowError, OauthClient, TokenAnswer};
use super::scopes::within_grant;
use crate::clock;
use crate::diagnosis::Facts;
use crate::domain::app::{AppCredentials, Registration};
use crate::domain::{Grant, GrantSecret, MailboxId, Secret, Timestamp};
use crate::store::{Store, StoreError, keep_token};

/// The place where a grant is kept: a mailbox's own, or that of a sign-in whose grant is not in use yet.
pub trait GrantSlot {
    /// Names of the fault points between the steps: marked, answered, stored.
    fn points(&self) -> [&'static str; 3];

    /// The mailbox that the grant is for.
    fn mailbox(&self) -> &MailboxId;

    /// Puts the grant in its place, durably; `is_answered`: with a new token in it.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if something else was put there since it was read; whatever a commit may fail with.
    fn write(&mut self, grant: &Grant, is_answered: bool) -> impl Future<Output = Result<(), StoreError>>;
}

/// What a refresh is made with.
pub struct RefreshRequest<'a> {
    /// The store, for what the answer says about the app's credential.
    pub store: &'a Store,
    /// The app that the grant was issued to.
    pub app: &'a AppCredentials,
    /// The way to its provider; an error is that its endpoints could not be found.
    pub client: Result<&'a OauthClient, FlowError>,
    /// How many refreshes of this grant failed in a row before.
    pub failures: u32,
    /// When the user signed in; `None`: not known.
    pub signed_in_at: Option<Timestamp>,
    /// For diagnoses.
    pub address: &'a str,
}

/// How a refresh ended. The grant is in its slot in every case.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "one at a time, and consumed at once")]
pub enum GrantRefresh {
    /// With an access token.
    Fresh {
        /// As it is stored now.
        grant: Grant,
        /// The provider's answer.
        answer: TokenAnswer,
        /// When it was asked for.
        issued_at: Timestamp,
    },
    /// Without.
    Failed {
        /// What the provider said, or did not.
        error: FlowError,
        /// What that means.
        verdict: Verdict,
    },
}

impl GrantRefresh {
    /// What it says about the other mailboxes of the app, for the app's circuit breaker.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Fresh { .. } => Outcome::Good,
            Self::Failed { error, verdict } => outcome(error, verdict.step, &verdict.diagnosis),
        }
    }
}

/// Refreshes a grant. `None`: the credential that the app was given lately is refused and the one before is in use again,
/// so that the same is to be requested with that; it says nothing about other mailboxes.
///
/// # Errors
/// What the slot's writes fail with. After an error before the request nothing was sent; after one behind it the mark
/// stands, and the next refresh knows that an answer may be lost.
pub async fn refresh_grant(
    slot: &mut impl GrantSlot,
    grant: Grant,
    request: RefreshRequest<'_>,
) -> Result<Option<GrantRefresh>, StoreError> {
    let RefreshRequest { store, app, client, failures, signed_in_at, address } = request;
    let [marked_point, answered_point, stored_point] = slot.points();
    let (mut marked, in_doubt) = before_refresh(grant, clock::now());
    slot.write(&marked, false).await?;
    crate::faults::point(marked_point, slot.mailbox());
    let issued_at = clock::now();
    let answer = match (client, &marked.secret) {
        (Ok(client), GrantSecret::Refresh { refresh_token }) => {
            let refresh_token = refresh_token.clone();
            refresh_as_granted(client, app, &refresh_token, &mut marked).await
        }
        (Ok(_), GrantSecret::Password { .. }) => Err(FlowError::Endpoint(String::from(NO_REFRESH_TOKEN))),
        (Err(error), _) => Err(error),
    };
    match answer {
        Ok(answer) => {
            crate::faults::point(answered_point, slot.mailbox());
            let mut grant = with_answer(marked, &answer, issued_at);
            grant.app = Some(app.app.id.clone());
            grant.registration = Some(Registration::of(&app.app));
            keep_token(async || slot.write(&grant, true).await).await?;
            crate::faults::point(stored_point, slot.mailbox());
            credential_trial::conclude(store, app, grant.send_client_secret, Ok(())).await;
            Ok(Some(GrantRefresh::Fresh { grant, answer, issued_at }))
        }
        Err(error) => {
            let error = error.at_refresh();
            let around = Circumstances {
                in_doubt,
                deserves_another_try: deserves_another_try(&marked),
                failures: failures.saturating_add(1),
                signed_in_at,
                now: clock::now(),
                jitter: rand::random::<f64>(),
                facts: Facts { address, ..Facts::of_app(&app.app) },
            };
            let verdict = after_failure(&error, &around);
            slot.write(&with_failure(marked, &error, &verdict, around.now), false).await?;
            let is_rolled_back = credential_trial::conclude(store, app, true, Err(&error)).await;
            Ok((!is_rolled_back).then_some(GrantRefresh::Failed { error, verdict }))
        }
    }
}

const NO_REFRESH_TOKEN: &str = "there is no refresh token to refresh with";

/// Whether the secret goes along is what the grant says; what the provider demands instead is tried once, and kept if
/// it works. Where a scope that is wanted by now was never consented to, what was granted is renewed without it. What is
/// sent a second time was refused, and not used up.
async fn refresh_as_granted(
    client: &OauthClient,
    app: &AppCredentials,
    refresh_token: &Secret,
    marked: &mut Grant,
) -> Result<TokenAnswer, FlowError> {
    let wanted = &client.endpoints().scopes;
    let mut send_secret = marked.send_client_secret;
    let mut answer = client.refresh(refresh_token, wanted, send_secret).await;
    if answer.as_ref().is_err_and(FlowError::wants_secret_the_other_way) && app.is_confidential() {
        send_secret = !send_secret;
        answer = client.refresh(refresh_token, wanted, send_secret).await;
    }
    let granted = within_grant(wanted, &marked.scopes);
    if answer.as_ref().is_err_and(FlowError::lacks_consent) && granted.len() < wanted.len() {
        answer = client.refresh(refresh_token, &granted, send_secret).await;
    }
    if answer.is_ok() && send_secret != marked.send_client_secret {
        *marked = with_secret_inverted(marked.clone());
    }
    answer
}
