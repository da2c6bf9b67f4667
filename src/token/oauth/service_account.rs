//! Google service accounts: reads the key file that an administrator enters, and signs what stands for it at the token
//! endpoint (RFC 7523 §2.1, <https://developers.google.com/identity/protocols/oauth2/service-account>). Pure.

use super::certificate::public_key;
use crate::domain::{Secret, ServiceAccount, Timestamp};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use serde_json::Value;
use url::Url;
use x509_parser::pem::Pem;

/// `grant_type`.
pub(in crate::token) const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// How long an assertion can be used, in seconds; it is made for one request. Google refuses more than an hour.
const LIFE: i64 = 600;
/// Longer than any that Google gives.
const LONGEST: usize = 300;

/// Why a key file cannot be used, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    /// Not the file.
    #[error(
        "is no JSON: enter the whole key file as Google gives it (Google Cloud console > IAM & Admin > Service \
         Accounts > the account > Keys > Add key > Create new key > JSON)"
    )]
    NoJson,
    /// The key alone.
    #[error("is the private key alone: enter the whole JSON file that holds it")]
    KeyAlone,
    /// The file of another kind of client.
    #[error(
        "is the file of an OAuth client, with which users sign in: enter its client_id and client_secret instead, or \
         make a key of a service account (IAM & Admin > Service Accounts > Keys > Add key > JSON)"
    )]
    OauthClient,
    /// Somebody's own sign-in.
    #[error(
        "is the sign-in of a user of gcloud (authorized_user), which ends with him: make a key of a service account \
         (IAM & Admin > Service Accounts > Keys > Add key > JSON)"
    )]
    AuthorizedUser,
    /// Another type.
    #[error(
        "is a file of the type {0:?}, which holds no key: its type has to be service_account (IAM & Admin > Service \
         Accounts > Keys > Add key > JSON)"
    )]
    OtherType(String),
    /// Something is left out.
    #[error("lacks {0}: enter the whole key file as Google gives it")]
    Lacks(&'static str),
    /// Something else than an address.
    #[error("names as client_email {0:?}, which is no address: enter the key file as Google gives it")]
    NoAddress(String),
    /// A key that cannot be read.
    #[error(
        "holds a private_key that cannot be used: it has to be RSA as PEM (PKCS#8), as Google gives it. Was it cut off, \
         or its \\n lost?"
    )]
    UnusableKey,
    /// Tokens would be asked for somewhere else.
    #[error(
        "names as token_uri {0:?}, which is not Google's: the app asks at {1} only. Enter the key file as Google gives \
         it, or set authority"
    )]
    OtherEndpoint(String, String),
}

/// Reads a key file, given as it is or as a text; `endpoint` is where the app asks for tokens.
///
/// # Errors
/// [`KeyFileError`] that says what is wrong and what to do.
pub fn read_service_account(given: &Value, endpoint: &Url) -> Result<ServiceAccount, KeyFileError> {
    let parsed;
    let file = match given {
        Value::String(text) if text.trim_start().starts_with("-----BEGIN") => {
            return Err(KeyFileError::KeyAlone);
        }
        Value::String(text) => {
            parsed = serde_json::from_str::<Value>(text).map_err(|_| KeyFileError::NoJson)?;
            &parsed
        }
        Value::Object(_) => given,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            return Err(KeyFileError::NoJson);
        }
    };
    let fields = file.as_object().ok_or(KeyFileError::NoJson)?;
    if fields.contains_key("web") || fields.contains_key("installed") {
        return Err(KeyFileError::OauthClient);
    }
    let text = |name: &'static str| {
        let found = fields.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
        found.ok_or(KeyFileError::Lacks(name))
    };
    match text("type")? {
        "service_account" => {}
        "authorized_user" => return Err(KeyFileError::AuthorizedUser),
        other => return Err(KeyFileError::OtherType(other.chars().take(LONGEST).collect())),
    }
    let short = |name| text(name).map(|text| text.chars().take(LONGEST).collect::<String>());
    let client_email = short("client_email")?;
    if !client_email.contains('@') || client_email.contains(char::is_whitespace) {
        return Err(KeyFileError::NoAddress(client_email));
    }
    if let Some(uri) = fields.get("token_uri").and_then(Value::as_str) {
        check_endpoint(uri, endpoint)?;
    }
    Ok(ServiceAccount {
        client_email,
        client_id: short("client_id")?,
        private_key_id: short("private_key_id")?,
        private_key: private_key(text("private_key")?)?,
    })
}

/// Google's own endpoints are all one; another's would be sent what opens every mailbox.
fn check_endpoint(named: &str, endpoint: &Url) -> Result<(), KeyFileError> {
    let other = || {
        let shown = named.chars().take(LONGEST).collect();
        KeyFileError::OtherEndpoint(shown, String::from(endpoint.as_str()))
    };
    let url = Url::parse(named).map_err(|_| other())?;
    let host = url.host_str().unwrap_or_default();
    // files made before 2018 name accounts.google.com
    let is_google =
        host == "googleapis.com" || host.ends_with(".googleapis.com") || host == "accounts.google.com";
    let is_ours = url.origin() == endpoint.origin();
    if is_ours || (is_google && url.scheme() == "https") { Ok(()) } else { Err(other()) }
}

fn private_key(text: &str) -> Result<Secret, KeyFileError> {
    let block = Pem::iter_from_buffer(text.as_bytes()).filter_map(Result::ok).next();
    let block = block.filter(|block| block.label == "PRIVATE KEY").ok_or(KeyFileError::UnusableKey)?;
    public_key(&block).map_err(|_| KeyFileError::UnusableKey)?;
    Ok(Secret::new(format!("{text}\n")))
}

/// What an assertion asks for.
#[derive(Clone, Copy, Debug)]
pub(in crate::token) struct Wish<'a> {
    /// The token endpoint.
    pub(in crate::token) audience: &'a str,
    /// Scopes, apart by blanks.
    pub(in crate::token) scope: &'a str,
    /// The user to act for; `None`: a token of the account's own, which opens no mailbox.
    pub(in crate::token) user: Option<&'a str>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'a str>,
    scope: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
}

/// Why nothing is signed.
#[derive(Debug, thiserror::Error)]
#[error("the service account's key cannot sign ({0}): enter the key file again as service_account")]
pub(in crate::token) struct SigningError(#[from] jsonwebtoken::errors::Error);

/// An assertion for one request.
pub(in crate::token) fn sign(
    account: &ServiceAccount,
    wish: &Wish<'_>,
    now: Timestamp,
) -> Result<String, SigningError> {
    let now = now.0.div_euclid(1000);
    let claims = Claims {
        iss: &account.client_email,
        sub: wish.user,
        scope: wish.scope,
        aud: wish.audience,
        iat: now,
        exp: now.saturating_add(LIFE),
    };
    let mut header = Header::new(Algorithm::RS256);
    header.kid = Some(account.private_key_id.clone());
    let key = EncodingKey::from_rsa_pem(account.private_key.expose().as_bytes())?;
    Ok(jsonwebtoken::encode(&header, &claims, &key)?)
}

#[cfg(test)]
#[path = "service_account_tests.rs"]
mod tests;
