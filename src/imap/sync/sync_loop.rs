//! The sync loop of one mailbox: connect, bring every folder in step, then watch the inbox in IDLE and the other folders in
//! rounds; after a failure wait as long as the error demands, and connect anew.

use super::backoff::FailureHistory;
use super::folder_status::LastSeen;
use super::folder_sync::{Scope, Visit};
use super::gathered::Gathered;
use super::idling::Idling;
use super::syncer::Syncer;
use crate::clock;
use crate::config::Timing;
use crate::diagnosis::catalogue::TOO_MANY_FOLDERS;
use crate::diagnosis::{self, Facts};
use crate::domain::{Auth, Endpoint, Folder, FolderId, FolderRole, GrantSecret, MailboxState, Timestamp};
use crate::imap::connection::{Change, Connection, Credentials, FOLDERS, IdleEnd, Oddities, connect};
use crate::imap::protocol::{ImapError, ImapStatus};
use crate::imap::wakeup::Wakeup;
use crate::net::Dialer;
use crate::token::protocol::{GetAccessToken, TokenError, TokenRejected};
use actix::Recipient;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How the sync loop reaches the server.
pub(in crate::imap) struct Link {
    pub(in crate::imap) dialer: Dialer,
    pub(in crate::imap) timing: Timing,
    pub(in crate::imap) endpoint: Endpoint,
    pub(in crate::imap) token: Recipient<GetAccessToken>,
    pub(in crate::imap) rejected: Recipient<TokenRejected>,
}

/// The sync loop of one mailbox.
pub(in crate::imap) struct SyncLoop {
    pub(super) link: Link,
    pub(super) syncer: Syncer,
    pub(super) wakeup: Arc<Wakeup>,
    pub(super) shown: Arc<Mutex<ImapStatus>>,
    pub(super) backoff: FailureHistory,
    pub(super) seen: BTreeMap<FolderId, LastSeen>,
    /// Why the folder that was visited last was refused.
    pub(super) refusal: Option<ImapError>,
    /// Whether the present connection came so far that folders were listed.
    has_listed: bool,
    /// Whether the server let us into a folder on this connection.
    pub(super) has_opened: bool,
    /// Folders that were visited in vain, how often in a row.
    pub(super) partial: BTreeMap<FolderId, u32>,
    /// A connection ended while counts of several folders were requested: each is requested alone.
    pub(super) counts_singly: bool,
    /// When the inbox was last looked at.
    pub(super) inbox_seen: Instant,
    /// Whether IDLE is of use here.
    idling: Idling,
    oddities: Arc<Oddities>,
    /// When something has to be looked at again on another connection.
    look_again: Option<Instant>,
    /// Since when the mailbox is live on the present connection.
    live_since: Option<Instant>,
    token_generation: Option<u64>,
    has_connected: bool,
}

impl SyncLoop {
    pub(in crate::imap) fn new(
        link: Link,
        syncer: Syncer,
        wakeup: Arc<Wakeup>,
        shown: Arc<Mutex<ImapStatus>>,
    ) -> Self {
        let backoff = FailureHistory::default();
        Self {
            link,
            syncer,
            wakeup,
            shown,
            backoff,
            seen: BTreeMap::new(),
            refusal: None,
            has_listed: false,
            has_opened: false,
            partial: BTreeMap::new(),
            counts_singly: false,
            inbox_seen: clock::monotonic(),
            idling: Idling::default(),
            oddities: Arc::default(),
            look_again: None,
            live_since: None,
            token_generation: None,
            has_connected: false,
        }
    }

    /// Runs until it is to stop, or the store refuses this actor or cannot be trusted.
    pub(in crate::imap) async fn run(mut self) -> Option<ImapError> {
        loop {
            let error = match self.connect_and_follow().await {
                Ok(()) if self.wakeup.is_stopping() => return None,
                Ok(()) => continue,
                Err(error) => error,
            };
            if matches!(&error, ImapError::Store(error) if !error.is_passing()) {
                return Some(error);
            }
            if let Err(error) = self.recover(&error).await {
                return Some(error);
            }
        }
    }

    async fn recover(&mut self, error: &ImapError) -> Result<(), ImapError> {
        tracing::info!(%error, "ride ended");
        self.syncer.gathered = Gathered::default(); // with the memory that it holds
        let now = clock::monotonic();
        if let Some(since) = self.live_since.take() {
            // one that lives for a moment only is no success: the waits between such grow
            self.backoff.lived(now.saturating_duration_since(since), &self.link.timing);
        }
        if !self.has_listed {
            self.syncer.openings.forget();
        }
        if self.syncer.bisect(error).await? || self.syncer.blame_folder(error).await? {
            return Ok(()); // what is at fault is smaller now, or set apart: at once
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
                () = self.wakeup.woken() => {}
                () = tokio::time::sleep(next.wait) => {}
            }
        } else {
            tokio::time::sleep(next.wait).await;
        }
        Ok(())
    }

    /// One connection, from log-in to its end.
    async fn connect_and_follow(&mut self) -> Result<(), ImapError> {
        self.doing("connecting");
        self.has_listed = false;
        crate::faults::point("imap.connect", &self.syncer.stored.mailbox.id);
        // what an earlier actor showed says nothing about this one
        let is_first = !std::mem::replace(&mut self.has_connected, true);
        let shown = self.syncer.store.status(self.syncer.owner.mailbox)?.value.state;
        let before = if is_first { MailboxState::Connecting } else { shown };
        if is_first && matches!(shown, MailboxState::Live | MailboxState::Syncing) {
            self.show_state(MailboxState::Connecting, None).await?; // a token may be long in coming
        }
        let _slot = self.link.dialer.receiving_slot()?; // as long as the connection
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
        let opened = connect::open(
            &self.link.dialer,
            &self.link.endpoint,
            &credentials,
            &self.link.timing,
            &self.oddities,
        )
        .await;
        let mut connection = opened?;
        drop(credentials);
        self.note(|shown| shown.connections += 1);
        self.doing("listing");
        let listed = self.syncer.reconcile_folders(&mut connection).await?;
        if before != MailboxState::Live {
            self.show_state(MailboxState::Syncing, None).await?;
        }
        (self.has_listed, self.has_opened, self.look_again) = (true, false, None);
        self.seen.clear();
        let round = self.round(&mut connection).await?;
        self.look_again_if(listed == Visit::Suspicious || round == Visit::Suspicious);
        self.live_since = Some(clock::monotonic());
        self.show_live().await?;
        self.watch(connection).await
    }

    /// Watches the inbox, and the other folders in rounds.
    async fn watch(&mut self, mut connection: Connection) -> Result<(), ImapError> {
        let timing = self.link.timing.clone();
        let mut next_round = after(timing.status_interval);
        let mut next_list = after(timing.list_interval);
        loop {
            let inbox = self.inbox().await?;
            if let Some(inbox) = &inbox
                && connection.selected() != Some(&inbox.server_name)
            {
                let visit = self.visit(&mut connection, inbox, Scope::Whole).await?;
                self.look_again_if(visit == Visit::Suspicious);
                if visit == Visit::Refused
                    && let Some(error) = self.refusal.take()
                {
                    self.syncer.set_apart(inbox.id, &error).await?;
                    continue;
                }
            }
            let end = self.idle(&mut connection, next_round).await?;
            if end == IdleEnd::Stopping {
                connection.logout().await;
                return Ok(());
            }
            let change = connection.take_change();
            if let (Some(inbox), true) = (&inbox, change != Change::default()) {
                let scope = if change.gone || change.flags { Scope::Whole } else { Scope::NewOnly };
                let visit = self.visit(&mut connection, inbox, scope).await?;
                self.look_again_if(visit == Visit::Suspicious);
            }
            let now = clock::monotonic();
            let woken = end == IdleEnd::Woken;
            if woken || now >= next_list {
                let listed = self.syncer.reconcile_folders(&mut connection).await?;
                self.look_again_if(listed == Visit::Suspicious);
                self.show_live().await?;
                next_list = after(timing.list_interval);
            }
            if woken || change.gone || now >= next_round {
                let round = self.round(&mut connection).await?;
                self.look_again_if(round == Visit::Suspicious);
                next_round = after(timing.status_interval);
            }
            if self.look_again.is_some_and(|at| clock::monotonic() >= at) {
                self.look_again = None;
                connection.logout().await;
                return Ok(());
            }
        }
    }

    /// Waits in IDLE, or without it where it is of no use, until there is something to do.
    async fn idle(&mut self, connection: &mut Connection, next_round: Instant) -> Result<IdleEnd, ImapError> {
        self.doing("idle");
        let now = clock::monotonic();
        let passed_over = self.oddities.count();
        self.note(|shown| shown.passed_over = passed_over);
        let until = self.look_again.map_or(next_round, |at| at.min(next_round));
        let time = self.link.timing.idle_renew.min(until.saturating_duration_since(now));
        let waiting = self.idling.waiting(now);
        let end = connection.idle(time, &self.wakeup, waiting).await;
        self.idling.note(&end, now, clock::monotonic(), &self.link.timing);
        end
    }

    /// A deletion is believed when another connection shows it, too, a while later; that of a folder with little mail a
    /// moment later.
    pub(super) fn look_again_if(&mut self, is_suspicious: bool) {
        if is_suspicious {
            let confirm = self.link.timing.mass_delete_confirm;
            let wait = if std::mem::take(&mut self.syncer.misses_little) { confirm / 10 } else { confirm };
            let at = after(wait);
            self.look_again = Some(self.look_again.map_or(at, |before| before.min(at)));
        }
    }

    async fn inbox(&self) -> Result<Option<Folder>, ImapError> {
        let is_inbox = |folder: &Folder| folder.role == Some(FolderRole::Inbox) && folder.apart.is_none();
        Ok(self.syncer.followed_folders().await?.into_iter().find(is_inbox))
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

    /// Shows that the mailbox is in step, and with what it is not.
    async fn show_live(&self) -> Result<(), ImapError> {
        let facts = Facts {
            address: &self.syncer.stored.mailbox.address,
            host: &self.link.endpoint.host,
            detail: &FOLDERS.to_string(),
            ..Facts::default()
        };
        let diagnosis =
            self.syncer.too_many_folders.then(|| diagnosis::describe(&TOO_MANY_FOLDERS, &facts, None));
        self.show_state(MailboxState::Live, diagnosis).await
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

    pub(in crate::imap) fn doing(&self, what: &str) {
        self.note(|shown| what.clone_into(&mut shown.doing));
    }

    pub(in crate::imap) fn note(&self, change: impl FnOnce(&mut ImapStatus)) {
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
