//! The browser in which a visit to the provider began is the one in which it ends: it is given a cookie then. Else
//! whoever opens a link to the callback could finish somebody else's sign-in (OAuth 2.0 Security BCP, RFC 9700 §4.7).

use super::super::Shared;
use crate::clock;
use crate::domain::digest::{digest, same_text};
use crate::domain::ids::SignInId;
use crate::store::{Attempt, SignIn, StoreError, random_text};
use actix_web::HttpRequest;
use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};

/// The cookie of a sign-in, and the digest by which it is recognized.
pub(super) fn mark(shared: &Shared, sign_in: &SignIn) -> Result<(Cookie<'static>, String), StoreError> {
    let secret = random_text()?;
    let left = sign_in.expires_at.since(clock::now());
    let known_by = digest(secret.expose());
    let cookie = Cookie::build(name(shared, sign_in.id), String::from(secret.expose()))
        .path("/")
        // as long as the link
        .max_age(left.try_into().unwrap_or(Duration::MAX))
        .http_only(true)
        // the provider's redirect back to us is a navigation from another site
        .same_site(SameSite::Lax)
        .secure(is_secure(shared))
        .finish();
    Ok((cookie, known_by))
}

/// Whether a request comes from the browser in which this visit began. Visits that end by a pasted address, and those
/// of versions without this check, have no mark.
pub(super) fn is_same(shared: &Shared, request: &HttpRequest, sign_in: SignInId, attempt: &Attempt) -> bool {
    let Some(known_by) = &attempt.browser else { return true };
    request.cookie(&name(shared, sign_in)).is_some_and(|cookie| same_text(&digest(cookie.value()), known_by))
}

/// Browsers take `__Host-` for a promise that nobody else set it, and over TLS alone (RFC 6265bis §4.1.3.2).
fn name(shared: &Shared, sign_in: SignInId) -> String {
    let prefix = if is_secure(shared) { "__Host-" } else { "" };
    format!("{prefix}stafette-{sign_in}")
}

fn is_secure(shared: &Shared) -> bool {
    shared.signin.public_url.starts_with("https:")
}
