//! What an app proves itself with at the token endpoint, and how far its replacement is.

use super::{Diagnosis, Secret, Timestamp};
use serde::{Deserialize, Serialize};

/// A certificate and its key, as far as they are needed to sign assertions (RFC 7523).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientCertificate {
    /// The RSA key, as PEM.
    pub private_key: Secret,
    /// SHA-1 of the certificate in hex: the thumbprint that portals show.
    pub thumbprint: String,
    /// SHA-256 of the certificate in base64url: by it the identity provider knows which one it is.
    pub x5t_s256: String,
    /// When it ends.
    pub not_after: Timestamp,
    /// Whose it is.
    pub subject: String,
}

/// A key of a Google service account, as far as it is needed to sign assertions (RFC 7523).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceAccount {
    /// The account's own address: who signs.
    pub client_email: String,
    /// Its number, by which a Workspace's administrator delegates to it.
    pub client_id: String,
    /// Which of the account's keys it is.
    pub private_key_id: String,
    /// The RSA key, as PEM.
    pub private_key: Secret,
}

/// What an app proves itself with. Its replacement is a rotation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// The client secret.
    pub client_secret: Option<Secret>,
    /// The certificate, instead of a secret.
    #[serde(default)]
    pub certificate: Option<ClientCertificate>,
    /// The key of a Google service account: then the app is that account, and no user signs in through it.
    #[serde(default)]
    pub service_account: Option<ServiceAccount>,
    /// When it ends; `None` is unknown.
    pub expires_at: Option<Timestamp>,
}

impl Credential {
    /// Whether there is anything to prove oneself with.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.client_secret.is_none() && self.certificate.is_none() && self.service_account.is_none()
    }

    /// Whether it is the same one; what is known of its end does not count.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.client_secret == other.client_secret
            && self.certificate == other.certificate
            && self.service_account == other.service_account
    }
}

/// How far the replacement of an app's credential is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RotationState {
    /// The new one is in use, unproven; the previous one is kept.
    Trying,
    /// The new one was refused; the previous one is in use again.
    RolledBack,
    /// The new one was taken; the previous one is erased.
    Proven,
}

/// The last replacement of an app's credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// How far it is.
    pub state: RotationState,
    /// Since when.
    pub since: Timestamp,
    /// Why the new one was refused.
    pub diagnosis: Option<Diagnosis>,
    /// The one before, as long as the new one is unproven.
    pub previous: Option<Credential>,
}

impl Rotation {
    /// The credential to go back to, while the new one is unproven.
    #[must_use]
    pub fn on_trial(&self) -> Option<&Credential> {
        self.previous.as_ref().filter(|_| self.state == RotationState::Trying)
    }
}
