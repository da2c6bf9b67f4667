//! `/v1/apps/{app}/distribute` with `from`: moves mailboxes that are signed in to another registration. Each keeps its
//! app and its grant until a sign-in by the new one was proved; that sign-in's commit moves it.

use super::super::Shared;
use super::super::extract::{pool, settled};
use super::super::problem::{Answer, Problem};
use super::distribute::{Order, approve, shown_groups};
use super::distribution::Item;
use super::moving::{Group, Known, Wanted, group};
use super::{apps, presets};
use crate::clock;
use crate::domain::{App, AppId, Incarnation};
use crate::events::EventType;
use crate::store::{Commit, SignIn, Store, StoredMailbox};
use actix_web::HttpResponse;
use serde_json::json;
use std::collections::BTreeMap;

/// Moves mailboxes, or says which.
pub(super) async fn move_app(shared: &Shared, id: &AppId, from: AppId, order: Order) -> Answer {
    let (plan, sign_ins, changed) = settled(async || {
        let app = both(shared, id, &from)?;
        let (store, order, from) = (shared.store.clone(), order.clone(), from.clone());
        let (plan, approved) = pool(move || {
            let plan = Plan::made(&store, &app, &from, order.server.as_deref())?;
            let approved = if order.apply { Some(plan.approved(&store, &app, order.expect)?) } else { None };
            Ok::<_, Problem>((plan, approved))
        })
        .await?;
        let Some((commit, sign_ins)) = approved else { return Ok((plan, BTreeMap::new(), 0)) };
        if !commit.is_empty() {
            shared.store.commit(commit).await?;
        }
        let changed = plan.moves.len().saturating_add(plan.changes.len());
        Ok((plan, sign_ins, changed))
    })
    .await?;
    if changed > 0 {
        shared.reconcile().await;
    }
    for (mailbox, sign_in) in &sign_ins {
        if sign_in.by_app {
            shared.trials.add(*mailbox);
        }
    }
    let groups = shown_groups(Group::ALL, &plan.groups(shared, &sign_ins));
    Ok(HttpResponse::Ok()
        .json(json!({"app": id, "from": from, "server": order.server, "applied": order.apply,
        "changed": changed, "groups": groups})))
}

/// The new app, if mailboxes can be moved from the old one to it.
fn both(shared: &Shared, id: &AppId, from: &AppId) -> Result<App, Problem> {
    let app = shared.store.app(id)?.ok_or_else(|| apps::no_such_app(id))?.value.app;
    let unknown = || Problem::field("from", format!("there is no app {:?}", from.as_str()));
    let old = shared.store.app(from)?.ok_or_else(unknown)?.value.app;
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
    let missing = apps::missing_fields(&app);
    if !missing.is_empty() {
        let detail = format!("the app {} is not complete, it lacks: {}", app.id, missing.join(", "));
        return Err(Problem::conflict("app_incomplete", detail));
    }
    Ok(app)
}

/// Everything that was looked at, in groups.
struct Plan {
    seen: Vec<(Group, Incarnation, Item)>,
    moves: Vec<StoredMailbox>,
    changes: Vec<StoredMailbox>,
}

type SignIns = BTreeMap<Incarnation, SignIn>;

impl Plan {
    fn made(store: &Store, app: &App, from: &AppId, server: Option<&str>) -> Result<Self, Problem> {
        let wanted = Wanted { app, from, server };
        let mut plan = Self { seen: Vec::new(), moves: Vec::new(), changes: Vec::new() };
        for stored in store.mailboxes()? {
            let handed_in = store.take_over(stored.incarnation)?;
            let is_tried = handed_in.is_some_and(|row| row.value.is_to_be_tried());
            let known = Known {
                has_grant: is_tried || store.grant(stored.incarnation)?.is_some(),
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
    fn approved(
        &self,
        store: &Store,
        app: &App,
        expect: Option<usize>,
    ) -> Result<(Commit, SignIns), Problem> {
        approve(self.moves.len().saturating_add(self.changes.len()), expect, "will_move and will_change")?;
        let now = clock::now();
        let (mut commit, mut sign_ins) = (Commit::default(), SignIns::new());
        for stored in &self.moves {
            let sign_in = SignIn::moving(stored, &app.id, now)?;
            store.add_move(&mut commit, stored, &sign_in)?;
            if !sign_in.by_app {
                commit.event(sign_in.told_as(EventType::SignInRequested, now));
            }
            sign_ins.insert(stored.incarnation, sign_in);
        }
        for stored in &self.changes {
            let mut changed = stored.clone();
            presets::give(&mut changed, app);
            store.end_move(&mut commit, stored.incarnation);
            store.put_mailbox(&mut commit, &changed)?;
            // somebody who signs in meanwhile keeps the app that he signed in through
            store.expect_no_grant(&mut commit, stored.incarnation);
        }
        Ok((commit, sign_ins))
    }

    /// The groups, with the links of those who have to sign in.
    fn groups(&self, shared: &Shared, sign_ins: &SignIns) -> BTreeMap<Group, Vec<Item>> {
        let mut groups: BTreeMap<Group, Vec<Item>> = BTreeMap::new();
        for (found, mailbox, item) in &self.seen {
            let mut item = item.clone();
            if let Some(sign_in) = sign_ins.get(mailbox) {
                item.sign_in = Some(sign_in.id);
                let link = Some(sign_in).filter(|sign_in| !sign_in.by_app);
                item.url = link.map(|sign_in| shared.link(sign_in));
                item.expires_at = link.map(|sign_in| sign_in.expires_at);
            }
            groups.entry(*found).or_default().push(item);
        }
        groups
    }
}

/// Whether a mailbox waits for a sign-in that moves it there, and that one can still be used.
fn is_moving(store: &Store, stored: &StoredMailbox, to: &AppId) -> Result<bool, Problem> {
    let Some(moving) = store.move_of(stored)?.filter(|moving| moving.to == *to) else { return Ok(false) };
    let sign_in = store.sign_in(moving.sign_in)?;
    Ok(sign_in.is_some_and(|row| !row.value.state.is_final() && row.value.expires_at > clock::now()))
}
