//! `/v1/mailboxes/{mb}/outbox`: a 202 means durable.

use super::super::Shared;
use super::super::extract::{json, limit, page, query};
use super::super::problem::Answer;
use super::idempotency::KeyedRequest;
use crate::admin::typed;
use crate::domain::{Incarnation, Submission, SubmissionId, SubmissionState, Timestamp};
use crate::problem::Problem;
use crate::smtp::mime::{Draft, DraftAttachment, MOST_RECIPIENTS, Person};
use crate::smtp::{Content, accept, outbox};
use crate::store::{Body, Commit, Row, Store, StoreError, StoredMailbox};
use crate::supervisor::protocol::WakeReason;
use crate::work::{blocking, retry_conflicts};
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::Value;

/// A draft, and when it is to be sent.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Posted {
    from: Option<Person>,
    to: Vec<Person>,
    cc: Vec<Person>,
    bcc: Vec<Person>,
    reply_to: Vec<Person>,
    subject: String,
    text: Option<String>,
    html: Option<String>,
    attachments: Vec<DraftAttachment>,
    send_at: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubmitQuery {
    send_at: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    state: Option<SubmissionState>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// POST `/v1/mailboxes/{mb}/outbox`.
pub(super) async fn submit(
    shared: Data<Shared>,
    id: Path<String>,
    request: HttpRequest,
    body: Bytes,
) -> Answer {
    let stored = shared.mailbox(&id)?;
    if stored.mailbox.smtp.is_none() {
        return Err(Problem::conflict("no_smtp", "this mailbox has no smtp server: it only receives"));
    }
    let asked: SubmitQuery = query(request.query_string())?;
    let is_raw = is_raw(&request)?;
    let key = KeyedRequest::read(&request, &body, is_raw, asked.send_at).await?;
    if let Some(key) = &key
        && let Some(first) = key.first(&shared, stored.incarnation)?
    {
        return Ok(accepted(&shared, &stored, &first));
    }
    let (store, mailbox) = (shared.store.clone(), stored.clone());
    let given_key = key.as_ref().map(|key| key.key.clone());
    let (submission, record) =
        blocking(move || prepare(&store, &mailbox, &body, is_raw, asked.send_at, given_key)).await?;
    let submission_id = submission.id;
    let mut commit = Commit::of_mailbox(stored.incarnation);
    let digest = key.as_ref().map(|key| key.digest.clone());
    commit.accept_request(submission, record, digest)?;
    match (shared.store.commit(commit).await, &key) {
        (Err(StoreError::Conflict), Some(key)) => {
            // another request with this key came first
            let first = key.first(&shared, stored.incarnation)?.ok_or(StoreError::Conflict)?;
            return Ok(accepted(&shared, &stored, &first));
        }
        (Err(StoreError::TooLarge { .. }), _) => {
            return Err(too_many_recipients());
        }
        (other, _) => drop(other?),
    }
    let row = find(&shared, stored.incarnation, submission_id)?;
    Ok(accepted(&shared, &stored, &row.value))
}

fn too_many_recipients() -> Problem {
    let detail = "to, cc, bcc: too many recipients for one message: send it to fewer at a time";
    Problem::unprocessable("too_many_recipients", detail)
}

/// A repeated request gets the answer of the first, and wakes the outbox again: the first may have ended before it
/// could.
fn accepted(shared: &Shared, stored: &StoredMailbox, submission: &Submission) -> HttpResponse {
    shared.supervisor.wake(stored.incarnation, WakeReason::Outbox);
    let location = format!("/v1/mailboxes/{}/outbox/{}", stored.mailbox.id, submission.id);
    HttpResponse::Accepted().insert_header(("Location", location)).json(view(submission))
}

/// Reads, builds, compresses and seals. On the pool.
fn prepare(
    store: &Store,
    stored: &StoredMailbox,
    body: &[u8],
    is_raw: bool,
    asked_send_at: Option<Timestamp>,
    idempotency_key: Option<String>,
) -> Result<(Submission, Body), Problem> {
    let (submission, record) = if is_raw {
        accept(store, stored, &Content::Raw(body), asked_send_at)?
    } else {
        let posted = read(body)?;
        if posted.to.len() + posted.cc.len() + posted.bcc.len() > MOST_RECIPIENTS {
            return Err(too_many_recipients());
        }
        let send_at = posted.send_at.or(asked_send_at);
        accept(store, stored, &Content::Draft(&draft(posted)), send_at)?
    };
    Ok((Submission { idempotency_key, ..submission }, record))
}

/// Reads a draft straight from the text; only a wrong one is looked at again, to name its field.
fn read(body: &[u8]) -> Result<Posted, Problem> {
    serde_json::from_slice(body).or_else(|error| {
        let value = json(body)?;
        if body.len() <= 64 << 10 {
            typed(&value)
        } else {
            Err(Problem::unprocessable("invalid_field", error.to_string()))
        }
    })
}

fn draft(posted: Posted) -> Draft {
    let Posted { from, to, cc, bcc, reply_to, subject, text, html, attachments, send_at: _ } = posted;
    Draft { from, to, cc, bcc, reply_to, subject, text, html, attachments }
}

fn is_raw(request: &HttpRequest) -> Result<bool, Problem> {
    let media_type =
        request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "message/rfc822" => Ok(true),
        "" | "application/json" => Ok(false),
        other => {
            let detail = format!("{other:?}: send application/json or message/rfc822");
            Err(Problem::new(415, "unsupported_media_type", detail))
        }
    }
}

/// GET `/v1/mailboxes/{mb}/outbox`, newest first.
pub(super) async fn list(shared: Data<Shared>, id: Path<String>, request: HttpRequest) -> Answer {
    let stored = shared.mailbox(&id)?;
    let wanted: ListQuery = query(request.query_string())?;
    let limit = limit(wanted.limit)?;
    let after = wanted.cursor.as_deref().map(str::parse::<SubmissionId>).transpose();
    let after = after.map_err(|error| Problem::bad_request("bad_cursor", format!("cursor: {error}")))?;
    let store = shared.store.clone();
    let list = move || store.list_submissions(stored.incarnation, wanted.state, after, limit);
    let found = blocking(list).await?;
    Ok(page(found.submissions.iter().map(view).collect(), found.next))
}

/// GET `/v1/mailboxes/{mb}/outbox/{id}`.
pub(super) async fn one(shared: Data<Shared>, at: Path<(String, String)>) -> Answer {
    let stored = shared.mailbox(&at.0)?;
    let row = find(&shared, stored.incarnation, at.1.parse()?)?;
    Ok(HttpResponse::Ok().json(view(&row.value)))
}

/// POST `/v1/mailboxes/{mb}/outbox/{id}/cancel`.
pub(super) async fn cancel(shared: Data<Shared>, at: Path<(String, String)>) -> Answer {
    let stored = shared.mailbox(&at.0)?;
    let id = at.1.parse()?;
    let cancelled = retry_conflicts(async || {
        let row = find(&shared, stored.incarnation, id)?;
        if row.value.state == SubmissionState::Cancelled {
            return Ok(row.value);
        }
        let late = || Problem::conflict("too_late", "it is being sent, or its fate is settled already");
        let cancelled = outbox::cancel(row.value).ok_or_else(late)?;
        let mut commit = Commit::of_mailbox(stored.incarnation);
        commit.put_submission(&cancelled, row.generation)?;
        shared.store.commit(commit).await?;
        Ok(cancelled)
    })
    .await?;
    shared.supervisor.wake(stored.incarnation, WakeReason::Outbox);
    Ok(HttpResponse::Ok().json(view(&cancelled)))
}

fn find(shared: &Shared, mailbox: Incarnation, id: SubmissionId) -> Result<Row<Submission>, Problem> {
    let unknown = || Problem::not_found("no_such_submission", format!("there is no submission {id}"));
    shared.store.submission(mailbox, id)?.ok_or_else(unknown)
}

fn view(submission: &Submission) -> Value {
    serde_json::json!({
        "id": submission.id, "state": submission.state, "hold": submission.hold,
        "message_id": submission.message_id, "created_at": submission.created_at, "send_at": submission.send_at,
        "attempts": submission.attempts, "next_attempt_at": submission.next_attempt_at,
        "last_reply": submission.last_reply, "recipients": submission.recipients,
    })
}
