//! Writing a sign-in's row, over the one that was read.

use super::context::Context;
use super::result::SignInResult;
use crate::clock;
use crate::domain::{Diagnosis, Grant, GrantWay, Timestamp};
use crate::store::{Row, SignIn, SignInState, StoreError, keep_token};
use std::time::Duration;

/// How long an administrator may accept somebody else's grant.
const ACCEPTABLE: Duration = Duration::from_secs(24 * 3600);

/// Writes a sign-in over the one that was read.
pub(super) async fn put(context: &Context, row: &mut Row<SignIn>) -> Result<(), StoreError> {
    context.store.put_sign_in(&row.value, row.generation).await?;
    row.generation = row.generation.saturating_add(1);
    context.sign_in_changed();
    Ok(())
}

/// The same with a refresh token that was just received, the only copy there is: a full disk is waited out.
pub(super) async fn put_answer(context: &Context, row: &mut Row<SignIn>) -> Result<(), StoreError> {
    keep_token(async || put(context, row).await).await
}

/// Ends an attempt without a grant.
pub(super) async fn end(
    context: &Context,
    row: &mut Row<SignIn>,
    state: SignInState,
    diagnosis: Option<Diagnosis>,
) -> Result<(), StoreError> {
    row.value.state = state;
    row.value.diagnosis =
        diagnosis.map(|found| Diagnosis { since: found.since.or(Some(clock::now())), ..found });
    if row.value.accept_until.is_none() {
        row.value.candidate = None;
    }
    put(context, row).await
}

/// Keeps what the provider demands of the next visit, until it demands something else.
pub(super) fn keep_claims(sign_in: &mut SignIn, demanded: Option<&str>) {
    if let Some(demanded) = demanded {
        sign_in.claims = Some(String::from(demanded));
    }
}

/// Writes down how a sign-in ended, where that was not done with its grant.
pub(super) async fn close(
    context: &Context,
    row: &mut Row<SignIn>,
    result: &SignInResult,
) -> Result<(), StoreError> {
    if result.state == SignInState::Done {
        return Ok(());
    }
    end(context, row, result.state, result.diagnosis.clone()).await
}

/// Keeps the grant of somebody else of the same tenant as a candidate, sealed and unused, for an administrator to
/// accept.
pub(super) fn store_candidate(row: &mut Row<SignIn>, grant: Grant, now: Timestamp) {
    row.value.candidate = Some(grant);
    row.value.accept_until = Some(now.plus(ACCEPTABLE));
}

/// Whether a user signed in since a token of another system was imported: that grant is newer.
pub(super) fn is_superseded(context: &Context, sign_in: &SignIn) -> Result<bool, StoreError> {
    let grant = context.store.grant(sign_in.incarnation)?;
    Ok(is_superseded_by(sign_in, grant.as_ref().map(|row| &row.value)))
}

/// The same of a grant that was read.
pub(super) fn is_superseded_by(sign_in: &SignIn, grant: Option<&Grant>) -> bool {
    let imported_at = Timestamp(i64::try_from(sign_in.id.0.timestamp_ms()).unwrap_or(i64::MAX));
    grant.is_some_and(|grant| grant.way != GrantWay::Imported && grant.signed_in_at > imported_at)
}
