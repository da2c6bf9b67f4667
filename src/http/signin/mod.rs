//! The user's way in: a personal link, a page with one button, the provider, and back. A GET changes nothing, so
//! that a mail scanner cannot use a link up.

mod callback;
mod candidate;
mod page;
mod visit;

pub(super) use candidate::{keep_house, left_behind};

use super::Shared;
use super::server::{get, only};
use crate::store::{Row, SignIn, StoreError};
use actix_web::web::{self, ServiceConfig};

/// The addresses under `/sign-in`.
pub(super) fn routes(config: &mut ServiceConfig) {
    let post = web::post().to(visit::start);
    config
        .service(only(web::resource("/sign-in/callback"), "GET").route(web::get().to(callback::come_back)))
        .service(
            only(web::resource("/sign-in/{token}"), "GET, HEAD, POST")
                .route(get().to(visit::show))
                .route(post),
        );
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

    /// The personal link.
    pub(super) fn link(&self, sign_in: &SignIn) -> String {
        format!("{}/sign-in/{}", self.public_url, sign_in.link_token.expose())
    }
}
