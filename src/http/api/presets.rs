//! Which servers and which app a mailbox gets if it names none.

use super::super::Shared;
use super::super::problem::Problem;
use crate::domain::app::AppCredentials;
use crate::domain::{App, Auth, Endpoint, Mailbox, ProviderKind, Security, SmtpAuth, SmtpEndpoint};
use crate::store::{Commit, StoreError, StoredMailbox};

/// The servers of a provider; `None`: it is not one we know.
pub(super) fn servers(provider: &str) -> Option<(Endpoint, SmtpEndpoint)> {
    let (imap, smtp, port, security) = match provider {
        "office365" => ("outlook.office365.com", "smtp.office365.com", 587, Security::Starttls),
        "google" | "gmail" => ("imap.gmail.com", "smtp.gmail.com", 465, Security::Tls),
        _ => return None,
    };
    Some((
        Endpoint { host: String::from(imap), port: 993, security: Security::Tls },
        SmtpEndpoint { host: String::from(smtp), port, security, auth: SmtpAuth::Inherit },
    ))
}

/// The provider of an app's mailboxes, where that is one with servers of its own.
pub(super) fn provider_of(app: &App) -> Option<&'static str> {
    match app.provider {
        ProviderKind::Office365 => Some("office365"),
        ProviderKind::Google => Some("google"),
        ProviderKind::Oidc => None,
    }
}

/// The provider of an address whose domain belongs to one.
pub(super) fn provider_of_domain(domain: &str) -> Option<&'static str> {
    matches!(domain, "gmail.com" | "googlemail.com").then_some("google")
}

/// The domain of an address, in small letters.
pub(super) fn domain(address: &str) -> String {
    address.rsplit('@').next().unwrap_or_default().to_lowercase()
}

/// The app whose domains name this address.
pub(super) fn app_of_address(shared: &Shared, address: &str) -> Result<Option<AppCredentials>, StoreError> {
    let domain = domain(address);
    let serves = |app: &App| app.domains.contains(&domain);
    Ok(shared.store.apps()?.into_iter().map(|row| row.value).find(|app| serves(&app.app)))
}

/// Gives a new or changed app to the mailboxes of its domains that wait for one.
pub(super) async fn adopt(shared: &Shared, app: &App) -> Result<(), Problem> {
    for mut stored in shared.store.mailboxes()? {
        if !waits_for(&stored.mailbox, app) {
            continue;
        }
        give(&mut stored, app);
        let mut commit = Commit::of_mailbox(stored.incarnation);
        shared.store.put_mailbox(&mut commit, &stored)?;
        match shared.store.commit(commit).await {
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
