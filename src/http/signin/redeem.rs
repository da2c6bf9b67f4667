//! Tokens that came with a sign-in, whichever way: the account is compared with the mailbox, the new grant is durable as
//! a candidate before anything else is done with it, is tried, and only then replaces the old one.

use super::super::Shared;
use super::super::problem::Problem;
use super::account::{self, Unknown};
use super::app_visit::note_sign_in;
use super::candidate::{keep, state_of, try_out};
use super::page::Words;
use crate::clock;
use crate::diagnosis::Facts;
use crate::domain::app::{AppCredentials, Registration};
use crate::domain::{Diagnosis, Grant, GrantSecret, GrantWay, ProviderKind, Secret};
use crate::store::{Attempt, Row, SignIn, SignInState, StoredMailbox};
use crate::token::credential_trial;
use crate::token::identity::{Identity, IdentityError};
use crate::token::{Endpoints, FlowError, OauthClient, TokenAnswer};

/// What became of a sign-in: the state to keep, and what to say.
pub(in crate::http) struct Ending {
    pub(super) state: SignInState,
    pub(super) told: Told,
    pub(super) diagnosis: Option<Diagnosis>,
}

/// What is said on the page.
pub(super) enum Told {
    /// It worked.
    Connected,
    /// Somebody else signed in, by this name; whether an administrator may accept him.
    WrongAccount {
        /// Who.
        name: String,
        /// Of the same tenant.
        acceptable: bool,
    },
    /// A diagnosis says it.
    Diagnosed,
    /// The provider's own words, or why its answer cannot be used.
    Words(String),
    /// A sentence of ours.
    Sentence(Words),
}

const UNUSABLE: Words = Words {
    en: "The provider's answer cannot be used: what was asked for is missing in it. Try again; if it stays, tell \
         whoever sent you the link.",
    de: "Die Antwort des Anbieters ist nicht brauchbar: Es fehlt, worum gebeten wurde. Versuchen Sie es noch einmal; \
         bleibt es dabei, sagen Sie es dem, der Ihnen den Link geschickt hat.",
};

impl Ending {
    pub(super) fn diagnosed(diagnosis: Diagnosis) -> Self {
        Self { state: state_of(&diagnosis), told: Told::Diagnosed, diagnosis: Some(diagnosis) }
    }

    fn in_words(words: &str) -> Self {
        Self { state: SignInState::Declined, told: Told::Words(String::from(words)), diagnosis: None }
    }

    pub(super) fn unusable() -> Self {
        Self { state: SignInState::Declined, told: Told::Sentence(UNUSABLE), diagnosis: None }
    }
}

/// An app, and how to speak to its provider.
pub(super) struct Provider {
    pub(super) app: AppCredentials,
    pub(super) client: OauthClient,
}

impl Provider {
    /// The provider of a sign-in for a mailbox.
    pub(super) async fn of(
        shared: &Shared,
        sign_in: &SignIn,
        stored: &StoredMailbox,
    ) -> Result<Result<Self, FlowError>, Problem> {
        let app = sign_in.app_for(&stored.mailbox);
        let app = app.map(|app| shared.store.app(app)).transpose()?.flatten();
        let Some(app) = app.map(|row| row.value) else {
            return Ok(Err(FlowError::Endpoint(String::from("the mailbox names no app any more"))));
        };
        Ok(Self::of_app(shared, &app).await)
    }

    /// The provider of an app.
    pub(super) async fn of_app(shared: &Shared, app: &AppCredentials) -> Result<Self, FlowError> {
        let endpoints = Endpoints::of(&app.app, &shared.http).await?;
        let client = OauthClient::new(shared.http.clone(), endpoints, app.clone());
        Ok(Self { app: app.clone(), client })
    }

    pub(super) fn facts<'a>(&'a self, stored: &'a StoredMailbox) -> Facts<'a> {
        Facts { address: &stored.mailbox.address, ..Facts::of_app(&self.app.app) }
    }
}

/// Redeems a code that came back from the provider.
pub(super) async fn redeem_code(
    shared: &Shared,
    row: &mut Row<SignIn>,
    attempt: &Attempt,
    stored: &StoredMailbox,
    code: Secret,
    issuer: Option<&str>,
) -> Result<Ending, Problem> {
    let provider = match Provider::of(shared, &row.value, stored).await? {
        Ok(provider) => provider,
        Err(error) => return Ok(Ending::diagnosed(error.diagnosis(&address_only(stored)))),
    };
    // RFC 9207: an answer that another provider was made to give
    let expected = &provider.client.endpoints().issuer;
    if issuer.is_some_and(|issuer| !expected.contains('{') && issuer != expected) {
        return Ok(Ending::unusable());
    }
    // a code is used up by its request: SIGTERM waits for what came of it
    let _answer_is_waited_for = shared.on_their_way.read().await;
    let native = provider.client.endpoints().native_redirect.as_deref();
    let way = if native == Some(&attempt.redirect_uri) { GrantWay::Native } else { GrantWay::Redirect };
    let (provider, exchanged, send_client_secret) =
        exchange_settled(shared, provider, attempt, &code, way).await?;
    let answer = match exchanged {
        Ok(answer) => answer,
        Err(error) => return Ok(Ending::diagnosed(error.diagnosis(&provider.facts(stored)))),
    };
    let came = Came { answer, way, send_client_secret, nonce: Some(attempt.nonce.clone()) };
    judge(shared, row, stored, &provider, came).await
}

/// [`exchange`], and what its answer means for a credential on trial. The provider as it is from then on, the answer, and
/// whether the secret went along.
pub(super) async fn exchange_settled(
    shared: &Shared,
    provider: Provider,
    attempt: &Attempt,
    code: &Secret,
    way: GrantWay,
) -> Result<(Provider, Result<TokenAnswer, FlowError>, bool), Problem> {
    let (exchanged, sent) = exchange(&provider, attempt, code, way).await;
    let answer = exchanged.as_ref().map(|_| ());
    // a new secret was refused, which uses no code up: the one before is in use again
    if credential_trial::settle(&shared.store, &provider.app, sent, answer).await?
        && let Some(app) = shared.store.app(&provider.app.app.id)?
        && Registration::of(&app.value.app).is_same_client(&Registration::of(&provider.app.app))
        && let Ok(again) = Provider::of_app(shared, &app.value).await
    {
        let (exchanged, sent) = exchange(&again, attempt, code, way).await;
        return Ok((again, exchanged, sent));
    }
    Ok((provider, exchanged, sent))
}

/// Sends a code, with the client secret or without; what the provider demands instead is tried once. The answer, and
/// whether the secret went along.
async fn exchange(
    provider: &Provider,
    attempt: &Attempt,
    code: &Secret,
    way: GrantWay,
) -> (Result<TokenAnswer, FlowError>, bool) {
    // a native redirect belongs to a public client, which sends no secret
    let first = way == GrantWay::Redirect && provider.app.is_confidential();
    let try_with = |send| provider.client.exchange_code(code, &attempt.verifier, &attempt.redirect_uri, send);
    match try_with(first).await {
        Err(error) if error.wants_secret_the_other_way() => (try_with(!first).await, !first),
        other => (other, first),
    }
}

/// Tokens, and how they came.
pub(super) struct Came {
    pub(super) answer: TokenAnswer,
    pub(super) way: GrantWay,
    pub(super) send_client_secret: bool,
    /// What the identity token must hold; a device code has none.
    pub(super) nonce: Option<Secret>,
}

/// Compares who signed in with the mailbox, and tries the grant.
pub(super) async fn judge(
    shared: &Shared,
    row: &mut Row<SignIn>,
    stored: &StoredMailbox,
    provider: &Provider,
    came: Came,
) -> Result<Ending, Problem> {
    let Came { answer, way, send_client_secret, nonce } = came;
    let now = clock::now();
    let claims = match account::told(provider, &answer, nonce.as_ref()).await {
        Ok(Some(claims)) => claims,
        Ok(None) | Err(Unknown::Token(IdentityError::Unreadable)) => return Ok(Ending::unusable()),
        Err(Unknown::Token(error)) => return Ok(Ending::in_words(&error.to_string())),
        Err(Unknown::Userinfo(error)) => {
            return Ok(Ending::diagnosed(error.diagnosis(&provider.facts(stored))));
        }
    };
    let who = claims.signed_in_as();
    row.value.signed_in_as = Some(who.clone());
    let Some(refresh_token) = answer.refresh_token.clone() else { return Ok(Ending::unusable()) };
    let grant = Grant {
        send_client_secret,
        signed_in_as: Some(who.clone()),
        scopes: answer.scopes.clone(),
        access_token_expires_at: Some(now.plus(answer.expires_in)),
        app: Some(provider.app.app.id.clone()),
        registration: Some(Registration::of(&provider.app.app)),
        ..Grant::new(way, GrantSecret::Refresh { refresh_token }, now)
    };
    let old = shared.store.grant(stored.incarnation)?;
    // a subject may be another one for each client (OpenID Connect Core §8.1)
    let is_moved = row.value.app.is_some() && provider.app.app.provider == ProviderKind::Oidc;
    let old = old.filter(|_| !is_moved);
    let pinned = old.as_ref().and_then(|row| row.value.signed_in_as.as_ref());
    let identity = claims.identify(&stored.mailbox, pinned, provider.app.app.tenant.as_deref());
    if identity != Identity::Match {
        let acceptable = identity == Identity::SameTenantOther;
        if acceptable {
            keep(row, grant, now);
        }
        let told = Told::WrongAccount { name: who.name, acceptable };
        return Ok(Ending { state: SignInState::WrongAccount, told, diagnosis: None });
    }
    // the refresh token first
    let tried = try_out(shared, row, stored, grant, answer.access_token.clone()).await?;
    if way == GrantWay::Redirect {
        note_sign_in(shared, provider, &answer).await;
    }
    Ok(match tried {
        Ok(()) => Ending { state: SignInState::Done, told: Told::Connected, diagnosis: None },
        Err(diagnosis) => Ending::diagnosed(diagnosis),
    })
}

pub(super) fn address_only(stored: &StoredMailbox) -> Facts<'_> {
    Facts { address: &stored.mailbox.address, ..Facts::default() }
}
