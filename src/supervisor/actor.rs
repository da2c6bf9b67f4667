//! The supervisor at work: spawns each mailbox's actors on one arbiter, restarts what dies, and waits for what ends.

use super::children::Children;
use super::plan::{Plan, Restarts, resting_state};
use super::protocol::Drain;
use super::state::{Draining, Owners, Running, Supervisor};
use super::stopping::Named;
use super::watchdog::ROUND;
use crate::clock;
use crate::domain::{Incarnation, MailboxState, SendState};
use crate::imap::ImapActor;
use crate::protocol::{ChildExited, ExitGuard};
use crate::smtp::SmtpActor;
use crate::store::{Owner, Role, Store, StoreError, StoredMailbox};
use crate::token::TokenActor;
use actix::{Actor, ActorFutureExt, Arbiter, AsyncContext, Context, Handler, ResponseFuture, WrapFuture};
use std::time::Duration;
use tokio::sync::oneshot;

impl Supervisor {
    /// Ends and starts what a comparison with the store said.
    pub(super) fn carry_out(&mut self, plan: Plan, context: &mut Context<Self>) {
        for incarnation in plan.stop {
            if let Some(children) = self.running.remove(&incarnation).and_then(|running| running.children) {
                self.stop_actors(incarnation, &children, &children.actors(), context);
            }
        }
        for stored in plan.start {
            let incarnation = stored.incarnation;
            let arbiter = usize::try_from(incarnation.0).unwrap_or(0) % self.arbiters.len().max(1);
            let restarts = Restarts::new(clock::monotonic());
            self.running.insert(
                incarnation,
                Running { stored, arbiter, children: None, resting: None, due: true, restarts },
            );
            self.spawn_if_due(incarnation, context);
        }
        self.apps.keep(self.running.values().filter_map(|running| running.stored.mailbox.app()));
    }

    /// Stops actors, and once more when time is up: then whatever can be cut off without a loss is.
    pub(super) fn stop_actors(
        &mut self,
        mailbox: Incarnation,
        children: &Children,
        actors: &[Named],
        context: &mut Context<Self>,
    ) {
        children.stop();
        self.stopping.add(mailbox, actors);
        let (actors, wait) = (actors.to_vec(), self.factories.imap.timing.drain);
        let children = children.clone();
        context.run_later(wait, move |supervisor, context| {
            let dead: Vec<Named> = children.dead().collect();
            supervisor.stopping.remove(mailbox, &dead);
            let late = supervisor.stopping.overdue(mailbox, &actors);
            if supervisor.draining.is_some() {
                supervisor.stopping.remove(mailbox, &actors);
            } else if !late.is_empty() {
                tracing::warn!(%mailbox, ?late, patience = ?wait, "an answer is overdue; it is waited for");
                children.stop();
            }
            supervisor.actor_ended(mailbox, context);
        });
    }

    /// A predecessor has ended, or is waited for no longer.
    fn actor_ended(&mut self, mailbox: Incarnation, context: &mut Context<Self>) {
        if let Some(draining) = self.draining.as_mut().filter(|_| self.stopping.is_empty()) {
            draining.finish();
        }
        self.add_sender(mailbox, context);
        self.spawn_if_due(mailbox, context);
    }

    /// A mailbox that was started without its sender, because its predecessor waited for an answer, is started
    /// again when that one has ended.
    fn add_sender(&mut self, incarnation: Incarnation, context: &mut Context<Self>) {
        if self.draining.is_some() || self.stopping.sends(incarnation) {
            return;
        }
        let Some(running) = self.running.get_mut(&incarnation) else { return };
        let lacks =
            |children: &mut Children| children.smtp.is_none() && running.stored.mailbox.smtp.is_some();
        if let Some(children) = running.children.take_if(lacks) {
            running.due = true;
            self.stop_actors(incarnation, &children, &children.actors(), context);
        }
    }

    fn spawn_if_due(&mut self, mailbox: Incarnation, context: &mut Context<Self>) {
        if self.draining.is_some() || self.stopping.has(mailbox) || self.spawning.contains(&mailbox) {
            return;
        }
        let Some(running) = self.running.get_mut(&mailbox).filter(|running| running.due) else { return };
        running.due = false;
        let stored = running.stored.clone();
        self.spawning.insert(mailbox);
        self.spawn(stored, context);
    }

    /// Starts a mailbox again after a pause, which it returns.
    fn spawn_later(&mut self, mailbox: Incarnation, context: &mut Context<Self>) -> Duration {
        let Some(running) = self.running.get_mut(&mailbox) else { return Duration::ZERO };
        let wait = running.restarts.died(clock::monotonic());
        let generation = running.stored.generation;
        context.run_later(wait, move |supervisor, context| {
            let running = supervisor.running.get_mut(&mailbox);
            if let Some(running) = running.filter(|running| running.stored.generation == generation) {
                running.due = true;
                supervisor.spawn_if_due(mailbox, context);
            }
        });
        wait
    }

    /// Raises the epochs, so that the store refuses every predecessor, then starts the actors.
    fn spawn(&self, stored: StoredMailbox, context: &mut Context<Self>) {
        let store = self.factories.store.clone();
        let (incarnation, generation) = (stored.incarnation, stored.generation);
        let may_send = !self.stopping.sends(incarnation);
        let prepared = async move {
            let (token, imap, smtp) = if may_send {
                let roles = [Role::Token, Role::Imap, Role::Smtp];
                let [token, imap, smtp] = store.raise_epochs(incarnation, roles).await?;
                (token, imap, Some(smtp))
            } else {
                // the outcome that is waited for still belongs to the predecessor
                let [token, imap] = store.raise_epochs(incarnation, [Role::Token, Role::Imap]).await?;
                (token, imap, None)
            };
            if let Some(state) = resting_state(&stored.mailbox) {
                show_rest(&store, imap, &stored, state).await?;
            }
            Ok((stored, Owners { token, imap, smtp }))
        };
        context.spawn(prepared.into_actor(self).map(
            move |prepared: Result<_, StoreError>, supervisor: &mut Self, context| {
                supervisor.spawning.remove(&incarnation);
                let running = supervisor.running.get(&incarnation);
                let is_current = running.is_some_and(|running| running.stored.generation == generation);
                match prepared {
                    Ok((stored, owners)) if is_current => supervisor.start(stored, owners, context),
                    Ok(_) | Err(StoreError::Stale) => supervisor.spawn_if_due(incarnation, context),
                    Err(error) if is_current => {
                        let wait = supervisor.spawn_later(incarnation, context);
                        tracing::error!(mailbox = %incarnation, %error, ?wait, "mailbox cannot be started");
                    }
                    Err(_) => supervisor.spawn_if_due(incarnation, context),
                }
            },
        ));
    }

    fn start(&mut self, stored: StoredMailbox, owners: Owners, context: &mut Context<Self>) {
        // what an actor that receives begins with; without room for one more file nobody is started for now
        let key = stored.mailbox.imap.as_ref().map(|_| self.factories.store.mailbox_key(stored.incarnation));
        if let Some(Err(error)) = key.filter(|key| key.as_ref().is_err_and(StoreError::is_passing)) {
            let wait = self.spawn_later(stored.incarnation, context);
            tracing::warn!(mailbox = %stored.mailbox.id, %error, ?wait, "not started yet");
            return;
        }
        let Some(running) = self.running.get_mut(&stored.incarnation) else { return };
        if resting_state(&stored.mailbox).is_some() || self.draining.is_some() {
            running.resting = Some(owners);
            return;
        }
        let Some(arbiter) = self.arbiters.get(running.arbiter).map(Arbiter::handle) else { return };
        let supervisor = context.address().recipient();
        let guard =
            |owner: &Owner| ExitGuard::new(supervisor.clone(), owner.mailbox, owner.role, owner.epoch);
        let app =
            stored.mailbox.app().map(|app| self.apps.door(app, context.address().recipient(), &arbiter));
        let deps = self.factories.token.clone();
        let token = TokenActor::new(deps, stored.clone(), owners.token, app, guard(&owners.token));
        let token = TokenActor::start_in_arbiter(&arbiter, move |_| token);
        let imap = stored.mailbox.imap.is_some().then(|| {
            let (ask, refuse) = (token.clone().recipient(), token.clone().recipient());
            let deps = self.factories.imap.clone();
            ImapActor::new(deps, stored.clone(), owners.imap, ask, refuse, guard(&owners.imap))
        });
        let imap = match imap.transpose() {
            Ok(actor) => actor.map(|actor| ImapActor::start_in_arbiter(&arbiter, move |_| actor)),
            Err(error) => {
                tracing::error!(mailbox = %stored.mailbox.id, %error, "cannot receive");
                None
            }
        };
        let smtp = stored.mailbox.smtp.clone().zip(owners.smtp).map(|(endpoint, owner)| {
            let (ask, refuse) = (token.clone().recipient(), token.clone().recipient());
            let deps = self.factories.smtp.clone();
            let stored = stored.clone();
            let guard = guard(&owner);
            let actor = SmtpActor::new(deps, stored, endpoint, owner, (ask, refuse), guard);
            SmtpActor::start_in_arbiter(&arbiter, move |_| actor)
        });
        let mailbox = stored.incarnation;
        running.children = Some(Children { epochs: owners.epochs(), token, imap, smtp });
        self.add_sender(mailbox, context);
    }
}

/// A mailbox without actors says why.
async fn show_rest(
    store: &Store,
    owner: Owner,
    stored: &StoredMailbox,
    state: MailboxState,
) -> Result<(), StoreError> {
    let change = |status: &mut crate::store::MailboxStatus| {
        // what was found out while it rested stays
        if status.state != state {
            status.state = state;
            status.diagnosis = None;
        }
        status.send_state = SendState::Off;
        status.send_diagnosis = None;
    };
    store.change_status(owner, &stored.mailbox.id, clock::now(), change).await.map(drop)
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(CAPACITY);
        self.schedule_upkeep(context);
        context.run_interval(ROUND, |supervisor, _| {
            supervisor.watchdog.look(&supervisor.arbiters, clock::monotonic());
        });
        context.run_interval(RECONCILE, |supervisor, context| {
            supervisor.compare(context);
            supervisor.find_dead(context);
            supervisor.continue_trials(context);
        });
    }
}

/// Mailboxes are compared with the store this often, too, and their actors looked at: with a caller that
/// hangs up its wake-up is lost.
const RECONCILE: Duration = Duration::from_secs(10);

/// Messages that may wait. An end of an actor that is lost here leaves its mailbox dead, and many may end at once;
/// actix would keep 16.
const CAPACITY: usize = 1 << 20;

impl Handler<ChildExited> for Supervisor {
    type Result = ();
    fn handle(&mut self, exit: ChildExited, context: &mut Self::Context) {
        let exited = (exit.role, exit.epoch);
        if self.stopping.remove(exit.mailbox, &[exited]) {
            self.actor_ended(exit.mailbox, context);
        }
        let Some(running) = self.running.get_mut(&exit.mailbox) else { return };
        let living = running.children.take_if(|children| children.epochs.contains(&exited));
        let Some(children) = living.filter(|_| self.draining.is_none()) else { return };
        // all of the mailbox's actors, because they hold each other's addresses; no other mailbox
        let others: Vec<Named> = children.actors().into_iter().filter(|actor| *actor != exited).collect();
        self.stop_actors(exit.mailbox, &children, &others, context);
        let wait = self.spawn_later(exit.mailbox, context);
        tracing::warn!(mailbox = %exit.mailbox, role = ?exit.role, reason = ?exit.reason, ?wait, "actor ended, restarting");
    }
}

impl Handler<Drain> for Supervisor {
    type Result = ResponseFuture<()>;
    fn handle(&mut self, _: Drain, context: &mut Self::Context) -> Self::Result {
        let (done, all_ended) = oneshot::channel();
        let mut draining = Draining::new(done);
        let living: Vec<(Incarnation, Children)> = self
            .running
            .iter_mut()
            .filter_map(|(mailbox, running)| Some((*mailbox, running.children.take()?)))
            .collect();
        for (mailbox, children) in living {
            self.stop_actors(mailbox, &children, &children.actors(), context);
        }
        if self.stopping.is_empty() {
            draining.finish();
        }
        self.draining = Some(draining);
        Box::pin(async move {
            // the sender is dropped when the supervisor is: then there is nobody to wait for, either
            drop(all_ended.await);
        })
    }
}
