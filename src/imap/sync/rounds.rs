//! Rounds over all folders: what changed is visited, what vanished is confirmed as deleted, and what was set apart is tried again.

use super::folder_names;
use super::folder_status::LastSeen;
use super::folder_sync::{Scope, Visit};
use super::gather::GROUP as GATHERED;
use super::openings::At;
use super::set_apart::is_due;
use super::sync_loop::SyncLoop;
use crate::clock;
use crate::domain::{Folder, FolderId, FolderRole, WireName};
use crate::imap::connection::{Change, Connection, FolderStatus};
use crate::imap::protocol::ImapError;
use std::collections::BTreeMap;
use std::time::Duration;

/// Counts of so many folders are requested before the inbox is looked at again.
const GROUP: usize = 8;

/// What a round saw.
#[derive(Debug)]
struct Outcome {
    visit: Visit,
    /// Folders that were opened, or need not be.
    opened: usize,
    /// Folders that were refused, and why.
    refused: Vec<(Folder, ImapError)>,
}

impl Outcome {
    fn new(visit: Visit) -> Self {
        Self { visit, opened: 0, refused: Vec::new() }
    }

    /// Of two ways in which a visit can end the one that is further from being in step.
    fn meets(&mut self, visit: Visit) {
        let rank = |visit| match visit {
            Visit::InStep => 0,
            Visit::Partial => 1,
            Visit::Refused => 2,
            Visit::Suspicious => 3,
        };
        if rank(visit) > rank(self.visit) {
            self.visit = visit;
        }
    }
}

impl SyncLoop {
    /// Looks at every folder: by STATUS where it was seen before, whole where something changed. What
    /// vanished before the round and turned up nowhere in it is deleted.
    pub(super) async fn round(&mut self, connection: &mut Connection) -> Result<Visit, ImapError> {
        let mut result = Visit::InStep;
        // a second pass confirms what vanished during the first, unless something moved on meanwhile
        for _ in 0..PASSES {
            let started = clock::now();
            let mut outcome = Outcome::new(Visit::InStep);
            if self.has_vanished()? {
                // it may have moved into a folder that was made for it
                outcome.meets(self.syncer.reconcile_folders(connection).await?);
            }
            let due = self.changed_folders(connection, &mut outcome).await?;
            self.visit_all(connection, due, &mut outcome).await?;
            self.set_refused_apart(connection, &mut outcome).await?;
            let is_complete = outcome.visit == Visit::InStep
                && (!self.has_vanished()? || self.is_as_seen(connection, &mut outcome).await?);
            self.syncer.confirm_vanished(connection, started, is_complete).await?;
            result = outcome.visit;
            if !self.has_vanished()? {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await; // `since` and `started` count milliseconds
        }
        self.end_of_round(result).await?;
        if result != Visit::Suspicious {
            self.retry_quarantined(connection).await?;
        }
        Ok(result)
    }

    /// Visits folders in their order; small ones of which nothing is known are read many at once.
    async fn visit_all(
        &mut self,
        connection: &mut Connection,
        due: Vec<(Folder, Option<FolderStatus>)>,
        outcome: &mut Outcome,
    ) -> Result<(), ImapError> {
        let (mut gathered, mut tried) = (BTreeMap::new(), 0);
        for (number, (folder, status)) in due.iter().enumerate() {
            self.look_at_inbox(connection, outcome).await?;
            if number >= tried && !self.counts_singly {
                let group = due.iter().skip(number).take(GATHERED).map(|(folder, _)| folder);
                let group: Vec<&Folder> = group.take_while(|folder| self.syncer.is_new(folder)).collect();
                tried = number + group.len();
                if group.len() > 1 {
                    // where a connection ends over several folders each is visited alone the next time
                    self.counts_singly = true;
                    self.doing("syncing small folders");
                    gathered.extend(self.syncer.gather(connection, &group).await?);
                    self.counts_singly = false;
                }
            }
            let (visit, status) = match gathered.remove(&folder.id) {
                Some(status) => (Visit::InStep, Some(status)),
                None => (self.visit(connection, folder, Scope::Whole).await?, *status),
            };
            self.conclude(folder, visit, status, outcome).await?;
        }
        self.syncer.commit_gathered().await
    }

    /// Whether messages wait to be announced as deleted, or to turn up elsewhere.
    fn has_vanished(&self) -> Result<bool, ImapError> {
        Ok(!self.syncer.store.set_aside(self.syncer.owner.mailbox)?.is_empty())
    }

    /// Whether every folder is as it was when it was visited: nothing can have come into one that was looked at before out
    /// of one that was looked at after.
    async fn is_as_seen(
        &mut self,
        connection: &mut Connection,
        outcome: &mut Outcome,
    ) -> Result<bool, ImapError> {
        outcome.meets(self.syncer.reconcile_folders(connection).await?);
        let mut folders = self.syncer.followed_folders().await?;
        folders.retain(|folder| folder.apart.is_none());
        let statuses = self.statuses(connection, &folders, outcome).await?;
        let is_as_seen = |folder: &Folder| {
            if connection.selected() == Some(&folder.server_name) {
                return !connection.change.arrived;
            }
            let seen = self.seen.get(&folder.id);
            seen.is_some_and(|seen| statuses.get(&folder.id).is_none_or(|now| !seen.has_news(*now)))
        };
        Ok(folders.iter().all(is_as_seen))
    }

    /// Notes how the visit of a folder ended.
    async fn conclude(
        &mut self,
        folder: &Folder,
        visit: Visit,
        status: Option<FolderStatus>,
        outcome: &mut Outcome,
    ) -> Result<(), ImapError> {
        let status = status.or(self.syncer.selected.take());
        match visit {
            Visit::InStep => {
                self.partial.remove(&folder.id);
                self.seen.insert(folder.id, LastSeen::now(status));
            }
            Visit::Partial => {
                let times = self.partial.entry(folder.id).or_default();
                *times = times.saturating_add(1);
                if *times > PARTIAL {
                    // it is always so: as often as flags are looked at is often enough
                    self.seen.insert(folder.id, LastSeen::now(status));
                }
            }
            Visit::Suspicious => {}
            Visit::Refused => {
                outcome.refused.extend(self.refusal.take().map(|error| (folder.clone(), error)));
                return Ok(());
            }
        }
        outcome.opened += 1;
        outcome.meets(if visit == Visit::Partial && !self.syncer.put_off { Visit::InStep } else { visit });
        if visit != Visit::Suspicious {
            self.syncer.restore(folder.id).await?;
        }
        Ok(())
    }

    /// Folders that were refused are set apart, if the server opens others: else it is the mailbox that is refused.
    /// One that another client has renamed or deleted meanwhile is not: LIST tells.
    async fn set_refused_apart(
        &mut self,
        connection: &mut Connection,
        outcome: &mut Outcome,
    ) -> Result<(), ImapError> {
        let mut refused = std::mem::take(&mut outcome.refused);
        self.has_opened |= outcome.opened > 0;
        if !self.has_opened
            && let Some((_, error)) = refused.pop()
        {
            return Err(error);
        }
        if refused.is_empty() {
            return Ok(());
        }
        for (folder, _) in &refused {
            // that it could be selected was all that spoke for one that is not listed
            self.syncer.unlisted.remove(&folder.id);
        }
        outcome.meets(self.syncer.reconcile_folders(connection).await?);
        for (folder, error) in refused {
            let row = self.syncer.store.folder(self.syncer.owner.mailbox, folder.id)?;
            let is_listed = |now: &Folder| now.server_name == folder.server_name && now.missing_lists == 0;
            if !row.is_some_and(|row| is_listed(&row.value)) {
                outcome.meets(Visit::Partial);
            } else if self.syncer.set_apart(folder.id, &error).await? <= 1 {
                // the first time nothing is said about what is in it
                outcome.meets(Visit::Refused);
            }
        }
        Ok(())
    }

    /// Tries one message again that was set apart, after everything else: if it ends the connection, that is all it does.
    async fn retry_quarantined(&mut self, connection: &mut Connection) -> Result<(), ImapError> {
        let (folders, pace) = (self.syncer.followed_folders().await?, self.link.timing.status_interval);
        let Some((folder, uid)) = self.syncer.next_retry(&folders, pace)? else { return Ok(()) };
        if self.visit_one(connection, folder, Scope::NewOnly).await? == Visit::InStep {
            self.syncer.try_again(connection, folder.id, uid).await?;
        }
        Ok(())
    }

    async fn end_of_round(&mut self, result: Visit) -> Result<(), ImapError> {
        let backlog = self.syncer.backlog.values().sum();
        let now = clock::now();
        let id = self.syncer.stored.mailbox.id.clone();
        let change = |status: &mut crate::store::MailboxStatus| {
            // rounds that found nothing are shown to the minute, not written each time
            if status.last_sync_at.is_none_or(|last| now.since(last) >= Duration::from_secs(60)) {
                status.last_sync_at = Some(now);
            }
            status.backlog = backlog;
            status.synced |= matches!(result, Visit::InStep | Visit::Partial);
        };
        self.syncer.store.change_status(self.syncer.owner, &id, now, change).await?;
        Ok(())
    }

    /// Folders that need a visit, those that lost messages first: a moved message is then known to have
    /// left before it is met in its new folder. Those at which a connection ended come last.
    async fn changed_folders(
        &mut self,
        connection: &mut Connection,
        outcome: &mut Outcome,
    ) -> Result<Vec<(Folder, Option<FolderStatus>)>, ImapError> {
        let mut due = Vec::new();
        let (flag_scan, now) = (self.link.timing.flag_scan, clock::now());
        let mut folders = self.syncer.followed_folders().await?;
        folders.retain(|folder| is_due(folder, now));
        let mut statuses = self.statuses(connection, &folders, outcome).await?;
        for folder in folders {
            let seen = self.seen.get(&folder.id).copied();
            let is_suspect = self.syncer.openings.is_suspect(folder.id) || folder.apart.is_some();
            let mut push = |has_lost: bool, folder: Folder, status| {
                due.push(((is_suspect, !has_lost, folder_names::rank(folder.role)), folder, status));
            };
            if connection.selected() == Some(&folder.server_name) {
                // the server reports what changes there; flags that others change, not by every server
                let is_reported = seen.is_some() && connection.offers("CONDSTORE");
                if !is_reported && seen.is_none_or(|seen| seen.scan_is_due(flag_scan)) {
                    push(false, folder, None);
                }
                continue;
            }
            let status = statuses.remove(&folder.id);
            if let (Some(seen), Some(status)) = (seen, status)
                && !seen.needs_visit(status, flag_scan)
            {
                outcome.opened += 1;
                self.seen.entry(folder.id).and_modify(|seen| seen.learn(status));
                continue;
            }
            let lost = seen.zip(status).is_some_and(|(seen, status)| seen.lost_messages(status));
            push(lost, folder, status);
        }
        due.sort_by(|one, other| (one.0, &one.1.path).cmp(&(other.0, &other.1.path)));
        Ok(due.into_iter().map(|(_, folder, status)| (folder, status)).collect())
    }

    /// Counts of the folders that were seen on this connection: in one answer where that is offered (RFC 5819), else a few
    /// at a time. What has not been seen is visited anyway.
    async fn statuses(
        &mut self,
        connection: &mut Connection,
        folders: &[Folder],
        outcome: &mut Outcome,
    ) -> Result<BTreeMap<FolderId, FolderStatus>, ImapError> {
        let mut found = BTreeMap::new();
        let mut requested: Vec<&Folder> =
            folders.iter().filter(|folder| self.seen.contains_key(&folder.id)).collect();
        let is_counted = |folder: &&Folder| !self.syncer.uncounted.contains(&folder.id);
        requested.retain(|folder| connection.selected() != Some(&folder.server_name) && is_counted(folder));
        if requested.len() > 1 && connection.offers("LIST-STATUS") {
            let list = connection.list_status().await?;
            requested.retain(|folder| match list.statuses.get(&folder.server_name) {
                Some(status) => found.insert(folder.id, *status).is_some(),
                None => true,
            });
        }
        for group in requested.chunks(if self.counts_singly { 1 } else { GROUP }) {
            self.look_at_inbox(connection, outcome).await?;
            let names: Vec<WireName> = group.iter().map(|folder| folder.server_name.clone()).collect();
            // where a connection ends over several folders each is requested alone the next time
            let alone = group.first().filter(|_| group.len() == 1);
            self.syncer.openings.now = alone.map(|folder| (folder.id, At::Counts));
            self.counts_singly = true;
            for (folder, status) in group.iter().zip(connection.statuses(&names).await?) {
                match status {
                    Ok(status) => drop(found.insert(folder.id, status)),
                    // the visit shows whether it can be selected all the same
                    Err(error) if error.refuses_folder() => {}
                    Err(error) => return Err(error),
                }
            }
            self.syncer.openings.now = None;
        }
        self.counts_singly &= requested.is_empty();
        Ok(found)
    }

    /// While much is looked at, new mail in the inbox is not kept waiting: where it is selected the server has reported it,
    /// else its counts are requested now and then.
    async fn look_at_inbox(
        &mut self,
        connection: &mut Connection,
        outcome: &mut Outcome,
    ) -> Result<(), ImapError> {
        let now = clock::monotonic();
        if now.saturating_duration_since(self.inbox_seen) < INBOX {
            return Ok(());
        }
        self.inbox_seen = now;
        let Some(inbox) = self
            .syncer
            .followed_folders()
            .await?
            .into_iter()
            .find(|folder| folder.role == Some(FolderRole::Inbox))
        else {
            return Ok(());
        };
        let Some(seen) = self.seen.get(&inbox.id).copied().filter(|_| inbox.apart.is_none()) else {
            return Ok(());
        };
        if connection.selected() == Some(&inbox.server_name) {
            if connection.change != Change::default() {
                let visit = self.visit(connection, &inbox, Scope::NewOnly).await?;
                outcome.meets(visit);
            }
            return Ok(());
        }
        if self.syncer.uncounted.contains(&inbox.id) {
            return Ok(());
        }
        self.syncer.openings.now = Some((inbox.id, At::Counts));
        let statuses = connection.statuses(std::slice::from_ref(&inbox.server_name)).await?;
        self.syncer.openings.now = None;
        if let Some(Ok(status)) = statuses.into_iter().next()
            && seen.needs_visit(status, self.link.timing.flag_scan)
        {
            let visit = self.visit(connection, &inbox, Scope::Whole).await?;
            self.conclude(&inbox, visit, Some(status), outcome).await?;
        }
        Ok(())
    }
}

/// A folder that is visited in vain so often in a row is looked at less often.
const PARTIAL: u32 = 3;
/// How often all folders are looked at until nothing moves on.
const PASSES: usize = 5;
/// How often the inbox is looked at while others are.
const INBOX: Duration = Duration::from_millis(300);
