//! The shell of receiving: an actor that owns one rider and passes wake-ups on to it.

use super::fetch::{Isolation, Workers};
use super::protocol::{GetStatus, ImapError, ImapStatus, SyncNow};
use super::sync::{Announcer, Bell, Doubts, Gathered, Link, Openings, Rider, Syncer, Twins};
use crate::clock;
use crate::config::Timing;
use crate::net::{ByteBudget, Dialer};
use crate::protocol::{ExitGuard, Stop};
use crate::store::{Owner, Store, StoredMailbox};
use crate::token::protocol::{GetAccessToken, GrantChanged, TokenRejected};
use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Recipient, WrapFuture};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use tracing::Instrument;

/// What an IMAP actor is given.
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
    rider: Option<Rider>,
    bell: Arc<Bell>,
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
        let announcer =
            Announcer { mailbox: stored.mailbox.id.clone(), address: stored.mailbox.address.clone() };
        let span = tracing::info_span!("imap", mailbox = %stored.mailbox.id);
        let syncer = Syncer {
            key: Arc::new(store.mailbox_key(stored.incarnation)?),
            store,
            owner,
            stored,
            announcer,
            budget,
            workers,
            doubts: Doubts::default(),
            incomplete: BTreeSet::new(),
            backlog: BTreeMap::new(),
            reported: clock::monotonic(),
            fetched: 0,
            quarantine_retry: timing.quarantine_retry,
            isolation: Isolation::default(),
            twins: Twins::default(),
            too_many_folders: false,
            folder_count: usize::MAX,
            missing: Doubts::default(),
            misses_little: false,
            unlisted: BTreeSet::new(),
            uncounted: BTreeSet::new(),
            openings: Openings::default(),
            pace: timing.status_interval,
            confirm: timing.mass_delete_confirm,
            compared: (0, BTreeSet::new()),
            selected: None,
            listed_all: false,
            put_off: false,
            gathered: Gathered::default(),
            first_sight: None,
        };
        let bell = Arc::new(Bell::default());
        let shown = Arc::new(Mutex::new(ImapStatus::default()));
        let link = Link { dialer, timing, endpoint, token, rejected };
        let rider = Rider::new(link, syncer, Arc::clone(&bell), Arc::clone(&shown));
        Ok(Self { rider: Some(rider), bell, shown, guard, span })
    }
}

impl Actor for ImapActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let Some(rider) = self.rider.take() else { return };
        let ride = rider.run().instrument(self.span.clone()).into_actor(self);
        context.spawn(actix::ActorFutureExt::map(ride, |error, actor: &mut Self, context| {
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
        self.bell.wake();
    }
}

impl Handler<GrantChanged> for ImapActor {
    type Result = ();
    fn handle(&mut self, _: GrantChanged, _: &mut Self::Context) {
        self.bell.wake();
    }
}

impl Handler<Stop> for ImapActor {
    type Result = ();
    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        if !self.bell.ask_to_leave() {
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
