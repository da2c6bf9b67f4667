//! An OAuth client registration.

use super::credential::{ClientCertificate, Credential, ServiceAccount};
use super::{AppId, Secret, Timestamp};
use serde::{Deserialize, Serialize};

/// Whose identity platform an app is registered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKind {
    /// Microsoft Entra ID, work and school accounts.
    Office365,
    /// Entra ID of the US Government's cloud.
    Office365Us,
    /// Entra ID in China, operated by 21Vianet.
    Office365Cn,
    /// Microsoft's personal accounts: Outlook.com, Hotmail.
    Outlook,
    /// Google.
    Google,
    /// Yahoo.
    Yahoo,
    /// Fastmail.
    Fastmail,
    /// Any OpenID provider, by its issuer URL in [`App::authority`].
    Oidc,
}

impl ProviderKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Office365,
        Self::Office365Us,
        Self::Office365Cn,
        Self::Outlook,
        Self::Google,
        Self::Yahoo,
        Self::Fastmail,
        Self::Oidc,
    ];

    /// Whether its users sign in at an Entra ID.
    #[must_use]
    pub fn is_entra(self) -> bool {
        match self {
            Self::Office365 | Self::Office365Us | Self::Office365Cn | Self::Outlook => true,
            Self::Google | Self::Yahoo | Self::Fastmail | Self::Oidc => false,
        }
    }

    /// Whether an administrator of a tenant may have to consent before its users can.
    #[must_use]
    pub fn has_tenants(self) -> bool {
        self.is_entra() && self != Self::Outlook
    }

    /// Its name, as in JSON and in `config/providers.toml`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Office365 => "office365",
            Self::Office365Us => "office365_us",
            Self::Office365Cn => "office365_cn",
            Self::Outlook => "outlook",
            Self::Google => "google",
            Self::Yahoo => "yahoo",
            Self::Fastmail => "fastmail",
            Self::Oidc => "oidc",
        }
    }
}

/// An app as it is stored. The secret is sealed apart from it and never in here when shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    /// Its id.
    pub id: AppId,
    /// Whose platform it is registered with.
    pub provider: ProviderKind,
    /// Tenant id or a verified domain; only Entra ID has tenants.
    pub tenant: Option<String>,
    /// The application (client) id.
    pub client_id: String,
    /// Replaces the provider's base URL (other clouds, tests); for `oidc` the issuer URL.
    pub authority: Option<String>,
    /// Scopes to ask for, instead of the provider's own.
    pub scopes: Option<Vec<String>>,
    /// Domains whose mailboxes use this app without naming it.
    #[serde(default)]
    pub domains: Vec<String>,
    /// When the client secret or certificate ends; `None` is unknown.
    pub secret_expires_at: Option<Timestamp>,
}

/// Which registration at which authorization server an app is, whatever it proves itself with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// `None`: kept before it was part of this, and nobody's.
    #[serde(default)]
    provider: Option<ProviderKind>,
    authority: Option<String>,
    tenant: Option<String>,
    client_id: String,
}

impl Registration {
    /// That of an app.
    #[must_use]
    pub fn of(app: &App) -> Self {
        let App { provider, authority, tenant, client_id, .. } = app.clone();
        let authority = authority.map(|url| url.trim_end_matches('/').to_owned());
        Self { provider: Some(provider), authority, tenant, client_id }
    }

    /// Whether both are one client of one authorization server: no other one may send what was issued to it
    /// (RFC 6749 §10.4). A tenant has several names.
    #[must_use]
    pub fn is_same_client(&self, other: &Self) -> bool {
        Self { tenant: None, ..self.clone() } == Self { tenant: None, ..other.clone() }
    }
}

impl std::fmt::Display for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let server = self.authority.as_deref().or(self.provider.map(ProviderKind::name)).unwrap_or_default();
        write!(f, "client id {} at {server}", self.client_id)
    }
}

/// An app with its secret, certificate or key, as the token flows need it.
#[derive(Clone, Debug)]
pub struct AppCredentials {
    /// The registration.
    pub app: App,
    /// The client secret, if the registration has one.
    pub client_secret: Option<Secret>,
    /// The certificate, if it proves itself by one instead.
    pub certificate: Option<ClientCertificate>,
    /// The service account's key, if it is a Google service account.
    pub service_account: Option<ServiceAccount>,
}

impl AppCredentials {
    /// What the app proves itself with.
    #[must_use]
    pub fn credential(&self) -> Credential {
        Credential {
            client_secret: self.client_secret.clone(),
            certificate: self.certificate.clone(),
            service_account: self.service_account.clone(),
            expires_at: self.app.secret_expires_at,
        }
    }

    /// Whether it proves itself at all: by a secret or a certificate.
    #[must_use]
    pub fn is_confidential(&self) -> bool {
        self.client_secret.is_some() || self.certificate.is_some()
    }

    /// The same app with another credential.
    #[must_use]
    pub fn with_credential(mut self, credential: Credential) -> Self {
        self.client_secret = credential.client_secret;
        self.certificate = credential.certificate;
        self.service_account = credential.service_account;
        self.app.secret_expires_at = credential.expires_at;
        self
    }

    /// Whether both are one registration at one provider, whatever it proves itself with.
    #[must_use]
    pub fn is_same_registration(&self, other: &Self) -> bool {
        Registration::of(&self.app) == Registration::of(&other.app)
    }
}

#[cfg(test)]
impl App {
    /// One of Office 365 without all that can be left out, for tests to change.
    pub(crate) fn plain(id: &str) -> Self {
        Self {
            id: AppId::new(id).unwrap(),
            provider: ProviderKind::Office365,
            tenant: None,
            client_id: String::from("c"),
            authority: None,
            scopes: None,
            domains: Vec::new(),
            secret_expires_at: None,
        }
    }

    /// The app with this client secret, for tests.
    pub(crate) fn with_secret(self, client_secret: Option<&str>) -> AppCredentials {
        let client_secret = client_secret.map(Secret::new);
        AppCredentials { app: self, client_secret, certificate: None, service_account: None }
    }
}
