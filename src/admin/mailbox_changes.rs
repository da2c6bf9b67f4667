//! Mailboxes are created, changed and deleted. A change touches its own mailbox only.

use super::context::Context;
use super::discover::Tried;
use super::fields::{merge, set};
use super::mailbox_form::{self, Posted};
use super::{discover, lookup};
use crate::clock;
use crate::domain::{Auth, Mailbox, MailboxId, SmtpAuth};
use crate::problem::Problem;
use crate::store::{Commit, StoreError, StoredMailbox};
use crate::work::{blocking, retry_conflicts};
use serde_json::{Value, json};

/// Creates a mailbox of a form.
pub(crate) async fn create_mailbox(context: &Context, mut value: Value) -> Result<StoredMailbox, Problem> {
    let tried = discover::fill_in(context, &mut [&mut value]).await?;
    create_new(context, mailbox_form::read(context, value, None, &tried)?).await
}

/// Creates or replaces a mailbox; whether it is a new one.
pub(crate) async fn put_mailbox(
    context: &Context,
    id: &MailboxId,
    mut value: Value,
) -> Result<(StoredMailbox, bool), Problem> {
    let tried = discover::fill_in(context, &mut [&mut value]).await?;
    if context.store.mailbox(id)?.is_none() {
        let posted = mailbox_form::read(context, value, Some(id), &tried)?;
        return Ok((create_new(context, posted).await?, true));
    }
    let make =
        |stored: &StoredMailbox| mailbox_form::read(context, value.clone(), Some(&stored.mailbox.id), &tried);
    Ok((change(context, id.as_str(), make).await?, false))
}

/// Changes fields of a mailbox.
pub(crate) async fn patch_mailbox(
    context: &Context,
    id: &str,
    patch: &Value,
) -> Result<StoredMailbox, Problem> {
    change(context, id, |stored| {
        let mut value = serde_json::to_value(&stored.mailbox).unwrap_or_default();
        // another kind of authentication has other fields
        let kind = |value: &Value| value.pointer("/auth/kind").and_then(Value::as_str).map(String::from);
        if kind(patch).is_some_and(|new| Some(new) != kind(&value)) {
            set(&mut value, "auth", json!({}));
        }
        merge(&mut value, patch);
        // a merge removes what is null; here null means: none
        for name in ["imap", "smtp"] {
            if patch.get(name).is_some_and(Value::is_null) {
                set(&mut value, name, Value::Null);
            }
        }
        mailbox_form::read(context, value, Some(&stored.mailbox.id), &Tried::default())
    })
    .await
}

/// Pauses or resumes a mailbox.
pub(crate) async fn set_active(context: &Context, id: &str, active: bool) -> Result<StoredMailbox, Problem> {
    change(context, id, |stored| {
        let mut mailbox = stored.mailbox.clone();
        mailbox.active = active;
        Ok(Posted { mailbox, grant: None, smtp_password: None, take_over: None })
    })
    .await
}

/// Deletes a mailbox: it is gone at once; what it left is still to be erased.
pub(crate) async fn delete_mailbox(context: &Context, id: &str) -> Result<StoredMailbox, Problem> {
    let stored = retry_conflicts(async || {
        let stored = lookup::mailbox(&context.store, id)?;
        context.store.delete_mailbox(&stored).await?;
        Ok(stored)
    })
    .await?;
    context.supervisor.reconcile().await;
    Ok(stored)
}

async fn create_new(context: &Context, posted: Posted) -> Result<StoredMailbox, Problem> {
    needs_password(&posted, None)?;
    let id = posted.mailbox.id.clone();
    let exists =
        || Problem::conflict("mailbox_exists", format!("there is a mailbox {:?} already", id.as_str()));
    let (store, is_taken_over) = (context.store.clone(), posted.take_over.is_some());
    let created = blocking(move || match store.create_mailboxes_blocking(vec![posted.into_new()]) {
        Err(StoreError::Conflict) => Ok(None),
        other => other.map(|mut created| created.pop()),
    });
    let stored = created.await?.ok_or_else(exists)?;
    context.supervisor.reconcile().await;
    if is_taken_over {
        context.signin.trials.add(stored.incarnation);
    }
    Ok(stored)
}

/// Replaces a mailbox's configuration, and its password where one is given.
async fn change(
    context: &Context,
    id: &str,
    make: impl Fn(&StoredMailbox) -> Result<Posted, Problem>,
) -> Result<StoredMailbox, Problem> {
    let (changed, is_taken_over) = retry_conflicts(async || {
        let mut stored = lookup::mailbox(&context.store, id)?;
        let posted = make(&stored)?;
        needs_password(&posted, Some(&stored))?;
        let is_same =
            posted.mailbox == stored.mailbox && posted.grant.is_none() && posted.smtp_password.is_none();
        let is_other_way = !same_kind(&posted.mailbox.auth, &stored.mailbox.auth);
        let mut commit = Commit::of_mailbox(stored.incarnation);
        let posted_stored = StoredMailbox { mailbox: posted.mailbox.clone(), ..stored.clone() };
        let is_taken_over = match &posted.take_over {
            Some(token) => context.store.add_take_over(&mut commit, &posted_stored, token, clock::now())?,
            None => false,
        };
        if is_same {
            if is_taken_over {
                context.store.expect_mailbox(&mut commit, &stored);
                context.store.commit(commit).await?;
            }
            return Ok((stored, is_taken_over));
        }
        if is_elsewhere(&posted.mailbox, &stored.mailbox) {
            context.store.forget_uids(&mut commit, stored.incarnation)?;
        }
        if posted.mailbox.app() != stored.mailbox.app() {
            context.store.end_move(&mut commit, stored.incarnation);
        }
        stored.mailbox = posted.mailbox;
        context.store.put_mailbox(&mut commit, &stored)?;
        let own_login = smtp_user(&stored.mailbox).is_some();
        if posted.smtp_password.is_some() || !own_login {
            context.store.put_smtp_password(
                &mut commit,
                stored.incarnation,
                posted.smtp_password.as_ref(),
            )?;
        }
        let known = context.store.grant(stored.incarnation)?;
        let generation = known.as_ref().map_or(0, |row| row.generation);
        if let Some(grant) = &posted.grant {
            context.store.put_grant(&mut commit, stored.incarnation, generation, grant)?;
        } else if is_other_way && known.is_some() {
            context.store.remove_grant(&mut commit, stored.incarnation, generation);
        }
        context.store.commit(commit).await?;
        Ok((lookup::mailbox(&context.store, id)?, is_taken_over))
    })
    .await?;
    context.supervisor.reconcile().await;
    if is_taken_over {
        context.signin.trials.add(changed.incarnation);
    } else {
        context.signin.trials.changed(changed.incarnation);
    }
    Ok(changed)
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
