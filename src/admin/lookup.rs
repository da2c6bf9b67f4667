//! What an address names: a mailbox, an app.

use crate::domain::app::AppCredentials;
use crate::domain::{AppId, MailboxId};
use crate::problem::Problem;
use crate::store::{Row, Store, StoredMailbox};

/// The mailbox of an id.
///
/// # Errors
/// `no_such_mailbox`, or `bad_id`.
pub(crate) fn mailbox(store: &Store, id: &str) -> Result<StoredMailbox, Problem> {
    let id = MailboxId::new(id)?;
    store.mailbox(&id)?.ok_or_else(|| {
        Problem::not_found("no_such_mailbox", format!("there is no mailbox {:?}", id.as_str()))
    })
}

/// The app of an id.
///
/// # Errors
/// `no_such_app`.
pub(crate) fn app(store: &Store, id: &AppId) -> Result<Row<AppCredentials>, Problem> {
    let unknown = || Problem::not_found("no_such_app", format!("there is no app {:?}", id.as_str()));
    store.app(id)?.ok_or_else(unknown)
}
