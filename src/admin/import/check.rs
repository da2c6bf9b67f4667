//! Whether the mailboxes of a file can be created: all of them, or what is wrong with each line.

use super::super::context::Context;
use super::super::discover::Tried;
use super::super::fields::set;
use super::super::mailbox_changes::needs_password;
use super::super::mailbox_form::{self, Posted};
use super::super::mailbox_view;
use super::file::{Line, Table};
use crate::domain::MailboxId;
use crate::problem::{LineError, Problem};
use crate::store::{MailboxStatus, TakeOver};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A mailbox that may be created.
pub(super) struct Checked {
    line: u64,
    /// Whether the file says its id; else another one is made each time.
    has_id: bool,
    pub(super) posted: Posted,
}

impl Checked {
    pub(super) fn shown(&self, dry_run: bool) -> Value {
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
pub(super) fn check(context: &Context, table: Table, tried: &Tried) -> Result<Vec<Checked>, Problem> {
    let Table { lines, mut errors } = table;
    let mut taken = Taken::default();
    for stored in context.store.mailboxes()? {
        let place = format!("belongs to the mailbox {} already", stored.mailbox.id);
        taken.addresses.insert(stored.mailbox.address.to_lowercase(), place);
        taken.ids.insert(stored.mailbox.id, String::from("is taken by a mailbox already"));
    }
    let mut checked = Vec::new();
    for Line { line, value } in lines {
        let has_id = value.get("id").is_some_and(|id| !id.is_null());
        let outcome = read(context, value, tried);
        match outcome.and_then(|posted| taken.take(&posted, line).map(|()| posted)) {
            Ok(posted) => checked.push(Checked { line, has_id, posted }),
            Err(problem) if problem.is_server_error() => return Err(problem),
            Err(problem) => errors.push(LineError::of(line, &problem)),
        }
    }
    errors.sort_by_key(|error| error.line);
    if errors.is_empty() { Ok(checked) } else { Err(refused(errors)) }
}

fn read(context: &Context, value: Value, tried: &Tried) -> Result<Posted, Problem> {
    let posted = mailbox_form::read(context, value, None, tried)?;
    needs_password(&posted, None)?;
    context.store.fits(&posted.mailbox)?;
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
const LISTED: usize = 20;

fn refused(errors: Vec<LineError>) -> Problem {
    let listed: Vec<String> = errors.iter().take(LISTED).map(ToString::to_string).collect();
    let more = match errors.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let detail = format!("nothing is imported until this is mended: {}{more}", listed.join("; "));
    Problem::unprocessable("import_refused", detail).with_errors(errors)
}
