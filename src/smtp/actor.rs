//! The shell of sending: an actor that owns one delivery and passes wake-ups on to it.

use super::delivery::Delivery;
use super::deps::SmtpDeps;
use super::protocol::Send;
use super::timing::SmtpTiming;
use super::wakeup::Wakeup;
use crate::domain::SmtpEndpoint;
use crate::protocol::{ExitGuard, Stop};
use crate::store::{Owner, StoredMailbox};
use crate::token::protocol::{GetAccessToken, GrantChanged, TokenRejected};
use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Recipient, WrapFuture};
use std::sync::Arc;
use tracing::Instrument;

/// Sends one mailbox's outbox.
pub struct SmtpActor {
    delivery: Option<Delivery>,
    wakeup: Arc<Wakeup>,
    guard: ExitGuard,
    span: tracing::Span,
}

impl SmtpActor {
    /// An actor that is to be started on an arbiter.
    #[must_use]
    pub fn new(
        deps: SmtpDeps,
        stored: StoredMailbox,
        endpoint: SmtpEndpoint,
        owner: Owner,
        (token, rejected): (Recipient<GetAccessToken>, Recipient<TokenRejected>),
        guard: ExitGuard,
    ) -> Self {
        let span = tracing::info_span!("smtp", mailbox = %stored.mailbox.id);
        let wakeup = Arc::new(Wakeup::default());
        let timing = SmtpTiming::from(&deps.timing);
        let delivery =
            Delivery::new(deps, stored, endpoint, owner, (token, rejected), (timing, Arc::clone(&wakeup)));
        Self { delivery: Some(delivery), wakeup, guard, span }
    }
}

impl Actor for SmtpActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let Some(delivery) = self.delivery.take() else { return };
        let work = delivery.run().instrument(self.span.clone()).into_actor(self);
        context.spawn(work.map(|ended, actor: &mut Self, context| {
            if let Err(error) = ended {
                actor.guard.failed(&error.to_string());
            }
            context.stop();
        }));
    }
}

impl Handler<Send> for SmtpActor {
    type Result = ();
    fn handle(&mut self, _: Send, _: &mut Self::Context) {
        self.wakeup.wake.notify_one();
    }
}

impl Handler<GrantChanged> for SmtpActor {
    type Result = ();
    fn handle(&mut self, _: GrantChanged, _: &mut Self::Context) {
        self.wakeup.signed_in();
    }
}

impl Handler<Stop> for SmtpActor {
    type Result = ();
    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        if !self.wakeup.stop() {
            context.stop();
        }
    }
}
