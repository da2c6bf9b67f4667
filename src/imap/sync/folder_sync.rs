//! One folder: select, list, plan, and each step of the plan as a commit of its own. Cut off anywhere, the
//! next visit plans again from what is stored.

use super::openings::At;
use super::plan::{FlagChange, Known, Listing, Plan, plan};
use super::syncer::Syncer;
use crate::clock;
use crate::domain::{Folder, FolderId, Message, Uid};
use crate::imap::connection::{Connection, ListedMessage, ListingDetail};
use crate::imap::protocol::ImapError;
use crate::store::{Commit, UidEntry};
use std::collections::BTreeSet;

/// How many messages change in one commit.
const BATCH: usize = 500;
/// The first look at a folder begins with so many of the newest.
const NEWEST: u32 = 50;

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
    /// In step but for something that the next visit finds out: a message that has to be looked for elsewhere first, or that
    /// did not come, a listing that was not complete.
    Partial,
    /// A deletion that is not believed at once: look again on another connection.
    Suspicious,
    /// The server refused the folder.
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
        self.commit_gathered().await?; // this folder may be among them
        let row = self.store.folder(self.owner.mailbox, folder)?;
        // it may have been left out since the round began
        let Some(row) = row.filter(|row| row.value.included) else { return Ok(Visit::InStep) };
        crate::faults::point("imap.select", &self.stored.mailbox.id);
        (self.listed_all, self.put_off, self.selected) = (false, false, None);
        self.openings.now = Some((folder, At::Opening));
        let scope = if connection.selected() == Some(&row.value.server_name) {
            connection.take_change();
            scope
        } else {
            let selected = connection.select(&row.value.server_name).await?;
            self.selected = Some(selected.as_status());
            if !self.adopt(connection, row, selected).await? {
                return Ok(Visit::Suspicious);
            }
            Scope::Whole
        };
        let Some(row) = self.store.folder(self.owner.mailbox, folder)? else { return Ok(Visit::InStep) };
        let folder = row.value;
        if scope == Scope::Whole && !folder.history_complete && connection.exists() > NEWEST {
            let newest = connection.list_newest(connection.exists(), NEWEST, self.listing_detail()).await?;
            let is_complete = newest.len() == NEWEST as usize;
            let lowest = newest.first().filter(|_| is_complete).map(|message| message.uid);
            let folder =
                self.correct_first_sight(connection, folder.id, &newest).await?.unwrap_or(folder.clone());
            self.carry_out(connection, &folder, Listing::of(&newest, lowest)).await?;
        }
        let visit = match scope {
            Scope::Whole => self.whole(connection, &folder).await?,
            Scope::NewOnly => self.new_only(connection, &folder).await?,
        };
        if visit != Visit::Suspicious && !folder.history_complete {
            self.complete_history(folder.id).await?;
        }
        Ok(visit)
    }

    async fn whole(&mut self, connection: &mut Connection, folder: &Folder) -> Result<Visit, ImapError> {
        let detail = if folder.history_complete { ListingDetail::Flags } else { self.listing_detail() };
        // listed in an empty folder, too: what a server forgot to count shows here
        let listed = connection.list_messages("1:*", detail).await;
        let (listed, is_inferred) = connection.or_empty(listed)?;
        if self.uids_were_reused(connection, folder, &listed).await? {
            return self.begin_rematch(connection, folder.id).await;
        }
        let corrected = self.correct_first_sight(connection, folder.id, &listed).await?;
        let folder = corrected.as_ref().unwrap_or(folder);
        let complete_from = (listed.len() == connection.exists() as usize).then_some(1);
        self.listed_all = complete_from.is_some();
        let listing = Listing { messages: &listed, complete_from, is_inferred };
        let visit = self.carry_out(connection, folder, listing).await?;
        // what another client expunged meanwhile, or a line that was damaged: the next listing shows it
        let is_partial = visit == Visit::InStep && !self.listed_all;
        Ok(if is_partial { Visit::Partial } else { visit })
    }

    async fn new_only(&mut self, connection: &mut Connection, folder: &Folder) -> Result<Visit, ImapError> {
        let entries = self.store.uid_entries(self.owner.mailbox, folder.id, folder.incarnation)?;
        let first = entries.last().map_or(1, |entry| entry.uid.saturating_add(1));
        let mut listed = connection.list_messages(&format!("{first}:*"), self.listing_detail()).await?;
        // `n:*` names the last message even where n is above it (RFC 3501 §6.4.8)
        listed.retain(|message| message.uid >= first);
        self.carry_out(connection, folder, Listing::of(&listed, None)).await
    }

    /// What a listing of messages that are to be fetched brings.
    pub(super) fn listing_detail(&self) -> ListingDetail {
        ListingDetail::before_fetching(&self.stored.mailbox.policy)
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
        let (number, now) = (connection.number(), clock::monotonic());
        let deletion_confirmed = self.deletions.is_confirmed(folder.id, number, now, self.confirm);
        let plan = plan(
            Known {
                entries: &entries,
                quarantined: &quarantined,
                wanted: wanted.as_ref(),
                deletion_confirmed,
            },
            listing,
        );
        let Plan { flags, mut vanished, suspicious, fetch } = plan;
        if !vanished.is_empty() {
            // a line of the listing that came damaged must not cost a message: it is requested by UID
            let gone: Vec<Uid> = vanished.iter().map(|entry| entry.uid).collect();
            let present = connection.present(&gone).await;
            let (present, _) =
                connection.or_empty(present.map(|present| present.into_iter().collect::<Vec<_>>()))?;
            vanished.retain(|entry| !present.contains(&entry.uid));
        }
        self.openings.went_well(folder.id);
        self.apply_flags(folder, flags).await?;
        if complete_from == Some(1) {
            self.release_gone(folder, &quarantined, listed).await?;
        }
        if suspicious {
            self.deletions.suspect(folder.id, connection.number(), clock::monotonic());
        } else if complete_from == Some(1) {
            self.deletions.clear(folder.id);
        }
        self.set_aside(&vanished).await?;
        let is_whole = self.fetch(connection, folder, fetch, listed).await?;
        Ok(match (suspicious, is_whole) {
            (true, _) => Visit::Suspicious,
            (false, true) => Visit::InStep,
            (false, false) => Visit::Partial,
        })
    }

    /// What the policy wants stored, where it does not want everything; searched for only if something is new.
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

    /// Takes vanished messages out of their folder; they are announced as deleted when every other folder was visited and
    /// none of them turned up there.
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
}
