//! The shell of sending: an actor that owns one courier and passes wake-ups on to it.

use super::delivery::Courier;
use super::protocol::Send;
use super::timing::SmtpTiming;
use super::wakeup::Bell;
use crate::config::Timing;
use crate::domain::SmtpEndpoint;
use crate::net::{ByteBudget, Dialer};
use crate::protocol::{ExitGuard, Stop};
use crate::store::{Owner, Store, StoredMailbox};
use crate::token::protocol::{GetAccessToken, GrantChanged, TokenRejected};
use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Recipient, WrapFuture};
use std::sync::Arc;
use tracing::Instrument;

/// What an SMTP actor is given.
#[derive(Clone)]
pub struct SmtpDeps {
    /// The store.
    pub store: Store,
    /// The way to connect.
    pub dialer: Dialer,
    /// Intervals and deadlines.
    pub timing: Timing,
    /// The name said in EHLO.
    pub hello_name: String,
    /// Bytes of messages that are being sent, in the whole process.
    pub budget: ByteBudget,
}

/// Sends one mailbox's outbox.
pub struct SmtpActor {
    courier: Option<Courier>,
    bell: Arc<Bell>,
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
        let bell = Arc::new(Bell::default());
        let timing = SmtpTiming::from(&deps.timing);
        let courier =
            Courier::new(deps, stored, endpoint, owner, (token, rejected), (timing, Arc::clone(&bell)));
        Self { courier: Some(courier), bell, guard, span }
    }
}

impl Actor for SmtpActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let Some(courier) = self.courier.take() else { return };
        let work = courier.run().instrument(self.span.clone()).into_actor(self);
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
        self.bell.wake.notify_one();
    }
}

impl Handler<GrantChanged> for SmtpActor {
    type Result = ();
    fn handle(&mut self, _: GrantChanged, _: &mut Self::Context) {
        self.bell.signed_in();
    }
}

impl Handler<Stop> for SmtpActor {
    type Result = ();
    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        if !self.bell.ends_by_itself() {
            context.stop();
        }
    }
}
