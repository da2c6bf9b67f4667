//! What a diagnosis is about: whatever its texts name. Pure.

use crate::config::Provider;
use crate::domain::{App, KeptFacts};

/// What is filled into the catalogue's texts. An empty fact is not known; the sentence goes without it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// The mailbox's address.
    pub address: &'a str,
    /// The server spoken to.
    pub host: &'a str,
    /// Its port.
    pub port: Option<u16>,
    /// Tenant id or domain.
    pub tenant: &'a str,
    /// Where Entra ID's pages of the app's cloud are.
    pub login: &'a str,
    /// The app's client id.
    pub client_id: &'a str,
    /// Whatever a single entry speaks of: another account, an issuer, a limit.
    pub detail: &'a str,
}

impl<'a> Facts<'a> {
    /// What an app says of itself.
    #[must_use]
    pub fn of_app(app: &'a App) -> Self {
        let tenant = app.tenant.as_deref().unwrap_or_default();
        let preset = Provider::of_kind(app.provider).and_then(|provider| provider.oauth.as_ref());
        let login = app.authority.as_deref().or(preset.and_then(|preset| preset.authority.as_deref()));
        let login = login.unwrap_or_default().trim_end_matches('/');
        Self { tenant, login, client_id: &app.client_id, ..Self::default() }
    }

    /// Those that a diagnosis was made with.
    pub(super) fn kept(kept: Option<&'a KeptFacts>) -> Self {
        kept.map_or_else(Self::default, |kept| Self {
            address: &kept.address,
            host: &kept.host,
            port: kept.port,
            tenant: &kept.tenant,
            login: &kept.login,
            client_id: &kept.client_id,
            detail: &kept.detail,
        })
    }

    pub(super) fn keep(&self) -> KeptFacts {
        KeptFacts {
            address: String::from(self.address),
            host: String::from(self.host),
            port: self.port,
            tenant: String::from(self.tenant),
            login: String::from(self.login),
            client_id: String::from(self.client_id),
            detail: String::from(self.detail),
        }
    }
}
