//! `/v1/apps`: OAuth client registrations. Client secrets and private keys go in and never come out.

use super::super::Shared;
use super::super::extract::{first_page, json, limit, page, query};
use super::super::language::language_of;
use super::super::problem::Answer;
use crate::admin;
use crate::diagnosis::Language;
use crate::domain::AppId;
use crate::problem::Problem;
use crate::store::StoreError;
use crate::work::blocking;
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::Value;

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
        shown.iter().map(|row| admin::app_view(&shared.store, &row.value, Language::default())).collect();
    Ok(page(shown?, next))
}

/// POST `/v1/apps`.
pub(super) async fn create(shared: Data<Shared>, body: Bytes) -> Answer {
    let created = admin::create_app(&shared.admin, json(&body)?).await?;
    let location = format!("/v1/apps/{}", created.app.id);
    let shown = admin::app_view(&shared.store, &created, Language::default())?;
    Ok(HttpResponse::Created().insert_header(("Location", location)).json(shown))
}

/// GET `/v1/apps/{app}`.
pub(super) async fn one(shared: Data<Shared>, id: Path<String>, request: HttpRequest) -> Answer {
    let id = AppId::new(id.into_inner())?;
    let language = language_of(&request)?;
    let row = admin::app(&shared.store, &id)?;
    Ok(HttpResponse::Ok().json(admin::app_view(&shared.store, &row.value, language)?))
}

/// PUT `/v1/apps/{app}`.
pub(super) async fn put(shared: Data<Shared>, id: Path<String>, body: Bytes) -> Answer {
    let id = AppId::new(id.into_inner())?;
    let (app, is_new) = admin::put_app(&shared.admin, &id, &json(&body)?).await?;
    let mut response = if is_new { HttpResponse::Created() } else { HttpResponse::Ok() };
    Ok(response.json(admin::app_view(&shared.store, &app, Language::default())?))
}

/// PATCH `/v1/apps/{app}`.
pub(super) async fn patch(shared: Data<Shared>, id: Path<String>, body: Bytes) -> Answer {
    let id = AppId::new(id.into_inner())?;
    let app = admin::patch_app(&shared.admin, &id, &json(&body)?).await?;
    Ok(HttpResponse::Ok().json(admin::app_view(&shared.store, &app, Language::default())?))
}

/// DELETE `/v1/apps/{app}`.
pub(super) async fn delete(shared: Data<Shared>, id: Path<String>) -> Answer {
    admin::delete_app(&shared.admin, &AppId::new(id.into_inner())?).await?;
    Ok(HttpResponse::NoContent().finish())
}
