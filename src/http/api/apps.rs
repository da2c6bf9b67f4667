//! `/v1/apps`: OAuth client registrations. Client secrets and private keys go in and never come out.

use super::super::Shared;
use super::super::extract::{first_page, json, limit, merge, page, query, set, trimmed, typed, word};
use super::super::language::language_of;
use super::super::problem::Answer;
use super::credential_form::{self, Entered};
use super::{app_ids, presets, rotation};
use crate::clock;
use crate::config::Provider;
use crate::diagnosis::Language;
use crate::domain::app::AppCredentials;
use crate::domain::{App, AppId, Credential, ProviderKind, Secret, Timestamp};
use crate::net::Dialer;
use crate::problem::Problem;
use crate::store::{Replaced, Row, Store, StoreError};
use crate::work::{blocking, retry_conflicts};
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AppForm {
    #[serde(default)]
    id: Option<AppId>,
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

/// Tells `null` from absent.
pub(super) fn said<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    limit: Option<usize>,
    cursor: Option<String>,
}

/// GET `/v1/apps`, by id.
pub(super) async fn list(shared: Data<Shared>, request: HttpRequest) -> Answer {
    let wanted: ListQuery = query(request.query_string())?;
    let limit = limit(wanted.limit)?;
    let after = wanted.cursor.map(AppId::new).transpose();
    let after = after.map_err(|error| Problem::bad_request("bad_cursor", format!("cursor: {error}")))?;
    let store = shared.store.clone();
    let mut apps = blocking(move || store.apps()).await?;
    apps.retain(|row| after.as_ref().is_none_or(|after| row.value.app.id > *after));
    let (shown, next) = first_page(&apps, limit, |row| row.value.app.id.clone());
    let shown: Result<Vec<Value>, StoreError> =
        shown.iter().map(|row| view(&shared.store, &row.value)).collect();
    Ok(page(shown?, next))
}

/// POST `/v1/apps`.
pub(super) async fn create(shared: Data<Shared>, body: Bytes) -> Answer {
    let form = form(json(&body)?)?;
    let id = form.id.clone().unwrap_or_else(AppId::generate);
    let credentials = read(form, id, None)?;
    let taken = || Problem::conflict("app_exists", format!("there is an app {} already", credentials.app.id));
    match shared.store.put_app(&credentials, 0).await {
        Err(StoreError::Conflict) => return Err(taken()),
        other => other?,
    }
    changed(&shared, &credentials, &Replaced::ForGood).await?;
    let location = format!("/v1/apps/{}", credentials.app.id);
    let shown = view(&shared.store, &credentials)?;
    Ok(HttpResponse::Created().insert_header(("Location", location)).json(shown))
}

/// GET `/v1/apps/{app}`.
pub(super) async fn one(shared: Data<Shared>, id: Path<String>, request: HttpRequest) -> Answer {
    let id = AppId::new(id.into_inner())?;
    let language = language_of(&request)?;
    let row = shared.store.app(&id)?.ok_or_else(|| no_such_app(&id))?;
    let mut shown = view(&shared.store, &row.value)?;
    set(&mut shown, "rotation", rotation::view(&shared.store, &id, language)?);
    Ok(HttpResponse::Ok().json(shown))
}

/// PUT `/v1/apps/{app}`.
pub(super) async fn put(shared: Data<Shared>, id: Path<String>, body: Bytes) -> Answer {
    let id = AppId::new(id.into_inner())?;
    let value = json(&body)?;
    let (credentials, replaced) = retry_conflicts(async || {
        let known = shared.store.app(&id)?;
        let credential = known.as_ref().map(|row| row.value.credential());
        let credentials = read(form(value.clone())?, id.clone(), credential.as_ref())?;
        let Some(known) = known else {
            shared.store.put_app(&credentials, 0).await?;
            return Ok((credentials, None));
        };
        let replaced = replace(&shared, &known, &credentials).await?;
        Ok((credentials, Some(replaced)))
    })
    .await?;
    let mut response = if replaced.is_some() { HttpResponse::Ok() } else { HttpResponse::Created() };
    changed(&shared, &credentials, &replaced.unwrap_or(Replaced::ForGood)).await?;
    Ok(response.json(view(&shared.store, &credentials)?))
}

/// PATCH `/v1/apps/{app}`.
pub(super) async fn patch(shared: Data<Shared>, id: Path<String>, body: Bytes) -> Answer {
    let id = AppId::new(id.into_inner())?;
    let change = json(&body)?;
    let (credentials, replaced) = retry_conflicts(async || {
        let known = shared.store.app(&id)?.ok_or_else(|| no_such_app(&id))?;
        let mut value = view(&shared.store, &known.value)?;
        merge(&mut value, &change);
        // a merge removes what is null; here null means: none
        for name in ["client_secret", "client_certificate", "service_account"] {
            if change.get(name).is_some_and(Value::is_null) {
                set(&mut value, name, Value::Null);
            }
        }
        if let Some(given @ (Value::Object(_) | Value::String(_))) = change.get("service_account") {
            // a file is whole; the client id is in it
            set(&mut value, "service_account", given.clone());
            if change.get("client_id").is_none() {
                set(&mut value, "client_id", Value::Null);
            }
        }
        let before = known.value.credential();
        let mut credentials = read(form(value)?, id.clone(), Some(&before))?;
        let is_new = !credentials.credential().is_same(&before) && credentials.certificate.is_none();
        if is_new && change.get("secret_expires_at").is_none() {
            // the end of the one before says nothing of this one's
            credentials.app.secret_expires_at = None;
        }
        let replaced = replace(&shared, &known, &credentials).await?;
        Ok((credentials, replaced))
    })
    .await?;
    changed(&shared, &credentials, &replaced).await?;
    Ok(HttpResponse::Ok().json(view(&shared.store, &credentials)?))
}

/// DELETE `/v1/apps/{app}`.
pub(super) async fn delete(shared: Data<Shared>, id: Path<String>) -> Answer {
    let id = AppId::new(id.into_inner())?;
    retry_conflicts(async || {
        let known = shared.store.app(&id)?.ok_or_else(|| no_such_app(&id))?;
        let count = shared.mailboxes_of(&id).await?.len();
        if count > 0 {
            let detail = format!("{count} mailboxes use the app {id}: give them another one first");
            return Err(Problem::conflict("app_in_use", detail));
        }
        Ok(shared.store.delete_app(&id, known.generation).await?)
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// What an app still lacks before anybody can sign in with it.
pub(super) fn missing_fields(app: &App) -> Vec<&'static str> {
    let preset = Provider::of_kind(app.provider).and_then(|provider| provider.oauth.as_ref());
    let tenant = preset.and_then(|preset| preset.tenant.as_ref());
    let tenant = tenant.is_some_and(|tenant| tenant.required) && app.tenant.is_none();
    let authority = app.provider == ProviderKind::Oidc && app.authority.is_none();
    [(tenant, "tenant"), (app.client_id.is_empty(), "client_id"), (authority, "authority")]
        .into_iter()
        .filter_map(|(is_missing, name)| is_missing.then_some(name))
        .collect()
}

pub(super) fn no_such_app(id: &AppId) -> Problem {
    Problem::not_found("no_such_app", format!("there is no app {:?}", id.as_str()))
}

/// Writes an app over the one that was read.
async fn replace(
    shared: &Shared,
    known: &Row<AppCredentials>,
    credentials: &AppCredentials,
) -> Result<Replaced, Problem> {
    let now = clock::now();
    let (store, old, new) = (shared.store.clone(), known.value.clone(), credentials.clone());
    let replaced = blocking(move || rotation::replaced(&store, &old, &new, now)).await?;
    shared.store.replace_app(credentials, known.generation, replaced.clone(), now).await?;
    Ok(replaced)
}

async fn changed(shared: &Shared, credentials: &AppCredentials, replaced: &Replaced) -> Result<(), Problem> {
    presets::adopt(shared, credentials).await?;
    match replaced {
        Replaced::OnTrial(_) => shared.credential_replaced(&credentials.app.id).await,
        Replaced::Nothing | Replaced::ForGood => shared.app_changed(&credentials.app.id).await,
    }
}

fn view(store: &Store, credentials: &AppCredentials) -> Result<Value, StoreError> {
    let mut shown = serde_json::to_value(&credentials.app).unwrap_or_default();
    set(&mut shown, "client_secret_set", json!(credentials.client_secret.is_some()));
    let credential = credentials.credential();
    set(&mut shown, "client_certificate", credential_form::view(&credential));
    set(&mut shown, "service_account", credential_form::view_account(&credential));
    set(&mut shown, "rotation", rotation::view(store, &credentials.app.id, Language::default())?);
    Ok(shown)
}

fn form(mut value: Value) -> Result<AppForm, Problem> {
    if let Some(fields) = value.as_object_mut() {
        // shown, so that it may come back
        fields.remove("client_secret_set");
        fields.remove("rotation");
        // as shown, not as entered: it stays
        if fields.get("client_certificate").is_some_and(Value::is_object) {
            fields.remove("client_certificate");
        }
    }
    typed(&value)
}

/// Checks a form; `known` is the credential to keep if none is given.
fn read(form: AppForm, id: AppId, known: Option<&Credential>) -> Result<AppCredentials, Problem> {
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
    let credential = credential_form::read(entered, &app, known, clock::now())?;
    app.client_id = credential_form::client_id(&app, &credential)?;
    Ok(AppCredentials { app, client_secret: None, certificate: None, service_account: None }
        .with_credential(credential))
}
