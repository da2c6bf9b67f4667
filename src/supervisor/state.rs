//! The supervisor's state: the mailboxes that run, rest or are being started, and what is under way beside them. What is
//! done with it is in the other files of this folder.

use super::apps::Apps;
use super::children::Children;
use super::plan::Restarts;
use super::stopping::{Named, Stopping};
use super::watchdog::Watchdog;
use crate::domain::{AppId, Incarnation};
use crate::imap::ImapDeps;
use crate::smtp::SmtpDeps;
use crate::store::{Owner, Store, StoredMailbox};
use crate::token::{AppDoor, TokenActor, TokenDeps};
use actix::{Addr, Arbiter, AsyncContext, Context};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;
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
    pub(super) factories: Factories,
    pub(super) arbiters: Vec<Arbiter>,
    pub(super) watchdog: Watchdog,
    pub(super) running: BTreeMap<Incarnation, Running>,
    pub(super) stopping: Stopping,
    /// Mailboxes whose epochs are being raised.
    pub(super) spawning: BTreeSet<Incarnation>,
    pub(super) apps: Apps,
    pub(super) draining: Option<Draining>,
    pub(super) trials: CredentialTrials,
    pub(super) comparing: Comparing,
}

/// A mailbox whose actors are up, or are coming up.
pub(super) struct Running {
    pub(super) stored: StoredMailbox,
    pub(super) arbiter: usize,
    pub(super) children: Option<Children>,
    /// The owners while the mailbox rests and none of its actors runs.
    pub(super) resting: Option<Owners>,
    /// To be spawned as soon as no predecessor is left.
    pub(super) due: bool,
    pub(super) restarts: Restarts,
}

/// The owners, by role, whose commits the store takes from this start of the mailbox on.
#[derive(Clone, Copy)]
pub(super) struct Owners {
    pub(super) token: Owner,
    pub(super) imap: Owner,
    /// `None`: the predecessor still waits for an answer.
    pub(super) smtp: Option<Owner>,
}

impl Owners {
    pub(super) fn epochs(&self) -> Vec<Named> {
        let owners = [Some(self.token), Some(self.imap), self.smtp];
        owners.into_iter().flatten().map(|owner| (owner.role, owner.epoch)).collect()
    }
}

/// The trials of new credentials under way, and when others may be repeated.
#[derive(Default)]
pub(super) struct CredentialTrials {
    pub(super) running: BTreeSet<AppId>,
    pub(super) not_before: BTreeMap<AppId, Instant>,
}

/// The comparison with the store that is under way, and the callers that wait for the next.
#[derive(Default)]
pub(super) struct Comparing {
    pub(super) is_under_way: bool,
    pub(super) next: Vec<oneshot::Sender<()>>,
}

/// A drain under way, and who waits for its end.
pub(super) struct Draining {
    done: Option<oneshot::Sender<()>>,
}

impl Draining {
    pub(super) fn new(done: oneshot::Sender<()>) -> Self {
        Self { done: Some(done) }
    }

    pub(super) fn finish(&mut self) {
        if let Some(done) = self.done.take() {
            // the caller may have gone
            let _ = done.send(());
        }
    }
}

impl Supervisor {
    /// A supervisor with one arbiter per core.
    #[must_use]
    pub fn new(factories: Factories) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let arbiters: Vec<Arbiter> = (0..cores).map(|_| Arbiter::new()).collect();
        let apps = Apps::new(factories.token.clone());
        Self {
            factories,
            watchdog: Watchdog::new(arbiters.len()),
            arbiters,
            running: BTreeMap::new(),
            stopping: Stopping::default(),
            spawning: BTreeSet::new(),
            apps,
            draining: None,
            trials: CredentialTrials::default(),
            comparing: Comparing::default(),
        }
    }

    /// The token actors of an app's mailboxes.
    pub(super) fn token_actors(&self, app: &AppId) -> Vec<(Incarnation, Addr<TokenActor>)> {
        let of_app = |running: &&Running| running.stored.mailbox.app() == Some(app);
        let actor =
            |running: &Running| Some((running.stored.incarnation, running.children.as_ref()?.token.clone()));
        self.running.values().filter(of_app).filter_map(actor).collect()
    }

    pub(super) fn token_deps(&self) -> &TokenDeps {
        &self.factories.token
    }

    /// The way to an app's actor; `None`: everything is ending.
    pub(super) fn door(&mut self, app: &AppId, context: &Context<Self>) -> Option<AppDoor> {
        let arbiter = self.arbiters.first().filter(|_| self.draining.is_none())?.handle();
        Some(self.apps.door(app, context.address().recipient(), &arbiter))
    }

    pub(super) fn children(&self, mailbox: Incarnation) -> Option<&Children> {
        self.running.get(&mailbox)?.children.as_ref()
    }
}
