//! What an app's form says of its secret or certificate. They go in and never come out.

use super::super::extract::trimmed;
use super::super::problem::Problem;
use super::app_ids;
use crate::config::Provider;
use crate::domain::{Credential, ProviderKind, Secret, Timestamp};
use crate::token::read_certificate;
use serde_json::{Value, json};

/// As entered: absent is as it was, `null` is none.
pub(super) struct Entered {
    pub(super) client_secret: Option<Option<Secret>>,
    /// A PEM text.
    pub(super) client_certificate: Option<Option<Secret>>,
    /// When the secret ends.
    pub(super) expires_at: Option<Timestamp>,
}

/// The credential of an app that had `known`.
pub(super) fn read(
    entered: Entered,
    provider: ProviderKind,
    known: Option<&Credential>,
    now: Timestamp,
) -> Result<Credential, Problem> {
    let Entered { client_secret, client_certificate, expires_at } = entered;
    let pem =
        client_certificate.as_ref().map(|given| given.as_ref().filter(|pem| !pem.expose().trim().is_empty()));
    let secret = match &client_secret {
        Some(Some(given)) => Some(check_secret(given)?),
        Some(None) => Some(None),
        None => None,
    };
    match (secret, pem) {
        (Some(Some(_)), Some(Some(_))) => {
            Err(Problem::field("client_certificate", "enter a client secret or a certificate, not both"))
        }
        (_, Some(Some(pem))) => {
            takes_certificates(provider)?;
            let certificate = read_certificate(pem.expose(), now);
            let certificate = certificate.map_err(|error| Problem::field("client_certificate", error))?;
            let expires_at = Some(certificate.not_after);
            Ok(Credential { client_secret: None, certificate: Some(certificate), expires_at })
        }
        (Some(Some(secret)), _) => {
            Ok(Credential { client_secret: Some(secret), certificate: None, expires_at })
        }
        (secret, pem) => {
            let client_secret =
                known.and_then(|known| known.client_secret.clone()).filter(|_| secret.is_none());
            let certificate = known.and_then(|known| known.certificate.clone()).filter(|_| pem.is_none());
            let expires_at = certificate.as_ref().map(|kept| kept.not_after).or(expires_at);
            Ok(Credential { client_secret, certificate, expires_at })
        }
    }
}

/// What is shown of a certificate.
pub(super) fn view(credential: &Credential) -> Value {
    credential.certificate.as_ref().map_or(Value::Null, |certificate| {
        json!({"thumbprint": certificate.thumbprint, "not_after": certificate.not_after,
            "subject": certificate.subject})
    })
}

fn takes_certificates(provider: ProviderKind) -> Result<(), Problem> {
    let preset = Provider::of_kind(provider).and_then(|provider| provider.oauth.as_ref());
    // Entra ID, and whoever says so in a discovery document
    if preset.is_some_and(|preset| preset.token.is_none()) {
        return Ok(());
    }
    let detail = format!("{} takes client secrets only: enter client_secret", provider.name());
    Err(Problem::field("client_certificate", detail))
}

fn check_secret(given: &Secret) -> Result<Option<Secret>, Problem> {
    let Some(secret) = trimmed(given.expose()).map(Secret::new) else { return Ok(None) };
    if app_ids::is_guid(secret.expose()) {
        let detail = "client_secret: this is shaped like a GUID, so it is the secret's id and not the secret. Copy \
                      the column Value; it is shown only once, so make a new secret if it is gone";
        return Err(Problem::unprocessable("client_secret_is_id", detail));
    }
    if secret.expose().contains("-----BEGIN") {
        let detail = "is a PEM text: a certificate is entered as client_certificate";
        return Err(Problem::field("client_secret", detail));
    }
    if secret.expose().chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(Problem::field("client_secret", "holds a blank or control character"));
    }
    Ok(Some(secret))
}
