//! `/v1/mailboxes`: create, list, change, delete. A change touches its own mailbox only.

use super::super::Shared;
use super::super::extract::{json as read, limit, page, query};
use super::super::language::{language, language_of};
use super::super::problem::Answer;
use crate::admin::{self, MailboxView, mailbox_view};
use crate::diagnosis::Language;
use crate::domain::{MailboxId, MailboxState, SendState};
use crate::problem::Problem;
use crate::store::{StoreError, StoredMailbox};
use crate::work::blocking;
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    state: Option<MailboxState>,
    send_state: Option<SendState>,
    attention: Option<bool>,
    app: Option<String>,
    owner: Option<String>,
    label: Option<String>,
    q: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
    language: Option<String>,
}

/// GET `/v1/mailboxes`.
pub(super) async fn list(shared: Data<Shared>, request: HttpRequest) -> Answer {
    let wanted: ListQuery = query(request.query_string())?;
    let limit = limit(wanted.limit)?;
    let language = language(&request, wanted.language.as_deref())?;
    let after = wanted.cursor.as_deref().map(MailboxId::new).transpose();
    let after = after.map_err(|error| Problem::bad_request("bad_cursor", format!("cursor: {error}")))?;
    let store = shared.store.clone();
    let (items, next) = blocking(move || {
        let mut items = Vec::new();
        let mut last: Option<MailboxId> = None;
        for stored in store.mailboxes()? {
            if after.as_ref().is_some_and(|after| stored.mailbox.id <= *after)
                || !wanted.is_configured_so(&stored)
            {
                continue;
            }
            let seen = mailbox_view(&store, &stored, language)?;
            if !wanted.is_in_such_a_state(&seen) {
                continue;
            }
            if items.len() == limit {
                return Ok((items, last));
            }
            items.push(seen.shown);
            last = Some(stored.mailbox.id);
        }
        Ok::<_, StoreError>((items, None))
    })
    .await?;
    Ok(page(items, next))
}

impl ListQuery {
    fn is_configured_so(&self, stored: &StoredMailbox) -> bool {
        let mailbox = &stored.mailbox;
        let app = |id: &String| mailbox.app().is_some_and(|app| app.as_str() == id);
        let owner = |wanted: &String| {
            mailbox.owner.as_ref().and_then(|owner| owner.reference.as_ref()) == Some(wanted)
        };
        let label = |wanted: &String| match wanted.split_once([':', '=']) {
            Some((name, value)) => mailbox.labels.get(name).is_some_and(|is| is == value),
            None => mailbox.labels.contains_key(wanted),
        };
        let text = |wanted: &String| {
            let wanted = wanted.to_lowercase();
            let name = mailbox.display_name.as_deref().unwrap_or_default();
            [mailbox.id.as_str(), &mailbox.address, name]
                .iter()
                .any(|text| text.to_lowercase().contains(&wanted))
        };
        self.app.as_ref().is_none_or(app)
            && self.owner.as_ref().is_none_or(owner)
            && self.label.as_ref().is_none_or(label)
            && self.q.as_ref().is_none_or(text)
    }

    fn is_in_such_a_state(&self, seen: &MailboxView) -> bool {
        self.state.is_none_or(|state| state == seen.state)
            && self.send_state.is_none_or(|state| state == seen.send_state)
            && self.attention.is_none_or(|attention| attention == seen.attention)
    }
}

/// GET `/v1/mailboxes:summary`.
pub(super) async fn summary(shared: Data<Shared>) -> Answer {
    let store = shared.store.clone();
    let counts = blocking(move || {
        let mut states: BTreeMap<String, u64> = BTreeMap::new();
        let mut send_states: BTreeMap<String, u64> = BTreeMap::new();
        let (mut total, mut attention) = (0_u64, 0_u64);
        for stored in store.mailboxes()? {
            let seen = mailbox_view(&store, &stored, Language::default())?;
            total += 1;
            attention += u64::from(seen.attention);
            *states.entry(name(json!(seen.state))).or_default() += 1;
            *send_states.entry(name(json!(seen.send_state))).or_default() += 1;
        }
        Ok::<_, StoreError>(json!({
            "total": total, "attention": attention, "states": states, "send_states": send_states}))
    })
    .await?;
    Ok(HttpResponse::Ok().json(counts))
}

fn name(value: Value) -> String {
    value.as_str().map(String::from).unwrap_or_default()
}

/// POST `/v1/mailboxes`.
pub(super) async fn create(shared: Data<Shared>, body: Bytes) -> Answer {
    let stored = admin::create_mailbox(&shared.admin, read(&body)?).await?;
    let location = format!("/v1/mailboxes/{}", stored.mailbox.id);
    Ok(HttpResponse::Created().insert_header(("Location", location)).json(shared.view(&stored)?.shown))
}

/// GET `/v1/mailboxes/{mb}`.
pub(super) async fn one(shared: Data<Shared>, id: Path<String>, request: HttpRequest) -> Answer {
    let language = language_of(&request)?;
    let stored = shared.mailbox(&id)?;
    Ok(HttpResponse::Ok().json(mailbox_view(&shared.store, &stored, language)?.shown))
}

/// PUT `/v1/mailboxes/{mb}`.
pub(super) async fn put(shared: Data<Shared>, id: Path<String>, body: Bytes) -> Answer {
    let id = MailboxId::new(id.into_inner())?;
    let (stored, is_new) = admin::put_mailbox(&shared.admin, &id, read(&body)?).await?;
    let mut response = if is_new { HttpResponse::Created() } else { HttpResponse::Ok() };
    Ok(response.json(shared.view(&stored)?.shown))
}

/// PATCH `/v1/mailboxes/{mb}`.
pub(super) async fn patch(shared: Data<Shared>, id: Path<String>, body: Bytes) -> Answer {
    let stored = admin::patch_mailbox(&shared.admin, &id, &read(&body)?).await?;
    Ok(HttpResponse::Ok().json(shared.view(&stored)?.shown))
}

/// DELETE `/v1/mailboxes/{mb}`: gone at once; what it left is erased after the answer.
pub(super) async fn delete(shared: Data<Shared>, id: Path<String>) -> Answer {
    let stored = admin::delete_mailbox(&shared.admin, &id).await?;
    let (store, incarnation) = (shared.store.clone(), stored.incarnation);
    actix_web::rt::spawn(async move {
        // begun again at the next start, if it does not end
        if let Err(error) = store.erase(incarnation).await {
            tracing::warn!(%error, %incarnation, "a deleted mailbox is not erased yet");
        }
    });
    let job = format!("erase-{incarnation}");
    let shown =
        json!({"job": {"id": job, "kind": "erase", "mailbox": stored.mailbox.id, "state": "running"}});
    Ok(HttpResponse::Accepted().json(shown))
}
