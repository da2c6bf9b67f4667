//! The only writer. Commits of all actors arrive here; those that wait together are checked one by one,
//! merged into one batch and made durable together: packs first, then the journal, then the batch, then the answers.
//!
//! A sync that fails is never repeated (the kernel may have dropped the pages): the waiters get an error
//! and the process ends with 74 (`EX_IOERR`); the restart recovers to the last durable state. A disk that is full when
//! packs are synced is told apart: nothing refers to what was appended, and it is cut off again.

use super::commit::{Body, Commit};
use super::database;
use super::overlay::{Append, Changes, Overlay};
use super::space::Space;
use crate::domain::Incarnation;
use crate::events::Cursor;
use crate::store::error::StoreError;
use crate::store::files::{Journal, Packs, journal};
use crate::store::format::{codec, event_rows};
use std::fs::File;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{mpsc, oneshot, watch};

/// How many commits may wait before a sender waits too.
const QUEUE: usize = 1024;
/// How many commits share one sync at most.
const GROUP: usize = 256;

/// What a committed change was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The position after its last event.
    pub cursor: Cursor,
}

pub(in crate::store) struct Request {
    pub(in crate::store) commit: Commit,
    pub(in crate::store) reply: oneshot::Sender<Result<Committed, StoreError>>,
}

/// What ends the process when the disk cannot be trusted any more. Tests give another.
pub type Fatal = Arc<dyn Fn(&StoreError) + Send + Sync>;

/// The door to the committer, cheap to clone.
#[derive(Clone)]
pub(in crate::store) struct Handle {
    pub(in crate::store) requests: mpsc::Sender<Request>,
    pub(in crate::store) durable: watch::Receiver<Cursor>,
    applied: Arc<AtomicU64>,
    synced: watch::Receiver<u64>,
}

impl Handle {
    /// Waits until every group that can be read now is durable.
    pub(in crate::store) async fn settle(&self) -> Result<(), StoreError> {
        let readable = self.applied.load(Ordering::SeqCst);
        let mut synced = self.synced.clone();
        synced.wait_for(|synced| *synced >= readable).await.map(drop).map_err(|_| StoreError::Closed)
    }
}

pub(in crate::store) struct Committer {
    db: sled::Db,
    /// sled's file on a descriptor of our own: its `flush()` ends in `sync_file_range`, which is not durable.
    db_file: File,
    packs: Arc<Packs>,
    journal: Journal,
    pack_limit: u64,
    space: Space,
    next_sequence: u64,
    durable: watch::Sender<Cursor>,
    /// The number of the group that readers may see already, and of the last one that is durable.
    applied: Arc<AtomicU64>,
    synced: watch::Sender<u64>,
    fatal: Fatal,
}

impl Committer {
    /// Starts the committer's thread.
    pub(in crate::store) fn start(
        db: sled::Db,
        state_dir: &Path,
        (packs, journal): (Arc<Packs>, Journal),
        (pack_limit, space): (u64, Space),
        fatal: Fatal,
    ) -> Result<(Handle, std::thread::JoinHandle<()>), StoreError> {
        let path: PathBuf = state_dir.join("db");
        let db_file =
            File::options().read(true).write(true).open(&path).map_err(StoreError::io("open", &path))?;
        sync_recovered(&db_file, state_dir)?;
        let next_sequence = database::last_sequence(&db)?.saturating_add(1);
        let (durable, durable_cursor) = watch::channel(Cursor(next_sequence.saturating_sub(1)));
        let (requests, incoming) = mpsc::channel(QUEUE);
        let applied = Arc::new(AtomicU64::new(0));
        let (synced, synced_group) = watch::channel(0);
        let handle =
            Handle { requests, durable: durable_cursor, applied: Arc::clone(&applied), synced: synced_group };
        let committer = Self {
            db,
            db_file,
            packs,
            journal,
            pack_limit,
            space,
            next_sequence,
            durable,
            applied,
            synced,
            fatal,
        };
        let thread = std::thread::Builder::new()
            .name(String::from("committer"))
            .spawn(move || committer.run_guarded(incoming))
            .map_err(StoreError::io("start a thread for", &path))?;
        Ok((handle, thread))
    }

    /// Without a committer nothing is stored any more: a panic ends the process like a disk that cannot be trusted.
    fn run_guarded(self, incoming: mpsc::Receiver<Request>) {
        let fatal = Arc::clone(&self.fatal);
        if std::panic::catch_unwind(AssertUnwindSafe(|| self.run(incoming))).is_err() {
            fatal(&StoreError::corrupt("the committer panicked"));
        }
    }

    fn run(mut self, mut incoming: mpsc::Receiver<Request>) {
        let mut group = Vec::with_capacity(GROUP);
        while incoming.blocking_recv_many(&mut group, GROUP) > 0 {
            self.commit_group(std::mem::take(&mut group));
        }
    }

    fn commit_group(&mut self, group: Vec<Request>) {
        let mut merged = Overlay::over(&self.db, self.pack_limit);
        let mut sequence = self.next_sequence;
        let mut waiters = Vec::with_capacity(group.len());
        let mut refused = Vec::new();
        let mut held = Held::new();
        for Request { commit, reply } in group {
            let admitted = self.space.admit(&commit);
            let staged = admitted.and_then(|()| stage_one(&merged, commit, sequence, self.pack_limit));
            match staged.and_then(|staged| self.hold_packs(staged, &mut held)) {
                Ok(mut staged) => {
                    sequence = staged.next_sequence;
                    merged.changes.append(&mut staged.changes);
                    merged.appends.extend(staged.appends);
                    waiters.push((reply, Committed { cursor: Cursor(sequence.saturating_sub(1)) }));
                }
                Err(error) => refused.push((reply, error)),
            }
        }
        let Overlay { changes, appends, .. } = merged;
        if !waiters.is_empty() {
            self.write((changes, appends, held), sequence, waiters);
        }
        // only now: whoever lost to another commit of this group reads again and must find what that one wrote
        refused.into_iter().for_each(|(reply, error)| answer(reply, Err(error)));
    }

    /// Opens the packs that a commit writes to. One that cannot be opened for now refuses who needs it, and nobody else.
    fn hold_packs(&self, staged: Staged, held: &mut Held) -> Result<Staged, StoreError> {
        match self.packs.hold(&staged.appends, held) {
            Ok(()) => Ok(staged),
            Err(error) => {
                if !error.is_passing() {
                    (self.fatal)(&error);
                }
                Err(error)
            }
        }
    }

    /// Makes a group durable and answers it.
    fn write(&mut self, (mut changes, appends, held): Group, sequence: u64, waiters: Vec<Waiter>) {
        let places: Vec<_> =
            appends.iter().map(|append| (append.mailbox, append.pack, append.offset)).collect();
        let aside = self.write_packs(appends, held).and_then(|()| self.write_journal(&mut changes));
        if let Err(error) = aside {
            // nothing of the batch is visible yet; what was written past the packs' ends would keep a full disk full
            places.into_iter().rev().for_each(|place| self.packs.take_back(place));
            let broken = !error.is_passing();
            waiters.into_iter().for_each(|(reply, _)| answer(reply, Err(error.clone_for_waiter())));
            if broken {
                (self.fatal)(&error);
            }
            return;
        }
        let group = self.applied.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        match self.write_batch(changes) {
            Ok(()) => {
                self.next_sequence = sequence;
                self.durable.send_replace(Cursor(sequence.saturating_sub(1)));
                waiters.into_iter().for_each(|(reply, committed)| answer(reply, Ok(committed)));
                self.synced.send_replace(group);
                if let Err(error) = self.journal.tidy(&self.db) {
                    (self.fatal)(&error);
                }
            }
            Err(error) => {
                waiters.into_iter().for_each(|(reply, _)| answer(reply, Err(error.clone_for_waiter())));
                (self.fatal)(&error);
            }
        }
    }

    fn write_packs(&self, appends: Vec<Append>, held: Held) -> Result<(), StoreError> {
        let mut touched = std::collections::BTreeMap::new();
        let mut appends = appends.into_iter().peekable();
        while let Some(Append { mailbox, pack, offset, body }) = appends.next() {
            let file = match body {
                Body::Record(first) => {
                    let mut end = offset.saturating_add(first.len() as u64);
                    let mut records = vec![first];
                    while let Some(next) = appends.next_if(|next| next.follows(mailbox, pack, end)) {
                        if let Body::Record(record) = next.body {
                            end = end.saturating_add(record.len() as u64);
                            records.push(record);
                        }
                    }
                    let file = held.get(&(mailbox, pack)).cloned();
                    let file = file.ok_or_else(|| StoreError::corrupt("a pack that was not opened"))?;
                    self.packs.append(file, (mailbox, pack, offset), &records)?
                }
                Body::Large(record) => self.packs.adopt(mailbox, pack, record.path())?,
            };
            touched.insert((mailbox, pack), file);
        }
        StoreError::fault_point("commit.packs_written")?;
        self.packs.sync(touched)
    }

    fn write_journal(&mut self, changes: &mut Changes) -> Result<(), StoreError> {
        if let Some(group) = self.journal.append(changes)? {
            changes.insert(journal::applied(), Some(codec::pack(&group)?));
        }
        Ok(())
    }

    fn write_batch(&self, changes: Changes) -> Result<(), StoreError> {
        StoreError::fault_point("commit.before_batch")?;
        let mut batch = sled::Batch::default();
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(key, value),
                // sled logs the removal of what is not there, too
                None if self.db.contains_key(&key).map_err(StoreError::sled)? => batch.remove(key),
                None => {}
            }
        }
        self.db.apply_batch(batch).map_err(StoreError::sled)?;
        self.db.flush().map_err(StoreError::sled)?;
        StoreError::fault_point("commit.before_sync")?;
        if crate::faults::skips_syncs() {
            return Ok(());
        }
        self.db_file.sync_data().map_err(StoreError::io("sync", Path::new("state/db")))
    }
}

/// Makes durable what was read at the start: after a kill some of it may be in the page cache alone, and from here on
/// it is told.
fn sync_recovered(db_file: &File, state_dir: &Path) -> Result<(), StoreError> {
    if crate::faults::skips_syncs() {
        return Ok(());
    }
    db_file.sync_data().map_err(StoreError::io("sync", &state_dir.join("db")))?;
    // the names of packs' folders and of the vault's files
    let data_dir = state_dir.parent().unwrap_or(state_dir);
    for folder in [data_dir.join("packs"), data_dir.to_path_buf()] {
        let opened = File::open(&folder).map_err(StoreError::opening(&folder))?;
        opened.sync_all().map_err(StoreError::io("sync", &folder))?;
    }
    // the data directory's own name; the folder that it is in may not be ours to open
    if let Err(error) = crate::store::files::sync_parent(data_dir) {
        tracing::debug!(%error, "the data directory's name was made durable by whoever made it");
    }
    Ok(())
}

/// Packs that are open for a group.
type Held = std::collections::BTreeMap<(Incarnation, u32), Arc<File>>;
/// What a group writes.
type Group = (Changes, Vec<Append>, Held);
type Waiter = (oneshot::Sender<Result<Committed, StoreError>>, Committed);

struct Staged {
    changes: Changes,
    appends: Vec<Append>,
    next_sequence: u64,
}

/// Stages one commit over the group so far; a refused one leaves no trace.
fn stage_one(
    group: &Overlay<'_>,
    commit: Commit,
    sequence: u64,
    pack_limit: u64,
) -> Result<Staged, StoreError> {
    let mut own = Overlay::over(group, pack_limit);
    let events = own.stage(commit)?;
    let next_sequence = event_rows::stage(&mut own.changes, events, sequence)?;
    Ok(Staged { changes: own.changes, appends: own.appends, next_sequence })
}

fn answer(reply: oneshot::Sender<Result<Committed, StoreError>>, result: Result<Committed, StoreError>) {
    // a waiter that is gone re-reads the store when it is back: the answer is a wake-up
    drop(reply.send(result));
}
