//! One folder: select, list, plan, and each step of the plan as a commit of its own. Cut off anywhere, the
//! next visit plans again from what is stored.

use super::announce::{Announcer, Origin};
use super::doubts::Doubts;
use super::fetch::{Prepared, Progress, Target, fetch_windows};
use super::isolate::Isolation;
use super::listings::{Ask, ListedMessage};
use super::plan::{FlagChange, Known, Listing, Plan, plan};
use super::protocol::ImapError;
use super::twins::{Twins, Verdict, take_twin};
use super::wire::{Connection, Selected};
use super::workers::Workers;
use crate::clock;
use crate::domain::{Folder, FolderId, Message, Uid};
use crate::net::ByteBudget;
use crate::store::{Commit, Key, Owner, Row, Store, StoredMailbox, UidEntry};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many messages change in one commit.
const BATCH: usize = 500;
/// The first look at a folder begins with so many of the newest.
const NEWEST: u32 = 50;
/// How often a sync under way shows how far it is.
const REPORT: Duration = Duration::from_millis(500);

/// What syncing needs; lives as long as the actor.
pub(super) struct Syncer {
    pub(super) store: Store,
    pub(super) owner: Owner,
    pub(super) stored: StoredMailbox,
    pub(super) announcer: Announcer,
    pub(super) key: Arc<Key>,
    pub(super) budget: ByteBudget,
    pub(super) workers: Workers,
    /// Deletions that were seen and not believed at once.
    pub(super) doubts: Doubts,
    /// Folders whose listing for a re-match left messages out.
    pub(super) incomplete: BTreeSet<FolderId>,
    /// Messages listed and not yet stored, per folder.
    pub(super) backlog: BTreeMap<FolderId, u64>,
    /// When the backlog was last shown.
    pub(super) reported: Instant,
    /// Messages stored since the actor was spawned.
    pub(super) fetched: u64,
    /// How long a quarantined message is left alone.
    pub(super) quarantine_retry: Duration,
    /// What is known about messages that cannot be fetched.
    pub(super) isolation: Isolation,
    /// What is known about messages that look like one stored in another folder.
    pub(super) twins: Twins,
}

/// How much of a folder to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Everything.
    Whole,
    /// Only what came after the newest message we have.
    NewOnly,
}

/// How a visit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Visit {
    /// In step.
    InStep,
    /// A deletion that is not believed at once: look again on another connection.
    Suspicious,
    /// The server did not let us in.
    Refused,
}

impl Syncer {
    /// Selects a folder and brings the store in step with it.
    pub(super) async fn visit(
        &mut self,
        connection: &mut Connection,
        folder: FolderId,
        scope: Scope,
    ) -> Result<Visit, ImapError> {
        let Some(row) = self.store.folder(self.owner.mailbox, folder)? else { return Ok(Visit::InStep) };
        crate::faults::point("imap.select", &self.stored.mailbox.id);
        let scope = if connection.selected() == Some(row.value.server_name.as_str()) {
            connection.take_change();
            scope
        } else {
            let selected = connection.select(&row.value.server_name).await?;
            self.adopt(connection, row, selected).await?;
            Scope::Whole
        };
        let Some(row) = self.store.folder(self.owner.mailbox, folder)? else { return Ok(Visit::InStep) };
        let folder = row.value.clone();
        if scope == Scope::Whole && !folder.history_complete && connection.exists() > NEWEST {
            let newest = connection.list_newest(connection.exists(), NEWEST, self.ask()).await?;
            let is_complete = newest.len() == NEWEST as usize;
            let lowest = newest.first().filter(|_| is_complete).map(|message| message.uid);
            self.carry_out(connection, &folder, Listing::of(&newest, lowest)).await?;
        }
        let visit = match scope {
            Scope::Whole => self.whole(connection, &folder).await?,
            Scope::NewOnly => self.new_only(connection, &folder).await?,
        };
        if visit == Visit::InStep && !folder.history_complete {
            self.complete_history(folder.id).await?;
        }
        Ok(visit)
    }

    async fn whole(&mut self, connection: &mut Connection, folder: &Folder) -> Result<Visit, ImapError> {
        let ask = if folder.history_complete { Ask::Flags } else { self.ask() };
        // asked in an empty folder, too: what a server forgot to count shows here
        let listed = connection.list_messages("1:*", ask).await;
        let (listed, is_inferred) = connection.or_empty(listed)?;
        let complete_from = (listed.len() == connection.exists() as usize).then_some(1);
        self.carry_out(connection, folder, Listing { messages: &listed, complete_from, is_inferred }).await
    }

    async fn new_only(&mut self, connection: &mut Connection, folder: &Folder) -> Result<Visit, ImapError> {
        let entries = self.store.uid_entries(self.owner.mailbox, folder.id, folder.incarnation)?;
        let first = entries.last().map_or(1, |entry| entry.uid.saturating_add(1));
        let mut listed = connection.list_messages(&format!("{first}:*"), self.ask()).await?;
        // `n:*` names the last message even where n is above it (RFC 3501 §6.4.8)
        listed.retain(|message| message.uid >= first);
        self.carry_out(connection, folder, Listing::of(&listed, None)).await
    }

    /// What a listing of messages that are to be fetched is to tell.
    fn ask(&self) -> Ask {
        Ask::before_fetching(&self.stored.mailbox.policy)
    }

    async fn carry_out(
        &mut self,
        connection: &mut Connection,
        folder: &Folder,
        listing: Listing<'_>,
    ) -> Result<Visit, ImapError> {
        let Listing { messages: listed, complete_from, .. } = listing;
        let mailbox = self.owner.mailbox;
        let entries = self.store.uid_entries(mailbox, folder.id, folder.incarnation)?;
        let quarantined = self.store.quarantined(mailbox, folder.id, folder.incarnation)?;
        let quarantined: BTreeSet<Uid> = quarantined.iter().map(|message| message.uid).collect();
        let wanted = self.wanted(connection, &entries, listed).await?;
        let deletion_confirmed = self.doubts.are_confirmed(folder.id, connection.number());
        let plan = plan(
            Known {
                entries: &entries,
                quarantined: &quarantined,
                wanted: wanted.as_ref(),
                deletion_confirmed,
            },
            listing,
        );
        let Plan { flags, vanished, suspicious, fetch } = plan;
        self.apply_flags(folder, flags).await?;
        if complete_from == Some(1) {
            self.release_gone(folder, &quarantined, listed).await?;
        }
        if suspicious {
            self.doubts.raise(folder.id, connection.number());
        } else if complete_from == Some(1) {
            self.doubts.drop(folder.id);
        }
        self.set_aside(&vanished).await?;
        self.fetch(connection, folder, fetch, listed).await?;
        Ok(if suspicious { Visit::Suspicious } else { Visit::InStep })
    }

    /// What the policy wants stored, where it does not want everything; only asked if something is new.
    async fn wanted(
        &self,
        connection: &mut Connection,
        entries: &[UidEntry],
        listed: &[ListedMessage],
    ) -> Result<Option<BTreeSet<Uid>>, ImapError> {
        let is_stored = |uid: Uid| entries.binary_search_by_key(&uid, |entry| entry.uid).is_ok();
        match self.stored.mailbox.policy.since {
            Some(since) if listed.iter().any(|message| !is_stored(message.uid)) => {
                connection.search_since(since).await.map(Some)
            }
            Some(_) | None => Ok(None),
        }
    }

    async fn apply_flags(&mut self, folder: &Folder, changes: Vec<FlagChange>) -> Result<(), ImapError> {
        for batch in changes.chunks(BATCH) {
            let now = clock::now();
            let mut commit = Commit::by(self.owner);
            for change in batch {
                let Some(before) = self.store.message(self.owner.mailbox, change.message)? else { continue };
                let after = Message { flags: change.flags.clone(), ..before.clone() };
                commit.event(self.announcer.flags_changed(now, &before, &after, folder));
                commit.replace_message(after);
            }
            self.store.commit(commit).await?;
        }
        Ok(())
    }

    /// Takes vanished messages out of their folder; they are told as deleted when every other folder was
    /// looked at and none of them turned up there.
    pub(super) async fn set_aside(&mut self, vanished: &[UidEntry]) -> Result<(), ImapError> {
        for batch in vanished.chunks(BATCH) {
            let since = clock::now();
            let mut commit = Commit::by(self.owner);
            for entry in batch {
                if self.store.message(self.owner.mailbox, entry.message)?.is_some() {
                    commit.set_aside(entry.message, since);
                }
            }
            self.store.commit(commit).await?;
        }
        Ok(())
    }

    pub(super) async fn fetch(
        &mut self,
        connection: &mut Connection,
        folder: &Folder,
        windows: Vec<Vec<Uid>>,
        listed: &[ListedMessage],
    ) -> Result<(), ImapError> {
        let missing: usize = windows.iter().map(Vec::len).sum();
        self.backlog.insert(folder.id, missing as u64);
        if missing == 0 {
            self.isolation.clear(folder.id);
            return Ok(());
        }
        let limit = self.isolation.window(folder.id);
        let windows: Vec<&[Uid]> =
            windows.iter().flat_map(|window| window.rchunks(limit.min(window.len().max(1)))).collect();
        let target = Target {
            store: self.store.clone(),
            mailbox: self.owner.mailbox,
            key: Arc::clone(&self.key),
            folder: folder.clone(),
            budget: self.budget.clone(),
            workers: self.workers.clone(),
            policy: self.stored.mailbox.policy.clone(),
        };
        crate::faults::point("imap.fetch", &self.stored.mailbox.id);
        let progress = Progress::default();
        let fetched = fetch_windows(connection, &target, &windows, listed, &progress, async |batch| {
            self.store_batch(folder, batch).await
        })
        .await;
        let at_fault = progress.reading.get().and_then(|number| windows.get(number));
        self.isolation.attempt = at_fault.map(|window| (folder.id, window.to_vec()));
        fetched?;
        self.isolation.clear(folder.id);
        self.note_undelivered(folder.id, &windows, &progress.delivered.take()).await?;
        self.backlog.insert(folder.id, 0);
        self.report_backlog().await
    }

    async fn store_batch(&mut self, folder: &Folder, batch: Vec<Prepared>) -> Result<(), ImapError> {
        let now = clock::now();
        let mut aside = self.store.set_aside(self.owner.mailbox)?;
        let look_for_twins = self.store.status(self.owner.mailbox)?.value.synced;
        let mut commit = Commit::by(self.owner);
        let count = batch.len() as u64;
        let mut shares = Vec::with_capacity(batch.len());
        for Prepared { mut message, body, share, .. } in batch {
            shares.push(share);
            if let Some(vanished) = take_twin(&mut aside, &message) {
                message.id = vanished.message.id;
                message.body = vanished.message.body;
                let from = self.store.folder(self.owner.mailbox, vanished.message.folder)?;
                let from = from.map(|row| row.value);
                commit.event(self.announcer.moved(now, &message, folder, from.as_ref()));
                commit.add_message(message, None);
                continue;
            }
            if look_for_twins {
                let stored = self.store.messages_at(self.owner.mailbox, message.internal_date)?;
                match self.twins.judge(&message, &stored) {
                    Verdict::New => {}
                    Verdict::CopyOf(original) => message.copy_of = Some(original),
                    // fetched again after its folder was looked at
                    Verdict::LookFirst => continue,
                }
            }
            let history = folder.first_uid_next.is_none_or(|first| message.uid < first);
            let origin = if history { Origin::History } else { Origin::Arrived };
            commit.event(self.announcer.new_message(now, &message, folder, origin));
            commit.add_message(message, body);
        }
        self.store.commit(commit).await?;
        drop(shares);
        self.fetched = self.fetched.saturating_add(count);
        crate::faults::point("imap.stored", &self.stored.mailbox.id);
        let left = self.backlog.entry(folder.id).or_default();
        *left = left.saturating_sub(count);
        tracing::debug!(folder = %folder.id, stored = count, left = *left, "batch stored");
        if clock::monotonic().saturating_duration_since(self.reported) >= REPORT {
            self.report_backlog().await?;
        }
        Ok(())
    }

    /// First sight of a folder's UIDVALIDITY, or a change of it.
    async fn adopt(
        &mut self,
        connection: &mut Connection,
        row: Row<Folder>,
        selected: Selected,
    ) -> Result<(), ImapError> {
        let Row { generation, value: mut folder } = row;
        // a server without UIDVALIDITY promises nothing: what we know stays, 0 is never stored
        let Some(validity) = selected.uid_validity.or(folder.uid_validity).or(Some(1)) else { return Ok(()) };
        match folder.uid_validity {
            Some(known) if known == validity => {}
            Some(_) => folder.begin_rematch(),
            None => folder.incarnation = folder.incarnation.max(1),
        }
        if folder.uid_validity != Some(validity) {
            folder.uid_validity = Some(validity);
            // without UIDNEXT everything that is there now counts as history once the newest is known
            folder.first_uid_next = Some(match selected.uid_next {
                Some(next) => next,
                None => self.uid_next_by_listing(connection).await?,
            });
            let mut commit = Commit::by(self.owner);
            self.store.put_folder(&mut commit, self.owner.mailbox, generation, &folder)?;
            self.store.commit(commit).await?;
        }
        if folder.rematch_from.is_some() {
            self.rematch(connection, folder.id).await?;
        }
        Ok(())
    }

    async fn uid_next_by_listing(&self, connection: &mut Connection) -> Result<Uid, ImapError> {
        if connection.exists() == 0 {
            return Ok(1);
        }
        let newest = connection.list_newest(connection.exists(), 1, Ask::Flags).await?;
        Ok(newest.last().map_or(1, |message| message.uid.saturating_add(1)))
    }

    async fn complete_history(&self, folder: FolderId) -> Result<(), ImapError> {
        let Some(Row { generation, value: mut folder }) = self.store.folder(self.owner.mailbox, folder)?
        else {
            return Ok(());
        };
        folder.history_complete = true;
        let mut commit = Commit::by(self.owner);
        self.store.put_folder(&mut commit, self.owner.mailbox, generation, &folder)?;
        self.store.commit(commit).await?;
        Ok(())
    }

    async fn report_backlog(&mut self) -> Result<(), ImapError> {
        self.reported = clock::monotonic();
        let backlog = self.backlog.values().sum();
        let id = &self.stored.mailbox.id;
        self.store.change_status(self.owner, id, clock::now(), |status| status.backlog = backlog).await?;
        Ok(())
    }
}
