//! The sign-ins of paused mailboxes: providers end what nobody uses, so a token actor is started for one refresh now and
//! then. One that is refused is shown with the mailbox, though it is paused.

use super::Supervisor;
use super::children::Children;
use super::state::Owners;
use crate::clock;
use crate::domain::{Diagnosis, Incarnation};
use crate::protocol::ExitGuard;
use crate::store::{Store, StoreError, StoredMailbox};
use crate::token::TokenActor;
use crate::token::lifecycle::needs_upkeep;
use crate::token::protocol::{RefreshNow, TokenError};
use actix::{Actor, ActorFutureExt, AsyncContext, Context, WrapFuture};
use std::time::Duration;

/// Looked at so many times within the interval in which a sign-in is to be used.
const LOOKS: u32 = 60;
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
const SHORTEST_PAUSE: Duration = Duration::from_millis(200);

impl Supervisor {
    /// Looks after paused mailboxes from now on.
    pub(super) fn schedule_upkeep(&self, context: &mut Context<Self>) {
        let pause = (self.keep_grant() / LOOKS).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        context.run_interval(pause, |supervisor, context| supervisor.refresh_due_grants(context));
    }

    fn keep_grant(&self) -> Duration {
        self.factories.imap.timing.keep_grant
    }

    fn refresh_due_grants(&mut self, context: &mut Context<Self>) {
        let resting = self.running.iter().filter(|(_, running)| running.resting.is_some());
        let resting: Vec<Incarnation> = resting.map(|(mailbox, _)| *mailbox).collect();
        if resting.is_empty() || self.draining.is_some() {
            return;
        }
        let (store, keep) = (self.factories.store.clone(), self.keep_grant());
        let looked = tokio::task::spawn_blocking(move || due(&store, &resting, keep));
        context.spawn(looked.into_actor(self).map(|due, supervisor: &mut Self, context| match due {
            Ok(Ok(due)) => due.into_iter().for_each(|mailbox| supervisor.refresh_paused(mailbox, context)),
            Ok(Err(error)) => tracing::error!(%error, "the sign-ins of paused mailboxes cannot be read"),
            Err(error) => tracing::error!(%error, "the sign-ins of paused mailboxes were not looked at"),
        }));
    }

    /// One refresh by an actor of its own, which is stopped like any other if the mailbox is changed meanwhile.
    fn refresh_paused(&mut self, mailbox: Incarnation, context: &mut Context<Self>) {
        if self.draining.is_some() || self.stopping.has(mailbox) {
            return;
        }
        let address = context.address();
        let Some(running) = self.running.get_mut(&mailbox) else { return };
        let Some(arbiter) = self.arbiters.get(running.arbiter).map(actix::Arbiter::handle) else { return };
        let Some(owners) = running.resting.take() else { return };
        let stored = running.stored.clone();
        let app = stored.mailbox.app().map(|app| self.apps.door(app, address.clone().recipient(), &arbiter));
        let guard = ExitGuard::new(address.recipient(), mailbox, owners.token.role, owners.token.epoch);
        let deps = self.factories.token.clone();
        let actor = TokenActor::new(deps, stored.clone(), owners.token, app, guard);
        let token = TokenActor::start_in_arbiter(&arbiter, move |_| actor);
        let epochs = vec![(owners.token.role, owners.token.epoch)];
        running.children = Some(Children { epochs, token: token.clone(), imap: None, smtp: None });
        let store = self.factories.store.clone();
        let work = async move {
            let found = match token.send(RefreshNow).await {
                Ok(Ok(_)) => None,
                Ok(Err(TokenError::SignInNeeded(found))) => Some(*found),
                // tried again later; what a person has to do for it is shown at mailboxes that are in use
                Ok(Err(_)) | Err(_) => return,
            };
            match show(&store, &stored, owners, found).await {
                Ok(()) | Err(StoreError::Stale) => {}
                Err(error) => tracing::warn!(%error, "a paused mailbox's sign-in is not shown"),
            }
        };
        context.spawn(work.into_actor(self).map(move |(), supervisor: &mut Self, context| {
            let Some(running) = supervisor.running.get_mut(&mailbox) else { return };
            let is_this =
                |children: &mut Children| children.epochs == [(owners.token.role, owners.token.epoch)];
            if let Some(children) = running.children.take_if(is_this) {
                running.resting = Some(owners);
                supervisor.stop_actors(mailbox, &children, &children.actors(), context);
            }
        }));
    }
}

fn due(store: &Store, resting: &[Incarnation], keep: Duration) -> Result<Vec<Incarnation>, StoreError> {
    let mut due = Vec::new();
    for mailbox in resting {
        let grant = store.grant(*mailbox)?;
        due.extend(grant.filter(|row| needs_upkeep(&row.value, keep, clock::now())).map(|_| *mailbox));
    }
    Ok(due)
}

async fn show(
    store: &Store,
    stored: &StoredMailbox,
    owners: Owners,
    found: Option<Diagnosis>,
) -> Result<(), StoreError> {
    let change = |status: &mut crate::store::MailboxStatus| status.diagnosis.clone_from(&found);
    store.change_status(owners.imap, &stored.mailbox.id, clock::now(), change).await.map(drop)
}
