//! What giving an app to many mailboxes at once has in common, whether they are given it or moved to it: the order,
//! its approval, and whom it invites.

use super::context::Context;
use super::distribution::Item;
use super::fields::word;
use super::invite::{Delivery, link, problem_of};
use super::presets;
use super::sign_in_rules::is_complete;
use crate::domain::{App, AppId};
use crate::notify::{self, InviteError};
use crate::problem::Problem;
use crate::store::{Commit, SignIn, Store, StoredMailbox};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What is to be distributed.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    #[serde(default)]
    pub(crate) server: Option<String>,
    #[serde(default)]
    pub(crate) from: Option<AppId>,
    #[serde(default)]
    pub(crate) apply: bool,
    #[serde(default)]
    pub(crate) expect: Option<usize>,
    /// How users are invited to sign in; without it they are not.
    #[serde(default)]
    pub(crate) invite: Option<Delivery>,
}

impl Order {
    /// With the server's name as it is compared.
    ///
    /// # Errors
    /// `invalid_field` if it is empty or no word.
    pub(crate) fn checked(self) -> Result<Self, Problem> {
        Ok(Self { server: server(self.server)?, ..self })
    }
}

fn server(given: Option<String>) -> Result<Option<String>, Problem> {
    match given {
        None => Ok(None),
        Some(text) => match word("server", &text)? {
            Some(server) => Ok(Some(server.to_lowercase())),
            None => Err(Problem::field("server", "is empty: name a host, or leave it out")),
        },
    }
}

/// What an order came to.
pub(crate) struct Distributed {
    /// Mailboxes that were changed.
    pub(crate) changed: usize,
    /// Users that were invited.
    pub(crate) invited: usize,
    /// Links that somebody else delivers.
    pub(crate) links: Vec<Value>,
    /// Every mailbox in its group.
    pub(crate) groups: Value,
}

/// Users who are invited to sign in.
#[derive(Default)]
pub(super) struct Invited {
    pub(super) count: usize,
    /// Sign-ins whose links somebody else delivers, with their mailboxes' addresses.
    links: Vec<(String, SignIn)>,
}

impl Invited {
    /// By the notifier, which a restart in between does not hinder.
    pub(super) fn mail(
        &mut self,
        store: &Store,
        commit: &mut Commit,
        stored: &StoredMailbox,
    ) -> Result<(), Problem> {
        self.count = self.count.saturating_add(1);
        Ok(notify::ask_for_invitation(store, commit, stored)?)
    }

    /// By a link.
    pub(super) fn give(&mut self, stored: &StoredMailbox, sign_in: SignIn) {
        self.count = self.count.saturating_add(1);
        self.links.push((stored.mailbox.address.clone(), sign_in));
    }

    /// Links as they are shown: once.
    pub(super) fn shown_links(&self, context: &Context) -> Vec<Value> {
        let shown = |(address, sign_in): &(String, SignIn)| {
            json!({"mailbox": sign_in.mailbox, "address": address, "sign_in": sign_in.id,
                "url": context.signin.link(sign_in), "expires_at": sign_in.expires_at})
        };
        self.links.iter().map(shown).collect()
    }
}

/// Whether somebody signed in to a mailbox, or a refresh token of another system is being tried for it.
pub(super) fn has_sign_in(store: &Store, stored: &StoredMailbox) -> Result<bool, Problem> {
    let handed_in = store.take_over(stored.incarnation)?;
    let is_tried = handed_in.is_some_and(|row| row.value.is_to_be_tried());
    Ok(is_tried || store.grant(stored.incarnation)?.is_some())
}

/// Gives an app to a mailbox that nobody signed in to, and invites its user.
pub(super) fn change(
    store: &Store,
    commit: &mut Commit,
    (stored, app): (&StoredMailbox, &App),
    invite: Option<Delivery>,
    invited: &mut Invited,
) -> Result<(), Problem> {
    let mut changed = stored.clone();
    presets::give(&mut changed, app);
    store.end_move(commit, stored.incarnation);
    store.put_mailbox(commit, &changed)?;
    // a user who signs in meanwhile keeps the app of that sign-in
    store.expect_no_grant(commit, stored.incarnation);
    match invite {
        Some(Delivery::Mail) => invited.mail(store, commit, stored)?,
        Some(Delivery::Link) => {
            let sign_in = link(store, commit, stored, None, None)?;
            invited.give(stored, sign_in);
        }
        None => {}
    }
    Ok(())
}

/// Whether users can be invited, before anything is changed.
pub(super) fn may_invite(context: &Context, app: &App, invite: Option<Delivery>) -> Result<(), Problem> {
    if invite.is_none() {
        return Ok(());
    }
    is_complete(app)?;
    if invite == Some(Delivery::Mail) && context.notifier.sender()?.is_none() {
        return Err(problem_of(InviteError::NoSender));
    }
    Ok(())
}

/// Whether as many would change as were expected; `groups` are those that the dry run counts them in.
pub(super) fn approve(count: usize, expect: Option<usize>, groups: &str) -> Result<(), Problem> {
    match expect {
        Some(expected) if expected == count => Ok(()),
        Some(expected) => {
            let detail = format!(
                "{count} mailboxes would change, not {expected} as expected: look at the dry run again"
            );
            Err(Problem::conflict("expect_mismatch", detail))
        }
        None => {
            let detail = format!("is missing: say how many mailboxes the dry run showed as {groups}");
            Err(Problem::field("expect", detail))
        }
    }
}

/// Groups as they are shown: each with its count.
pub(super) fn shown_groups<G: Copy + Ord + Serialize, const N: usize>(
    all: [G; N],
    groups: &BTreeMap<G, Vec<Item>>,
) -> Value {
    let shown = |group: G| {
        let items = groups.get(&group).map_or(&[][..], Vec::as_slice);
        let name = json!(group).as_str().map(String::from).unwrap_or_default();
        (name, json!({"count": items.len(), "items": items}))
    };
    Value::Object(all.into_iter().map(shown).collect::<Map<_, _>>())
}
