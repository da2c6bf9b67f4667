//! `/v1/mailboxes`: create, list, change, delete. A change touches its own mailbox only.

use super::super::Shared;
use super::super::extract::{json, limit, merge, page, query, set};
use super::super::language::{language, language_of};
use super::super::problem::Answer;
use super::mailbox_form::{self, Posted};
use super::mailbox_view::{View, view};
use super::presets;
use crate::clock;
use crate::diagnosis::Language;
use crate::domain::{Auth, Mailbox, MailboxId, MailboxState, SendState, SmtpAuth};
use crate::problem::Problem;
use crate::store::{Commit, NewMailbox, StoreError, StoredMailbox};
use crate::work::{blocking, retry_conflicts};
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
            let seen = view(&store, &stored, language)?;
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

    fn is_in_such_a_state(&self, seen: &View) -> bool {
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
            let seen = view(&store, &stored, Language::default())?;
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
    let mut value = json(&body)?;
    presets::find_providers(&shared, &mut [&mut value]).await?;
    let posted = mailbox_form::read(&shared, value, None)?;
    let stored = create_new(&shared, posted).await?;
    let location = format!("/v1/mailboxes/{}", stored.mailbox.id);
    Ok(HttpResponse::Created().insert_header(("Location", location)).json(shared.view(&stored)?.shown))
}

async fn create_new(shared: &Shared, posted: Posted) -> Result<StoredMailbox, Problem> {
    needs_password(&posted, None)?;
    let id = posted.mailbox.id.clone();
    let exists =
        || Problem::conflict("mailbox_exists", format!("there is a mailbox {:?} already", id.as_str()));
    let (store, is_taken_over) = (shared.store.clone(), posted.take_over.is_some());
    let created = blocking(move || match store.create_mailboxes_blocking(vec![posted.into_new()]) {
        Err(StoreError::Conflict) => Ok(None),
        other => other.map(|mut created| created.pop()),
    });
    let stored = created.await?.ok_or_else(exists)?;
    shared.supervisor.reconcile().await;
    if is_taken_over {
        shared.signin.trials().add(stored.incarnation);
    }
    Ok(stored)
}

impl Posted {
    /// As it is created.
    pub(super) fn into_new(self) -> NewMailbox {
        let Self { mailbox, grant, smtp_password, take_over } = self;
        NewMailbox { mailbox, grant, smtp_password, take_over }
    }
}

/// GET `/v1/mailboxes/{mb}`.
pub(super) async fn one(shared: Data<Shared>, id: Path<String>, request: HttpRequest) -> Answer {
    let language = language_of(&request)?;
    let stored = shared.mailbox(&id)?;
    Ok(HttpResponse::Ok().json(view(&shared.store, &stored, language)?.shown))
}

/// PUT `/v1/mailboxes/{mb}`.
pub(super) async fn put(shared: Data<Shared>, id: Path<String>, body: Bytes) -> Answer {
    let id = MailboxId::new(id.into_inner())?;
    let mut value = json(&body)?;
    presets::find_providers(&shared, &mut [&mut value]).await?;
    if shared.store.mailbox(&id)?.is_none() {
        let posted = mailbox_form::read(&shared, value, Some(&id))?;
        let stored = create_new(&shared, posted).await?;
        return Ok(HttpResponse::Created().json(shared.view(&stored)?.shown));
    }
    change(&shared, id.as_str(), |shared, stored| {
        mailbox_form::read(shared, value.clone(), Some(&stored.mailbox.id))
    })
    .await
}

/// PATCH `/v1/mailboxes/{mb}`.
pub(super) async fn patch(shared: Data<Shared>, id: Path<String>, body: Bytes) -> Answer {
    let patch = json(&body)?;
    change(&shared, &id, |shared, stored| {
        let mut value = serde_json::to_value(&stored.mailbox).unwrap_or_default();
        // another kind of authentication has other fields
        let kind = |value: &Value| value.pointer("/auth/kind").and_then(Value::as_str).map(String::from);
        if kind(&patch).is_some_and(|new| Some(new) != kind(&value)) {
            set(&mut value, "auth", json!({}));
        }
        merge(&mut value, &patch);
        // a merge removes what is null; here null means: none
        for name in ["imap", "smtp"] {
            if patch.get(name).is_some_and(Value::is_null) {
                set(&mut value, name, Value::Null);
            }
        }
        mailbox_form::read(shared, value, Some(&stored.mailbox.id))
    })
    .await
}

/// Replaces a mailbox's configuration, and its password where one is given.
pub(super) async fn change(
    shared: &Shared,
    id: &str,
    make: impl Fn(&Shared, &StoredMailbox) -> Result<Posted, Problem>,
) -> Answer {
    let (changed, is_taken_over) = retry_conflicts(async || {
        let mut stored = shared.mailbox(id)?;
        let posted = make(shared, &stored)?;
        needs_password(&posted, Some(&stored))?;
        let is_same =
            posted.mailbox == stored.mailbox && posted.grant.is_none() && posted.smtp_password.is_none();
        let is_other_way = !same_kind(&posted.mailbox.auth, &stored.mailbox.auth);
        let mut commit = Commit::of_mailbox(stored.incarnation);
        let posted_stored = StoredMailbox { mailbox: posted.mailbox.clone(), ..stored.clone() };
        let is_taken_over = match &posted.take_over {
            Some(token) => shared.store.add_take_over(&mut commit, &posted_stored, token, clock::now())?,
            None => false,
        };
        if is_same {
            if is_taken_over {
                shared.store.expect_mailbox(&mut commit, &stored);
                shared.store.commit(commit).await?;
            }
            return Ok((stored, is_taken_over));
        }
        if is_elsewhere(&posted.mailbox, &stored.mailbox) {
            shared.store.forget_uids(&mut commit, stored.incarnation)?;
        }
        if posted.mailbox.app() != stored.mailbox.app() {
            shared.store.end_move(&mut commit, stored.incarnation);
        }
        stored.mailbox = posted.mailbox;
        shared.store.put_mailbox(&mut commit, &stored)?;
        let own_login = smtp_user(&stored.mailbox).is_some();
        if posted.smtp_password.is_some() || !own_login {
            shared.store.put_smtp_password(&mut commit, stored.incarnation, posted.smtp_password.as_ref())?;
        }
        let known = shared.store.grant(stored.incarnation)?;
        let generation = known.as_ref().map_or(0, |row| row.generation);
        if let Some(grant) = &posted.grant {
            shared.store.put_grant(&mut commit, stored.incarnation, generation, grant)?;
        } else if is_other_way && known.is_some() {
            shared.store.remove_grant(&mut commit, stored.incarnation, generation);
        }
        shared.store.commit(commit).await?;
        Ok((shared.mailbox(id)?, is_taken_over))
    })
    .await?;
    shared.supervisor.reconcile().await;
    if is_taken_over {
        shared.signin.trials().add(changed.incarnation);
    } else {
        shared.signin.trials().changed(changed.incarnation);
    }
    Ok(HttpResponse::Ok().json(shared.view(&changed)?.shown))
}

/// A password is needed where none is stored.
pub(super) fn needs_password(posted: &Posted, stored: Option<&StoredMailbox>) -> Result<(), Problem> {
    let user = smtp_user(&posted.mailbox);
    let known = stored.and_then(|stored| smtp_user(&stored.mailbox));
    if user.is_some() && user != known && posted.smtp_password.is_none() {
        let missing = "is missing (it is needed again when smtp.auth.user changes)";
        return Err(Problem::field("smtp.auth.password", missing));
    }
    let has_one = stored.is_some_and(|stored| stored.mailbox.auth == posted.mailbox.auth);
    match &posted.mailbox.auth {
        Auth::Password { .. } if posted.grant.is_none() && !has_one => {
            Err(Problem::field("auth.password", "is missing (it is needed again when auth.user changes)"))
        }
        Auth::Password { .. } | Auth::Oauth { .. } | Auth::AppOnly { .. } | Auth::ServiceAccount { .. } => {
            Ok(())
        }
    }
}

/// The name of an SMTP login of its own.
fn smtp_user(mailbox: &Mailbox) -> Option<&str> {
    match &mailbox.smtp.as_ref()?.auth {
        SmtpAuth::Own { user } => Some(user),
        SmtpAuth::Inherit | SmtpAuth::None => None,
    }
}

/// Whether the mail is received from another server or account.
fn is_elsewhere(new: &Mailbox, old: &Mailbox) -> bool {
    let host = |mailbox: &Mailbox| mailbox.imap.as_ref().map(|imap| imap.host.to_ascii_lowercase());
    host(new) != host(old) || !new.login().eq_ignore_ascii_case(old.login())
}

fn same_kind(one: &Auth, other: &Auth) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}

/// DELETE `/v1/mailboxes/{mb}`: gone at once; what it left is removed behind the answer.
pub(super) async fn delete(shared: Data<Shared>, id: Path<String>) -> Answer {
    let stored = retry_conflicts(async || {
        let stored = shared.mailbox(&id)?;
        shared.store.delete_mailbox(&stored).await?;
        Ok(stored)
    })
    .await?;
    shared.supervisor.reconcile().await;
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
