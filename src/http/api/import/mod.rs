//! `/v1/mailboxes:import`: a file of mailboxes, all or nothing. Every bad line is named.

mod documents;
mod table;
mod text;

use super::super::Shared;
use super::super::extract::{query, set};
use super::super::problem::Answer;
use super::mailbox_form::{self, Posted};
use super::{mailbox_view, mailboxes, presets};
use crate::domain::MailboxId;
use crate::problem::{LineError, Problem};
use crate::store::{MailboxStatus, StoreError, TakeOver};
use crate::work::blocking;
use actix_web::http::header;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A mailbox as it is posted, and where it was.
#[derive(Debug)]
struct Line {
    line: u64,
    value: Value,
}

/// A file, read.
#[derive(Debug, Default)]
struct Table {
    lines: Vec<Line>,
    errors: Vec<LineError>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImportQuery {
    #[serde(default)]
    dry_run: bool,
}

/// POST `/v1/mailboxes:import`.
pub(super) async fn import(shared: Data<Shared>, request: HttpRequest, body: Bytes) -> Answer {
    let ImportQuery { dry_run } = query(request.query_string())?;
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let format = Format::of(content_type.unwrap_or("application/json"))?;
    let mut table = blocking(move || format.read(&body)).await?;
    let mut values: Vec<&mut Value> = table.lines.iter_mut().map(|line| &mut line.value).collect();
    presets::find_providers(&shared, &mut values).await?;
    let working = shared.clone();
    let (items, created) = blocking(move || {
        let checked = check(&working, table)?;
        let items = checked.iter().map(|found| found.shown(dry_run)).collect::<Vec<_>>();
        if dry_run {
            return Ok::<_, Problem>((items, 0));
        }
        let is_tried = |found: &Checked| found.posted.take_over.is_some();
        let tried: Vec<bool> = checked.iter().map(is_tried).collect();
        let new = checked.into_iter().map(|found| found.posted.into_new()).collect();
        let created = working.store.create_mailboxes_blocking(new).map_err(not_created)?;
        let tried = created.iter().zip(tried).filter(|(_, tried)| *tried);
        tried.for_each(|(stored, _)| working.signin.trials().add(stored.incarnation));
        Ok((items, created.len()))
    })
    .await?;
    if created > 0 {
        shared.supervisor.reconcile().await;
    }
    let to_be_tried = items.iter().filter(|item| item.get("to_be_tried").is_some()).count();
    let mut response = if dry_run { HttpResponse::Ok() } else { HttpResponse::Created() };
    Ok(response.json(json!({
        "dry_run": dry_run, "created": created, "to_be_tried": to_be_tried, "items": items})))
}

/// How the mailboxes are written down.
enum Format {
    Csv { charset: Option<String> },
    Toml,
    Json,
}

impl Format {
    fn of(content_type: &str) -> Result<Self, Problem> {
        let (kind, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
        let charset = parameters.split(';').filter_map(|parameter| parameter.split_once('=')).find_map(
            |(name, value)| {
                let is_charset = name.trim().eq_ignore_ascii_case("charset");
                is_charset.then(|| String::from(value.trim().trim_matches('"')))
            },
        );
        match kind.trim().to_ascii_lowercase().as_str() {
            "text/csv" | "text/tab-separated-values" => Ok(Self::Csv { charset }),
            "application/toml" => Ok(Self::Toml),
            "application/json" => Ok(Self::Json),
            _ => {
                let detail = "send the file as text/csv, application/toml or application/json";
                Err(Problem::new(415, "unsupported_media_type", detail))
            }
        }
    }

    fn read(&self, body: &[u8]) -> Result<Table, Problem> {
        let no_text =
            |cause| Problem::unprocessable("import_refused", format!("nothing is imported: {cause}"));
        Ok(match self {
            Self::Csv { charset } => table::read(&text::decoded(body, charset.as_deref()).map_err(no_text)?),
            Self::Toml => documents::toml(&text::decoded(body, Some("utf-8")).map_err(no_text)?),
            Self::Json => documents::json(body),
        })
    }
}

/// A mailbox that may be created.
struct Checked {
    line: u64,
    /// Whether the file says its id; else another one is made each time.
    has_id: bool,
    posted: Posted,
}

impl Checked {
    fn shown(&self, dry_run: bool) -> Value {
        let Posted { mailbox, grant, .. } = &self.posted;
        let id = (self.has_id || !dry_run).then_some(&mailbox.id);
        let state = mailbox_view::state(mailbox, grant.as_ref(), &MailboxStatus::default());
        let mut shown = json!({"line": self.line, "id": id, "address": mailbox.address, "state": state});
        if self.posted.take_over.is_some() {
            set(&mut shown, "to_be_tried", Value::Bool(true));
        }
        shown
    }
}

/// Everything in a file, or what is wrong with each line of it.
fn check(shared: &Shared, table: Table) -> Result<Vec<Checked>, Problem> {
    let Table { lines, mut errors } = table;
    let mut taken = Taken::default();
    for stored in shared.store.mailboxes()? {
        let place = format!("belongs to the mailbox {} already", stored.mailbox.id);
        taken.addresses.insert(stored.mailbox.address.to_lowercase(), place);
        taken.ids.insert(stored.mailbox.id, String::from("is taken by a mailbox already"));
    }
    let mut checked = Vec::new();
    for Line { line, value } in lines {
        let has_id = value.get("id").is_some_and(|id| !id.is_null());
        let outcome = read(shared, value);
        match outcome.and_then(|posted| taken.take(&posted, line).map(|()| posted)) {
            Ok(posted) => checked.push(Checked { line, has_id, posted }),
            Err(problem) if problem.is_server_error() => return Err(problem),
            Err(problem) => errors.push(LineError::of(line, &problem)),
        }
    }
    errors.sort_by_key(|error| error.line);
    if errors.is_empty() { Ok(checked) } else { Err(refused(errors)) }
}

fn read(shared: &Shared, value: Value) -> Result<Posted, Problem> {
    let posted = mailbox_form::read(shared, value, None)?;
    mailboxes::needs_password(&posted, None)?;
    shared.store.fits(&posted.mailbox)?;
    Ok(posted)
}

/// Which ids and addresses are in use, and by what.
#[derive(Default)]
struct Taken {
    ids: BTreeMap<MailboxId, String>,
    addresses: BTreeMap<String, String>,
    tokens: BTreeMap<String, String>,
}

impl Taken {
    fn take(&mut self, posted: &Posted, line: u64) -> Result<(), Problem> {
        let here = format!("is on line {line} of this file already");
        let mailbox = &posted.mailbox;
        if let Some(place) = self.ids.insert(mailbox.id.clone(), here.clone()) {
            let problem = format!("{} {place}", mailbox.id);
            self.ids.insert(mailbox.id.clone(), place);
            return Err(Problem::field("id", problem));
        }
        if let Some(place) = self.addresses.insert(mailbox.address.to_lowercase(), here.clone()) {
            let problem = format!("{} {place}", mailbox.address);
            self.addresses.insert(mailbox.address.to_lowercase(), place);
            return Err(Problem::field("address", problem));
        }
        // used for one mailbox, it may be worth nothing for another
        let token = posted.take_over.as_ref().map(TakeOver::sha256);
        if let Some(place) = token.and_then(|token| self.tokens.insert(token, here)) {
            return Err(Problem::field("auth.refresh_token", place));
        }
        Ok(())
    }
}

/// As many as a person reads in one go; all of them are in `errors`.
const TOLD: usize = 20;

fn refused(errors: Vec<LineError>) -> Problem {
    let told: Vec<String> = errors.iter().take(TOLD).map(ToString::to_string).collect();
    let more = match errors.len().saturating_sub(TOLD) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let detail = format!("nothing is imported until this is mended: {}{more}", told.join("; "));
    Problem::unprocessable("import_refused", detail).with_errors(errors)
}

fn not_created(error: StoreError) -> Problem {
    match error {
        StoreError::Conflict => {
            let detail =
                "nothing was imported: a mailbox of one of these ids was created meanwhile; import again";
            Problem::conflict("mailbox_exists", detail)
        }
        other @ (StoreError::Stale
        | StoreError::DuplicateUid { .. }
        | StoreError::TooLarge { .. }
        | StoreError::Full { .. }
        | StoreError::Exhausted { .. }
        | StoreError::Locked { .. }
        | StoreError::Io { .. }
        | StoreError::Corrupt { .. }
        | StoreError::Vault { .. }
        | StoreError::Closed) => Problem::from(other),
    }
}
