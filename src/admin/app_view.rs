//! An app as it is returned.

use super::fields::set;
use super::{credential_form, credential_rotation};
use crate::diagnosis::Language;
use crate::domain::app::AppCredentials;
use crate::store::{Store, StoreError};
use serde_json::{Value, json};

/// An app as it is returned, without its secrets.
pub(crate) fn app_view(
    store: &Store,
    credentials: &AppCredentials,
    language: Language,
) -> Result<Value, StoreError> {
    let mut shown = serde_json::to_value(&credentials.app).unwrap_or_default();
    set(&mut shown, "client_secret_set", json!(credentials.client_secret.is_some()));
    let credential = credentials.credential();
    set(&mut shown, "client_certificate", credential_form::view(&credential));
    set(&mut shown, "service_account", credential_form::view_account(&credential));
    set(&mut shown, "rotation", credential_rotation::view(store, &credentials.app.id, language)?);
    Ok(shown)
}
