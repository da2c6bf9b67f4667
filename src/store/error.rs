//! Why the store did not do something, and what a caller does about it.
// the kinds of I/O errors and the library's errors name more than are told apart
#![allow(clippy::wildcard_enum_match_arm)]

use crate::domain::{Disposition, Uid};
use rustix::io::Errno;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

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
    pub(super) fn clone_for_waiter(&self) -> Self {
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

    /// Something stored is not readable.
    pub(super) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into() }
    }

    /// Keys do not fit.
    pub(super) fn vault(what: impl Into<String>) -> Self {
        Self::Vault { what: what.into() }
    }

    /// The system refused to do `what` with a file; a full disk is told apart.
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |source| match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full { path },
            _ => Self::Io { what, path, source },
        }
    }

    /// An error of opening, which changed nothing: where the system has no room for one more, it may have later.
    pub(super) fn opening(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |source| match source.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::INTR | Errno::AGAIN) => {
                Self::Exhausted { path, source }
            }
            _ => Self::io("open", &path)(source),
        }
    }

    /// An error of sled's.
    pub(super) fn sled(error: sled::Error) -> Self {
        match error {
            sled::Error::Io(source) => Self::io("read or write", Path::new("state/db"))(source),
            other => Self::corrupt(format!("sled: {other}")),
        }
    }

    /// Passes a named point in a store operation; an error if a test asked for one there.
    pub(crate) fn fault_point(name: &'static str) -> Result<(), Self> {
        crate::faults::fail(name).map_err(Self::io("pass a fault point of", Path::new(name)))
    }
}

/// Errors of the system cannot be cloned.
fn again(error: &std::io::Error) -> std::io::Error {
    error.raw_os_error().map_or_else(
        || std::io::Error::new(error.kind(), error.to_string()),
        std::io::Error::from_raw_os_error,
    )
}
