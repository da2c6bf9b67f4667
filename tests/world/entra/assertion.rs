//! Client assertions (RFC 7523) as Entra ID takes them: signed by a certificate of the registration, for this token
//! endpoint, by this client, and now.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Digest;

use super::errors::{Refusal, refuse};
use super::model::App;

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The longest life of an assertion, and how far a clock may be off, in seconds.
const LONGEST: i64 = 600;
const LENIENCE: i64 = 300;

/// A certificate uploaded to a registration.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Certificate {
    /// SHA-256 of it, in base64url.
    pub x5t_s256: String,
    /// SHA-1 of it, which older libraries name it by.
    #[serde(default)]
    pub x5t: String,
    /// Its RSA key, as PEM.
    pub public_key: String,
    pub expired: bool,
}

/// A certificate with its private key, as its owner has them.
#[derive(Debug, Clone)]
pub struct KeyPair {
    /// Certificate and key in one PEM text.
    pub pem: String,
    pub uploaded: Certificate,
}

impl KeyPair {
    /// Self-signed, valid until that year.
    pub fn make(name: &str, until: i32) -> Self {
        use rsa::pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding};
        let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap();
        let pem = key.to_pkcs8_pem(LineEnding::LF).unwrap();
        let pair = rcgen::KeyPair::from_pem(&pem).unwrap();
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(until, 1, 1);
        let certificate = parameters.self_signed(&pair).unwrap();
        let uploaded = Certificate {
            x5t_s256: URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(certificate.der())),
            x5t: URL_SAFE_NO_PAD.encode(sha1::Sha1::digest(certificate.der())),
            public_key: key.to_public_key().to_public_key_pem(LineEnding::LF).unwrap(),
            expired: false,
        };
        Self { pem: format!("{}{}", certificate.pem(), pem.as_str()), uploaded }
    }
}

/// What it is checked against.
pub struct Expected<'a> {
    pub app: &'a App,
    /// The token endpoint as it was called.
    pub audience: &'a str,
}

pub fn check(kind: Option<&str>, assertion: &str, expected: &Expected<'_>) -> Result<(), Refusal> {
    if kind != Some(TYPE) {
        return refuse(900_144, "'client_assertion_type'.");
    }
    let parts: Vec<&str> = assertion.split('.').collect();
    let [header, claims, signature] = parts.as_slice() else { return refuse(50_027, "") };
    let json = |part: &str| -> Value {
        URL_SAFE_NO_PAD
            .decode(part)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default()
    };
    let (header_json, claims_json) = (json(header), json(claims));
    let algorithm = match header_json["alg"].as_str() {
        Some("RS256") => Algorithm::RS256,
        Some("PS256") => Algorithm::PS256,
        _ => return refuse(5_002_738, "The algorithm is not supported."),
    };
    // either thumbprint, with padding or without (https://learn.microsoft.com/entra/identity-platform/certificate-credentials)
    let named = |name: &str| header_json[name].as_str().unwrap_or_default().trim_end_matches('=');
    let (sha256, sha1) = (named("x5t#S256"), named("x5t"));
    let thumbprint = if sha256.is_empty() { sha1 } else { sha256 };
    let mut certificates = expected.app.certificates.iter();
    let known = certificates.find(|known| {
        !thumbprint.is_empty() && [&known.x5t_s256, &known.x5t].contains(&&thumbprint.to_owned())
    });
    let Some(known) = known else {
        return refuse(
            700_027,
            format!("[Reason - The key was not found., Thumbprint of key: '{thumbprint}']"),
        );
    };
    if known.expired {
        return refuse(700_027, "[Reason - The key used is expired.]");
    }
    let key = DecodingKey::from_rsa_pem(known.public_key.as_bytes()).unwrap();
    let message = format!("{header}.{claims}");
    if !jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, algorithm).unwrap_or(false) {
        return refuse(700_027, "[Reason - The signature does not match.]");
    }
    claims_fit(&claims_json, expected)
}

fn claims_fit(claims: &Value, expected: &Expected<'_>) -> Result<(), Refusal> {
    let client = expected.app.client_id.as_str();
    if claims["iss"] != client || claims["sub"] != client {
        return refuse(700_021, "");
    }
    if claims["aud"] != expected.audience {
        return refuse(700_023, format!("Expected: {}.", expected.audience));
    }
    #[allow(clippy::disallowed_methods)] // the stand-in is no part of the engine
    let now = chrono::Utc::now().timestamp();
    // Microsoft's library for Python leaves nbf out, and counts in fractions of a second
    #[allow(clippy::cast_possible_truncation)]
    let second = |name: &str| claims[name].as_f64().map(|seconds| seconds as i64);
    let Some(until) = second("exp") else { return refuse(700_024, "") };
    let from = second("nbf").or(second("iat")).unwrap_or(now);
    if from > now + LENIENCE || until + LENIENCE <= now || until - from > LONGEST {
        return refuse(700_024, "");
    }
    // Microsoft's library for Node sends one assertion as often as it is valid
    match claims["jti"].as_str() {
        Some(id) if id.len() >= 16 => Ok(()),
        _ => refuse(50_012, "It has no id."),
    }
}
