//! The store: everything that must survive. Small rows live in sled, raw messages in pack files beside it;
//! one committer writes both (see `committer`). Outside this folder nobody sees a key or a byte layout:
//! the store is spoken to in verbs of the domain.
//!
//! Readers see a commit as soon as it is applied, a few milliseconds before it is durable, and wait for that
//! ([`Store::settle`]) before they tell others; events are readable only up to the durable cursor.

mod app_facts;
mod app_states;
mod apps;
mod codec;
mod commit;
mod committer;
mod compact;
#[cfg(test)]
mod compact_tests;
mod create_many;
mod derived;
mod events_log;
#[cfg(test)]
mod events_tests;
#[cfg(test)]
mod exhausted_tests;
mod files;
mod folders;
pub mod fsck;
mod grants;
mod journal;
mod journal_copy;
#[cfg(test)]
mod journal_ends_tests;
mod journal_rows;
#[cfg(test)]
mod journal_tests;
mod keys;
mod large;
#[cfg(test)]
mod lists_tests;
mod long;
mod mailboxes;
mod master_key;
mod messages;
mod moves;
mod notices;
mod open;
mod outbox;
mod pack;
#[cfg(test)]
mod pack_tests;
mod packs;
mod rotation;
mod sign_ins;
mod space;
mod stage;
mod state_files;
mod take_over;
#[cfg(test)]
mod tests;
mod uid_index;
mod vault;

pub use app_facts::{AppFacts, FoundTenant, Proof, ProvedBy, ToldExpiry};
pub use codec::Row;
pub use commit::{Body, Commit, Owner, Quarantined, Role};
pub use committer::{Committed, Fatal};
pub use compact::Compacted;
pub use create_many::NewMailbox;
pub(crate) use files::{warn_if_readable, write_durably};
pub use large::{LargeRecord, LargeWriter};
pub use mailboxes::{MailboxStatus, StoredMailbox};
pub use master_key::{MasterKeySource, RotatedKey};
pub use messages::{FolderPage, MessageFilter, Vanished};
pub use moves::Move;
pub use notices::{Cause, Notice};
pub use open::StoreConfig;
pub use outbox::Keyed;
pub use pack::{FRAME, RecordHeader, RecordKind, RecordReader, encode as encode_record};
pub use rotation::Replaced;
pub(crate) use sign_ins::with_id;
pub use sign_ins::{Attempt, DeviceAttempt, SignIn, SignInState};
pub use space::{FULL_PAUSE, Measure, keep_token, wait_for_room};
pub use take_over::{Imported, TakeOver};
pub use uid_index::UidEntry;
pub use vault::Key;
pub(crate) use vault::random_text;

use crate::domain::{Disposition, Incarnation, Secret, Uid};
use packs::Packs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::sync::oneshot;
use vault::Vault;
use zeroize::Zeroizing;

/// A long value whose pieces are not there was replaced meanwhile; so often in a row it is damaged.
const REREAD: usize = 100;

/// Why the store did not do something.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The commit comes from an actor that was replaced, or its mailbox is gone.
    #[error("the committing actor was replaced, or its mailbox is gone")]
    Stale,
    /// A row is not what the commit was computed from.
    #[error("the row was changed by somebody else meanwhile")]
    Conflict,
    /// The folder has a message with this UID already.
    #[error("UID {uid} is stored already")]
    DuplicateUid {
        /// The UID.
        uid: Uid,
    },
    /// A value exceeds what the store takes.
    #[error("a value of {bytes} bytes is too large to store: shorten it")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// No space left.
    #[error("no space left for {}: free some, the daemon goes on by itself", path.display())]
    Full {
        /// Where.
        path: PathBuf,
    },
    /// No descriptor, memory or thread was to be had for a moment; nothing was changed.
    #[error("cannot open {} for now ({source}): raise the limit of open files (LimitNOFILE)", path.display())]
    Exhausted {
        /// What was to be opened.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Another process has the data directory.
    #[error("{} is in use by another process: stop it, or choose another data_dir", path.display())]
    Locked {
        /// The data directory.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Something stored is not readable.
    #[error("the store is damaged ({what}): stop the daemon and run `stafette fsck`, then `fsck --rebuild`")]
    Corrupt {
        /// What is wrong.
        what: String,
    },
    /// Keys do not fit.
    #[error("{what}")]
    Vault {
        /// What is wrong.
        what: String,
    },
    /// The committer has ended: the process is going down.
    #[error("the store is closing")]
    Closed,
}

impl StoreError {
    /// What a caller does about it.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Conflict | Self::Full { .. } | Self::Exhausted { .. } => Disposition::Retry,
            Self::DuplicateUid { .. } | Self::TooLarge { .. } => Disposition::GiveUp,
            Self::Stale
            | Self::Locked { .. }
            | Self::Io { .. }
            | Self::Corrupt { .. }
            | Self::Vault { .. }
            | Self::Closed => Disposition::Fatal,
        }
    }

    /// Whether the same commit may succeed later: the machine has no room for it now.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Exhausted { .. })
    }

    /// The same error for another waiter of the same group.
    fn clone_for_waiter(&self) -> Self {
        match self {
            Self::Full { path } => Self::Full { path: path.clone() },
            Self::Exhausted { path, source } => Self::Exhausted { path: path.clone(), source: again(source) },
            Self::Io { what, path, source } => Self::Io { what, path: path.clone(), source: again(source) },
            Self::Stale
            | Self::Conflict
            | Self::DuplicateUid { .. }
            | Self::TooLarge { .. }
            | Self::Locked { .. }
            | Self::Corrupt { .. }
            | Self::Vault { .. }
            | Self::Closed => Self::Corrupt { what: self.to_string() },
        }
    }
}

/// Errors of the system cannot be cloned.
fn again(error: &std::io::Error) -> std::io::Error {
    error.raw_os_error().map_or_else(
        || std::io::Error::new(error.kind(), error.to_string()),
        std::io::Error::from_raw_os_error,
    )
}

/// The store, cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    handle: Option<committer::Handle>,
    committer: Option<std::thread::JoinHandle<()>>,
    db: sled::Db,
    vault: Vault,
    packs: Arc<Packs>,
    room: space::Room,
    next_incarnation: AtomicU64,
    // held for its flock
    _lock: std::fs::File,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // the committer ends when the last handle is gone; sled is closed after its last write
        drop(self.handle.take());
        if let Some(thread) = self.committer.take() {
            drop(thread.join());
        }
    }
}

impl Store {
    /// Commits: checked, durable, then answered.
    ///
    /// # Errors
    /// [`StoreError::Stale`], [`StoreError::Conflict`] or [`StoreError::DuplicateUid`] if a check fails,
    /// [`StoreError::Full`] if there is no space; nothing of the commit is stored then.
    pub async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        let (reply, answer) = oneshot::channel();
        let request = committer::Request { commit, reply };
        self.handle().requests.send(request).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Waits until everything that can be read now is durable: readers see a commit a little before that. Whoever
    /// tells others what he read waits here first.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    pub async fn settle(&self) -> Result<(), StoreError> {
        self.handle().settle().await
    }

    /// [`Store::commit`] for threads outside a runtime.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn commit_blocking(&self, commit: Commit) -> Result<Committed, StoreError> {
        let (reply, answer) = oneshot::channel();
        let request = committer::Request { commit, reply };
        self.handle().requests.blocking_send(request).map_err(|_| StoreError::Closed)?;
        answer.blocking_recv().map_err(|_| StoreError::Closed)?
    }

    /// Puts another master key in place of the present one: the one given, else a fresh one. Blocks for some syncs.
    ///
    /// # Errors
    /// [`StoreError::Vault`] if the key is none, [`StoreError::Io`].
    pub fn rotate_master_key(&self, given: Option<&Secret>) -> Result<RotatedKey, StoreError> {
        self.inner.vault.rotate_master_key(given)
    }

    /// The key that seals a mailbox's mail; for [`encode_record`].
    ///
    /// # Errors
    /// [`StoreError::Vault`] if it is gone or does not open.
    pub fn mailbox_key(&self, mailbox: Incarnation) -> Result<Key, StoreError> {
        self.inner.vault.mailbox_key(mailbox)
    }

    /// Begins a large record in a file of its own, which is removed again if it is not committed.
    ///
    /// # Errors
    /// [`StoreError::Io`] or [`StoreError::Full`].
    pub fn large_writer(
        &self,
        mailbox: Incarnation,
        header: RecordHeader,
    ) -> Result<LargeWriter, StoreError> {
        let path = self.inner.packs.folder(mailbox).join(format!("{}.large", header.id));
        LargeWriter::create(path, header, self.inner.room.clone())
    }

    fn handle(&self) -> &committer::Handle {
        // taken only by Drop, when no `Store` is left
        #[allow(clippy::expect_used)]
        self.inner.handle.as_ref().expect("the store is open while it can be called")
    }

    fn db(&self) -> &sled::Db {
        &self.inner.db
    }

    fn get(&self, key: &[u8]) -> Result<Option<sled::IVec>, StoreError> {
        self.db().get(key).map_err(committer::sled_error)
    }

    /// Reads a replaceable row; `decode` makes the value of its payload.
    fn decoded_row<T>(
        &self,
        key: &[u8],
        decode: impl FnOnce(&[u8]) -> Result<T, StoreError>,
    ) -> Result<Option<Row<T>>, StoreError> {
        let Some(bytes) = self.get(key)? else { return Ok(None) };
        let (generation, payload) = codec::split_row(&bytes)?;
        Ok(Some(Row { generation, value: decode(payload)? }))
    }

    /// Reads a replaceable JSON row.
    fn row<T: serde::de::DeserializeOwned>(
        &self,
        what: &str,
        key: &[u8],
    ) -> Result<Option<Row<T>>, StoreError> {
        self.decoded_row(key, |payload| codec::from_json(what, payload))
    }

    /// Reads a replaceable sealed JSON row.
    fn sealed_row<T: serde::de::DeserializeOwned>(
        &self,
        what: &str,
        key: &[u8],
    ) -> Result<Option<Row<T>>, StoreError> {
        // replaced while it is read: it is read again
        for _ in 0..REREAD {
            let Some(bytes) = self.get(key)? else { return Ok(None) };
            let piece = |key: &[u8]| stage::View::get(self.db(), key);
            if let Some(row) = long::unseal(what, (&self.inner.vault, key), &bytes, piece)? {
                return Ok(Some(row));
            }
        }
        Err(codec::corrupt(format!("{what}: its pieces are not there")))
    }

    fn seal_json<T: serde::Serialize>(&self, key: &[u8], value: &T) -> Result<Vec<u8>, StoreError> {
        let json = Zeroizing::new(codec::to_json(value)?);
        let squeezed = codec::squeeze(&json)?.map(Zeroizing::new);
        self.inner.vault.data_key().seal(key, squeezed.as_ref().unwrap_or(&json))
    }
}
