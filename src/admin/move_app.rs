//! Moves mailboxes that are signed in to another registration. Each keeps its app and its grant until a sign-in by
//! the new one was proved; that sign-in's commit moves it.

use super::app_migration::{Group, Known, Wanted, group};
use super::context::Context;
use super::distribution::Item;
use super::invite::Delivery;
use super::lookup;
use super::rollout::{Distributed, Invited, Order, approve, change, has_sign_in, may_invite, shown_groups};
use super::sign_in_rules::{is_complete, serves_users};
use crate::clock;
use crate::domain::{App, AppId, Incarnation};
use crate::events::EventType;
use crate::problem::Problem;
use crate::store::{Commit, SignIn, Store, StoredMailbox};
use crate::work::{blocking, retry_conflicts};
use std::collections::BTreeMap;

/// Moves mailboxes, or says which.
pub(crate) async fn move_app(
    context: &Context,
    id: &AppId,
    from: &AppId,
    order: &Order,
) -> Result<Distributed, Problem> {
    let (plan, done) = retry_conflicts(async || {
        let app = both(context, id, from)?;
        may_invite(context, &app, order.invite)?;
        let (store, order, from) = (context.store.clone(), order.clone(), from.clone());
        let (plan, approved) = blocking(move || {
            let plan = Plan::made(&store, &app, &from, order.server.as_deref())?;
            let approved = if order.apply { Some(plan.approved(&store, &app, &order)?) } else { None };
            Ok::<_, Problem>((plan, approved))
        })
        .await?;
        let Some((commit, done)) = approved else { return Ok((plan, Done::default())) };
        if !commit.is_empty() {
            context.store.commit(commit).await?;
        }
        Ok((plan, done))
    })
    .await?;
    let Done { moving, changed, invited } = done;
    if changed > 0 {
        context.supervisor.reconcile().await;
    }
    for (mailbox, _) in moving.iter().filter(|(_, sign_in)| sign_in.by_app) {
        context.signin.trials.add(*mailbox);
    }
    let groups = shown_groups(Group::ALL, &plan.groups(&moving));
    Ok(Distributed { changed, invited: invited.count, links: invited.shown_links(context), groups })
}

/// The new app, if mailboxes can be moved from the old one to it.
fn both(context: &Context, id: &AppId, from: &AppId) -> Result<App, Problem> {
    let app = lookup::app(&context.store, id)?.value;
    let unknown = || Problem::field("from", format!("there is no app {:?}", from.as_str()));
    let old = context.store.app(from)?.ok_or_else(unknown)?.value;
    for app in [&app, &old] {
        serves_users(app)?;
    }
    let (app, old) = (app.app, old.app);
    if app.id == old.id {
        return Err(Problem::field("from", "is the app itself: name the one that the mailboxes have now"));
    }
    if app.provider != old.provider {
        let detail = format!(
            "{} is an app of {} and {} of {}: a mailbox stays with its provider, so name two apps of the same one",
            app.id,
            app.provider.name(),
            old.id,
            old.provider.name()
        );
        return Err(Problem::conflict("other_provider", detail));
    }
    is_complete(&app)?;
    Ok(app)
}

/// Everything that was looked at, in groups.
struct Plan {
    seen: Vec<(Group, Incarnation, Item)>,
    moves: Vec<StoredMailbox>,
    changes: Vec<StoredMailbox>,
}

/// What was done.
#[derive(Default)]
struct Done {
    /// The sign-ins that move mailboxes.
    moving: BTreeMap<Incarnation, SignIn>,
    changed: usize,
    invited: Invited,
}

impl Plan {
    fn made(store: &Store, app: &App, from: &AppId, server: Option<&str>) -> Result<Self, Problem> {
        let wanted = Wanted { app, from, server };
        let mut plan = Self { seen: Vec::new(), moves: Vec::new(), changes: Vec::new() };
        for stored in store.mailboxes()? {
            let known = Known {
                has_grant: has_sign_in(store, &stored)?,
                is_moving: is_moving(store, &stored, &app.id)?,
            };
            let found = group(&wanted, &stored.mailbox, known);
            plan.seen.push((found, stored.incarnation, Item::of(&stored.mailbox)));
            match found {
                Group::WillMove => plan.moves.push(stored),
                Group::WillChange => plan.changes.push(stored),
                Group::Moving | Group::AlreadyOnThisApp | Group::NotOnThatApp | Group::Inactive => {}
            }
        }
        Ok(plan)
    }

    /// One commit of everything, if it is as much as was expected.
    fn approved(&self, store: &Store, app: &App, order: &Order) -> Result<(Commit, Done), Problem> {
        let changed = self.moves.len().saturating_add(self.changes.len());
        approve(changed, order.expect, "will_move and will_change")?;
        let (mut commit, mut done) = (Commit::default(), Done { changed, ..Done::default() });
        for stored in &self.moves {
            let sign_in = SignIn::moving(stored, &app.id, clock::now())?;
            store.add_move(&mut commit, stored, &sign_in)?;
            if !sign_in.by_app {
                done.ask(store, &mut commit, (stored, &sign_in), order.invite)?;
            }
            done.moving.insert(stored.incarnation, sign_in);
        }
        for stored in &self.changes {
            change(store, &mut commit, (stored, app), order.invite, &mut done.invited)?;
        }
        Ok((commit, done))
    }

    /// The groups, with the sign-ins of those that move.
    fn groups(&self, moving: &BTreeMap<Incarnation, SignIn>) -> BTreeMap<Group, Vec<Item>> {
        let mut groups: BTreeMap<Group, Vec<Item>> = BTreeMap::new();
        for (found, mailbox, item) in &self.seen {
            let sign_in = moving.get(mailbox).map(|sign_in| sign_in.id);
            groups.entry(*found).or_default().push(Item { sign_in, ..item.clone() });
        }
        groups
    }
}

impl Done {
    /// A user is invited by mail, whose link is by the new app, too; else by this sign-in, which is reported as an
    /// event.
    fn ask(
        &mut self,
        store: &Store,
        commit: &mut Commit,
        (stored, sign_in): (&StoredMailbox, &SignIn),
        invite: Option<Delivery>,
    ) -> Result<(), Problem> {
        if invite == Some(Delivery::Mail) {
            return self.invited.mail(store, commit, stored);
        }
        commit.event(sign_in.told_as(EventType::SignInRequested, clock::now()));
        if invite == Some(Delivery::Link) {
            self.invited.give(stored, sign_in.clone());
        }
        Ok(())
    }
}

/// Whether a mailbox waits for a sign-in that moves it there, and that one can still be used.
fn is_moving(store: &Store, stored: &StoredMailbox, to: &AppId) -> Result<bool, Problem> {
    let Some(moving) = store.move_of(stored)?.filter(|moving| moving.to == *to) else { return Ok(false) };
    let sign_in = store.sign_in(moving.sign_in)?;
    Ok(sign_in.is_some_and(|row| !row.value.state.is_final() && row.value.expires_at > clock::now()))
}
