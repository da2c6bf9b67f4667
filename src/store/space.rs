//! Disk space: what may still be written when it runs low. Messages and submissions stop first; a reserve is kept for
//! what must not be lost: grants, and what became of submissions.

use super::commit::{Commit, Op};
use super::{StoreError, files};
use crate::clock;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many bytes are free. Tests give another.
pub type Measure = Arc<dyn Fn() -> std::io::Result<u64> + Send + Sync>;

/// Bytes of the reserve: grants and outcomes of thousands of mailboxes.
const RESERVE: u64 = 8 << 20;
/// What was measured holds for so long.
const FRESH: Duration = if cfg!(test) { Duration::ZERO } else { Duration::from_millis(250) };

/// What may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Everything,
    /// No bodies: below the configured minimum.
    Small,
    /// What is vital, and what only removes: the reserve is being used.
    Vital,
}

pub(super) struct Space {
    data_dir: PathBuf,
    min_free: u64,
    measure: Measure,
    measured: Option<(Instant, Level)>,
}

/// Asks the file system.
pub(super) fn of_disk(data_dir: &Path) -> Measure {
    let data_dir = data_dir.to_path_buf();
    Arc::new(move || {
        let found = rustix::fs::statvfs(&data_dir)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    })
}

impl Space {
    /// Keeps `min_free` bytes free of bodies; 0: nothing is measured and nothing kept.
    pub(super) fn new(data_dir: &Path, min_free: u64, measure: Measure) -> Self {
        let space = Self { data_dir: data_dir.to_path_buf(), min_free, measure, measured: None };
        if min_free > 0
            && !space.reserve().is_file()
            && (space.measure)().is_ok_and(|free| free > 2 * RESERVE)
        {
            space.make_reserve();
        }
        space
    }

    /// Whether there is room for a commit.
    pub(super) fn admit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        if self.min_free == 0 || commit.vital || commit.ops.iter().all(removes) {
            return Ok(());
        }
        match self.level() {
            Level::Everything => Ok(()),
            Level::Small if !commit.ops.iter().any(has_body) => Ok(()),
            Level::Small | Level::Vital => Err(StoreError::Full { path: self.data_dir.clone() }),
        }
    }

    fn level(&mut self) -> Level {
        let now = clock::monotonic();
        if let Some((at, level)) = self.measured
            && now.saturating_duration_since(at) < FRESH
        {
            return level;
        }
        let before = self.measured.map_or(Level::Everything, |(_, level)| level);
        let level = (self.measure)().map_or(before, |free| self.judge(free));
        if level != before {
            tracing::warn!(?level, min_free = self.min_free, "free disk space");
        }
        self.measured = Some((now, level));
        level
    }

    fn judge(&self, free: u64) -> Level {
        let is_reserved = self.reserve().is_file();
        // with the reserve given back there seems to be more: it is made again when there really is
        let lowest = if is_reserved { RESERVE } else { 3 * RESERVE };
        if free < lowest {
            if is_reserved && let Err(error) = fs::remove_file(self.reserve()) {
                tracing::error!(%error, "the reserve of disk space cannot be given back");
            }
            return Level::Vital;
        }
        if !is_reserved {
            self.make_reserve();
        }
        if free < self.min_free { Level::Small } else { Level::Everything }
    }

    fn reserve(&self) -> PathBuf {
        self.data_dir.join("reserve")
    }

    fn make_reserve(&self) {
        let path = self.reserve();
        let made = File::create(&path).and_then(|file| {
            let flags = rustix::fs::FallocateFlags::empty();
            Ok(rustix::fs::fallocate(&file, flags, 0, RESERVE)?)
        });
        if let Err(error) = made.map_err(files::io("make", &path)) {
            tracing::warn!(%error, "no reserve of disk space");
            drop(fs::remove_file(&path));
        }
    }
}

fn has_body(op: &Op) -> bool {
    matches!(op, Op::AddMessage { body: Some(_), .. } | Op::AddSubmission { .. })
}

fn removes(op: &Op) -> bool {
    matches!(op, Op::Delete { .. } | Op::RemoveMessage { .. } | Op::ForgetAside { .. } | Op::MoveBody { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::FolderId;
    use crate::store::tests::{body, mailbox, message, runtime};
    use crate::store::{Role, Store, StoreConfig};
    use std::sync::atomic::{AtomicU64, Ordering};

    const MIB: u64 = 1 << 20;

    #[test]
    fn bodies_stop_first_what_is_vital_goes_on_and_all_resumes_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let free = Arc::new(AtomicU64::new(1000 * MIB));
        let config = StoreConfig { min_free: 100 * MIB, ..StoreConfig::at(dir.path()) };
        let measured = Arc::clone(&free);
        let measure: Measure = Arc::new(move || Ok(measured.load(Ordering::Relaxed)));
        let store = Store::open_measured(&config, Arc::new(|error| panic!("{error}")), measure).unwrap();
        let anna = runtime().block_on(store.create_mailbox(mailbox("anna"), None)).unwrap();
        let folder = FolderId::generate();
        let add = |uid| {
            let message = message(folder, uid);
            let mut commit = Commit::of_mailbox(anna.incarnation);
            let body = body(&store, anna.incarnation, &message, b"raw");
            commit.add_message(message, Some(body));
            store.commit_blocking(commit)
        };
        let small = || runtime().block_on(store.raise_epoch(anna.incarnation, Role::Imap));
        let vital = || {
            let mut commit = Commit::of_mailbox(anna.incarnation);
            commit.vital = true;
            commit.ops.push(Op::Counter { name: "vital", at_least: 1 });
            store.commit_blocking(commit)
        };
        let set = |mib: u64| free.store(mib * MIB, Ordering::Relaxed);
        let reserve = || dir.path().join("reserve").metadata().map_or(0, |metadata| metadata.len());
        assert_eq!(reserve(), RESERVE);
        add(1).unwrap();
        set(99);
        assert!(matches!(add(2), Err(StoreError::Full { .. })));
        small().unwrap();
        set(7);
        assert!(matches!(add(2), Err(StoreError::Full { .. })));
        assert!(matches!(small(), Err(StoreError::Full { .. })));
        assert_eq!(reserve(), 0, "given back");
        vital().unwrap();
        set(15);
        assert!(matches!(small(), Err(StoreError::Full { .. })), "the reserve itself is no space to go on");
        set(101);
        add(2).unwrap();
        assert_eq!(reserve(), RESERVE, "made again");
    }
}
