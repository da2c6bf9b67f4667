//! Tokens that came with a sign-in, whichever way: the account is compared with the mailbox, the new grant is durable
//! as a candidate before anything else is done with it, is tried, and only then replaces the old one.

use super::account::{Unknown, account_from_answer};
use super::app_proofs::note_sign_in;
use super::candidate::try_out;
use super::context::Context;
use super::provider::{Provider, address_only};
use super::record::{keep_claims, store_candidate};
use super::result::SignInResult;
use crate::clock;
use crate::diagnosis::{Facts, catalogue as c, describe};
use crate::domain::app::Registration;
use crate::domain::{Diagnosis, Grant, GrantSecret, GrantWay, ProviderKind, Secret};
use crate::problem::Problem;
use crate::store::{Attempt, Row, SignIn, StoredMailbox};
use crate::token::identity::{Identity, IdentityError};
use crate::token::{FlowError, TokenAnswer};
use crate::token::{credential_trial, scopes};

/// Redeems a code that came back from the provider.
pub(super) async fn redeem_code(
    context: &Context,
    row: &mut Row<SignIn>,
    attempt: &Attempt,
    stored: &StoredMailbox,
    code: Secret,
    issuer: Option<&str>,
) -> Result<SignInResult, Problem> {
    let provider = match Provider::of(context, &row.value, stored).await? {
        Ok(provider) => provider,
        Err(error) => return Ok(SignInResult::diagnosed(error.diagnosis(&address_only(stored)))),
    };
    // RFC 9207: an answer that another provider was made to give
    let expected = &provider.client.endpoints().issuer;
    if issuer.is_some_and(|issuer| !expected.contains('{') && issuer != expected) {
        let why = "it names another issuer";
        return Ok(SignInResult::unusable(stored, Some(why)));
    }
    // a code is used up by its request: SIGTERM waits for what came of it
    let _answer_is_waited_for = context.in_flight.read().await;
    let native = provider.client.endpoints().native_redirect.as_deref();
    let way = if native == Some(&attempt.redirect_uri) { GrantWay::Native } else { GrantWay::Redirect };
    let (provider, exchanged, send_client_secret) =
        exchange_code(context, provider, attempt, &code, way).await?;
    let answer = match exchanged {
        Ok(answer) => answer,
        Err(error) => {
            keep_claims(&mut row.value, error.claims());
            let facts = Facts { detail: &attempt.redirect_uri, ..provider.facts(stored) };
            return Ok(SignInResult::diagnosed(error.diagnosis(&facts)));
        }
    };
    let received = Received { answer, way, send_client_secret, nonce: Some(attempt.nonce.clone()) };
    try_tokens(context, row, stored, &provider, received).await
}

/// [`exchange`], and what its answer means for a credential on trial. The provider as it is from then on, the answer,
/// and whether the secret went along.
pub(super) async fn exchange_code(
    context: &Context,
    provider: Provider,
    attempt: &Attempt,
    code: &Secret,
    way: GrantWay,
) -> Result<(Provider, Result<TokenAnswer, FlowError>, bool), Problem> {
    let (exchanged, sent) = exchange(&provider, attempt, code, way).await;
    let answer = exchanged.as_ref().map(|_| ());
    // a new secret was refused, which uses no code up: the one before is in use again
    if credential_trial::conclude(&context.store, &provider.app, sent, answer).await
        && let Some(app) = context.store.app(&provider.app.app.id)?
        && Registration::of(&app.value.app).is_same_client(&Registration::of(&provider.app.app))
        && let Ok(again) = provider.anew(context, &app.value).await
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
        Err(error) if error.wants_secret_the_other_way() && provider.app.is_confidential() => {
            (try_with(!first).await, !first)
        }
        other => (other, first),
    }
}

/// Tokens, and the way they came by.
pub(super) struct Received {
    pub(super) answer: TokenAnswer,
    pub(super) way: GrantWay,
    pub(super) send_client_secret: bool,
    /// What the identity token must hold; a device code has none.
    pub(super) nonce: Option<Secret>,
}

/// Compares who signed in with the mailbox, and tries the grant.
pub(super) async fn try_tokens(
    context: &Context,
    row: &mut Row<SignIn>,
    stored: &StoredMailbox,
    provider: &Provider,
    received: Received,
) -> Result<SignInResult, Problem> {
    let Received { answer, way, send_client_secret, nonce } = received;
    let now = clock::now();
    let claims = match account_from_answer(provider, &answer, nonce.as_ref()).await {
        Ok(Some(claims)) => claims,
        Ok(None) | Err(Unknown::Token(IdentityError::Unreadable)) => {
            return Ok(SignInResult::unusable(stored, Some("it does not say who signed in")));
        }
        Err(Unknown::Token(error)) => return Ok(SignInResult::unusable(stored, Some(&error.to_string()))),
        Err(Unknown::Userinfo(error)) => {
            return Ok(SignInResult::diagnosed(error.diagnosis(&provider.facts(stored))));
        }
    };
    let who = claims.signed_in_as();
    row.value.signed_in_as = Some(who.clone());
    let Some(refresh_token) = answer.refresh_token.clone() else {
        return Ok(SignInResult::unusable(stored, Some("it holds no refresh token")));
    };
    let grant = Grant {
        send_client_secret,
        signed_in_as: Some(who.clone()),
        scopes: answer.scopes.clone(),
        access_token_expires_at: Some(now.plus(answer.expires_in)),
        app: Some(provider.app.app.id.clone()),
        registration: Some(Registration::of(&provider.app.app)),
        ..Grant::new(way, GrantSecret::Refresh { refresh_token }, now)
    };
    let old = context.store.grant(stored.incarnation)?;
    // a subject may be another one for each client (OpenID Connect Core §8.1)
    let is_moved = row.value.app.is_some() && provider.app.app.provider == ProviderKind::Oidc;
    let old = old.filter(|_| !is_moved);
    let pinned = old.as_ref().and_then(|row| row.value.signed_in_as.as_ref());
    let identity = claims.identify(&stored.mailbox, pinned, provider.app.app.tenant.as_deref());
    if identity != Identity::Match {
        if identity == Identity::SameTenantOther {
            store_candidate(row, grant, now);
        }
        return Ok(SignInResult::wrong_account(stored, &who.name));
    }
    // a grant that is not whole is not kept, as a stranger's is not: the old one, if there is one, stays in use
    if let Some(found) = left_out(provider, stored, &grant) {
        return Ok(SignInResult::diagnosed(found));
    }
    // the refresh token first
    let tried = try_out(context, row, stored, grant, answer.access_token.clone()).await?;
    if way == GrantWay::Redirect {
        note_sign_in(context, provider, &answer).await;
    }
    Ok(match tried {
        Ok(()) => SignInResult::done(),
        Err(diagnosis) => SignInResult::diagnosed(diagnosis),
    })
}

/// A diagnosis if the user left out a permission that the mailbox needs: some providers offer a box for each. Who answers
/// in other words than it was asked is not judged by them; opening the mailbox is.
fn left_out(provider: &Provider, stored: &StoredMailbox, grant: &Grant) -> Option<Diagnosis> {
    let kind = provider.app.app.provider;
    if !(kind.is_entra() || kind == ProviderKind::Google) {
        return None;
    }
    let missing = scopes::missing(&provider.client.endpoints().scopes, &grant.scopes);
    if missing.is_empty() {
        return None;
    }
    let missing = missing.join(" ");
    let facts = Facts { detail: &missing, ..provider.facts(stored) };
    let evidence = format!("granted: {}", grant.scopes.join(" "));
    Some(describe(&c::CONSENT_INCOMPLETE, &facts, Some(&evidence)))
}
