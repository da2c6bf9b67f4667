//! Fetching what a plan names, and storing it batch by batch: each is one commit of messages, UIDs and events.

use super::announce::Origin;
use super::move_detection::{Verdict, take_counterpart};
use super::syncer::Syncer;
use crate::clock;
use crate::domain::{Folder, Message, Uid};
use crate::imap::connection::{Connection, ListedMessage};
use crate::imap::fetch::{Prepared, Progress, Target, fetch_windows};
use crate::imap::protocol::ImapError;
use crate::store::Commit;
use std::sync::Arc;
use std::time::Duration;

/// How often a sync under way shows how far it is.
const REPORT: Duration = Duration::from_millis(500);

/// How much earlier than our clock a server's may be, in milliseconds: an hour.
const BEHIND: i64 = 3600 * 1000;

/// Where a message comes from that is new to us. What is older than our first sight of its folder did not arrive: another
/// client put it there.
fn origin(folder: &Folder, message: &Message) -> Origin {
    let is_history = folder.first_uid_next.is_none_or(|first| message.uid < first);
    let is_old = message.internal_date.0 < folder.id.made_at().0.saturating_sub(BEHIND);
    if is_history || is_old { Origin::History } else { Origin::Arrived }
}

impl Syncer {
    /// Fetches windows of UIDs; `false`: something is to be looked at again.
    pub(in crate::imap) async fn fetch(
        &mut self,
        connection: &mut Connection,
        folder: &Folder,
        windows: Vec<Vec<Uid>>,
        listed: &[ListedMessage],
    ) -> Result<bool, ImapError> {
        let missing: usize = windows.iter().map(Vec::len).sum();
        self.backlog.insert(folder.id, missing as u64);
        if missing == 0 {
            self.bisection.clear(folder.id);
            return Ok(true);
        }
        let limit = self.bisection.window(folder.id);
        let windows: Vec<&[Uid]> =
            windows.iter().flat_map(|window| window.rchunks(limit.min(window.len().max(1)))).collect();
        let target = self.target(folder);
        crate::faults::point("imap.fetch", &self.stored.mailbox.id);
        let progress = Progress::default();
        self.put_off = false;
        let fetched = fetch_windows(connection, &target, &windows, listed, &progress, async |batch| {
            self.store_batch(folder, batch).await
        })
        .await;
        let at_fault = progress.reading.get().and_then(|number| windows.get(number));
        self.bisection.attempt = at_fault.map(|window| (folder.id, window.to_vec()));
        fetched?;
        self.bisection.clear(folder.id);
        let all_came = self.note_undelivered(folder.id, &windows, &progress.delivered.take()).await?;
        self.backlog.insert(folder.id, 0);
        self.report_backlog().await?;
        Ok(all_came && !self.put_off)
    }

    /// Where messages of this folder belong.
    pub(in crate::imap) fn target(&self, folder: &Folder) -> Target {
        Target {
            store: self.store.clone(),
            mailbox: self.owner.mailbox,
            key: Arc::clone(&self.key),
            folder: folder.clone(),
            budget: self.budget.clone(),
            workers: self.workers.clone(),
            policy: self.stored.mailbox.policy.clone(),
            other_way: Arc::new(self.bisection.other_way(folder.id)),
        }
    }

    async fn store_batch(&mut self, folder: &Folder, batch: Vec<Prepared>) -> Result<(), ImapError> {
        let now = clock::now();
        let mut aside = self.store.set_aside(self.owner.mailbox)?;
        let detects_moves = self.store.status(self.owner.mailbox)?.value.synced;
        let mut commit = Commit::by(self.owner);
        let count = batch.len() as u64;
        let mut shares = Vec::with_capacity(batch.len());
        for Prepared { mut message, body, share, .. } in batch {
            shares.push(share);
            if let Some(vanished) = take_counterpart(&mut aside, &message) {
                message.id = vanished.message.id;
                message.body = vanished.message.body;
                let from = self.store.folder(self.owner.mailbox, vanished.message.folder)?;
                let from = from.map(|row| row.value);
                commit.event(self.announcer.moved(now, &message, folder, from.as_ref()));
                commit.add_message(message, None);
                continue;
            }
            if detects_moves {
                let stored = self.store.messages_at(self.owner.mailbox, message.internal_date)?;
                match self.moves.judge(&message, &stored) {
                    Verdict::New => {}
                    Verdict::CopyOf(original) => message.copy_of = Some(original),
                    // fetched again after its folder was looked at
                    Verdict::LookFirst => {
                        self.put_off = true;
                        continue;
                    }
                }
            }
            let origin = origin(folder, &message);
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

    /// Shows how much is missing.
    async fn report_backlog(&mut self) -> Result<(), ImapError> {
        self.reported = clock::monotonic();
        let backlog = self.backlog.values().sum();
        let id = &self.stored.mailbox.id;
        self.store.change_status(self.owner, id, clock::now(), |status| status.backlog = backlog).await?;
        Ok(())
    }
}
