//! What lets us obtain access tokens for a mailbox.

use super::app::Registration;
use super::{App, AppId, Secret, Timestamp};
use serde::{Deserialize, Serialize};

/// How a grant was obtained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantWay {
    /// Authorization code with our own redirect.
    Redirect,
    /// Authorization code with the native-client redirect (the user pastes the address).
    Native,
    /// Device code (RFC 8628).
    Device,
    /// A refresh token of another system, which was tried and taken over.
    Imported,
    /// Client credentials: the app itself, no user.
    AppOnly,
    /// A Google service account that acts for the user, who did nothing.
    ServiceAccount,
    /// A password.
    Password,
}

/// The account that signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedInAs {
    /// `preferred_username`, else `email`.
    pub name: String,
    /// Entra's object id of the user.
    pub oid: Option<String>,
    /// Entra's tenant id; for others the issuer's subject is in `oid`.
    pub tid: Option<String>,
}

/// The secret half of a grant; stored sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GrantSecret {
    /// An OAuth refresh token, with the newest access token if one is cached.
    Refresh {
        /// The newest refresh token that reached us.
        refresh_token: Secret,
    },
    /// A user name and password.
    Password {
        /// Login name.
        user: String,
        /// Password.
        password: Secret,
    },
}

/// A grant as stored. `generation` counts every replacement; a writer names the one it read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// How it was obtained.
    pub way: GrantWay,
    /// The secret half.
    pub secret: GrantSecret,
    /// Whether requests with this grant carry the client secret: a property of how the grant began.
    pub send_client_secret: bool,
    /// Who signed in.
    pub signed_in_as: Option<SignedInAs>,
    /// When.
    pub signed_in_at: Timestamp,
    /// What was granted.
    pub scopes: Vec<String>,
    /// When the newest access token ends.
    pub access_token_expires_at: Option<Timestamp>,
    /// How the last refresh went.
    pub last_refresh: Option<LastRefresh>,
    /// Set, durably, before a refresh token is sent; cleared by the commit that stores the answer.
    /// Found at a start, it says that the answer may have been lost.
    pub refresh_in_flight_since: Option<Timestamp>,
    /// SHA-256, in hex, of the refresh token that was handed in where this grant was taken over: one that is handed in
    /// again is known by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_over: Option<String>,
    /// The app whose client it was issued to, where that is known: no other one may send it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppId>,
    /// What that app was when it was issued: an app may be given another client id or authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<Registration>,
    /// What the provider demanded of the next sign-in when it last refused (OpenID Connect Core §5.5, as Entra ID uses it
    /// for Conditional Access: <https://learn.microsoft.com/entra/identity-platform/claims-challenge>).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<String>,
}

/// How a refresh ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRefresh {
    /// When.
    pub at: Timestamp,
    /// `ok`, else the diagnosis' code.
    pub result: String,
}

/// What may be shown of a grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantInfo {
    /// How it was obtained.
    pub way: GrantWay,
    /// Who signed in.
    pub signed_in_as: Option<SignedInAs>,
    /// When.
    pub signed_in_at: Timestamp,
    /// What was granted.
    pub scopes: Vec<String>,
    /// When the newest access token ends.
    pub access_token_expires_at: Option<Timestamp>,
    /// How the last refresh went.
    pub last_refresh: Option<LastRefresh>,
}

impl Grant {
    /// A grant as it begins: without a client secret along, and with nothing known of it yet.
    #[must_use]
    pub fn new(way: GrantWay, secret: GrantSecret, signed_in_at: Timestamp) -> Self {
        Self {
            way,
            secret,
            send_client_secret: false,
            signed_in_as: None,
            signed_in_at,
            scopes: Vec::new(),
            access_token_expires_at: None,
            last_refresh: None,
            refresh_in_flight_since: None,
            taken_over: None,
            app: None,
            registration: None,
            claims: None,
        }
    }

    /// Whether an app is the client that it was issued to, as far as that is known: no other one may send it.
    #[must_use]
    pub fn is_issued_to(&self, app: &App) -> bool {
        self.app.as_ref().is_none_or(|id| *id == app.id)
            && self.registration.as_ref().is_none_or(|known| known.is_same_client(&Registration::of(app)))
    }

    /// The part that may be shown.
    #[must_use]
    pub fn info(&self) -> GrantInfo {
        GrantInfo {
            way: self.way,
            signed_in_as: self.signed_in_as.clone(),
            signed_in_at: self.signed_in_at,
            scopes: self.scopes.clone(),
            access_token_expires_at: self.access_token_expires_at,
            last_refresh: self.last_refresh.clone(),
        }
    }
}
