//! What an app's form says of its secret, certificate or service account. They go in and never come out.

use super::app_ids;
use super::fields::trimmed;
use crate::config::Provider;
use crate::domain::{App, Credential, ProviderKind, Secret, ServiceAccount, Timestamp};
use crate::problem::Problem;
use crate::token::{Endpoints, read_certificate, read_service_account};
use serde_json::{Value, json};

/// As entered: absent is as it was, `null` is none.
pub(super) struct Entered {
    pub(super) client_secret: Option<Option<Secret>>,
    /// A PEM text.
    pub(super) client_certificate: Option<Option<Secret>>,
    /// A key file, or what was shown of it.
    pub(super) service_account: Option<Option<Value>>,
    /// When the secret ends.
    pub(super) expires_at: Option<Timestamp>,
}

/// The credential of an app that had `known`.
pub(super) fn read(
    entered: Entered,
    app: &App,
    known: Option<&Credential>,
    now: Timestamp,
) -> Result<Credential, Problem> {
    let Entered { client_secret, client_certificate, service_account, expires_at } = entered;
    let pem =
        client_certificate.as_ref().map(|given| given.as_ref().filter(|pem| !pem.expose().trim().is_empty()));
    let secret = match &client_secret {
        Some(Some(given)) => Some(check_secret(given)?),
        Some(None) => Some(None),
        None => None,
    };
    // as shown, not as entered: it stays
    let account = service_account
        .filter(|given| known.is_none_or(|known| given.is_none() || *given != Some(view_account(known))));
    let made = match (secret.clone().flatten(), pem.flatten(), account.as_ref().and_then(Option::as_ref)) {
        (None, None, None) => None,
        (Some(client_secret), None, None) => {
            Some(Credential { client_secret: Some(client_secret), expires_at, ..none() })
        }
        (None, Some(pem), None) => {
            takes_certificates(app.provider)?;
            let certificate = read_certificate(pem.expose(), now);
            let certificate = certificate.map_err(|error| Problem::field("client_certificate", error))?;
            let expires_at = Some(certificate.not_after);
            Some(Credential { certificate: Some(certificate), expires_at, ..none() })
        }
        (None, None, Some(given)) => {
            let account = read_account(given, app)?;
            Some(Credential { service_account: Some(account), expires_at, ..none() })
        }
        (_, Some(_), _) => {
            let detail = "enter one of client secret, certificate and service account";
            return Err(Problem::field("client_certificate", detail));
        }
        (Some(_), None, Some(_)) => {
            let detail = "enter it alone: users sign in through another app, which has the client secret";
            return Err(Problem::field("service_account", detail));
        }
    };
    Ok(made.unwrap_or_else(|| {
        let kept = known.cloned().unwrap_or_else(none);
        let certificate = kept.certificate.filter(|_| pem.is_none());
        Credential {
            client_secret: kept.client_secret.filter(|_| secret.is_none()),
            expires_at: certificate.as_ref().map(|kept| kept.not_after).or(expires_at),
            certificate,
            service_account: kept.service_account.filter(|_| account.is_none()),
        }
    }))
}

fn none() -> Credential {
    Credential { client_secret: None, certificate: None, service_account: None, expires_at: None }
}

fn read_account(given: &Value, app: &App) -> Result<ServiceAccount, Problem> {
    const FIELD: &str = "service_account";
    let no_such = || {
        let detail = format!("only Google has service accounts, {} has none", app.provider.name());
        Problem::field(FIELD, detail)
    };
    let endpoint = Endpoints::for_service_account(app).ok_or_else(no_such)?;
    let endpoint = endpoint.map_err(|error| Problem::field("authority", error))?;
    read_service_account(given, &endpoint).map_err(|error| Problem::field(FIELD, error))
}

/// The client id of an app: that of its service account, if it is one.
pub(super) fn client_id(app: &App, credential: &Credential) -> Result<String, Problem> {
    let Some(account) = &credential.service_account else { return Ok(app.client_id.clone()) };
    if Endpoints::for_service_account(app).is_none() {
        let detail = format!("{} has no service accounts: take it away with null", app.provider.name());
        return Err(Problem::field("service_account", detail));
    }
    if !app.client_id.is_empty() && app.client_id != account.client_id {
        let detail = format!("is not {}, the service account's: leave it out", account.client_id);
        return Err(Problem::field("client_id", detail));
    }
    Ok(account.client_id.clone())
}

/// What is shown of a service account.
pub(super) fn view_account(credential: &Credential) -> Value {
    credential.service_account.as_ref().map_or(
        Value::Null,
        |account| json!({"client_email": account.client_email, "private_key_id": account.private_key_id}),
    )
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
