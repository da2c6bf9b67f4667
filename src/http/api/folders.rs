//! `/v1/mailboxes/{mb}/folders`.

use super::super::Shared;
use super::super::extract::{first_page, limit, page, pool, query};
use super::super::problem::{Answer, Problem};
use crate::domain::folder::FolderCounts;
use crate::domain::{Folder, FolderId, Incarnation};
use crate::store::{Store, StoreError};
use actix_web::HttpRequest;
use actix_web::web::{Data, Path};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    limit: Option<usize>,
    cursor: Option<String>,
}

/// GET `/v1/mailboxes/{mb}/folders`, by path.
pub(super) async fn list(shared: Data<Shared>, id: Path<String>, request: HttpRequest) -> Answer {
    let incarnation = shared.mailbox(&id)?.incarnation;
    let wanted: ListQuery = query(request.query_string())?;
    let limit = limit(wanted.limit)?;
    let after = wanted.cursor.as_deref().map(str::parse::<FolderId>).transpose();
    let after = after.map_err(|error| Problem::bad_request("bad_cursor", format!("cursor: {error}")))?;
    let store = shared.store.clone();
    let (items, next) = pool(move || {
        let mut folders: Vec<Folder> = store.folders(incarnation)?.into_iter().map(|row| row.value).collect();
        folders.sort_by(|one, other| (&one.path, one.id).cmp(&(&other.path, other.id)));
        if let Some(after) = after {
            let gone =
                || Problem::bad_request("bad_cursor", "cursor: this folder is gone: list from the start");
            let last = folders.iter().position(|folder| folder.id == after).ok_or_else(gone)?;
            folders.drain(..=last);
        }
        let (shown, next) = first_page(&folders, limit, |folder| folder.id);
        let shown = shown.iter().map(|folder| {
            let counts = store.folder_counts(incarnation, folder.id)?;
            let quarantined = store.quarantined(incarnation, folder.id, folder.incarnation)?.len();
            Ok::<_, StoreError>(view(folder, &counts, quarantined))
        });
        Ok::<_, Problem>((shown.collect::<Result<Vec<_>, _>>()?, next))
    })
    .await?;
    Ok(page(items, next))
}

fn view(folder: &Folder, counts: &FolderCounts, quarantined: usize) -> Value {
    json!({
        "id": folder.id, "name": folder.name(), "path": folder.path, "role": folder.role,
        "selectable": folder.selectable, "included": folder.included, "uid_validity": folder.uid_validity,
        "messages": counts.messages, "unseen": counts.unseen, "synced": counts.messages,
        "quarantined": quarantined,
    })
}

/// The folder that a text names, by id or path.
pub(super) fn find(store: &Store, mailbox: Incarnation, text: &str) -> Result<FolderId, Problem> {
    if let Ok(id) = text.parse::<FolderId>()
        && store.folder(mailbox, id)?.is_some()
    {
        return Ok(id);
    }
    let is_inbox = text.eq_ignore_ascii_case("INBOX");
    let named = |folder: &Folder| folder.path == text || (is_inbox && folder.path == "INBOX");
    let found = store.folders(mailbox)?.into_iter().find(|row| named(&row.value));
    let unknown =
        || Problem::not_found("no_such_folder", format!("there is no folder {text:?}, by id or path"));
    found.map(|row| row.value.id).ok_or_else(unknown)
}
