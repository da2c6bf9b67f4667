//! The sign-in test: whether fresh credentials open the mailbox, before they replace the old ones. Logs in, lists, selects the
//! inbox as the mailbox's own address. Changes nothing on the server.

use super::checkup::explain;
use super::connection::{Credentials, connect};
use super::protocol::ImapError;
use crate::config::Timing;
use crate::domain::{Diagnosis, Mailbox, Secret, WireName};
use crate::net::Dialer;
use std::sync::Arc;

/// Tries a mailbox with an access token. A mailbox that does not receive passes.
///
/// # Errors
/// What is wrong, in words a person can act on.
pub async fn probe(
    dialer: &Dialer,
    timing: &Timing,
    mailbox: &Mailbox,
    token: Secret,
) -> Result<(), Diagnosis> {
    let Some(endpoint) = &mailbox.imap else { return Ok(()) };
    let credentials = Credentials::Token { user: mailbox.login().to_owned(), token };
    let tried = async {
        let mut connection = connect::open(dialer, endpoint, &credentials, timing, &Arc::default()).await?;
        connection.list().await?;
        connection.select(&WireName::from("INBOX")).await?;
        connection.logout().await;
        Ok::<(), ImapError>(())
    };
    tried.await.map_err(|error| explain(&error, endpoint, &mailbox.address))
}
