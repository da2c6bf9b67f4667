//! Who signed in, and whether that is the mailbox's user. Pure.
//!
//! The identity token's signature is not checked: it came straight from the token endpoint over TLS (OpenID Connect
//! Core §3.1.3.7, 6). Its audience, end, nonce and issuer are.

use crate::config::Provider;
use crate::domain::{Auth, Mailbox, SignedInAs, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use std::time::Duration;

/// How far the provider's clock and ours may differ.
const SKEW: Duration = Duration::from_secs(300);

/// What an identity token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// `iss`.
    pub issuer: String,
    /// `aud`.
    pub audience: Vec<String>,
    /// `azp`: the one of them that it was issued to.
    pub authorized_party: Option<String>,
    /// `exp`.
    pub expires_at: Timestamp,
    /// `nonce`.
    pub nonce: Option<String>,
    /// Entra's `oid`, else `sub`.
    pub subject: Option<String>,
    /// Entra's `tid`.
    pub tenant: Option<String>,
    /// Names that tell who it is, the best first.
    pub names: Vec<String>,
}

/// Why an identity token is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// It is no JSON Web Token.
    #[error("the identity token cannot be read: sign in again")]
    Unreadable,
    /// It is for another app.
    #[error("the identity token is for another app: check the client id")]
    Audience,
    /// It has ended, or a clock is wrong.
    #[error("the identity token has ended: check this machine's clock, then sign in again")]
    Expired,
    /// It belongs to another sign-in.
    #[error("the identity token belongs to another sign-in: sign in again")]
    Nonce,
    /// Somebody else issued it.
    #[error("the identity token was issued by {0:?}: check tenant and authority")]
    Issuer(String),
}

impl IdentityError {
    /// The answer to "what now?".
    #[must_use]
    pub fn disposition(&self) -> crate::domain::Disposition {
        match self {
            Self::Unreadable | Self::Expired | Self::Nonce => crate::domain::Disposition::SignIn,
            Self::Audience | Self::Issuer(_) => crate::domain::Disposition::NeedsAdmin,
        }
    }
}

/// The tenant that all personal Microsoft accounts are in
/// (<https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference>).
const PERSONAL_ACCOUNTS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

/// Who signed in, as seen from the mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The mailbox's user, or a declared delegate.
    Match,
    /// Somebody else of the same tenant: an administrator may accept him.
    SameTenantOther,
    /// Anybody else.
    Stranger,
}

/// Reads an identity token.
///
/// # Errors
/// [`IdentityError::Unreadable`].
pub fn parse(id_token: &str) -> Result<Claims, IdentityError> {
    let payload = id_token.split('.').nth(1).ok_or(IdentityError::Unreadable)?;
    let payload =
        URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).map_err(|_| IdentityError::Unreadable)?;
    let json: Value = serde_json::from_slice(&payload).map_err(|_| IdentityError::Unreadable)?;
    let text = |key: &str| json.get(key).and_then(Value::as_str).map(String::from);
    let audience = match json.get("aud") {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).map(String::from).collect(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => Vec::new(),
    };
    let tenant = text("tid");
    // in Entra `email` can be set to anything by an administrator of any tenant, and the other names are its own; at others
    // users choose their names (OpenID Connect Core §5.7), and only an address that was verified counts
    let names = match &tenant {
        Some(_) => [text("preferred_username"), text("upn")].into_iter().flatten().collect(),
        None => verified_email(&json).into_iter().collect(),
    };
    Ok(Claims {
        issuer: text("iss").unwrap_or_default(),
        audience,
        authorized_party: text("azp"),
        expires_at: Timestamp(json.get("exp").and_then(Value::as_i64).unwrap_or(0).saturating_mul(1000)),
        nonce: text("nonce"),
        subject: text("oid").filter(|_| tenant.is_some()).or_else(|| text("sub")),
        tenant,
        names,
    })
}

/// The address that the provider has verified. Some say so in a text.
fn verified_email(claims: &Value) -> Option<String> {
    let is_verified = match claims.get("email_verified")? {
        Value::Bool(verified) => *verified,
        Value::String(text) => text == "true",
        Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => false,
    };
    claims.get("email").and_then(Value::as_str).filter(|_| is_verified).map(String::from)
}

impl Claims {
    /// What the userinfo endpoint says where there is no identity token: it came over TLS, for the access token that
    /// was shown. `None`: it names no user.
    #[must_use]
    pub fn of_userinfo(told: &Value) -> Option<Self> {
        let subject = told.get("sub").and_then(Value::as_str).map(String::from);
        let nobody = Self {
            issuer: String::new(),
            audience: Vec::new(),
            authorized_party: None,
            expires_at: Timestamp(0),
            nonce: None,
            subject: Some(subject?),
            tenant: None,
            names: Vec::new(),
        };
        Some(nobody.with_userinfo(told)).filter(|claims| !claims.names.is_empty())
    }

    /// What the userinfo endpoint adds, if it speaks of the same user (OpenID Connect Core §5.3.2).
    #[must_use]
    pub fn with_userinfo(mut self, told: &Value) -> Self {
        let text = |key: &str| told.get(key).and_then(Value::as_str).map(String::from);
        if self.subject.is_none() || text("sub") != self.subject {
            return self;
        }
        match &self.tenant {
            Some(_) => self.names.extend(text("preferred_username")),
            None => self.names.extend(verified_email(told)),
        }
        self
    }

    /// Checks that the token is for us, now, from the sign-in we began. `issuer` may hold `{tenantid}`.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check(
        &self,
        client_id: &str,
        issuer: &str,
        nonce: Option<&str>,
        now: Timestamp,
    ) -> Result<(), IdentityError> {
        if !self.audience.iter().any(|audience| audience == client_id) {
            return Err(IdentityError::Audience);
        }
        // OpenID Connect Core §3.1.3.7, 4 and 5
        let is_ours =
            self.authorized_party.as_ref().map_or(self.audience.len() == 1, |party| party == client_id);
        if !is_ours {
            return Err(IdentityError::Audience);
        }
        if self.expires_at.plus(SKEW) < now {
            return Err(IdentityError::Expired);
        }
        if nonce.is_some() && self.nonce.as_deref() != nonce {
            return Err(IdentityError::Nonce);
        }
        let expected = issuer.replace("{tenantid}", self.tenant.as_deref().unwrap_or_default());
        // Google writes its issuer with and without the scheme
        let bare = |issuer: &str| String::from(issuer.trim_start_matches("https://").trim_end_matches('/'));
        if bare(&self.issuer) != bare(&expected) {
            return Err(IdentityError::Issuer(self.issuer.chars().take(200).collect()));
        }
        Ok(())
    }

    /// What is kept with the grant.
    #[must_use]
    pub fn signed_in_as(&self) -> SignedInAs {
        let name = self.names.first().cloned().unwrap_or_default();
        SignedInAs { name, oid: self.subject.clone(), tid: self.tenant.clone() }
    }

    /// Decides. `pinned` is who signed in before, `tenant` the app's.
    #[must_use]
    pub fn identify(&self, mailbox: &Mailbox, pinned: Option<&SignedInAs>, tenant: Option<&str>) -> Identity {
        let named = |wanted: &str| self.names.iter().any(|name| name.eq_ignore_ascii_case(wanted));
        let (own, delegates): (Vec<&str>, &[String]) = match &mailbox.auth {
            Auth::Oauth { login, aliases, delegates, .. } => {
                let own = login.iter().chain(aliases).map(String::as_str);
                (own.chain([mailbox.address.as_str()]).collect(), delegates)
            }
            Auth::AppOnly { .. } | Auth::ServiceAccount { .. } | Auth::Password { .. } => {
                (vec![mailbox.address.as_str()], &[])
            }
        };
        let pin = pinned.filter(|pin| pin.oid.is_some());
        let is_own = match pin {
            // an address can be given to somebody else; an object id cannot
            Some(pin) => pin.oid == self.subject && pin.tid == self.tenant,
            None => own.iter().any(|name| named(name)),
        };
        if is_own || delegates.iter().any(|name| named(name)) {
            return Identity::Match;
        }
        if self.tenant.as_deref() == Some(PERSONAL_ACCOUNTS) {
            return Identity::Stranger;
        }
        let home = pin.and_then(|pin| pin.tid.as_deref()).or(tenant);
        let same_tenant = match (home, self.tenant.as_deref()) {
            (Some(home), Some(theirs)) if home.eq_ignore_ascii_case(theirs) => true,
            // the app's tenant may be written as a domain; then the mailbox's own domain tells
            (Some(home), _) if home.len() == 36 && !home.contains('.') => false,
            (Some(_) | None, _) => {
                let own = domain(&mailbox.address);
                // anybody has an address there
                Provider::of_domain(&own).is_none() && self.names.iter().any(|name| domain(name) == own)
            }
        };
        if same_tenant { Identity::SameTenantOther } else { Identity::Stranger }
    }
}

fn domain(address: &str) -> String {
    address.rsplit('@').next().unwrap_or_default().to_ascii_lowercase()
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
