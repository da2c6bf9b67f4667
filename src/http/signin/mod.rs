//! The user's way in: a personal link, a page with one button, the provider, and back. A GET changes nothing, so
//! that a mail scanner cannot use a link up.

mod account;
mod app_page;
mod app_visit;
mod board;
mod browser;
mod callback;
mod candidate;
mod device;
mod outcome;
mod owner;
mod page;
mod paste;
mod redeem;
mod take_over;
mod trial;
mod visit;

pub(super) use app_visit::{begin_trial, consent_state};
pub(super) use candidate::{accept, go_on_with, keep_house, left_behind};
pub(super) use paste::accept as accept_pasted;
pub(super) use take_over::{Trials, resume as resume_trials, run as take_over, try_again};

use super::Shared;
use super::server::{get, only};
use crate::config::Provider;
use crate::domain::{App, GrantWay};
use crate::store::{Row, SignIn, StoreError, StoredMailbox};
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
        )
        .service(only(web::resource("/sign-in/{token}/paste"), "POST").route(web::post().to(paste::pasted)))
        .service(
            only(web::resource("/sign-in/{token}/for/{mailbox}"), "POST").route(web::post().to(owner::start)),
        );
}

impl Shared {
    /// The sign-in that a text made by `with_id` belongs to; the caller still compares the whole text.
    pub(super) fn sign_in_of(&self, text: &str) -> Result<Option<Row<SignIn>>, StoreError> {
        let Some(id) = text.split_once('.').and_then(|(id, _)| id.parse().ok()) else { return Ok(None) };
        self.store.sign_in(id)
    }

    /// Whether a sign-in would move a mailbox that is not on its way there any more.
    fn is_withdrawn(&self, sign_in: &SignIn, stored: &StoredMailbox) -> Result<bool, StoreError> {
        let Some(to) = &sign_in.app else { return Ok(false) };
        Ok(self.store.move_of(stored)?.is_none_or(|moving| moving.to != *to))
    }

    /// The redirect URI that the app's registration names.
    pub(super) fn callback_uri(&self) -> String {
        format!("{}/sign-in/callback", self.public_url)
    }

    /// The ways that a sign-in offers: its own, else those that work for this installation.
    fn ways_of(&self, sign_in: &SignIn, stored: &StoredMailbox) -> Result<Vec<GrantWay>, StoreError> {
        if !sign_in.ways.is_empty() {
            return Ok(sign_in.ways.clone());
        }
        let app = sign_in.app_for(&stored.mailbox);
        let app = app.map(|app| self.store.app(app)).transpose()?.flatten();
        Ok(app.map_or_else(Vec::new, |row| self.usual_ways(&row.value.app)))
    }

    /// The ways that work for this installation.
    pub(super) fn usual_ways(&self, app: &App) -> Vec<GrantWay> {
        let preset = Provider::of_kind(app.provider).and_then(|provider| provider.oauth.as_ref());
        let native = preset.is_some_and(|preset| preset.native_redirect.is_some());
        let codes = preset.is_some_and(|preset| preset.device_code);
        let others = [(native, GrantWay::Native), (codes, GrantWay::Device)];
        let others: Vec<_> = others.into_iter().filter_map(|(has, way)| has.then_some(way)).collect();
        // providers take redirects to https and to loopback only
        if self.redirects_work() || others.is_empty() { vec![GrantWay::Redirect] } else { others }
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
