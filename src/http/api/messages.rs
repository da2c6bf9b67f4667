//! `/v1/mailboxes/{mb}/messages`: list and get.

use super::super::Shared;
use super::super::extract::{limit, page, query};
use super::super::problem::Answer;
use super::folders;
use crate::domain::{FolderId, Incarnation, Message, MessageId, Timestamp};
use crate::problem::Problem;
use crate::store::{MessageFilter, Store, StoreError};
use crate::work::blocking;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    folder: Option<String>,
    since: Option<Timestamp>,
    before: Option<Timestamp>,
    from: Option<String>,
    subject: Option<String>,
    unseen: Option<bool>,
    has_attachment: Option<bool>,
    message_id: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// GET `/v1/mailboxes/{mb}/messages`, newest first.
pub(super) async fn list(shared: Data<Shared>, id: Path<String>, request: HttpRequest) -> Answer {
    let stored = shared.mailbox(&id)?;
    let wanted: ListQuery = query(request.query_string())?;
    let limit = limit(wanted.limit)?;
    let after = wanted.cursor.as_deref().map(str::parse::<MessageId>).transpose();
    let after = after.map_err(|error| Problem::bad_request("bad_cursor", format!("cursor: {error}")))?;
    let folder = wanted.folder.as_deref().map(|text| folders::find(&shared.store, stored.incarnation, text));
    let filter = MessageFilter {
        folder: folder.transpose()?,
        since: wanted.since,
        before: wanted.before,
        from: wanted.from,
        subject: wanted.subject,
        unseen: wanted.unseen,
        has_attachment: wanted.has_attachment,
        message_id: wanted.message_id,
    };
    let store = shared.store.clone();
    let (items, next) = blocking(move || {
        let found = store.list_messages(stored.incarnation, &filter, after, limit)?;
        let paths = paths(&store, stored.incarnation)?;
        let items: Vec<Value> = found.messages.iter().map(|message| view(message, &paths)).collect();
        Ok::<_, StoreError>((items, found.next))
    })
    .await?;
    Ok(page(items, next))
}

/// GET `/v1/mailboxes/{mb}/messages/{id}`.
pub(super) async fn one(shared: Data<Shared>, at: Path<(String, String)>) -> Answer {
    let (mailbox, message) = find(&shared, &at)?;
    Ok(HttpResponse::Ok().json(view(&message, &paths(&shared.store, mailbox)?)))
}

/// The message that an address names.
pub(super) fn find(shared: &Shared, at: &(String, String)) -> Result<(Incarnation, Message), Problem> {
    let stored = shared.mailbox(&at.0)?;
    let id: MessageId = at.1.parse()?;
    let found = shared.store.message(stored.incarnation, id)?;
    let message =
        found.ok_or_else(|| Problem::not_found("no_such_message", format!("there is no message {id}")))?;
    Ok((stored.incarnation, message))
}

fn paths(store: &Store, mailbox: Incarnation) -> Result<BTreeMap<FolderId, String>, StoreError> {
    Ok(store.folders(mailbox)?.into_iter().map(|row| (row.value.id, row.value.path)).collect())
}

fn view(message: &Message, paths: &BTreeMap<FolderId, String>) -> Value {
    let envelope = &message.envelope;
    json!({
        "id": message.id, "folder": paths.get(&message.folder), "folder_id": message.folder,
        "uid": message.uid, "uid_validity": message.uid_validity, "flags": message.flags, "labels": [],
        "size": message.size, "internal_date": message.internal_date, "message_id": envelope.message_id,
        "date": envelope.date, "from": envelope.from, "to": envelope.to, "cc": envelope.cc,
        "subject": envelope.subject, "has_attachments": envelope.has_attachments, "thread": null,
        "copy_of": message.copy_of, "pending": [], "state": message.state,
    })
}
