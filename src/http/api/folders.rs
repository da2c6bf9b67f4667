//! `/v1/mailboxes/{mb}/folders`.

use super::super::Shared;
use super::super::extract::{first_page, json as json_in, limit, page, query};
use super::super::language::{language, language_of};
use super::super::problem::Answer;
use crate::admin::typed;
use crate::diagnosis::{self, Facts, Language, catalogue};
use crate::domain::folder::FolderCounts;
use crate::domain::{Diagnosis, Folder, FolderId, Incarnation};
use crate::problem::Problem;
use crate::store::{Commit, Row, Store, StoreError, StoredMailbox};
use crate::supervisor::protocol::WakeReason;
use crate::work::{blocking, retry_conflicts};
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    limit: Option<usize>,
    cursor: Option<String>,
    language: Option<String>,
}

/// GET `/v1/mailboxes/{mb}/folders`, by path.
pub(super) async fn list(shared: Data<Shared>, id: Path<String>, request: HttpRequest) -> Answer {
    let stored = shared.mailbox(&id)?;
    let incarnation = stored.incarnation;
    let wanted: ListQuery = query(request.query_string())?;
    let language = language(&request, wanted.language.as_deref())?;
    let limit = limit(wanted.limit)?;
    let after = wanted.cursor.as_deref().map(str::parse::<FolderId>).transpose();
    let after = after.map_err(|error| Problem::bad_request("bad_cursor", format!("cursor: {error}")))?;
    let store = shared.store.clone();
    let (items, next) = blocking(move || {
        let mut folders: Vec<Folder> = store.folders(incarnation)?.into_iter().map(|row| row.value).collect();
        folders.sort_by(|one, other| (&one.path, one.id).cmp(&(&other.path, other.id)));
        if let Some(after) = after {
            let gone =
                || Problem::bad_request("bad_cursor", "cursor: this folder is gone: list from the start");
            let last = folders.iter().position(|folder| folder.id == after).ok_or_else(gone)?;
            folders.drain(..=last);
        }
        let (shown, next) = first_page(&folders, limit, |folder| folder.id);
        let shown = shown.iter().map(|folder| view(&store, &stored, folder, language));
        Ok::<_, Problem>((shown.collect::<Result<Vec<_>, _>>()?, next))
    })
    .await?;
    Ok(page(items, next))
}

/// What may be changed of a folder.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    included: Option<bool>,
}

/// PATCH `/v1/mailboxes/{mb}/folders/{folder}`: whether it is synchronized. What is stored of a folder that is left
/// out from now on stays.
pub(super) async fn patch(
    shared: Data<Shared>,
    path: Path<(String, String)>,
    request: HttpRequest,
    body: Bytes,
) -> Answer {
    let (mailbox, text) = path.into_inner();
    let language = language_of(&request)?;
    let Change { included } = typed(&json_in(&body)?)?;
    let stored = shared.mailbox(&mailbox)?;
    let id = find(&shared.store, stored.incarnation, &text)?;
    let folder = retry_conflicts(async || {
        let row = shared.store.folder(stored.incarnation, id)?;
        let gone = || Problem::not_found("no_such_folder", "the folder is gone");
        let Row { generation, value: mut folder } = row.ok_or_else(gone)?;
        let Some(included) = included else { return Ok(folder) };
        if (folder.included, folder.is_chosen) == (included, true) {
            return Ok(folder);
        }
        (folder.included, folder.is_chosen) = (included, true);
        let mut commit = Commit::of_mailbox(stored.incarnation);
        shared.store.put_folder(&mut commit, stored.incarnation, generation, &folder)?;
        shared.store.commit(commit).await?;
        Ok(folder)
    })
    .await?;
    shared.supervisor.wake(stored.incarnation, WakeReason::Sync);
    Ok(HttpResponse::Ok().json(view(&shared.store, &stored, &folder, language)?))
}

fn view(
    store: &Store,
    stored: &StoredMailbox,
    folder: &Folder,
    language: Language,
) -> Result<Value, StoreError> {
    let counts: FolderCounts = store.folder_counts(stored.incarnation, folder.id)?;
    let quarantined = store.quarantined(stored.incarnation, folder.id, folder.incarnation)?.len();
    let apart = folder.apart.as_ref().filter(|_| folder.selectable && folder.included);
    let state = match folder {
        Folder { selectable: false, .. } => "not_selectable",
        Folder { included: false, .. } => "excluded",
        _ if apart.is_some() => "set_apart",
        Folder { history_complete: false, .. } => "syncing",
        _ => "in_step",
    };
    Ok(json!({
        "id": folder.id, "name": folder.name(), "path": folder.path, "role": folder.role,
        "selectable": folder.selectable, "included": folder.included, "uid_validity": folder.uid_validity,
        "messages": counts.messages, "unseen": counts.unseen, "synced": counts.messages,
        "quarantined": quarantined, "state": state,
        "reason": apart.map(|apart| &apart.reason), "since": apart.map(|apart| apart.since),
        "next_try": apart.map(|apart| apart.next_try), "diagnosis": refusal(stored, folder, language),
    }))
}

/// What somebody has to do about a folder that is set apart.
fn refusal(stored: &StoredMailbox, folder: &Folder, language: Language) -> Option<Diagnosis> {
    let apart = folder.apart.as_ref()?;
    let entry = catalogue::find(apart.code.as_deref()?)?;
    let host = stored.mailbox.imap.as_ref().map_or("", |endpoint| &endpoint.host);
    let facts = Facts { address: &stored.mailbox.address, host, detail: &folder.path, ..Facts::default() };
    let found = diagnosis::describe(entry, &facts, Some(&apart.reason));
    Some(Diagnosis { since: Some(apart.since), ..diagnosis::shown(&found, language) })
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
