//! Google's token endpoint for service accounts (RFC 7523 §2.1): strict about signature, issuer, audience, times, scope,
//! the user, and whether his domain's administrator has delegated. It answers in Google's words.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::http::Response;
use super::state::{Access, LogEntry, State};
use super::token::Form;

pub const SCOPE: &str = "https://mail.google.com/";
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// The longest life of an assertion, and how far a clock may be ahead, in seconds.
const LONGEST: i64 = 3_600;
const LENIENCE: i64 = 300;

/// A service account as Google knows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServiceAccount {
    pub client_email: String,
    pub client_id: String,
    /// Key id → its public half as PEM.
    pub keys: BTreeMap<String, String>,
    /// Domains whose administrator has delegated [`SCOPE`] to it.
    pub delegated: BTreeSet<String>,
}

/// A key with its file, as Google gives it once.
#[derive(Debug, Clone)]
pub struct KeyFile {
    pub id: String,
    pub public_key: String,
    private_key: String,
}

impl KeyFile {
    pub fn make() -> Self {
        use rsa::pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding};
        let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap();
        let public_key = key.to_public_key().to_public_key_pem(LineEnding::LF).unwrap();
        Self {
            id: super::state::sha256_hex(public_key.as_bytes()).chars().take(40).collect(),
            public_key,
            private_key: key.to_pkcs8_pem(LineEnding::LF).unwrap().to_string(),
        }
    }

    /// The file of a key of this account.
    pub fn of(&self, account: &ServiceAccount) -> Value {
        json!({
            "type": "service_account", "project_id": "makler-mail", "private_key_id": self.id,
            "private_key": self.private_key, "client_email": account.client_email,
            "client_id": account.client_id, "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": "https://oauth2.googleapis.com/token", "universe_domain": "googleapis.com",
            "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
        })
    }

    /// Some line of the private key.
    pub fn secret_line(&self) -> &str {
        self.private_key.lines().nth(7).unwrap()
    }
}

/// A refusal: status, `error`, `error_description`.
pub type Refused = (u16, &'static str, &'static str);

pub fn answer(state: &mut State, base: &str, form: &Form, log: &mut LogEntry) -> Response {
    let seconds = state.options.access_token_seconds;
    let token = token(state, base, form, log);
    response(token.map(|token| json!({"access_token": token, "expires_in": seconds, "token_type": "Bearer"})))
}

/// An answer of Google's token endpoint.
pub fn response(answer: Result<Value, Refused>) -> Response {
    match answer {
        Ok(value) => Response::json(200, &value),
        Err((status, error, words)) => {
            Response::json(status, &json!({"error": error, "error_description": words}))
        }
    }
}

fn token(state: &mut State, base: &str, form: &Form, log: &mut LogEntry) -> Result<String, Refused> {
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    if field("grant_type") != GRANT_TYPE {
        return Err((400, "unsupported_grant_type", "Invalid grant_type: "));
    }
    state.issued.push(field("assertion").to_owned());
    log.sent_assertion = true;
    let claims = believed(state, field("assertion"))?;
    log.client_id = claims["iss"].as_str().map(str::to_owned);
    check_claims(&claims, &format!("{base}/token"))?;
    let account = state.options.service_accounts.iter().find(|known| claims["iss"] == known.client_email);
    let Some(account) = account.cloned() else { return Err(GONE) };
    let user = match claims.get("sub").and_then(Value::as_str) {
        Some(user) => acted_for(state, &account, user)?,
        None => account.client_email.clone(),
    };
    log.user = Some(user.clone());
    let expires = Instant::now() + state.access_lifetime();
    Ok(state.issue_access(Access {
        user: Some(user),
        tenant_id: String::new(),
        client_id: account.client_id,
        scopes: vec![SCOPE.into()],
        grant: None,
        expires,
    }))
}

const GONE: Refused = (400, "invalid_grant", "Invalid grant: account not found");
const SIGNATURE: Refused = (400, "invalid_grant", "Invalid JWT Signature.");

/// The claims of an assertion that the named account signed with the named key.
fn believed(state: &State, assertion: &str) -> Result<Value, Refused> {
    let parts: Vec<&str> = assertion.split('.').collect();
    let [header, claims, signature] = parts.as_slice() else {
        return Err((400, "invalid_grant", "Bad Request"));
    };
    let read = |part: &str| -> Value {
        let bytes = URL_SAFE_NO_PAD.decode(part).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    };
    let (header_json, claims_json) = (read(header), read(claims));
    let mut known = state.options.service_accounts.iter();
    let account = known.find(|known| claims_json["iss"] == known.client_email).ok_or(GONE)?;
    if header_json["alg"] != "RS256" {
        return Err((400, "invalid_grant", "Invalid JWT: unsupported algorithm."));
    }
    let key = header_json["kid"].as_str().and_then(|id| account.keys.get(id)).ok_or(SIGNATURE)?;
    let key = DecodingKey::from_rsa_pem(key.as_bytes()).unwrap();
    let message = format!("{header}.{claims}");
    match jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, Algorithm::RS256) {
        Ok(true) => Ok(claims_json),
        Ok(false) | Err(_) => Err(SIGNATURE),
    }
}

fn check_claims(claims: &Value, audience: &str) -> Result<(), Refused> {
    // Google's own library names the real address, wherever it sends the assertion
    if claims["aud"] != audience && claims["aud"] != "https://oauth2.googleapis.com/token" {
        return Err((400, "invalid_grant", "Invalid JWT: Failed audience check."));
    }
    #[allow(clippy::disallowed_methods)] // the stand-in is no part of the engine
    let now = chrono::Utc::now().timestamp();
    let is_current = match ["iat", "exp"].map(|name| claims[name].as_i64()) {
        [Some(from), Some(until)] => {
            from <= now + LENIENCE && until > now && until > from && until - from <= LONGEST
        }
        _ => false,
    };
    if !is_current {
        let words = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. \
                     Check your iat and exp values in the JWT claim.";
        return Err((400, "invalid_grant", words));
    }
    match claims["scope"].as_str() {
        Some(SCOPE) => Ok(()),
        None | Some("") => Err((400, "invalid_scope", "Invalid OAuth scope or ID token audience provided.")),
        Some(_) => Err(UNDELEGATED),
    }
}

const UNDELEGATED: Refused = (
    401,
    "unauthorized_client",
    "Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the \
     scopes requested.",
);

fn acted_for(state: &State, account: &ServiceAccount, user: &str) -> Result<String, Refused> {
    let user = user.to_ascii_lowercase();
    if !state.options.users.iter().any(|known| known.address == user) {
        return Err((400, "invalid_grant", "Invalid email or User ID"));
    }
    let domain = user.rsplit('@').next().unwrap_or_default();
    if account.delegated.contains(domain) { Ok(user) } else { Err(UNDELEGATED) }
}
