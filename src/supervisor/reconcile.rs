//! What runs is made what is stored. To read thousands of mailboxes takes longer than an arbiter may be kept from
//! others: a thread of the pool reads and compares. One at a time; who requests one meanwhile is answered by the next.

use super::Supervisor;
use super::children::Children;
use super::plan::plan;
use super::protocol::Reconcile;
use super::state::Running;
use crate::domain::Incarnation;
use crate::protocol::{ChildExited, ExitReason};
use actix::{ActorFutureExt, AsyncContext, Context, Handler, ResponseFuture, WrapFuture};
use tokio::sync::oneshot;

impl Supervisor {
    /// Begins a comparison, unless one is under way.
    pub(super) fn compare(&mut self, context: &mut Context<Self>) {
        if self.comparing.is_under_way || self.draining.is_some() {
            return;
        }
        self.comparing.is_under_way = true;
        let waiting = std::mem::take(&mut self.comparing.next);
        let running = self.running.iter().map(|(key, running)| (*key, running.stored.generation)).collect();
        let store = self.factories.store.clone();
        let read =
            tokio::task::spawn_blocking(move || store.mailboxes().map(|stored| plan(&running, stored)));
        context.spawn(read.into_actor(self).map(move |read, supervisor: &mut Self, context| {
            supervisor.comparing.is_under_way = false;
            match read {
                Ok(Ok(plan)) if supervisor.draining.is_none() => supervisor.carry_out(plan, context),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::error!(%error, "mailboxes cannot be read"),
                Err(error) => tracing::error!(%error, "mailboxes were not read"),
            }
            // their requests are answered by this
            drop(waiting);
            if supervisor.draining.is_some() {
                supervisor.comparing.next.clear();
            } else if !supervisor.comparing.next.is_empty() {
                supervisor.compare(context);
            }
        }));
    }

    /// Looks for actors whose end was not reported: a mailbox without them would stand still for good.
    pub(super) fn find_dead(&mut self, context: &mut Context<Self>) {
        let of_mailbox = |(mailbox, running): (&Incarnation, &Running)| -> Vec<ChildExited> {
            let reason = || ExitReason::Failed(String::from("it ended, and that was not told"));
            let dead = running.children.iter().flat_map(Children::dead);
            dead.map(|(role, epoch)| ChildExited { mailbox: *mailbox, role, epoch, reason: reason() })
                .collect()
        };
        let dead: Vec<ChildExited> = self.running.iter().flat_map(of_mailbox).collect();
        // the first of a mailbox ends the others, and those that are dead are waited for no longer
        dead.into_iter().for_each(|exit| self.handle(exit, context));
    }
}

impl Handler<Reconcile> for Supervisor {
    type Result = ResponseFuture<()>;
    fn handle(&mut self, _: Reconcile, context: &mut Self::Context) -> Self::Result {
        let (waiter, done) = oneshot::channel();
        // nothing is started any more: the caller is answered when this is dropped
        if self.draining.is_none() {
            self.comparing.next.push(waiter);
            self.compare(context);
        }
        Box::pin(async move { drop(done.await) })
    }
}
