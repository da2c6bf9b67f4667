//! The shell of receiving: an actor that owns one sync loop and passes wake-ups on to it.

use super::fetch::Workers;
use super::protocol::{GetStatus, ImapError, ImapStatus, SyncNow};
use super::sync::{Link, SyncLoop, Syncer};
use super::wakeup::Wakeup;
use crate::config::Timing;
use crate::net::{ByteBudget, Dialer};
use crate::protocol::{ExitGuard, Stop};
use crate::store::{Owner, Store, StoredMailbox};
use crate::token::protocol::{GetAccessToken, GrantChanged, TokenRejected};
use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Recipient, WrapFuture};
use std::sync::{Arc, Mutex, PoisonError};
use tracing::Instrument;

/// What receiving needs of the rest of the process.
#[derive(Clone)]
pub struct ImapDeps {
    /// The store.
    pub store: Store,
    /// The way to connect.
    pub dialer: Dialer,
    /// Intervals and deadlines.
    pub timing: Timing,
    /// Bytes in flight, shared by all.
    pub budget: ByteBudget,
    /// Who prepares bodies for the store.
    pub workers: Workers,
}

/// Keeps one mailbox in step with its IMAP server.
pub struct ImapActor {
    sync_loop: Option<SyncLoop>,
    wakeup: Arc<Wakeup>,
    shown: Arc<Mutex<ImapStatus>>,
    guard: ExitGuard,
    span: tracing::Span,
}

impl ImapActor {
    /// An actor that is to be started on an arbiter.
    ///
    /// # Errors
    /// [`ImapError::Unsupported`] if the mailbox does not receive; [`ImapError::Store`] if its key is gone.
    pub fn new(
        deps: ImapDeps,
        stored: StoredMailbox,
        owner: Owner,
        token: Recipient<GetAccessToken>,
        rejected: Recipient<TokenRejected>,
        guard: ExitGuard,
    ) -> Result<Self, ImapError> {
        let Some(endpoint) = stored.mailbox.imap.clone() else {
            return Err(ImapError::Unsupported(String::from("this mailbox does not receive")));
        };
        let ImapDeps { store, dialer, timing, budget, workers } = deps;
        let span = tracing::info_span!("imap", mailbox = %stored.mailbox.id);
        let syncer = Syncer::new(store, stored, owner, (budget, workers), &timing)?;
        let wakeup = Arc::new(Wakeup::default());
        let shown = Arc::new(Mutex::new(ImapStatus::default()));
        let link = Link { dialer, timing, endpoint, token, rejected };
        let sync_loop = SyncLoop::new(link, syncer, Arc::clone(&wakeup), Arc::clone(&shown));
        Ok(Self { sync_loop: Some(sync_loop), wakeup, shown, guard, span })
    }
}

impl Actor for ImapActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let Some(sync_loop) = self.sync_loop.take() else { return };
        let work = sync_loop.run().instrument(self.span.clone()).into_actor(self);
        context.spawn(actix::ActorFutureExt::map(work, |error, actor: &mut Self, context| {
            if let Some(error) = error {
                actor.guard.failed(&error.to_string());
            }
            context.stop();
        }));
    }
}

impl Handler<SyncNow> for ImapActor {
    type Result = ();
    fn handle(&mut self, _: SyncNow, _: &mut Self::Context) {
        self.wakeup.wake();
    }
}

impl Handler<GrantChanged> for ImapActor {
    type Result = ();
    fn handle(&mut self, _: GrantChanged, _: &mut Self::Context) {
        self.wakeup.wake();
    }
}

impl Handler<Stop> for ImapActor {
    type Result = ();
    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        if !self.wakeup.stop() {
            context.stop();
        }
    }
}

impl Handler<GetStatus> for ImapActor {
    type Result = ImapStatus;
    fn handle(&mut self, _: GetStatus, _: &mut Self::Context) -> ImapStatus {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
