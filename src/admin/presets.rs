//! Which servers and which app a mailbox gets if it names none.

use super::context::Context;
use crate::config::Provider;
use crate::domain::app::AppCredentials;
use crate::domain::{App, Auth, Endpoint, Mailbox, SmtpAuth, SmtpEndpoint};
use crate::problem::Problem;
use crate::store::{Commit, StoreError, StoredMailbox};

/// The servers of a provider; `None`: it is not one we know.
pub(super) fn servers(provider: &str) -> Option<(Endpoint, SmtpEndpoint)> {
    let known = Provider::named(provider)?;
    let Endpoint { host, port, security } = known.smtp.clone()?;
    Some((known.imap.clone()?, SmtpEndpoint { host, port, security, auth: SmtpAuth::Inherit }))
}

/// A provider's name as it is kept: its id, where it is one we know by another name.
pub(super) fn name(given: &str) -> String {
    Provider::named(given).map_or_else(|| given.to_lowercase(), |known| known.id.clone())
}

/// The provider of an app's mailboxes, where that is one with servers of its own.
pub(super) fn provider_of(app: &App) -> Option<&'static str> {
    let provider = Provider::of_kind(app.provider)?;
    provider.imap.as_ref().map(|_| provider.id.as_str())
}

/// The provider of an address whose domain belongs to one.
pub(super) fn provider_of_domain(domain: &str) -> Option<&'static str> {
    Provider::of_domain(domain).map(|provider| provider.id.as_str())
}

/// The domain of an address, in small letters.
pub(super) fn domain(address: &str) -> String {
    address.rsplit('@').next().unwrap_or_default().to_lowercase()
}

/// By what an app serves its mailboxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Serves {
    /// Users sign in through it, or it is let in itself.
    Registration,
    /// It is a service account that acts for users.
    ServiceAccount,
}

impl Serves {
    /// How an app does.
    pub(super) fn of(app: &AppCredentials) -> Self {
        if app.service_account.is_some() { Self::ServiceAccount } else { Self::Registration }
    }
}

/// The app whose domains name this address, and which serves so.
pub(super) fn app_of_address(
    context: &Context,
    address: &str,
    wanted: Serves,
) -> Result<Option<AppCredentials>, StoreError> {
    let domain = domain(address);
    let fits = |app: &AppCredentials| app.app.domains.contains(&domain) && Serves::of(app) == wanted;
    Ok(context.store.apps()?.into_iter().map(|row| row.value).find(fits))
}

/// Gives a new or changed app to the mailboxes of its domains that wait for one.
pub(super) async fn adopt(context: &Context, credentials: &AppCredentials) -> Result<(), Problem> {
    let app = &credentials.app;
    if Serves::of(credentials) != Serves::Registration {
        return Ok(());
    }
    for mut stored in context.store.mailboxes()? {
        if !waits_for(&stored.mailbox, app) {
            continue;
        }
        give(&mut stored, app);
        let mut commit = Commit::of_mailbox(stored.incarnation);
        context.store.put_mailbox(&mut commit, &stored)?;
        match context.store.commit(commit).await {
            // changed or deleted meanwhile: that change has looked for an app itself
            Ok(_) | Err(StoreError::Conflict | StoreError::Stale) => {}
            Err(error) => return Err(Problem::from(error)),
        }
    }
    Ok(())
}

fn waits_for(mailbox: &Mailbox, app: &App) -> bool {
    let domain = domain(&mailbox.address);
    matches!(mailbox.auth, Auth::Oauth { app: None, .. }) && app.domains.contains(&domain)
}

/// Gives an app to a mailbox, and what it lacks by the app's preset.
pub(super) fn give(stored: &mut StoredMailbox, app: &App) {
    let mailbox = &mut stored.mailbox;
    if let Auth::Oauth { app: named, .. } = &mut mailbox.auth {
        *named = Some(app.id.clone());
    }
    if mailbox.provider.is_none() {
        mailbox.provider = provider_of(app).map(String::from);
    }
    let preset = mailbox.provider.as_deref().and_then(servers);
    if let (None, None, Some((imap, smtp))) = (&mailbox.imap, &mailbox.smtp, preset) {
        mailbox.imap = Some(imap);
        mailbox.smtp = Some(smtp);
    }
}
