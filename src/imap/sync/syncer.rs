//! What bringing a mailbox's folders in step needs and remembers. The steps are in the other files of this folder.

use super::announce::Announcer;
use super::gathered::Gathered;
use super::mass_deletion::DeletionGuard;
use super::move_detection::MoveDetection;
use super::openings::Openings;
use crate::clock;
use crate::config::Timing;
use crate::domain::FolderId;
use crate::imap::connection::FolderStatus;
use crate::imap::fetch::{Bisection, Workers};
use crate::net::ByteBudget;
use crate::store::{Key, Owner, Store, StoreError, StoredMailbox};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What syncing needs; lives as long as the actor.
pub(in crate::imap) struct Syncer {
    pub(super) store: Store,
    pub(super) owner: Owner,
    pub(super) stored: StoredMailbox,
    pub(super) announcer: Announcer,
    pub(super) key: Arc<Key>,
    pub(super) budget: ByteBudget,
    pub(super) workers: Workers,
    /// Deletions that were seen and not believed at once.
    pub(super) deletions: DeletionGuard,
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
    pub(super) bisection: Bisection,
    /// What is known about messages that look like one stored in another folder.
    pub(super) moves: MoveDetection,
    /// Folders that are missing from a listing.
    pub(super) missing: DeletionGuard,
    /// What is missing holds little mail: another connection may show it at once.
    pub(super) misses_little: bool,
    /// Folders that are never listed and can be selected all the same.
    pub(super) unlisted: BTreeSet<FolderId>,
    /// The mailbox has more folders than are taken: the others are left out.
    pub(super) too_many_folders: bool,
    /// How many folders were stored and listed at the last LIST: more are not stored now.
    pub(super) folder_count: usize,
    /// Folders whose counts end the connection: they are selected instead.
    pub(super) uncounted: BTreeSet<FolderId>,
    /// What is known about folders at which connections end.
    pub(super) openings: Openings,
    /// First wait before a folder that is set apart is tried again; doubles.
    pub(super) pace: Duration,
    /// After which a suspiciously large deletion is believed, and nothing is concluded before.
    pub(super) confirm: Duration,
    /// Folders whose UIDs were compared with what is stored, on the connection of this number.
    pub(super) compared: (u64, BTreeSet<FolderId>),
    /// What is read of small folders and not yet committed.
    pub(super) gathered: Gathered,
    /// What SELECT reported of the folder that was visited last.
    pub(super) selected: Option<FolderStatus>,
    /// The last listing of a whole folder named as many messages as the server says there are.
    pub(super) listed_all: bool,
    /// A message of the present fetch has to be looked for elsewhere first.
    pub(super) put_off: bool,
    /// A folder of this incarnation was selected for the first time, and had so many messages.
    pub(super) first_sight: Option<(FolderId, u32)>,
}

impl Syncer {
    /// For one mailbox, of which nothing is known yet beside what is stored.
    ///
    /// # Errors
    /// [`StoreError`] if the mailbox's key cannot be read.
    pub(in crate::imap) fn new(
        store: Store,
        stored: StoredMailbox,
        owner: Owner,
        (budget, workers): (ByteBudget, Workers),
        timing: &Timing,
    ) -> Result<Self, StoreError> {
        let announcer =
            Announcer { mailbox: stored.mailbox.id.clone(), address: stored.mailbox.address.clone() };
        Ok(Self {
            key: Arc::new(store.mailbox_key(stored.incarnation)?),
            store,
            owner,
            stored,
            announcer,
            budget,
            workers,
            deletions: DeletionGuard::default(),
            incomplete: BTreeSet::new(),
            backlog: BTreeMap::new(),
            reported: clock::monotonic(),
            fetched: 0,
            quarantine_retry: timing.quarantine_retry,
            bisection: Bisection::default(),
            moves: MoveDetection::default(),
            too_many_folders: false,
            folder_count: usize::MAX,
            missing: DeletionGuard::default(),
            misses_little: false,
            unlisted: BTreeSet::new(),
            uncounted: BTreeSet::new(),
            openings: Openings::default(),
            pace: timing.status_interval,
            confirm: timing.mass_delete_confirm,
            compared: (0, BTreeSet::new()),
            selected: None,
            listed_all: false,
            put_off: false,
            gathered: Gathered::default(),
            first_sight: None,
        })
    }
}
