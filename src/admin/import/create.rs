//! Creates the mailboxes of a file, all or none. Every bad line is named.

use super::super::context::Context;
use super::super::discover;
use super::check::{Checked, check};
use super::format::Format;
use crate::problem::Problem;
use crate::store::StoreError;
use crate::work::blocking;
use bytes::Bytes;
use serde_json::Value;
use std::sync::Arc;

/// What an import came to.
pub(crate) struct Imported {
    /// Mailboxes that were created.
    pub(crate) created: usize,
    /// Each mailbox, as it is shown.
    pub(crate) items: Vec<Value>,
}

/// Creates the mailboxes of a file, or says what would be created.
pub(crate) async fn import(
    context: &Arc<Context>,
    media_type: &str,
    body: Bytes,
    dry_run: bool,
) -> Result<Imported, Problem> {
    let format = Format::of(media_type)?;
    let mut table = blocking(move || format.read(&body)).await?;
    let mut values: Vec<&mut Value> = table.lines.iter_mut().map(|line| &mut line.value).collect();
    let tried = discover::fill_in(context, &mut values).await?;
    let working = Arc::clone(context);
    let (items, created) = blocking(move || {
        let checked = check(&working, table, &tried)?;
        let items = checked.iter().map(|found| found.shown(dry_run)).collect::<Vec<_>>();
        if dry_run {
            return Ok::<_, Problem>((items, 0));
        }
        let is_tried = |found: &Checked| found.posted.take_over.is_some();
        let tried: Vec<bool> = checked.iter().map(is_tried).collect();
        let new = checked.into_iter().map(|found| found.posted.into_new()).collect();
        let created = working.store.create_mailboxes_blocking(new).map_err(not_created)?;
        let tried = created.iter().zip(tried).filter(|(_, tried)| *tried);
        tried.for_each(|(stored, _)| working.signin.trials.add(stored.incarnation));
        Ok((items, created.len()))
    })
    .await?;
    if created > 0 {
        context.supervisor.reconcile().await;
    }
    Ok(Imported { created, items })
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
