//! `/v1/apps/{app}/distribute`: gives an app to all mailboxes that are like the one it was made for, and asks their
//! users to sign in. Without `apply` it only says what would change.

use super::super::Shared;
use super::super::extract::{json, typed, word};
use super::super::problem::Answer;
use super::distribution::{Group, Item, Wanted, group};
use super::invite::{Delivery, link, problem_of};
use super::move_app::move_app;
use super::{apps, presets, sign_ins};
use crate::domain::{App, AppId};
use crate::notify::{self, InviteError};
use crate::problem::Problem;
use crate::store::{Commit, SignIn, Store, StoredMailbox};
use crate::work::{blocking, retry_conflicts};
use actix_web::HttpResponse;
use actix_web::web::{Bytes, Data, Path};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Order {
    #[serde(default)]
    pub(super) server: Option<String>,
    #[serde(default)]
    from: Option<AppId>,
    #[serde(default)]
    pub(super) apply: bool,
    #[serde(default)]
    pub(super) expect: Option<usize>,
    /// How users are asked to sign in; without it they are not.
    #[serde(default)]
    pub(super) invite: Option<Delivery>,
}

/// POST `/v1/apps/{app}/distribute`.
pub(super) async fn distribute(shared: Data<Shared>, id: Path<String>, body: Bytes) -> Answer {
    let id = AppId::new(id.into_inner())?;
    let order: Order = typed(&json(&body)?)?;
    let order = Order { server: server(order.server)?, ..order };
    if let Some(from) = order.from.clone() {
        return move_app(&shared, &id, from, order).await;
    }
    let (plan, changed, asked) = retry_conflicts(async || {
        let app = shared.store.app(&id)?.ok_or_else(|| apps::no_such_app(&id))?.value;
        sign_ins::serves_users(&app)?;
        let app = app.app;
        may_invite(&shared, &app, order.invite)?;
        let (store, order) = (shared.store.clone(), order.clone());
        let (plan, approved) = blocking(move || {
            let plan = Plan::made(&store, &app, order.server.as_deref())?;
            let approved = if order.apply { Some(plan.approved(&store, &app, &order)?) } else { None };
            Ok::<_, Problem>((plan, approved))
        })
        .await?;
        let count = plan.changes.len();
        match approved {
            Some((commit, asked)) if count > 0 => {
                shared.store.commit(commit).await?;
                Ok((plan, count, asked))
            }
            Some(_) | None => Ok((plan, 0, Asked::default())),
        }
    })
    .await?;
    if changed > 0 {
        shared.supervisor.reconcile().await;
    }
    let shown = json!({"app": id, "server": order.server, "applied": order.apply, "changed": changed,
        "invited": asked.count, "links": asked.shown_links(&shared), "groups": shown_groups(Group::ALL, &plan.groups)});
    Ok(HttpResponse::Ok().json(shown))
}

/// Users who are asked to sign in.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) count: usize,
    /// Sign-ins whose links somebody else delivers, with their mailboxes' addresses.
    links: Vec<(String, SignIn)>,
}

impl Asked {
    /// By the notifier; a restart in between changes nothing about that.
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
    pub(super) fn shown_links(&self, shared: &Shared) -> Vec<Value> {
        let shown = |(address, sign_in): &(String, SignIn)| {
            json!({"mailbox": sign_in.mailbox, "address": address, "sign_in": sign_in.id,
                "url": shared.signin.link(sign_in), "expires_at": sign_in.expires_at})
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

/// Gives an app to a mailbox that nobody signed in to, and asks its user.
pub(super) fn change(
    store: &Store,
    commit: &mut Commit,
    (stored, app): (&StoredMailbox, &App),
    invite: Option<Delivery>,
    asked: &mut Asked,
) -> Result<(), Problem> {
    let mut changed = stored.clone();
    presets::give(&mut changed, app);
    store.end_move(commit, stored.incarnation);
    store.put_mailbox(commit, &changed)?;
    // somebody who signs in meanwhile keeps the app that he signed in through
    store.expect_no_grant(commit, stored.incarnation);
    match invite {
        Some(Delivery::Mail) => asked.mail(store, commit, stored)?,
        Some(Delivery::Link) => {
            let sign_in = link(store, commit, stored, None, None)?;
            asked.give(stored, sign_in);
        }
        None => {}
    }
    Ok(())
}

/// Whether users can be asked, before anything is changed.
pub(super) fn may_invite(shared: &Shared, app: &App, invite: Option<Delivery>) -> Result<(), Problem> {
    if invite.is_none() {
        return Ok(());
    }
    sign_ins::is_complete(app)?;
    if invite == Some(Delivery::Mail) && shared.notifier.sender()?.is_none() {
        return Err(problem_of(InviteError::NoSender));
    }
    Ok(())
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

/// Everything a distribution looked at, in groups.
struct Plan {
    groups: BTreeMap<Group, Vec<Item>>,
    /// Those that get the app.
    changes: Vec<StoredMailbox>,
}

impl Plan {
    fn made(store: &Store, app: &App, server: Option<&str>) -> Result<Self, Problem> {
        let wanted = Wanted { app, provider: presets::provider_of(app), server };
        if server.is_none() && wanted.provider.is_none() && app.domains.is_empty() {
            let detail = "say which mailboxes are meant: name a server, or give the app its domains";
            return Err(Problem::field("server", detail));
        }
        let mut plan = Self { groups: BTreeMap::new(), changes: Vec::new() };
        for stored in store.mailboxes()? {
            let found = group(&wanted, &stored.mailbox, has_sign_in(store, &stored)?);
            plan.groups.entry(found).or_default().push(Item::of(&stored.mailbox));
            if found == Group::WillChange {
                plan.changes.push(stored);
            }
        }
        Ok(plan)
    }

    /// One commit of all changes, if they are as many as were expected.
    fn approved(&self, store: &Store, app: &App, order: &Order) -> Result<(Commit, Asked), Problem> {
        approve(self.changes.len(), order.expect, "will_change")?;
        let (mut commit, mut asked) = (Commit::default(), Asked::default());
        for stored in &self.changes {
            change(store, &mut commit, (stored, app), order.invite, &mut asked)?;
        }
        Ok((commit, asked))
    }
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
