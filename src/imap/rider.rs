//! The rider: one mailbox's whole life on the wire. Connect, bring every folder in step, then watch the
//! inbox in IDLE and look after the others in rounds; after a failure wait as the error asks and ride again.

use super::backoff::Backoff;
use super::bell::Bell;
use super::connect::{self, Credentials};
use super::idle::IdleEnd;
use super::protocol::{ImapError, ImapStatus};
use super::seen::Seen;
use super::sync::{Scope, Syncer, Visit};
use super::wire::{Change, Connection};
use crate::clock;
use crate::config::Timing;
use crate::diagnosis::Facts;
use crate::domain::{Auth, Endpoint, Folder, FolderId, FolderRole, GrantSecret, MailboxState, Timestamp};
use crate::net::Dialer;
use crate::store::StoreError;
use crate::token::protocol::{GetAccessToken, TokenError, TokenRejected};
use actix::Recipient;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How the rider reaches the server.
pub(super) struct Link {
    pub(super) dialer: Dialer,
    pub(super) timing: Timing,
    pub(super) endpoint: Endpoint,
    pub(super) token: Recipient<GetAccessToken>,
    pub(super) rejected: Recipient<TokenRejected>,
}

/// One mailbox's life on the wire.
pub(super) struct Rider {
    pub(super) link: Link,
    pub(super) syncer: Syncer,
    pub(super) bell: Arc<Bell>,
    pub(super) shown: Arc<Mutex<ImapStatus>>,
    pub(super) backoff: Backoff,
    pub(super) seen: BTreeMap<FolderId, Seen>,
    /// Folders that the server did not let us into. The first time the mailbox is not in step for it; what stays closed
    /// keeps nobody waiting.
    pub(super) refused: BTreeSet<FolderId>,
    token_generation: Option<u64>,
    has_ridden: bool,
}

impl Rider {
    pub(super) fn new(link: Link, syncer: Syncer, bell: Arc<Bell>, shown: Arc<Mutex<ImapStatus>>) -> Self {
        let backoff = Backoff::default();
        Self {
            link,
            syncer,
            bell,
            shown,
            backoff,
            seen: BTreeMap::new(),
            refused: BTreeSet::new(),
            token_generation: None,
            has_ridden: false,
        }
    }

    /// Rides until it is asked to leave, or the store refuses this actor or cannot be trusted.
    pub(super) async fn run(mut self) -> Option<ImapError> {
        loop {
            let error = match self.ride().await {
                Ok(()) if self.bell.is_leaving() => return None,
                Ok(()) => continue,
                Err(error) => error,
            };
            if matches!(&error, ImapError::Store(error) if !matches!(error, StoreError::Full { .. })) {
                return Some(error);
            }
            if let Err(error) = self.recover(&error).await {
                return Some(error);
            }
        }
    }

    async fn recover(&mut self, error: &ImapError) -> Result<(), ImapError> {
        tracing::info!(%error, "ride ended");
        if self.syncer.isolate(error).await? {
            return Ok(()); // the window at fault is smaller now: at once
        }
        let oauth = !matches!(self.syncer.stored.mailbox.auth, Auth::Password { .. });
        let next = self.backoff.after(error, &self.link.timing, oauth, rand::random::<f64>());
        if let (true, Some(generation)) = (next.fresh_token, self.token_generation.take()) {
            wake_up("token_rejected", self.link.rejected.try_send(TokenRejected { generation }).is_ok());
        }
        if let Some(state) = next.state {
            let facts = Facts {
                address: &self.syncer.stored.mailbox.address,
                host: &self.link.endpoint.host,
                ..Facts::default()
            };
            let diagnosis = error.diagnosis(&facts);
            self.show_state(state, diagnosis).await?;
        }
        self.doing("waiting");
        if next.wakeable {
            tokio::select! {
                () = self.bell.woken() => {}
                () = tokio::time::sleep(next.wait) => {}
            }
        } else {
            tokio::time::sleep(next.wait).await;
        }
        Ok(())
    }

    /// One connection, from log-in to its end.
    async fn ride(&mut self) -> Result<(), ImapError> {
        self.doing("connecting");
        crate::faults::point("imap.connect", &self.syncer.stored.mailbox.id);
        // what an earlier life showed says nothing about this one
        let is_first = !std::mem::replace(&mut self.has_ridden, true);
        let shown = self.syncer.store.status(self.syncer.owner.mailbox)?.value.state;
        let before = if is_first { MailboxState::Connecting } else { shown };
        if is_first && matches!(shown, MailboxState::Live | MailboxState::Syncing) {
            self.show_state(MailboxState::Connecting, None).await?; // a token may be long in coming
        }
        let credentials = self.credentials().await?;
        // what was found wrong stays shown until a connection proves that it is gone
        let is_new = matches!(
            before,
            MailboxState::Connecting
                | MailboxState::AwaitingApp
                | MailboxState::AwaitingSignIn
                | MailboxState::Paused
        );
        if is_new {
            self.show_state(MailboxState::Connecting, None).await?;
        }
        let opened =
            connect::open(&self.link.dialer, &self.link.endpoint, &credentials, &self.link.timing).await;
        let mut connection = opened?;
        drop(credentials);
        self.note(|shown| shown.connections += 1);
        self.doing("listing");
        self.syncer.reconcile_folders(&mut connection).await?;
        if before != MailboxState::Live {
            self.show_state(MailboxState::Syncing, None).await?;
        }
        self.seen.clear();
        if self.round(&mut connection).await? == Visit::Suspicious {
            return self.leave_to_look_again(connection).await;
        }
        self.backoff.reset();
        self.show_state(MailboxState::Live, None).await?;
        self.watch(connection).await
    }

    /// Watches the inbox, and the other folders in rounds.
    async fn watch(&mut self, mut connection: Connection) -> Result<(), ImapError> {
        let timing = self.link.timing.clone();
        let mut next_round = after(timing.status_interval);
        let mut next_list = after(timing.list_interval);
        loop {
            let inbox = self.inbox()?;
            if let Some(inbox) = &inbox
                && connection.selected() != Some(inbox.server_name.as_str())
                && self.visit(&mut connection, inbox, Scope::Whole).await? == Visit::Suspicious
            {
                return self.leave_to_look_again(connection).await;
            }
            self.doing("idle");
            let now = clock::monotonic();
            let time = timing.idle_renew.min(next_round.saturating_duration_since(now));
            let end = connection.idle(time, &self.bell).await?;
            if end == IdleEnd::Leaving {
                connection.logout().await;
                return Ok(());
            }
            let change = connection.take_change();
            let mut suspicious = false;
            if let (Some(inbox), true) = (&inbox, change != Change::default()) {
                let scope = if change.gone || change.flags { Scope::Whole } else { Scope::NewOnly };
                suspicious = self.visit(&mut connection, inbox, scope).await? == Visit::Suspicious;
            }
            let now = clock::monotonic();
            let woken = end == IdleEnd::Woken;
            if woken || now >= next_list {
                self.syncer.reconcile_folders(&mut connection).await?;
                next_list = after(timing.list_interval);
            }
            if woken || change.gone || now >= next_round {
                suspicious |= self.round(&mut connection).await? == Visit::Suspicious;
                next_round = after(timing.status_interval);
            }
            if suspicious {
                return self.leave_to_look_again(connection).await;
            }
        }
    }

    /// A deletion is believed when another connection shows it, too.
    async fn leave_to_look_again(&self, connection: Connection) -> Result<(), ImapError> {
        connection.logout().await;
        self.doing("waiting");
        tokio::time::sleep(self.link.timing.mass_delete_confirm).await;
        Ok(())
    }

    pub(super) async fn visit(
        &mut self,
        connection: &mut Connection,
        folder: &Folder,
        scope: Scope,
    ) -> Result<Visit, ImapError> {
        let visit = self.visit_one(connection, folder, scope).await?;
        let suspected = self.syncer.twins.take_suspected();
        if suspected.is_empty() {
            return Ok(visit);
        }
        // what looks like a stored message may have been moved: look where that one was, then again here
        let mut is_suspicious = visit == Visit::Suspicious;
        for source in self.folders()?.into_iter().filter(|source| suspected.contains(&source.id)) {
            is_suspicious |= self.visit_one(connection, &source, Scope::Whole).await? == Visit::Suspicious;
        }
        let visit = self.visit_one(connection, folder, Scope::Whole).await?;
        Ok(if is_suspicious { Visit::Suspicious } else { visit })
    }

    pub(super) async fn visit_one(
        &mut self,
        connection: &mut Connection,
        folder: &Folder,
        scope: Scope,
    ) -> Result<Visit, ImapError> {
        self.doing(&format!("syncing {}", folder.path));
        match self.syncer.visit(connection, folder.id, scope).await {
            // this folder cannot be opened; the next LIST says whether it is gone
            Err(error @ ImapError::No { what: "SELECT", .. }) if error.is_plain_refusal() => {
                tracing::warn!(folder = %folder.id, "folder cannot be selected");
                Ok(Visit::Refused)
            }
            other => {
                let fetched = self.syncer.fetched;
                self.note(|shown| shown.fetched = fetched);
                other
            }
        }
    }

    pub(super) fn folders(&self) -> Result<Vec<Folder>, ImapError> {
        let rows = self.syncer.store.folders(self.syncer.owner.mailbox)?;
        let mut folders: Vec<Folder> = rows.into_iter().map(|row| row.value).collect();
        folders.retain(|folder| folder.selectable && folder.included && folder.missing_lists == 0);
        Ok(folders)
    }

    fn inbox(&self) -> Result<Option<Folder>, ImapError> {
        Ok(self.folders()?.into_iter().find(|folder| folder.role == Some(FolderRole::Inbox)))
    }

    async fn credentials(&mut self) -> Result<Credentials, ImapError> {
        let user = self.syncer.stored.mailbox.login().to_owned();
        if matches!(self.syncer.stored.mailbox.auth, Auth::Password { .. }) {
            let grant = self.syncer.store.grant(self.syncer.owner.mailbox)?;
            return match grant.map(|row| row.value.secret) {
                Some(GrantSecret::Password { user, password }) => {
                    Ok(Credentials::Password { user, password })
                }
                Some(GrantSecret::Refresh { .. }) | None => Err(ImapError::NotSignedIn),
            };
        }
        let request = GetAccessToken { min_validity: Duration::from_secs(60) };
        let gone = |_| TokenError::Store(String::from("the token actor is being restarted"));
        let answer = self.link.token.send(request).await.map_err(gone)?;
        let token = answer.map_err(|error| {
            if matches!(error, TokenError::NotSignedIn) {
                ImapError::NotSignedIn
            } else {
                ImapError::Token(error)
            }
        })?;
        self.token_generation = Some(token.generation);
        Ok(Credentials::Token { user, token: token.token })
    }

    async fn show_state(
        &self,
        state: MailboxState,
        diagnosis: Option<crate::domain::Diagnosis>,
    ) -> Result<(), ImapError> {
        let id = &self.syncer.stored.mailbox.id;
        let change = |status: &mut crate::store::MailboxStatus| {
            status.state = state;
            status.diagnosis.clone_from(&diagnosis);
        };
        self.syncer.store.change_status(self.syncer.owner, id, now(), change).await?;
        Ok(())
    }

    fn doing(&self, what: &str) {
        self.note(|shown| what.clone_into(&mut shown.doing));
    }

    fn note(&self, change: impl FnOnce(&mut ImapStatus)) {
        change(&mut self.shown.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn now() -> Timestamp {
    clock::now()
}

fn after(wait: Duration) -> Instant {
    clock::monotonic() + wait
}

/// A lost wake-up costs latency, never mail: it is only counted.
fn wake_up(what: &'static str, delivered: bool) {
    if !delivered {
        tracing::debug!(what, "wake-up lost");
    }
}
