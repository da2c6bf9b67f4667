//! Gives an app to all mailboxes that are like the one it was made for, and invites their users to sign in. Without
//! `apply` it only says what would change.

use super::context::Context;
use super::distribution::{Group, Item, Wanted, group};
use super::rollout::{Distributed, Invited, Order, approve, change, has_sign_in, may_invite, shown_groups};
use super::sign_in_rules::serves_users;
use super::{lookup, presets};
use crate::domain::{App, AppId};
use crate::problem::Problem;
use crate::store::{Commit, Store, StoredMailbox};
use crate::work::{blocking, retry_conflicts};
use std::collections::BTreeMap;

/// Gives an app to the mailboxes it is for, or says which those are.
pub(crate) async fn distribute(context: &Context, id: &AppId, order: &Order) -> Result<Distributed, Problem> {
    let (plan, changed, invited) = retry_conflicts(async || {
        let app = lookup::app(&context.store, id)?.value;
        serves_users(&app)?;
        let app = app.app;
        may_invite(context, &app, order.invite)?;
        let (store, order) = (context.store.clone(), order.clone());
        let (plan, approved) = blocking(move || {
            let plan = Plan::made(&store, &app, order.server.as_deref())?;
            let approved = if order.apply { Some(plan.approved(&store, &app, &order)?) } else { None };
            Ok::<_, Problem>((plan, approved))
        })
        .await?;
        let count = plan.changes.len();
        match approved {
            Some((commit, invited)) if count > 0 => {
                context.store.commit(commit).await?;
                Ok((plan, count, invited))
            }
            Some(_) | None => Ok((plan, 0, Invited::default())),
        }
    })
    .await?;
    if changed > 0 {
        context.supervisor.reconcile().await;
    }
    let (links, groups) = (invited.shown_links(context), shown_groups(Group::ALL, &plan.groups));
    Ok(Distributed { changed, invited: invited.count, links, groups })
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
    fn approved(&self, store: &Store, app: &App, order: &Order) -> Result<(Commit, Invited), Problem> {
        approve(self.changes.len(), order.expect, "will_change")?;
        let (mut commit, mut invited) = (Commit::default(), Invited::default());
        for stored in &self.changes {
            change(store, &mut commit, (stored, app), order.invite, &mut invited)?;
        }
        Ok((commit, invited))
    }
}
