//! Signed assertions, by which an app proves itself without sending a secret (RFC 7523 §2.2). Pure: time and the
//! assertion's id are arguments.

use super::endpoints::Signature;
use crate::domain::{ClientCertificate, Timestamp};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

/// `client_assertion_type`.
pub(in crate::token) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How long one can be used, in seconds; it is made for one request. Microsoft refuses more than ten minutes.
const LIFE: i64 = 300;
/// A clock of the provider's that is behind ours by so many seconds takes it all the same.
const LENIENCE: i64 = 60;

/// Whom an assertion speaks for, and to whom.
#[derive(Clone, Copy, Debug)]
pub(in crate::token) struct MadeFor<'a> {
    /// The app's.
    pub(in crate::token) client_id: &'a str,
    /// The token endpoint.
    pub(in crate::token) audience: &'a str,
    /// What it is signed with.
    pub(in crate::token) signature: Signature,
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    iss: &'a str,
    sub: &'a str,
    jti: String,
    iat: i64,
    nbf: i64,
    exp: i64,
}

/// Why nothing is signed.
#[derive(Debug, thiserror::Error)]
#[error("the app's certificate cannot sign ({0}): enter it again as client_certificate")]
pub(in crate::token) struct AssertionError(#[from] jsonwebtoken::errors::Error);

/// An assertion; `jti` names it, and is used once.
pub(in crate::token) fn sign(
    certificate: &ClientCertificate,
    made_for: &MadeFor<'_>,
    jti: String,
    now: Timestamp,
) -> Result<String, AssertionError> {
    let now = now.0.div_euclid(1000);
    let claims = Claims {
        aud: made_for.audience,
        iss: made_for.client_id,
        sub: made_for.client_id,
        jti,
        iat: now,
        nbf: now.saturating_sub(LENIENCE),
        exp: now.saturating_add(LIFE),
    };
    let mut header = Header::new(match made_for.signature {
        Signature::Rs256 => Algorithm::RS256,
        Signature::Ps256 => Algorithm::PS256,
    });
    header.x5t_s256 = Some(certificate.x5t_s256.clone());
    let key = EncodingKey::from_rsa_pem(certificate.private_key.expose().as_bytes())?;
    Ok(jsonwebtoken::encode(&header, &claims, &key)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::oauth::certificate::tests::made;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    const NOW: Timestamp = Timestamp(1_795_460_342_999);

    #[test]
    fn an_assertion_says_who_to_whom_and_for_how_long_and_is_signed_by_the_key() {
        let made = made();
        let certificate = crate::token::oauth::certificate::read_certificate(&made.pem(), NOW).unwrap();
        for (signature, algorithm) in
            [(Signature::Ps256, Algorithm::PS256), (Signature::Rs256, Algorithm::RS256)]
        {
            let made_for = MadeFor { client_id: "client", audience: "https://idp.example/token", signature };
            let signed = sign(&certificate, &made_for, String::from("one"), NOW).unwrap();
            let parts: Vec<Value> = signed
                .split('.')
                .take(2)
                .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
                .collect();
            let name = format!("{algorithm:?}");
            let header = json!({"typ": "JWT", "alg": name, "x5t#S256": certificate.x5t_s256});
            assert_eq!(parts[0], header);
            let now = 1_795_460_342;
            assert_eq!(
                parts[1],
                json!({"aud": "https://idp.example/token", "iss": "client", "sub": "client", "jti": "one",
                    "iat": now, "nbf": now - 60, "exp": now + 300})
            );
            let key = jsonwebtoken::DecodingKey::from_rsa_pem(made.public_pem().as_bytes()).unwrap();
            let (message, signed_with) = signed.rsplit_once('.').unwrap();
            let is_good = |message: &str| {
                jsonwebtoken::crypto::verify(signed_with, message.as_bytes(), &key, algorithm).unwrap()
            };
            assert!(is_good(message) && !is_good(&message.replacen('e', "f", 1)));
        }
    }
}
