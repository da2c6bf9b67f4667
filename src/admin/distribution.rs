//! Which mailboxes a distribution gives to an app. Pure: a function of what is stored.

use crate::domain::{App, AppId, Auth, Mailbox, MailboxId, SignInId};
use serde::Serialize;

/// What is distributed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// The app.
    pub(crate) app: &'a App,
    /// The app's provider, by name, where that has servers of its own.
    pub(crate) provider: Option<&'a str>,
    /// Only mailboxes that receive from or send through this server; without it those that fit the app.
    pub(crate) server: Option<&'a str>,
}

/// What becomes of a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Group {
    /// It gets the app.
    WillChange,
    /// It has the app.
    AlreadyOnThisApp,
    /// It signed in through another app, which it keeps.
    HasGrant,
    /// It is no concern of this distribution.
    OtherServerOrNotOauth,
    /// It is paused.
    Inactive,
}

impl Group {
    /// All of them, in the order they are shown in.
    pub(crate) const ALL: [Self; 5] = [
        Self::WillChange,
        Self::AlreadyOnThisApp,
        Self::HasGrant,
        Self::OtherServerOrNotOauth,
        Self::Inactive,
    ];
}

/// A mailbox in its group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Item {
    /// Its id.
    pub(crate) id: MailboxId,
    /// Its address.
    pub(crate) address: String,
    /// The app it has now.
    pub(crate) app: Option<AppId>,
    /// The sign-in that was made for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sign_in: Option<SignInId>,
}

impl Item {
    /// A mailbox as it is now.
    pub(crate) fn of(mailbox: &Mailbox) -> Self {
        Self {
            id: mailbox.id.clone(),
            address: mailbox.address.clone(),
            app: mailbox.app().cloned(),
            sign_in: None,
        }
    }
}

/// The group of a mailbox; `has_grant` says whether somebody signed in.
pub(crate) fn group(wanted: &Wanted<'_>, mailbox: &Mailbox, has_grant: bool) -> Group {
    let app = match &mailbox.auth {
        Auth::Oauth { app, .. } => app.as_ref(),
        Auth::AppOnly { .. } | Auth::ServiceAccount { .. } | Auth::Password { .. } => {
            return Group::OtherServerOrNotOauth;
        }
    };
    if !concerns(wanted, mailbox) {
        return Group::OtherServerOrNotOauth;
    }
    match (app == Some(&wanted.app.id), mailbox.active, has_grant) {
        (true, _, _) => Group::AlreadyOnThisApp,
        (false, false, _) => Group::Inactive,
        (false, true, true) => Group::HasGrant,
        (false, true, false) => Group::WillChange,
    }
}

/// Whether a mailbox receives from or sends through a server.
pub(crate) fn goes_through(mailbox: &Mailbox, server: &str) -> bool {
    let imap = mailbox.imap.as_ref().map(|imap| imap.host.as_str());
    let smtp = mailbox.smtp.as_ref().map(|smtp| smtp.host.as_str());
    [imap, smtp].into_iter().flatten().any(|host| host.eq_ignore_ascii_case(server))
}

fn concerns(wanted: &Wanted<'_>, mailbox: &Mailbox) -> bool {
    if let Some(server) = wanted.server {
        return goes_through(mailbox, server);
    }
    let domains = &wanted.app.domains;
    if domains.is_empty() {
        // an app without domains is for everybody of its provider
        return wanted.provider.is_some() && mailbox.provider.as_deref() == wanted.provider;
    }
    let domain = mailbox.address.rsplit('@').next().unwrap_or_default().to_lowercase();
    domains.contains(&domain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Endpoint, Security};
    use proptest::prelude::*;

    fn app(domains: &[&str]) -> App {
        App { domains: domains.iter().map(|domain| String::from(*domain)).collect(), ..App::plain("o365") }
    }

    fn mailbox(app: Option<&str>, host: &str) -> Mailbox {
        let app = app.map(|id| AppId::new(id).unwrap());
        Mailbox {
            id: MailboxId::new("anna").unwrap(),
            address: String::from("anna@Makler.example"),
            display_name: None,
            provider: Some(String::from("office365")),
            imap: Some(Endpoint { host: String::from(host), port: 993, security: Security::Tls }),
            smtp: None,
            auth: Auth::Oauth { app, login: None, aliases: Vec::new(), delegates: Vec::new() },
            policy: Default::default(),
            owner: None,
            reference: None,
            labels: Default::default(),
            active: true,
        }
    }

    const SERVER: &str = "outlook.office365.com";

    #[test]
    fn each_mailbox_is_in_the_group_that_the_guide_names() {
        let app = app(&[]);
        let wanted = Wanted { app: &app, provider: Some("office365"), server: Some(SERVER) };
        let of = |mailbox: &Mailbox, has_grant| group(&wanted, mailbox, has_grant);
        assert_eq!(of(&mailbox(None, "Outlook.Office365.com"), false), Group::WillChange);
        assert_eq!(of(&mailbox(Some("other"), SERVER), false), Group::WillChange);
        assert_eq!(of(&mailbox(Some("other"), SERVER), true), Group::HasGrant);
        assert_eq!(of(&mailbox(Some("o365"), SERVER), true), Group::AlreadyOnThisApp);
        assert_eq!(of(&mailbox(None, "imap.gmail.com"), false), Group::OtherServerOrNotOauth);
        let paused = Mailbox { active: false, ..mailbox(None, SERVER) };
        assert_eq!(of(&paused, false), Group::Inactive);
        let auth = Auth::Password { user: String::from("anna") };
        assert_eq!(of(&Mailbox { auth, ..paused.clone() }, false), Group::OtherServerOrNotOauth);
        let auth = Auth::ServiceAccount { app: AppId::new("gws").unwrap(), login: None };
        assert_eq!(of(&Mailbox { auth, ..paused }, false), Group::OtherServerOrNotOauth);
    }

    #[test]
    fn without_a_server_the_app_s_domains_decide_else_its_provider() {
        for (domains, provider, expected) in [
            (vec!["makler.example"], Some("office365"), Group::WillChange),
            (vec!["kunde.example"], Some("office365"), Group::OtherServerOrNotOauth),
            (vec![], Some("office365"), Group::WillChange),
            (vec![], Some("google"), Group::OtherServerOrNotOauth),
            (vec![], None, Group::OtherServerOrNotOauth),
        ] {
            let app = app(&domains);
            let wanted = Wanted { app: &app, provider, server: None };
            assert_eq!(group(&wanted, &mailbox(None, "x"), false), expected, "{domains:?} {provider:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_changed_is_changed_no_more(
            has_app in any::<bool>(), active in any::<bool>(), has_grant in any::<bool>(), here in any::<bool>()
        ) {
            let app = app(&[]);
            let wanted = Wanted { app: &app, provider: None, server: Some(SERVER) };
            let mut mailbox = mailbox(has_app.then_some("other"), if here { SERVER } else { "x" });
            mailbox.active = active;
            let before = group(&wanted, &mailbox, has_grant);
            if before == Group::WillChange {
                prop_assert!(active && here && !has_grant);
                mailbox.auth = Auth::Oauth {
                    app: Some(app.id.clone()), login: None, aliases: Vec::new(), delegates: Vec::new()
                };
                prop_assert_eq!(group(&wanted, &mailbox, false), Group::AlreadyOnThisApp);
            }
        }
    }
}
