//! An app as it is entered: checked, and with what may be left out. Client secrets and private keys go in and never
//! come out.

use super::app_ids;
use super::credential_form::{self, Entered};
use super::fields::{merge, said, set, trimmed, typed, word};
use crate::domain::app::AppCredentials;
use crate::domain::{App, AppId, Credential, ProviderKind, Secret, Timestamp};
use crate::net::Dialer;
use crate::problem::Problem;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AppForm {
    #[serde(default)]
    pub(super) id: Option<AppId>,
    provider: ProviderKind,
    #[serde(default)]
    tenant: Option<String>,
    #[serde(default)]
    client_id: Option<String>,
    /// Absent: as it was. `null`: none.
    #[serde(default, deserialize_with = "said")]
    client_secret: Option<Option<Secret>>,
    /// Likewise; a PEM text with certificate and private key.
    #[serde(default, deserialize_with = "said")]
    client_certificate: Option<Option<Secret>>,
    /// Likewise; a key file of Google's, as an object or as a text.
    #[serde(default, deserialize_with = "said")]
    service_account: Option<Option<Value>>,
    #[serde(default)]
    authority: Option<String>,
    #[serde(default)]
    scopes: Option<Vec<String>>,
    #[serde(default)]
    domains: Vec<String>,
    #[serde(default)]
    secret_expires_at: Option<Timestamp>,
}

/// Reads a form, in which fields that are only shown are left out.
pub(super) fn form(mut value: Value) -> Result<AppForm, Problem> {
    if let Some(fields) = value.as_object_mut() {
        // read-only fields may come back
        fields.remove("client_secret_set");
        fields.remove("rotation");
        // as shown, not as entered: it stays
        if fields.get("client_certificate").is_some_and(Value::is_object) {
            fields.remove("client_certificate");
        }
    }
    typed(&value)
}

/// What a PATCH makes of an app's form; `shown` is the app as it is.
pub(super) fn patched(mut shown: Value, change: &Value) -> Value {
    let value = &mut shown;
    merge(value, change);
    // a merge removes what is null; here null means: none
    for name in ["client_secret", "client_certificate", "service_account"] {
        if change.get(name).is_some_and(Value::is_null) {
            set(value, name, Value::Null);
        }
    }
    if let Some(given @ (Value::Object(_) | Value::String(_))) = change.get("service_account") {
        // a file is whole; the client id is in it
        set(value, "service_account", given.clone());
        if change.get("client_id").is_none() {
            set(value, "client_id", Value::Null);
        }
    }
    shown
}

/// Checks a form; `known` is the credential to keep if none is given.
pub(super) fn read(
    form: AppForm,
    id: AppId,
    known: Option<&Credential>,
    now: Timestamp,
) -> Result<AppCredentials, Problem> {
    if form.id.as_ref().is_some_and(|given| *given != id) {
        return Err(Problem::field("id", format!("is not {id}, which the address names")));
    }
    let optional = |field: &str, text: Option<String>| match text {
        Some(text) => word(field, &text),
        None => Ok(None),
    };
    let tenant = optional("tenant", form.tenant)?;
    if tenant.as_deref().is_some_and(|tenant| tenant.contains(['/', '?', '#'])) {
        return Err(Problem::field("tenant", "is a tenant id or a domain, not an address"));
    }
    let client_id = optional("client_id", form.client_id)?.unwrap_or_default();
    app_ids::check(form.provider, tenant.as_deref(), &client_id)
        .map_err(|(field, problem)| Problem::field(field, problem))?;
    let authority = optional("authority", form.authority)?;
    if let Some(text) = &authority {
        let url = url::Url::parse(text).map_err(|error| Problem::field("authority", error))?;
        Dialer::check_url(&url).map_err(|_| Problem::field("authority", "must be https"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Problem::field("authority", "holds a user or a password: leave them out"));
        }
    }
    let domain = |text: &String| {
        let bare = trimmed(text).unwrap_or_default().trim_start_matches('@').to_lowercase();
        match word("domains", &bare)? {
            Some(domain) if !domain.contains('@') => Ok(domain),
            _ => Err(Problem::field("domains", format!("{text:?} is no domain"))),
        }
    };
    let scopes = form.scopes.filter(|scopes| !scopes.is_empty());
    let mut app = App {
        id,
        provider: form.provider,
        tenant,
        client_id,
        authority,
        scopes,
        domains: form.domains.iter().map(domain).collect::<Result<_, _>>()?,
        secret_expires_at: None,
    };
    let entered = Entered {
        client_secret: form.client_secret,
        client_certificate: form.client_certificate,
        service_account: form.service_account,
        expires_at: form.secret_expires_at,
    };
    let credential = credential_form::read(entered, &app, known, now)?;
    app.client_id = credential_form::client_id(&app, &credential)?;
    Ok(AppCredentials { app, client_secret: None, certificate: None, service_account: None }
        .with_credential(credential))
}
