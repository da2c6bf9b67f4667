//! Which mailboxes are moved from one app to another, and how. Pure: a function of what is stored.

use super::distribution::goes_through;
use crate::domain::{App, AppId, Auth, Mailbox};
use serde::Serialize;

/// What is moved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// The app that mailboxes get.
    pub(super) app: &'a App,
    /// The app that they have.
    pub(super) from: &'a AppId,
    /// Only mailboxes that receive from or send through this server.
    pub(super) server: Option<&'a str>,
}

/// What is known of a mailbox beside its configuration.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    /// Somebody signed in, or a refresh token of another system is being tried.
    pub(super) has_grant: bool,
    /// It moves to the app already, and that sign-in can still succeed.
    pub(super) is_moving: bool,
}

/// What becomes of a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Group {
    /// Its app works on until a sign-in by the new one was proved.
    WillMove,
    /// Nobody signed in: it gets the app at once.
    WillChange,
    /// Its move was ordered before, and waits for its sign-in.
    Moving,
    /// It has the app.
    AlreadyOnThisApp,
    /// It is not on that app, or not on that server.
    NotOnThatApp,
    /// It is paused.
    Inactive,
}

impl Group {
    /// All of them, in the order they are shown in.
    pub(super) const ALL: [Self; 6] = [
        Self::WillMove,
        Self::WillChange,
        Self::Moving,
        Self::AlreadyOnThisApp,
        Self::NotOnThatApp,
        Self::Inactive,
    ];
}

/// The group of a mailbox.
pub(super) fn group(wanted: &Wanted<'_>, mailbox: &Mailbox, known: Known) -> Group {
    if mailbox.app() == Some(&wanted.app.id) {
        return Group::AlreadyOnThisApp;
    }
    // users sign in through either app, or both are let in themselves: a service account is neither
    let acts_for_user = matches!(mailbox.auth, Auth::ServiceAccount { .. });
    if acts_for_user
        || mailbox.app() != Some(wanted.from)
        || !wanted.server.is_none_or(|server| goes_through(mailbox, server))
    {
        return Group::NotOnThatApp;
    }
    let signs_in_by_itself = matches!(mailbox.auth, Auth::AppOnly { .. });
    match (mailbox.active, known.is_moving, known.has_grant || signs_in_by_itself) {
        (false, _, _) => Group::Inactive,
        (true, true, _) => Group::Moving,
        (true, false, true) => Group::WillMove,
        (true, false, false) => Group::WillChange,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Endpoint, MailboxId, Security};

    fn id(text: &str) -> AppId {
        AppId::new(text).unwrap()
    }

    fn mailbox(auth: Auth) -> Mailbox {
        Mailbox {
            id: MailboxId::new("anna").unwrap(),
            address: String::from("anna@makler.example"),
            display_name: None,
            provider: None,
            imap: Some(Endpoint { host: String::from("a.example"), port: 993, security: Security::Tls }),
            smtp: None,
            auth,
            policy: Default::default(),
            owner: None,
            reference: None,
            labels: Default::default(),
            active: true,
        }
    }

    fn oauth(app: Option<&str>) -> Mailbox {
        let app = app.map(id);
        mailbox(Auth::Oauth { app, login: None, aliases: Vec::new(), delegates: Vec::new() })
    }

    #[test]
    fn each_mailbox_is_in_one_group() {
        let app = App::plain("new");
        let from = id("old");
        let of = |mailbox: &Mailbox, has_grant, is_moving, server| {
            group(&Wanted { app: &app, from: &from, server }, mailbox, Known { has_grant, is_moving })
        };
        let old = oauth(Some("old"));
        assert_eq!(of(&old, true, false, None), Group::WillMove);
        assert_eq!(of(&old, true, false, Some("A.Example")), Group::WillMove);
        assert_eq!(of(&old, true, false, Some("b.example")), Group::NotOnThatApp);
        assert_eq!(of(&old, true, true, None), Group::Moving);
        assert_eq!(of(&old, false, false, None), Group::WillChange);
        assert_eq!(of(&Mailbox { active: false, ..old }, true, false, None), Group::Inactive);
        assert_eq!(of(&mailbox(Auth::AppOnly { app: id("old") }), false, false, None), Group::WillMove);
        for app in ["new", "other"] {
            let expected = if app == "new" { Group::AlreadyOnThisApp } else { Group::NotOnThatApp };
            assert_eq!(of(&oauth(Some(app)), true, false, None), expected);
        }
        assert_eq!(of(&oauth(None), false, false, None), Group::NotOnThatApp);
        let auth = Auth::Password { user: String::from("anna") };
        assert_eq!(of(&mailbox(auth), true, false, None), Group::NotOnThatApp);
        let auth = Auth::ServiceAccount { app: id("old"), login: None };
        assert_eq!(of(&mailbox(auth), false, false, None), Group::NotOnThatApp);
    }
}
