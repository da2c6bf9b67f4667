//! Whose tokens they are: by the identity token, and where that names nobody by the userinfo
//! endpoint.

use super::provider::Provider;
use crate::clock;
use crate::domain::Secret;
use crate::token::identity::{self, Claims, IdentityError};
use crate::token::{FlowError, TokenAnswer};

/// Why it is not known whose tokens they are.
pub(super) enum Unknown {
    /// The identity token is not valid.
    Token(IdentityError),
    /// The userinfo endpoint does not answer.
    Userinfo(FlowError),
}

/// Whose tokens they are; `None`: no identity token came. `nonce` is what it must hold, where one was sent.
pub(super) async fn account_from_answer(
    provider: &Provider,
    answer: &TokenAnswer,
    nonce: Option<&Secret>,
) -> Result<Option<Claims>, Unknown> {
    let Some(id_token) = answer.id_token.as_deref() else { return Ok(None) };
    let claims = identity::parse(id_token).map_err(Unknown::Token)?;
    let endpoints = provider.client.endpoints();
    let checked =
        claims.check(&provider.app.app.client_id, &endpoints.issuer, nonce.map(Secret::expose), clock::now());
    checked.map_err(Unknown::Token)?;
    if !claims.names.is_empty() || endpoints.userinfo.is_none() {
        return Ok(Some(claims));
    }
    let said = provider.client.userinfo(&answer.access_token).await.map_err(Unknown::Userinfo)?;
    Ok(Some(claims.with_userinfo(&said)))
}

/// The same for a refresh, whose answer may come without an identity token (OpenID Connect Core §12.2). `None`: the
/// provider does not say.
pub(super) async fn account_from_refresh(
    provider: &Provider,
    answer: &TokenAnswer,
) -> Result<Option<Claims>, Unknown> {
    // §12.2: it should not have a nonce, and none was sent
    if let Some(claims) = account_from_answer(provider, answer, None).await? {
        return Ok(Some(claims));
    }
    if provider.client.endpoints().userinfo.is_none() {
        return Ok(None);
    }
    let said = provider.client.userinfo(&answer.access_token).await.map_err(Unknown::Userinfo)?;
    Ok(Claims::of_userinfo(&said))
}
