//! The supervisor's shell: spawns each mailbox's actors on one arbiter, restarts what dies, passes
//! wake-ups on.

use super::plan::{Restarts, plan, resting_state};
use super::protocol::{ActorsStatus, Drain, GetActors, Reconcile, RefreshToken, Wake, WakeReason};
use crate::clock;
use crate::domain::{Incarnation, MailboxState, SendState};
use crate::imap::protocol::{GetStatus, SyncNow};
use crate::imap::{ImapActor, ImapDeps};
use crate::protocol::{ChildExited, ExitGuard, Stop};
use crate::smtp::{SmtpActor, SmtpDeps};
use crate::store::{Role, Store, StoreError, StoredMailbox};
use crate::token::protocol::{GrantChanged, RefreshNow};
use crate::token::{TokenActor, TokenDeps};
use actix::{
    Actor, ActorFutureExt, Addr, Arbiter, AsyncContext, Context, Handler, ResponseActFuture, ResponseFuture,
    WrapFuture,
};
use std::collections::{BTreeMap, BTreeSet};
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
    draining: Option<Draining>,
}

/// The end: who is still there, and whom to tell when nobody is.
struct Draining {
    left: BTreeSet<(Incarnation, Role)>,
    done: Option<oneshot::Sender<()>>,
}

/// A mailbox whose actors are up, or are coming up.
struct Running {
    generation: u64,
    arbiter: usize,
    children: Option<Children>,
    restarts: Restarts,
}

/// The living actors of a mailbox. They are spawned and replaced together: each holds addresses of others.
#[derive(Clone)]
struct Children {
    epochs: [(Role, u64); 3],
    token: Addr<TokenActor>,
    imap: Option<Addr<ImapActor>>,
    smtp: Option<Addr<SmtpActor>>,
}

impl Supervisor {
    /// A supervisor with one arbiter per core.
    #[must_use]
    pub fn new(factories: Factories) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let arbiters = (0..cores).map(|_| Arbiter::new()).collect();
        Self { factories, arbiters, running: BTreeMap::new(), draining: None }
    }

    fn reconcile(&mut self, context: &mut Context<Self>) -> Result<(), StoreError> {
        if self.draining.is_some() {
            return Ok(());
        }
        let running = self.running.iter().map(|(key, running)| (*key, running.generation)).collect();
        let plan = plan(&running, self.factories.store.mailboxes()?);
        for incarnation in plan.stop {
            if let Some(running) = self.running.remove(&incarnation) {
                running.children.iter().for_each(Children::stop);
            }
        }
        for stored in plan.start {
            let arbiter = usize::try_from(stored.incarnation.0).unwrap_or(0) % self.arbiters.len().max(1);
            let restarts = Restarts::new(clock::monotonic());
            let running = Running { generation: stored.generation, arbiter, children: None, restarts };
            self.running.insert(stored.incarnation, running);
            self.spawn(stored, context);
        }
        Ok(())
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
                let is_current = supervisor
                    .running
                    .get(&incarnation)
                    .is_some_and(|running| running.generation == generation && running.children.is_none());
                match prepared {
                    Ok((stored, owners)) if is_current => supervisor.start(stored, owners, context),
                    Ok(_) | Err(StoreError::Stale) => {}
                    Err(error) => tracing::error!(%error, "mailbox cannot be started"),
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
        let token =
            TokenActor::new(self.factories.token.clone(), stored.clone(), token_owner, guard(&token_owner));
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

impl Children {
    fn roles(&self) -> Vec<Role> {
        let imap = self.imap.as_ref().map(|_| Role::Imap);
        let smtp = self.smtp.as_ref().map(|_| Role::Smtp);
        [Some(Role::Token), imap, smtp].into_iter().flatten().collect()
    }

    fn stop(&self) {
        wake("stop", self.token.try_send(Stop).is_ok());
        if let Some(imap) = &self.imap {
            wake("stop", imap.try_send(Stop).is_ok());
        }
        if let Some(smtp) = &self.smtp {
            wake("stop", smtp.try_send(Stop).is_ok());
        }
    }
}

/// A lost wake-up costs latency, never mail: it is only noted.
fn wake(what: &'static str, delivered: bool) {
    if !delivered {
        tracing::debug!(what, "wake-up lost");
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(CAPACITY);
    }
}

/// What may wait to be told. An actor's end that is not told leaves its mailbox dead, and many may end at once;
/// actix would keep 16.
const CAPACITY: usize = 1 << 20;

impl Handler<Reconcile> for Supervisor {
    type Result = ();
    fn handle(&mut self, _: Reconcile, context: &mut Self::Context) {
        if let Err(error) = self.reconcile(context) {
            tracing::error!(%error, "mailboxes cannot be read");
        }
    }
}

impl Handler<ChildExited> for Supervisor {
    type Result = ();
    fn handle(&mut self, exit: ChildExited, context: &mut Self::Context) {
        let Some(running) = self.running.get_mut(&exit.mailbox) else { return };
        let is_living = running
            .children
            .as_ref()
            .is_some_and(|children| children.epochs.contains(&(exit.role, exit.epoch)));
        if let (true, Some(draining)) = (is_living, &mut self.draining) {
            draining.ended(exit.mailbox, exit.role);
        }
        if !is_living || self.draining.is_some() {
            return;
        }
        // all of the mailbox's actors, because they hold each other's addresses; no other mailbox
        if let Some(children) = running.children.take() {
            children.stop();
        }
        let wait = running.restarts.died(clock::monotonic());
        let generation = running.generation;
        tracing::warn!(mailbox = %exit.mailbox, role = ?exit.role, reason = ?exit.reason, ?wait, "actor ended, restarting");
        context.run_later(wait, move |supervisor, context| {
            let stored = supervisor.factories.store.mailboxes().unwrap_or_default();
            let still = stored
                .into_iter()
                .find(|stored| stored.incarnation == exit.mailbox && stored.generation == generation);
            match still {
                Some(stored) if supervisor.running.contains_key(&exit.mailbox) => {
                    supervisor.spawn(stored, context)
                }
                _ => {}
            }
        });
    }
}

impl Handler<Wake> for Supervisor {
    type Result = ();
    fn handle(&mut self, message: Wake, _: &mut Self::Context) {
        let Some(children) = self.children(message.mailbox) else { return };
        let imap = children.imap.as_ref();
        let smtp = children.smtp.as_ref();
        match message.reason {
            WakeReason::Sync => wake("sync", imap.is_some_and(|imap| imap.try_send(SyncNow).is_ok())),
            WakeReason::Outbox => {
                wake("outbox", smtp.is_some_and(|smtp| smtp.try_send(crate::smtp::Send).is_ok()));
            }
            WakeReason::Grant => {
                // the token actor first: the others ask it
                wake("grant", children.token.try_send(GrantChanged).is_ok());
                wake("grant", imap.is_some_and(|imap| imap.try_send(GrantChanged).is_ok()));
                wake("grant", smtp.is_some_and(|smtp| smtp.try_send(GrantChanged).is_ok()));
            }
        }
    }
}

impl Handler<RefreshToken> for Supervisor {
    type Result =
        ResponseActFuture<Self, Option<Result<crate::domain::GrantInfo, crate::token::protocol::TokenError>>>;
    fn handle(&mut self, message: RefreshToken, _: &mut Self::Context) -> Self::Result {
        let token = self.children(message.mailbox).map(|children| children.token.clone());
        let asked = async move { token?.send(RefreshNow).await.ok() };
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
    fn handle(&mut self, _: Drain, _: &mut Self::Context) -> Self::Result {
        let (done, all_ended) = oneshot::channel();
        let running = self.running.iter();
        let children = running.filter_map(|(mailbox, running)| Some((*mailbox, running.children.as_ref()?)));
        let left = children
            .clone()
            .flat_map(|(mailbox, children)| children.roles().into_iter().map(move |role| (mailbox, role)));
        let mut draining = Draining { left: left.collect(), done: Some(done) };
        children.for_each(|(_, children)| children.stop());
        draining.tell_if_done();
        self.draining = Some(draining);
        Box::pin(async move {
            // the sender is dropped when the supervisor is: then there is nobody to wait for, either
            drop(all_ended.await);
        })
    }
}

impl Draining {
    fn ended(&mut self, mailbox: Incarnation, role: Role) {
        self.left.remove(&(mailbox, role));
        self.tell_if_done();
    }

    fn tell_if_done(&mut self) {
        if let Some(done) = self.done.take_if(|_| self.left.is_empty()) {
            // whoever asked may have gone
            let _ = done.send(());
        }
    }
}
