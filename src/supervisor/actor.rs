//! The supervisor's shell: spawns each mailbox's actors on one arbiter, restarts what dies, passes
//! wake-ups on.

use super::apps::Apps;
use super::children::Children;
use super::leaving::{Leaving, Named};
use super::plan::{Restarts, plan, resting_state};
use super::protocol::{ActorsStatus, Drain, GetActors, LendToken, Reconcile, RefreshToken, Wake, WakeReason};
use crate::clock;
use crate::domain::{AppId, Incarnation, MailboxState, SendState};
use crate::imap::protocol::GetStatus;
use crate::imap::{ImapActor, ImapDeps};
use crate::protocol::{ChildExited, ExitGuard};
use crate::smtp::{SmtpActor, SmtpDeps};
use crate::store::{Role, Store, StoreError, StoredMailbox};
use crate::token::protocol::{AccessToken, AppMended, GetAccessToken, RefreshNow, TokenError};
use crate::token::{AppDoor, TokenActor, TokenDeps};
use actix::{
    Actor, ActorFutureExt, Arbiter, AsyncContext, Context, Handler, ResponseActFuture, ResponseFuture,
    WrapFuture,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::oneshot;

/// What the actors of every mailbox are made with.
#[derive(Clone)]
pub struct Factories {
    /// The store.
    pub store: Store,
    /// For token actors.
    pub token: TokenDeps,
    /// For IMAP actors.
    pub imap: ImapDeps,
    /// For SMTP actors.
    pub smtp: SmtpDeps,
}

/// Watches over the actors of all mailboxes.
pub struct Supervisor {
    factories: Factories,
    arbiters: Vec<Arbiter>,
    running: BTreeMap<Incarnation, Running>,
    leaving: Leaving,
    /// Mailboxes whose epochs are being raised.
    spawning: BTreeSet<Incarnation>,
    apps: Apps,
    draining: Option<Draining>,
}

/// The end, and whom to tell when nobody is left.
struct Draining {
    done: Option<oneshot::Sender<()>>,
}

/// A mailbox whose actors are up, or are coming up.
struct Running {
    stored: StoredMailbox,
    arbiter: usize,
    children: Option<Children>,
    /// To be spawned as soon as nobody of before is left.
    due: bool,
    restarts: Restarts,
}

impl Supervisor {
    /// A supervisor with one arbiter per core.
    #[must_use]
    pub fn new(factories: Factories) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let arbiters = (0..cores).map(|_| Arbiter::new()).collect();
        let apps = Apps::new(factories.token.clone());
        Self {
            factories,
            arbiters,
            running: BTreeMap::new(),
            leaving: Leaving::default(),
            spawning: BTreeSet::new(),
            apps,
            draining: None,
        }
    }

    fn reconcile_or_tell(&mut self, context: &mut Context<Self>) {
        if let Err(error) = self.reconcile(context) {
            tracing::error!(%error, "mailboxes cannot be read");
        }
    }

    fn reconcile(&mut self, context: &mut Context<Self>) -> Result<(), StoreError> {
        if self.draining.is_some() {
            return Ok(());
        }
        let running = self.running.iter().map(|(key, running)| (*key, running.stored.generation)).collect();
        let plan = plan(&running, self.factories.store.mailboxes()?);
        for incarnation in plan.stop {
            if let Some(children) = self.running.remove(&incarnation).and_then(|running| running.children) {
                self.dismiss(incarnation, &children, &children.actors(), context);
            }
        }
        for stored in plan.start {
            let incarnation = stored.incarnation;
            let arbiter = usize::try_from(incarnation.0).unwrap_or(0) % self.arbiters.len().max(1);
            let restarts = Restarts::new(clock::monotonic());
            self.running
                .insert(incarnation, Running { stored, arbiter, children: None, due: true, restarts });
            self.spawn_if_due(incarnation, context);
        }
        self.apps.keep(self.running.values().filter_map(|running| running.stored.mailbox.app()));
        Ok(())
    }

    /// Tells actors to end. Whoever is not gone in time is not waited for: the epochs refuse what he does then.
    fn dismiss(
        &mut self,
        mailbox: Incarnation,
        children: &Children,
        actors: &[Named],
        context: &mut Context<Self>,
    ) {
        children.stop();
        self.leaving.add(mailbox, actors);
        let (actors, patience) = (actors.to_vec(), self.factories.imap.timing.drain);
        context.run_later(patience, move |supervisor, context| {
            if supervisor.leaving.remove(mailbox, &actors) {
                tracing::warn!(%mailbox, ?patience, "an actor did not end in time");
                supervisor.settled(mailbox, context);
            }
        });
    }

    /// Nobody of before is left.
    fn settled(&mut self, mailbox: Incarnation, context: &mut Context<Self>) {
        if let Some(draining) = self.draining.as_mut().filter(|_| self.leaving.is_empty()) {
            draining.tell();
        }
        self.spawn_if_due(mailbox, context);
    }

    fn spawn_if_due(&mut self, mailbox: Incarnation, context: &mut Context<Self>) {
        if self.draining.is_some() || self.leaving.has(mailbox) || self.spawning.contains(&mailbox) {
            return;
        }
        let Some(running) = self.running.get_mut(&mailbox).filter(|running| running.due) else { return };
        running.due = false;
        let stored = running.stored.clone();
        self.spawning.insert(mailbox);
        self.spawn(stored, context);
    }

    /// How long it will wait.
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

    /// Raises the epochs, so that whatever was before is refused, then starts the actors.
    fn spawn(&self, stored: StoredMailbox, context: &mut Context<Self>) {
        let store = self.factories.store.clone();
        let (incarnation, generation) = (stored.incarnation, stored.generation);
        let prepared = async move {
            let token = store.raise_epoch(incarnation, Role::Token).await?;
            let imap = store.raise_epoch(incarnation, Role::Imap).await?;
            let smtp = store.raise_epoch(incarnation, Role::Smtp).await?;
            if let Some(state) = resting_state(&stored.mailbox) {
                show_rest(&store, imap, &stored, state).await?;
            }
            Ok((stored, [token, imap, smtp]))
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

    fn start(
        &mut self,
        stored: StoredMailbox,
        owners: [crate::store::Owner; 3],
        context: &mut Context<Self>,
    ) {
        if resting_state(&stored.mailbox).is_some() || self.draining.is_some() {
            return;
        }
        let Some(running) = self.running.get_mut(&stored.incarnation) else { return };
        let Some(arbiter) = self.arbiters.get(running.arbiter).map(Arbiter::handle) else { return };
        let supervisor = context.address().recipient();
        let guard = |owner: &crate::store::Owner| {
            ExitGuard::new(supervisor.clone(), owner.mailbox, owner.role, owner.epoch)
        };
        let [token_owner, imap_owner, smtp_owner] = owners;
        let app = stored.mailbox.app().map(|app| self.apps.door(app, &context.address(), &arbiter));
        let deps = self.factories.token.clone();
        let token = TokenActor::new(deps, stored.clone(), token_owner, app, guard(&token_owner));
        let token = TokenActor::start_in_arbiter(&arbiter, move |_| token);
        let imap = stored.mailbox.imap.is_some().then(|| {
            let (ask, refuse) = (token.clone().recipient(), token.clone().recipient());
            let deps = self.factories.imap.clone();
            ImapActor::new(deps, stored.clone(), imap_owner, ask, refuse, guard(&imap_owner))
        });
        let imap = match imap.transpose() {
            Ok(actor) => actor.map(|actor| ImapActor::start_in_arbiter(&arbiter, move |_| actor)),
            Err(error) => {
                tracing::error!(mailbox = %stored.mailbox.id, %error, "cannot receive");
                None
            }
        };
        let smtp = stored.mailbox.smtp.clone().map(|endpoint| {
            let (ask, refuse) = (token.clone().recipient(), token.clone().recipient());
            let deps = self.factories.smtp.clone();
            let stored = stored.clone();
            let guard = guard(&smtp_owner);
            let actor = SmtpActor::new(deps, stored, endpoint, smtp_owner, (ask, refuse), guard);
            SmtpActor::start_in_arbiter(&arbiter, move |_| actor)
        });
        let epochs = owners.map(|owner| (owner.role, owner.epoch));
        running.children = Some(Children { epochs, token, imap, smtp });
    }

    /// The way to an app's actor; `None`: everything is ending.
    pub(super) fn door(&mut self, app: &AppId, context: &Context<Self>) -> Option<AppDoor> {
        let arbiter = self.arbiters.first().filter(|_| self.draining.is_none())?.handle();
        Some(self.apps.door(app, &context.address(), &arbiter))
    }

    fn children(&self, mailbox: Incarnation) -> Option<&Children> {
        self.running.get(&mailbox)?.children.as_ref()
    }
}

/// A mailbox without actors says why.
async fn show_rest(
    store: &Store,
    owner: crate::store::Owner,
    stored: &StoredMailbox,
    state: MailboxState,
) -> Result<(), StoreError> {
    let change = |status: &mut crate::store::MailboxStatus| {
        status.state = state;
        status.diagnosis = None;
        status.send_state = SendState::Off;
        status.send_diagnosis = None;
    };
    store.change_status(owner, &stored.mailbox.id, clock::now(), change).await.map(drop)
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(CAPACITY);
        context.run_interval(RECONCILE, |supervisor, context| supervisor.reconcile_or_tell(context));
    }
}

/// Mailboxes are compared with the store this often, too: a caller that hangs up takes his wake-up with him.
const RECONCILE: Duration = Duration::from_secs(10);

/// How long a token that is lent must still be valid.
const LENT_FOR: Duration = Duration::from_secs(60);

/// What may wait to be told. An actor's end that is not told leaves its mailbox dead, and many may end at once;
/// actix would keep 16.
const CAPACITY: usize = 1 << 20;

impl Handler<Reconcile> for Supervisor {
    type Result = ();
    fn handle(&mut self, _: Reconcile, context: &mut Self::Context) {
        self.reconcile_or_tell(context);
    }
}

impl Handler<ChildExited> for Supervisor {
    type Result = ();
    fn handle(&mut self, exit: ChildExited, context: &mut Self::Context) {
        let exited = (exit.role, exit.epoch);
        if self.leaving.remove(exit.mailbox, &[exited]) {
            self.settled(exit.mailbox, context);
        }
        let Some(running) = self.running.get_mut(&exit.mailbox) else { return };
        let living = running.children.take_if(|children| children.epochs.contains(&exited));
        let Some(children) = living.filter(|_| self.draining.is_none()) else { return };
        // all of the mailbox's actors, because they hold each other's addresses; no other mailbox
        let others: Vec<Named> = children.actors().into_iter().filter(|actor| *actor != exited).collect();
        self.dismiss(exit.mailbox, &children, &others, context);
        let wait = self.spawn_later(exit.mailbox, context);
        tracing::warn!(mailbox = %exit.mailbox, role = ?exit.role, reason = ?exit.reason, ?wait, "actor ended, restarting");
    }
}

impl Handler<Wake> for Supervisor {
    type Result = ();
    fn handle(&mut self, message: Wake, _: &mut Self::Context) {
        if let Some(children) = self.children(message.mailbox) {
            children.wake(message.reason);
        }
    }
}

impl Handler<AppMended> for Supervisor {
    type Result = ();
    fn handle(&mut self, message: AppMended, _: &mut Self::Context) {
        for children in message.mailboxes.iter().filter_map(|mailbox| self.children(*mailbox)) {
            children.wake(WakeReason::Mended);
        }
    }
}

impl Handler<RefreshToken> for Supervisor {
    type Result = ResponseActFuture<Self, Option<Result<crate::domain::GrantInfo, TokenError>>>;
    fn handle(&mut self, message: RefreshToken, _: &mut Self::Context) -> Self::Result {
        let token = self.children(message.mailbox).map(|children| children.token.clone());
        let asked = async move { token?.send(RefreshNow).await.ok() };
        Box::pin(asked.into_actor(self))
    }
}

impl Handler<LendToken> for Supervisor {
    type Result = ResponseActFuture<Self, Option<Result<AccessToken, TokenError>>>;
    fn handle(&mut self, message: LendToken, _: &mut Self::Context) -> Self::Result {
        let token = self.children(message.mailbox).map(|children| children.token.clone());
        let asked = async move { token?.send(GetAccessToken { min_validity: LENT_FOR }).await.ok() };
        Box::pin(asked.into_actor(self))
    }
}

impl Handler<GetActors> for Supervisor {
    type Result = ResponseActFuture<Self, ActorsStatus>;
    fn handle(&mut self, message: GetActors, _: &mut Self::Context) -> Self::Result {
        let imap = self.children(message.mailbox).and_then(|children| children.imap.clone());
        let restarts = self.running.get(&message.mailbox).map_or(0, |running| running.restarts.total);
        let asked = async move {
            let imap = match imap {
                Some(imap) => imap.send(GetStatus).await.ok(),
                None => None,
            };
            ActorsStatus { imap, restarts }
        };
        Box::pin(asked.into_actor(self))
    }
}

impl Handler<Drain> for Supervisor {
    type Result = ResponseFuture<()>;
    fn handle(&mut self, _: Drain, context: &mut Self::Context) -> Self::Result {
        let (done, all_ended) = oneshot::channel();
        let mut draining = Draining { done: Some(done) };
        let living: Vec<(Incarnation, Children)> = self
            .running
            .iter_mut()
            .filter_map(|(mailbox, running)| Some((*mailbox, running.children.take()?)))
            .collect();
        for (mailbox, children) in living {
            self.dismiss(mailbox, &children, &children.actors(), context);
        }
        if self.leaving.is_empty() {
            draining.tell();
        }
        self.draining = Some(draining);
        Box::pin(async move {
            // the sender is dropped when the supervisor is: then there is nobody to wait for, either
            drop(all_ended.await);
        })
    }
}

impl Draining {
    fn tell(&mut self) {
        if let Some(done) = self.done.take() {
            // whoever asked may have gone
            let _ = done.send(());
        }
    }
}
