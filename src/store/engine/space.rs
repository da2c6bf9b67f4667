//! Disk space: what may still be written when it runs low. Messages and submissions stop first; a reserve is kept for
//! what must not be lost: grants, and what became of submissions.

use super::commit::{Commit, Op};
use crate::clock;
use crate::store::error::StoreError;
use crate::store::files::Room;
use std::fs;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

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

pub(in crate::store) struct Space {
    room: Room,
    measured: Option<(Instant, Level)>,
}

/// The file that keeps room for what must not be lost.
fn reserve_in(data_dir: &Path) -> PathBuf {
    data_dir.join("reserve")
}

/// Gives the reserve back, for a start that finds no room; whether there was one.
pub(in crate::store) fn give_reserve_back(data_dir: &Path) -> bool {
    fs::remove_file(reserve_in(data_dir)).is_ok()
}

impl Space {
    pub(in crate::store) fn new(room: Room) -> Self {
        let space = Self { room, measured: None };
        if space.room.min_free > 0
            && !space.reserve().is_file()
            && (space.room.measure)().is_ok_and(|free| free > 2 * RESERVE)
        {
            space.make_reserve();
        }
        space
    }

    /// Whether there is room for a commit.
    pub(in crate::store) fn admit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        if self.room.min_free == 0 || commit.ops.iter().all(takes_no_room) {
            return Ok(());
        }
        if commit.vital {
            // whatever there is: but the reserve is given back before it is needed
            self.level(Duration::ZERO);
            return Ok(());
        }
        match self.level(FRESH) {
            Level::Everything => Ok(()),
            Level::Small if !commit.ops.iter().any(has_body) => Ok(()),
            Level::Small | Level::Vital => Err(self.room.full()),
        }
    }

    /// The level, measured within the last `fresh`.
    fn level(&mut self, fresh: Duration) -> Level {
        let now = clock::monotonic();
        if let Some((at, level)) = self.measured
            && now.saturating_duration_since(at) < fresh
        {
            return level;
        }
        let before = self.measured.map_or(Level::Everything, |(_, level)| level);
        let level = (self.room.measure)().map_or(before, |free| self.judge(free));
        if level != before {
            tracing::warn!(?level, min_free = self.room.min_free, "free disk space");
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
        if free < self.room.min_free { Level::Small } else { Level::Everything }
    }

    fn reserve(&self) -> PathBuf {
        reserve_in(&self.room.data_dir)
    }

    fn make_reserve(&self) {
        let path = self.reserve();
        let made = File::create(&path).and_then(|file| {
            let flags = rustix::fs::FallocateFlags::empty();
            Ok(rustix::fs::fallocate(&file, flags, 0, RESERVE)?)
        });
        if let Err(error) = made.map_err(StoreError::io("make", &path)) {
            tracing::warn!(%error, "no reserve of disk space");
            drop(fs::remove_file(&path));
        }
    }
}

fn has_body(op: &Op) -> bool {
    matches!(op, Op::AddMessage { body: Some(_), .. } | Op::AddSubmission { .. })
}

fn takes_no_room(op: &Op) -> bool {
    matches!(op, Op::Require { .. } | Op::Delete { .. } | Op::RemoveMessage { .. } | Op::ForgetAside { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::FolderId;
    use crate::store::engine::commit::Role;
    use crate::store::engine::open::StoreConfig;
    use crate::store::files::Measure;
    use crate::store::handle::Store;
    use crate::store::tests::{body, create, mailbox, message, runtime};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_committer_that_panics_is_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let config = StoreConfig { min_free: 1, ..StoreConfig::at(dir.path()) };
        let (tell, told) = std::sync::mpsc::channel();
        let breaks = Arc::new(AtomicU64::new(0));
        let asked = Arc::clone(&breaks);
        let measure: Measure = Arc::new(move || {
            assert_eq!(asked.load(Ordering::Relaxed), 0, "on purpose");
            Ok(u64::MAX)
        });
        let fatal = Arc::new(move |error: &StoreError| tell.send(error.to_string()).unwrap());
        let store = Store::open_measured(&config, fatal, measure).unwrap();
        breaks.store(1, Ordering::Relaxed);
        let refused = create(&store, mailbox("anna"), None);
        assert!(matches!(refused, Err(StoreError::Closed)));
        assert!(told.recv().unwrap().contains("panicked"));
    }

    #[test]
    fn bodies_stop_first_what_is_vital_goes_on_and_all_resumes_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let free = Arc::new(AtomicU64::new(1000 * MIB));
        let config = StoreConfig { min_free: 100 * MIB, ..StoreConfig::at(dir.path()) };
        let measured = Arc::clone(&free);
        let measure: Measure = Arc::new(move || Ok(measured.load(Ordering::Relaxed)));
        let store = Store::open_measured(&config, Arc::new(|error| panic!("{error}")), measure).unwrap();
        let anna = create(&store, mailbox("anna"), None).unwrap();
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
        vital().unwrap();
        assert_eq!(reserve(), 0, "given back to who is let through whatever there is");
        assert!(matches!(add(2), Err(StoreError::Full { .. })));
        assert!(matches!(small(), Err(StoreError::Full { .. })));
        set(15);
        assert!(matches!(small(), Err(StoreError::Full { .. })), "the reserve itself is no space to go on");
        set(101);
        add(2).unwrap();
        assert_eq!(reserve(), RESERVE, "made again");
        set(1);
        runtime().block_on(store.delete_mailbox(&anna)).unwrap();
        runtime().block_on(store.erase(anna.incarnation)).unwrap();
        assert_eq!(store.mailboxes().unwrap(), [], "what makes room is never refused");
    }
}
