//! A visit to the provider that a personal link begins: which link can be used, and what the visit remembers.

use super::context::Context;
use super::provider::Provider;
use super::record::put;
use crate::clock;
use crate::domain::Grant;
use crate::domain::digest::same_text;
use crate::problem::Problem;
use crate::store::{Attempt, Row, SignIn, SignInState, StoreError, StoredMailbox, random_text, with_id};
use crate::token::{AuthorizeRequest, FlowError};

/// The sign-in that a text made by `with_id` belongs to; the caller still compares the whole text.
pub(super) fn sign_in_of(context: &Context, text: &str) -> Result<Option<Row<SignIn>>, StoreError> {
    let Some(id) = text.split_once('.').and_then(|(id, _)| id.parse().ok()) else { return Ok(None) };
    context.store.sign_in(id)
}

/// Whether a sign-in would move a mailbox whose move was withdrawn.
pub(super) fn is_withdrawn(
    context: &Context,
    sign_in: &SignIn,
    stored: &StoredMailbox,
) -> Result<bool, StoreError> {
    let Some(to) = &sign_in.app else { return Ok(false) };
    Ok(context.store.move_of(stored)?.is_none_or(|moving| moving.to != *to))
}

/// Begins a visit to the provider that comes back at `redirect_uri`: its address.
pub(crate) async fn begin(
    context: &Context,
    row: &mut Row<SignIn>,
    stored: &StoredMailbox,
    redirect_uri: String,
    browser: Option<String>,
) -> Result<Result<String, FlowError>, Problem> {
    let provider = match Provider::of(context, &row.value, stored).await? {
        Ok(provider) => provider,
        Err(error) => return Ok(Err(error)),
    };
    let attempt = Attempt {
        state: with_id(row.value.id)?,
        verifier: random_text()?,
        nonce: random_text()?,
        redirect_uri,
        app: Some(provider.app.app.id.clone()),
        browser,
    };
    // demanded of this visit by the refusal of an earlier one, or of a refresh
    let demanded = match row.value.claims.clone() {
        Some(claims) => Some(claims),
        None => {
            let grant = context.store.grant(stored.incarnation)?.map(|row| row.value);
            // a demand is of the provider that refused
            let is_same = |grant: &Grant| grant.app.as_ref() == Some(&provider.app.app.id);
            grant.filter(is_same).and_then(|grant| grant.claims)
        }
    };
    let location = match authorize_url(&provider, &attempt, stored, demanded.as_deref()) {
        Ok(location) => location,
        Err(error) => return Ok(Err(error)),
    };
    fresh(&mut row.value);
    row.value.attempt = Some(attempt);
    put(context, row).await?;
    Ok(Ok(location))
}

/// Where the provider's native redirect leads, if it has one.
pub(crate) async fn native_redirect(
    context: &Context,
    row: &Row<SignIn>,
    stored: &StoredMailbox,
) -> Result<Result<Option<String>, FlowError>, Problem> {
    let provider = Provider::of(context, &row.value, stored).await?;
    Ok(provider.map(|provider| provider.client.endpoints().native_redirect.clone()))
}

/// A new visit takes the place of whatever an earlier one came to.
pub(super) fn fresh(sign_in: &mut SignIn) {
    sign_in.state = SignInState::Opened;
    sign_in.attempt = None;
    sign_in.device = None;
    sign_in.candidate = None;
    sign_in.accept_until = None;
    sign_in.diagnosis = None;
}

fn authorize_url(
    provider: &Provider,
    attempt: &Attempt,
    stored: &StoredMailbox,
    claims: Option<&str>,
) -> Result<String, FlowError> {
    let request = AuthorizeRequest {
        redirect_uri: &attempt.redirect_uri,
        state: attempt.state.expose(),
        verifier: &attempt.verifier,
        nonce: attempt.nonce.expose(),
        login_hint: Some(stored.mailbox.login()),
        claims,
    };
    provider.client.authorize_url(&request).map(String::from)
}

/// A link that somebody opened.
pub(crate) struct Opened {
    /// Its sign-in.
    pub(crate) row: Row<SignIn>,
    /// Its mailbox.
    pub(crate) stored: StoredMailbox,
    /// Whether it can still be signed in with; else it shows how that ended.
    pub(crate) is_usable: bool,
}

impl Opened {
    /// Whether its owner may begin to sign in for what is left: a link that did its work still leads there.
    pub(crate) fn leads_on(&self) -> bool {
        let is_done = self.row.value.state == SignInState::Done;
        self.is_usable || (is_done && self.row.value.expires_at > clock::now())
    }
}

/// The sign-in of a link, and whether it can still be used. `None`: there is none, or its mailbox is no more.
pub(crate) fn opened(context: &Context, token: &str) -> Result<Option<Opened>, Problem> {
    let Some(row) = sign_in_of(context, token)? else { return Ok(None) };
    if !same_text(row.value.link_token.expose(), token) {
        return Ok(None);
    }
    let stored = context.store.mailbox(&row.value.mailbox)?;
    let Some(stored) = stored.filter(|stored| stored.incarnation == row.value.incarnation) else {
        return Ok(None);
    };
    let is_usable = row.value.expires_at > clock::now()
        && !row.value.state.is_final()
        && row.value.counts_for(&stored.mailbox, None)
        && !is_withdrawn(context, &row.value, &stored)?;
    Ok(Some(Opened { row, stored, is_usable }))
}

/// The sign-in of a link, if it can still be used, and its mailbox.
pub(crate) fn usable(
    context: &Context,
    token: &str,
) -> Result<Option<(Row<SignIn>, StoredMailbox)>, Problem> {
    let opened = opened(context, token)?.filter(|opened| opened.is_usable);
    Ok(opened.map(|opened| (opened.row, opened.stored)))
}
