//! The first windows of small folders share commits: a mailbox of a thousand folders with a message each would else wait for
//! the disk a thousand times.

use super::announce::Origin;
use super::fetch::{Prepared, Progress, Target, fetch_windows};
use super::folder_commands::Selected;
use super::listings::ListedMessage;
use super::plan::{Known, Listing, Plan, plan};
use super::protocol::ImapError;
use super::sync::Syncer;
use super::wire::Connection;
use crate::clock;
use crate::domain::{Folder, FolderId, Message, Uid};
use crate::net::{ByteBudget, LimitExceeded, Share};
use crate::store::{Body, Commit, Row};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// A folder with more messages is visited by itself.
const SMALL: u32 = 50;
/// Bytes that may come of one folder, if the server told less.
const READ: usize = 4 << 20;
/// Bytes, messages and folders of one commit. What is gathered holds its share of the memory for bodies.
const BYTES: u64 = 1 << 20;
const MESSAGES: usize = 256;
const FOLDERS: usize = 128;

/// What is read of folders and not yet committed.
#[derive(Default)]
pub(super) struct Gathered {
    commit: Option<Commit>,
    shares: Vec<Share>,
    bytes: u64,
    messages: usize,
    folders: BTreeSet<FolderId>,
}

impl Gathered {
    /// Whether this folder is among what was read.
    pub(super) fn holds(&self, folder: FolderId) -> bool {
        self.folders.contains(&folder)
    }

    fn is_full(&self) -> bool {
        self.bytes >= BYTES || self.messages >= MESSAGES || self.folders.len() >= FOLDERS
    }
}

impl Syncer {
    /// The first visit of a folder that was selected just now, if it is small and all of it comes at once: it is committed
    /// with others. `false`: it is to be visited like any.
    pub(super) async fn gather(
        &mut self,
        connection: &mut Connection,
        row: &Row<Folder>,
        selected: Selected,
    ) -> Result<bool, ImapError> {
        let Row { generation, value: folder } = row;
        let is_first =
            folder.uid_validity.is_none() && folder.rematch_from.is_none() && folder.apart.is_none();
        let is_simple = is_first && selected.exists <= SMALL && self.stored.mailbox.policy.since.is_none();
        let is_simple = is_simple && !self.isolation.suspects(folder.id);
        let (Some(validity), Some(next)) = (selected.uid_validity, selected.uid_next) else {
            return Ok(false);
        };
        if !is_simple || self.store.status(self.owner.mailbox)?.value.synced {
            return Ok(false);
        }
        let mut folder =
            Folder { uid_validity: Some(validity), first_uid_next: Some(next), ..folder.clone() };
        folder.incarnation = folder.incarnation.max(1);
        let listed = connection.list_messages("1:*", self.ask()).await;
        let (listed, _) = connection.or_empty(listed)?;
        let is_whole = listed.len() == connection.exists() as usize && connection.exists() == selected.exists;
        let told: u64 = listed
            .iter()
            .map(|message| message.size.map_or(u64::MAX, |told| told.size))
            .fold(0, u64::saturating_add);
        if !is_whole || told > BYTES || !listed.iter().all(|message| message.uid < next) {
            return Ok(false);
        }
        // who holds memory must not wait for more of it
        let Some(share) = usize::try_from(told).ok().and_then(|told| self.budget.try_take(told)) else {
            return Ok(false);
        };
        let (came, bytes) = self.read_all(connection, &folder, &listed).await?;
        if came.len() != listed.len() {
            return Ok(false);
        }
        folder.history_complete = true;
        self.gathered.shares.push(share);
        self.gathered.bytes += bytes;
        self.add(*generation, &folder, came)?;
        self.openings.went_well(folder.id);
        if self.gathered.is_full() { self.commit_gathered().await.map(|()| true) } else { Ok(true) }
    }

    /// Reads every message of a small folder, and how many bytes they take.
    async fn read_all(
        &mut self,
        connection: &mut Connection,
        folder: &Folder,
        listed: &[ListedMessage],
    ) -> Result<(Vec<(Message, Option<Body>)>, u64), ImapError> {
        let none = BTreeSet::new();
        let known = Known { entries: &[], quarantined: &none, wanted: None, deletion_confirmed: false };
        let Plan { fetch: windows, .. } = plan(known, Listing::of(listed, Some(1)));
        let windows: Vec<&[Uid]> = windows.iter().map(Vec::as_slice).collect();
        // what is read is counted against the share that is held, and a server that told too little is found out
        let target = Target { budget: ByteBudget::new(READ), ..self.target(folder) };
        if !windows.is_empty() {
            crate::faults::point("imap.fetch", &self.stored.mailbox.id);
        }
        let (progress, came) = (Progress::default(), RefCell::new((Vec::new(), 0)));
        let fetched = fetch_windows(connection, &target, &windows, listed, &progress, async |batch| {
            let (messages, bytes) = &mut *came.borrow_mut();
            for Prepared { message, body, bytes: length, .. } in batch {
                *bytes += length;
                messages.push((message, body));
            }
            let limit = LimitExceeded::Answer(READ as u64);
            if *bytes > READ as u64 { Err(ImapError::Exceeded { what: "FETCH", limit }) } else { Ok(()) }
        });
        let fetched = fetched.await;
        let at_fault =
            progress.reading.get().filter(|_| fetched.is_err()).and_then(|number| windows.get(number));
        self.isolation.attempt = at_fault.map(|window| (folder.id, window.to_vec()));
        fetched?;
        Ok(came.into_inner())
    }

    fn add(
        &mut self,
        generation: u64,
        folder: &Folder,
        came: Vec<(Message, Option<Body>)>,
    ) -> Result<(), ImapError> {
        let (now, owner) = (clock::now(), self.owner);
        let gathered = &mut self.gathered;
        let commit = gathered.commit.get_or_insert_with(|| Commit::by(owner));
        self.store.put_folder(commit, owner.mailbox, generation, folder)?;
        gathered.folders.insert(folder.id);
        for (message, body) in came {
            commit.event(self.announcer.new_message(now, &message, folder, Origin::History));
            commit.add_message(message, body);
            gathered.messages += 1;
        }
        Ok(())
    }

    /// Makes durable what was gathered.
    pub(super) async fn commit_gathered(&mut self) -> Result<(), ImapError> {
        let Gathered { commit, shares, messages, .. } = std::mem::take(&mut self.gathered);
        let Some(commit) = commit else { return Ok(()) };
        self.store.commit(commit).await?;
        drop(shares);
        self.fetched = self.fetched.saturating_add(messages as u64);
        crate::faults::point("imap.stored", &self.stored.mailbox.id);
        Ok(())
    }
}
