//! Small folders seen for the first time are opened many at once, and what is in them shares commits: a mailbox of a thousand
//! folders with a message each would else wait three times a thousand for the server, and a thousand times for the disk.

use super::announce::Origin;
use super::gathered::Gathered;
use super::syncer::Syncer;
use crate::clock;
use crate::domain::{Folder, FolderId, WireName};
use crate::imap::connection::{Connection, FetchedMessage, FolderStatus, Opened, Small};
use crate::imap::fetch::{Fetched, Prepared, Target, prepare};
use crate::imap::protocol::ImapError;
use crate::net::{ByteBudget, Share};
use crate::store::{Commit, Row};
use std::collections::{BTreeMap, BTreeSet};

/// A folder with more messages is visited by itself.
const SMALL: u32 = 50;
/// Folders whose counts are requested together.
pub(super) const GROUP: usize = 64;
/// Bytes of their names: all is written before anything is read, and has to fit into what a server takes unread.
const NAMES: usize = 8 << 10;
/// Messages that are read together: at first, while nobody knows how long they are, and at most.
const FIRST: u32 = 16;
const READ_MESSAGES: u32 = 128;
/// Bytes that are read together; what is beyond is visited by itself.
const READ: usize = 2 << 20;

impl Syncer {
    /// Whether nothing of a folder is known, and everything in it is wanted: it may be read together with others.
    pub(in crate::imap) fn is_new(&self, folder: &Folder) -> bool {
        let is_plain =
            folder.uid_validity.is_none() && folder.rematch_from.is_none() && folder.apart.is_none();
        let is_trusted = !self.bisection.suspects(folder.id) && !self.openings.is_suspect(folder.id);
        is_plain
            && is_trusted
            && self.stored.mailbox.policy.since.is_none()
            && !self.gathered.holds(folder.id)
    }

    /// Reads those of these folders that are small; they are committed with others. How each of them is counted that need
    /// not be visited now.
    pub(in crate::imap) async fn gather(
        &mut self,
        connection: &mut Connection,
        folders: &[&Folder],
    ) -> Result<BTreeMap<FolderId, FolderStatus>, ImapError> {
        let mut done = BTreeMap::new();
        self.openings.now = None;
        // what vanished elsewhere may have moved here: the visit finds out
        let may_be_moved = !self.store.set_aside(self.owner.mailbox)?.is_empty();
        if may_be_moved || self.store.status(self.owner.mailbox)?.value.synced {
            return Ok(done);
        }
        let mut room = NAMES;
        let fits = |folder: &&&Folder| {
            let length = folder.server_name.as_bytes().len();
            let is_taken = connection.can_pipeline(&folder.server_name) && length <= room;
            room = room.saturating_sub(if is_taken { length } else { 0 });
            is_taken
        };
        let folders: Vec<&&Folder> = folders.iter().filter(fits).collect();
        let names: Vec<WireName> = folders.iter().map(|folder| folder.server_name.clone()).collect();
        let statuses = connection.statuses(&names).await?;
        // what is refused is visited, and what was said is heard there
        let counted =
            folders.into_iter().zip(statuses).filter_map(|(folder, status)| Some((*folder, status.ok()?)));
        let is_small = |status: &FolderStatus| status.messages.is_some_and(|count| count <= SMALL);
        let mut small: Vec<(&Folder, FolderStatus)> =
            counted.filter(|(_, status)| is_small(status)).collect();
        let mut fit = FIRST;
        while !small.is_empty() {
            let mut messages = 0;
            // one at least, whatever it holds
            let fits = |(_, status): &(&Folder, FolderStatus)| {
                let is_first = messages == 0;
                messages += status.messages.unwrap_or_default();
                is_first || messages <= fit
            };
            let group: Vec<_> = small.iter().copied().take_while(fits).collect();
            let rest = small.split_off(group.len());
            // who holds memory must not wait for more of it
            let Some(share) = self.budget.try_take(READ) else { break };
            let (read, bytes) = self.read_group(connection, &group, share).await?;
            // as many more as half of what may be read has room for
            let read_messages = group.iter().filter_map(|(_, status)| status.messages).sum::<u32>();
            let mean = bytes / (read_messages.max(1) as usize);
            fit = u32::try_from(READ / 2 / mean.max(1)).unwrap_or(u32::MAX).clamp(1, READ_MESSAGES);
            let is_read = |(folder, _): &(&Folder, FolderStatus)| read.contains(&folder.id);
            done.extend(group.into_iter().filter(is_read).map(|(folder, status)| (folder.id, status)));
            small = rest;
        }
        Ok(done)
    }

    /// Opens and reads a group of folders; which of them are gathered now, and how many bytes came.
    async fn read_group(
        &mut self,
        connection: &mut Connection,
        group: &[(&Folder, FolderStatus)],
        mut share: Share,
    ) -> Result<(BTreeSet<FolderId>, usize), ImapError> {
        let small: Vec<Small> = group
            .iter()
            .map(|(folder, status)| Small {
                name: &folder.server_name,
                messages: status.messages.unwrap_or_default(),
            })
            .collect();
        crate::faults::point("imap.select", &self.stored.mailbox.id);
        crate::faults::point("imap.fetch", &self.stored.mailbox.id);
        let (opened, read) = connection.open_small(&small, READ).await?;
        // the share of all of them is held here
        let (budget, mut work) = (ByteBudget::new(READ), Vec::new());
        for ((folder, _), opened) in group.iter().zip(opened) {
            let Some(Opened { selected, messages }) = opened else { continue };
            // it may have been changed meanwhile
            let row = self.store.folder(self.owner.mailbox, folder.id)?;
            let Some(row) = row.filter(|row| row.value.included && self.is_new(&row.value)) else { continue };
            let (Some(validity), Some(next)) = (selected.uid_validity, selected.uid_next) else { continue };
            let mut uids: BTreeSet<_> = messages.iter().filter_map(|message| message.uid).collect();
            if uids.len() != messages.len() || uids.pop_last().is_some_and(|newest| newest >= next) {
                continue;
            }
            let Row { generation, value } = row;
            let folder = Folder {
                uid_validity: Some(validity),
                first_uid_next: Some(next),
                incarnation: value.incarnation.max(1),
                history_complete: true,
                ..value
            };
            work.push((generation, Target { budget: budget.clone(), ..self.target(&folder) }, messages));
        }
        let prepared = self
            .workers
            .run(self.owner.mailbox, move || work.into_iter().map(prepare_folder).collect::<Vec<_>>());
        let mut gathered = BTreeSet::new();
        let mut bytes = 0;
        for (generation, folder, came) in prepared.result().await? {
            // the visit finds out which message it is
            let Ok(came) = came else { continue };
            bytes += came.iter().map(|prepared| prepared.bytes).sum::<u64>();
            self.add(generation, &folder, came)?;
            gathered.insert(folder.id);
        }
        self.budget.shrink(&mut share, usize::try_from(bytes).unwrap_or(usize::MAX));
        self.gathered.shares.push(share);
        self.gathered.bytes += bytes;
        if self.gathered.is_full() {
            self.commit_gathered().await?;
        }
        Ok((gathered, read))
    }

    fn add(&mut self, generation: u64, folder: &Folder, came: Vec<Prepared>) -> Result<(), ImapError> {
        let (now, owner) = (clock::now(), self.owner);
        let gathered = &mut self.gathered;
        let commit = gathered.commit.get_or_insert_with(|| Commit::by(owner));
        self.store.put_folder(commit, owner.mailbox, generation, folder)?;
        gathered.folders.insert(folder.id);
        for Prepared { message, body, .. } in came {
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

/// A folder's messages as they are stored, or why one of them cannot be. On the workers.
fn prepare_folder(
    (generation, target, messages): (u64, Target, Vec<FetchedMessage>),
) -> (u64, Folder, Result<Vec<Prepared>, ImapError>) {
    let length = |message: &FetchedMessage| message.body.as_ref().map_or(0, |body| body.bytes.len());
    let came = messages
        .into_iter()
        .filter_map(|message| {
            let share = target.budget.try_take(length(&message))?;
            prepare(&target, Fetched { message, header_of: None, share }).transpose()
        })
        .collect();
    (generation, target.folder, came)
}
