//! `/v1/events`: the log by cursor, with a long poll on the durable cursor.

use super::super::Shared;
use super::super::extract::{limit, query};
use super::super::problem::Answer;
use super::super::wait::wait;
use crate::domain::MailboxId;
use crate::events::{Cursor, EventType};
use crate::problem::Problem;
use crate::work::blocking;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};

/// The longest wait.

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    after: Option<String>,
    wait: Option<u64>,
    limit: Option<usize>,
    mailbox: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// GET `/v1/events`.
pub(super) async fn list(shared: Data<Shared>, request: HttpRequest) -> Answer {
    let wanted: ListQuery = query(request.query_string())?;
    let limit = limit(wanted.limit)?;
    let wait = wait(wanted.wait)?;
    let mailbox = wanted.mailbox.map(MailboxId::new).transpose()?;
    let kinds = wanted.kind.as_deref().map(kinds).transpose()?;
    let mut after = match wanted.after.as_deref() {
        None | Some("earliest" | "") => shared.store.earliest_cursor()?,
        Some("latest") => shared.store.durable_cursor(),
        Some(text) => kept(
            &shared,
            text.parse().map_err(|error| Problem::bad_request("bad_cursor", format!("after: {error}")))?,
        )?,
    };
    let mut durable = shared.store.watch_durable();
    let mut end = std::pin::pin!(tokio::time::sleep(wait));
    loop {
        // marked as seen before reading, so that what comes while reading wakes us
        durable.borrow_and_update();
        let (store, mailbox, kinds) = (shared.store.clone(), mailbox.clone(), kinds.clone());
        let (items, reached) = blocking(move || {
            store.events_after(after, limit, |event| {
                (mailbox.is_none() || mailbox == event.mailbox)
                    && kinds.as_ref().is_none_or(|kinds| kinds.contains(&event.kind))
            })
        })
        .await?;
        after = reached;
        let is_over = !items.is_empty() || wait.is_zero();
        let is_woken = !is_over && shared.changes(&mut durable, end.as_mut()).await;
        if !is_woken {
            return Ok(HttpResponse::Ok().json(json!({"items": items, "next": after})));
        }
    }
}

/// A position whose next event is still there, or will be the next there is: nobody misses events without an error.
fn kept(shared: &Shared, after: Cursor) -> Result<Cursor, Problem> {
    let detail = if after < shared.store.earliest_cursor()? {
        "after: events behind this cursor are older than events.retention, or were lost with a damaged disk; \
         read what there is now, then go on from after=earliest"
    } else if after > shared.store.durable_cursor() {
        "after: this cursor is of another log than this one, perhaps of before a backup was restored; \
         read what there is now, then go on from after=earliest"
    } else {
        return Ok(after);
    };
    Err(Problem::new(410, "cursor_expired", detail))
}

fn kinds(text: &str) -> Result<Vec<EventType>, Problem> {
    let read = |name: &str| {
        let unknown = |_| Problem::bad_request("bad_type", format!("type: there is no event {name:?}"));
        serde_json::from_value(Value::from(name)).map_err(unknown)
    };
    text.split(',').map(str::trim).map(read).collect()
}
