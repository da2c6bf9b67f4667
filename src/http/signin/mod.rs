//! The user's way in: a personal link, a page with one button, the provider, and back. A GET changes nothing, so
//! that a mail scanner cannot use a link up.

mod callback;
mod candidate;
mod device;
mod outcome;
mod owner;
mod page;
mod paste;
mod redeem;
mod visit;

pub(super) use candidate::{accept, keep_house, left_behind};
pub(super) use paste::accept as accept_pasted;

use super::Shared;
use super::auth::random_text;
use super::server::{get, only};
use crate::clock;
use crate::domain::{GrantWay, Secret, SignInId};
use crate::store::{Row, SignIn, SignInState, StoreError, StoredMailbox};
use actix_web::web::{self, ServiceConfig};
use std::time::Duration;

/// How long a link can be used.
const LINK_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// The addresses under `/sign-in`.
pub(super) fn routes(config: &mut ServiceConfig) {
    let post = web::post().to(visit::start);
    config
        .service(only(web::resource("/sign-in/callback"), "GET").route(web::get().to(callback::come_back)))
        .service(
            only(web::resource("/sign-in/{token}"), "GET, HEAD, POST")
                .route(get().to(visit::show))
                .route(post),
        )
        .service(only(web::resource("/sign-in/{token}/paste"), "POST").route(web::post().to(paste::pasted)))
        .service(
            only(web::resource("/sign-in/{token}/for/{mailbox}"), "POST").route(web::post().to(owner::start)),
        );
}

/// A new sign-in, to be stored.
pub(super) fn begin(
    stored: &StoredMailbox,
    return_to: Option<String>,
    language: Option<String>,
    ways: Vec<GrantWay>,
) -> Result<SignIn, StoreError> {
    let id = SignInId::generate();
    Ok(SignIn {
        id,
        mailbox: stored.mailbox.id.clone(),
        incarnation: stored.incarnation,
        link_token: with_id(id)?,
        attempt: None,
        state: SignInState::Waiting,
        return_to,
        expires_at: clock::now().plus(LINK_LIFE),
        signed_in_as: None,
        diagnosis: None,
        language,
        candidate: None,
        ways,
        device: None,
        accept_until: None,
    })
}

/// A random text that tells which sign-in it belongs to.
fn with_id(id: SignInId) -> Result<Secret, StoreError> {
    Ok(Secret::new(format!("{id}.{}", random_text()?.expose())))
}

impl Shared {
    /// The sign-in that a text made by `with_id` belongs to; the caller still compares the whole text.
    pub(super) fn sign_in_of(&self, text: &str) -> Result<Option<Row<SignIn>>, StoreError> {
        let Some(id) = text.split_once('.').and_then(|(id, _)| id.parse().ok()) else { return Ok(None) };
        self.store.sign_in(id)
    }

    /// The redirect URI that the app's registration names.
    pub(super) fn callback_uri(&self) -> String {
        format!("{}/sign-in/callback", self.public_url)
    }

    /// Whether providers take our redirect: to https, or to this machine.
    pub(super) fn redirects_work(&self) -> bool {
        url::Url::parse(&self.public_url).is_ok_and(|url| {
            let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
            let is_loopback = host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
            url.scheme() == "https" || host == "localhost" || is_loopback
        })
    }

    /// The personal link.
    pub(super) fn link(&self, sign_in: &SignIn) -> String {
        format!("{}/sign-in/{}", self.public_url, sign_in.link_token.expose())
    }
}
