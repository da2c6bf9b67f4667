//! Apps are created, replaced and deleted, and their mailboxes look at what changed.

use super::app_form::{form, patched, read};
use super::app_view::app_view;
use super::context::Context;
use super::{credential_rotation, lookup, presets};
use crate::clock;
use crate::diagnosis::Language;
use crate::domain::AppId;
use crate::domain::app::AppCredentials;
use crate::problem::Problem;
use crate::store::{Replaced, Row, StoreError, StoredMailbox};
use crate::supervisor::protocol::WakeReason;
use crate::work::{blocking, retry_conflicts};
use serde_json::Value;

/// Creates an app of a form.
pub(crate) async fn create_app(context: &Context, value: Value) -> Result<AppCredentials, Problem> {
    let form = form(value)?;
    let id = form.id.clone().unwrap_or_else(AppId::generate);
    let credentials = read(form, id, None, clock::now())?;
    let taken = || Problem::conflict("app_exists", format!("there is an app {} already", credentials.app.id));
    match context.store.put_app(&credentials, 0).await {
        Err(StoreError::Conflict) => return Err(taken()),
        other => other?,
    }
    changed(context, &credentials, &Replaced::ForGood).await?;
    Ok(credentials)
}

/// Creates or replaces an app; whether it is a new one.
pub(crate) async fn put_app(
    context: &Context,
    id: &AppId,
    value: &Value,
) -> Result<(AppCredentials, bool), Problem> {
    let (credentials, replaced) = retry_conflicts(async || {
        let known = context.store.app(id)?;
        let credential = known.as_ref().map(|row| row.value.credential());
        let credentials = read(form(value.clone())?, id.clone(), credential.as_ref(), clock::now())?;
        let Some(known) = known else {
            context.store.put_app(&credentials, 0).await?;
            return Ok((credentials, None));
        };
        let replaced = replace(context, &known, &credentials).await?;
        Ok((credentials, Some(replaced)))
    })
    .await?;
    let is_new = replaced.is_none();
    changed(context, &credentials, &replaced.unwrap_or(Replaced::ForGood)).await?;
    Ok((credentials, is_new))
}

/// Changes fields of an app.
pub(crate) async fn patch_app(
    context: &Context,
    id: &AppId,
    change: &Value,
) -> Result<AppCredentials, Problem> {
    let (credentials, replaced) = retry_conflicts(async || {
        let known = lookup::app(&context.store, id)?;
        let value = patched(app_view(&context.store, &known.value, Language::default())?, change);
        let before = known.value.credential();
        let mut credentials = read(form(value)?, id.clone(), Some(&before), clock::now())?;
        let is_new = !credentials.credential().is_same(&before) && credentials.certificate.is_none();
        if is_new && change.get("secret_expires_at").is_none() {
            // the end of the one before says nothing of this one's
            credentials.app.secret_expires_at = None;
        }
        let replaced = replace(context, &known, &credentials).await?;
        Ok((credentials, replaced))
    })
    .await?;
    changed(context, &credentials, &replaced).await?;
    Ok(credentials)
}

/// Deletes an app that no mailbox uses.
pub(crate) async fn delete_app(context: &Context, id: &AppId) -> Result<(), Problem> {
    retry_conflicts(async || {
        let known = lookup::app(&context.store, id)?;
        let count = mailboxes_of(context, id).await?.len();
        if count > 0 {
            let detail = format!("{count} mailboxes use the app {id}: give them another one first");
            return Err(Problem::conflict("app_in_use", detail));
        }
        Ok(context.store.delete_app(id, known.generation).await?)
    })
    .await
}

/// Writes an app over the one that was read.
async fn replace(
    context: &Context,
    known: &Row<AppCredentials>,
    credentials: &AppCredentials,
) -> Result<Replaced, Problem> {
    let now = clock::now();
    let (store, old, new) = (context.store.clone(), known.value.clone(), credentials.clone());
    let replaced = blocking(move || credential_rotation::replaced(&store, &old, &new, now)).await?;
    context.store.replace_app(credentials, known.generation, replaced.clone(), now).await?;
    Ok(replaced)
}

async fn changed(
    context: &Context,
    credentials: &AppCredentials,
    replaced: &Replaced,
) -> Result<(), Problem> {
    presets::adopt(context, credentials).await?;
    match replaced {
        Replaced::OnTrial(_) => credential_replaced(context, &credentials.app.id).await,
        Replaced::Nothing | Replaced::ForGood => app_changed(context, &credentials.app.id).await,
    }
}

/// An app changed: its mailboxes look at it again.
async fn app_changed(context: &Context, app: &AppId) -> Result<(), Problem> {
    context.signin.trials.app_changed(app);
    context.supervisor.reconcile().await;
    let mailboxes = mailboxes_of(context, app).await?;
    mailboxes.iter().for_each(|stored| context.supervisor.wake(stored.incarnation, WakeReason::Grant));
    Ok(())
}

/// The mailboxes of an app. All are read for it, which takes too long for an arbiter.
async fn mailboxes_of(context: &Context, app: &AppId) -> Result<Vec<StoredMailbox>, Problem> {
    let store = context.store.clone();
    let mut found = blocking(move || store.mailboxes()).await?;
    found.retain(|stored| stored.mailbox.app() == Some(app));
    Ok(found)
}

/// The app's credential is on trial: one mailbox tries it, those whose tokens work keep them, and only those who
/// wait for something to be mended ask again.
async fn credential_replaced(context: &Context, app: &AppId) -> Result<(), Problem> {
    context.supervisor.try_credential(app).await;
    // a token that was handed in, or a move, may wait for just this
    context.signin.trials.app_changed(app);
    let (store, mailboxes) = (context.store.clone(), mailboxes_of(context, app).await?);
    let waiting = blocking(move || {
        let waiting = mailboxes
            .into_iter()
            .map(|stored| Ok((credential_rotation::waits(&store, &stored)?, stored.incarnation)));
        waiting.collect::<Result<Vec<_>, StoreError>>()
    });
    let waiting = waiting.await?.into_iter().filter(|(waits, _)| *waits);
    waiting.for_each(|(_, mailbox)| context.supervisor.wake(mailbox, WakeReason::Grant));
    Ok(())
}
