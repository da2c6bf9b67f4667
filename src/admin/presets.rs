//! Which servers and which app a mailbox gets if it names none.

use super::context::Context;
use super::fields::{set, trimmed};
use crate::config::Provider;
use crate::domain::app::AppCredentials;
use crate::domain::{App, Auth, Endpoint, Mailbox, SmtpAuth, SmtpEndpoint};
use crate::problem::Problem;
use crate::store::{Commit, StoreError, StoredMailbox};
use futures_util::stream::{self, StreamExt};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

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

/// How many domains are looked up at once, and how long all of them may take: a person waits.
const ASKED_AT_ONCE: usize = 16;
const ASKED_FOR: Duration = Duration::from_secs(10);

/// Names the providers of mailboxes that neither they, nor their domains, nor an app name, by where their domain's
/// mail goes. Each domain is looked up once; what cannot be found out is left as it is.
pub(super) async fn find_providers(context: &Context, values: &mut [&mut Value]) -> Result<(), StoreError> {
    let mut domains = BTreeMap::new();
    for (place, value) in values.iter().enumerate() {
        if let Some(domain) = asks_for(context, value)? {
            domains.entry(domain).or_insert_with(Vec::new).push(place);
        }
    }
    let ask = |(domain, places): (String, Vec<usize>)| async move {
        let hosts = context.mx.lookup(&domain).await;
        (Provider::of_mx(hosts.iter().map(String::as_str)), places)
    };
    let answers = stream::iter(domains).map(ask).buffer_unordered(ASKED_AT_ONCE);
    let mut answers = std::pin::pin!(answers.take_until(tokio::time::sleep(ASKED_FOR)));
    while let Some((found, places)) = answers.next().await {
        let Some(found) = found else { continue };
        for place in places {
            if let Some(value) = values.get_mut(place) {
                set(value, "provider", Value::from(found.id.as_str()));
            }
        }
    }
    Ok(())
}

/// The domain whose mail exchangers say which provider a mailbox is of, if nothing nearer does.
fn asks_for(context: &Context, value: &Value) -> Result<Option<String>, StoreError> {
    let is_said = |pointer: &str| value.pointer(pointer).is_some_and(|said| !said.is_null());
    // null says something, too: there is none
    let has_servers = value.get("imap").is_some() || value.get("smtp").is_some();
    let address = value.get("address").and_then(Value::as_str).and_then(trimmed).unwrap_or_default();
    let domain = domain(&address);
    let may_be_asked = address.contains('@') && domain.contains('.');
    if !may_be_asked || is_said("/provider") || is_said("/auth/app") || has_servers {
        return Ok(None);
    }
    let is_account = value.pointer("/auth/kind").is_some_and(|kind| kind == "service_account");
    let wanted = if is_account { Serves::ServiceAccount } else { Serves::Registration };
    let is_known =
        provider_of_domain(&domain).is_some() || app_of_address(context, &address, wanted)?.is_some();
    Ok((!is_known).then_some(domain))
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
