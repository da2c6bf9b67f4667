//! The files beside sled's log that sled itself does not look after: what a start that was cut off left of a snapshot,
//! a snapshot or a configuration that cannot be read, and names and bytes that nobody made durable.
//!
//! A snapshot is a cache of the log: without it sled reads the whole log. The configuration is the same in every state
//! of ours, so that sled may write it again.

use super::durable_file;
use crate::store::error::StoreError;
use std::fs;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

const SNAPSHOT: &str = "snap.";
/// The end of a snapshot's name while it is being written. sled takes it for one that is whole.
const UNFINISHED: &str = ".generating";
/// What a snapshot that cannot be read is called, before its old name: sled does not take it for one.
const ASIDE: &str = "unreadable-";
/// sled's own parameters.
const CONFIGURATION: &str = "conf";

/// Takes out of sled's way what would make it refuse a log that is whole. To be called before sled is opened.
pub(in crate::store) fn clear(state_dir: &Path) -> Result<(), StoreError> {
    let entries = match fs::read_dir(state_dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        other => other.map_err(StoreError::io("read", state_dir))?,
    };
    for entry in entries {
        let entry = entry.map_err(StoreError::io("read", state_dir))?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if name.starts_with(SNAPSHOT) && name.ends_with(UNFINISHED) {
            durable_file::remove_if_there(&path)?;
        } else if name.starts_with(SNAPSHOT) && !is_whole(&path, 12)? {
            let aside = state_dir.join(format!("{ASIDE}{name}"));
            fs::rename(&path, &aside).map_err(StoreError::io("rename", &path))?;
            tracing::warn!(path = %aside.display(), "a snapshot that cannot be read is kept aside, the log is read instead");
        } else if name == CONFIGURATION && !is_whole(&path, 4)? {
            durable_file::remove_if_there(&path)?;
            tracing::warn!(path = %path.display(), "the parameters cannot be read and are written again");
        }
    }
    Ok(())
}

/// Whether sled has a snapshot there, and so has had a log.
pub(in crate::store) fn has_snapshot(state_dir: &Path) -> Result<bool, StoreError> {
    let entries = match fs::read_dir(state_dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        other => other.map_err(StoreError::io("read", state_dir))?,
    };
    let mut names = entries.map(|entry| entry.map(|entry| entry.file_name()));
    names.try_fold(false, |found, name| {
        let name = name.map_err(StoreError::io("read", state_dir))?;
        let name = name.to_string_lossy();
        Ok(found || (name.starts_with(SNAPSHOT) && !name.ends_with(UNFINISHED)))
    })
}

/// Whether a file ends in the checksum of what comes before its last `tail` bytes.
fn is_whole(path: &Path, tail: usize) -> Result<bool, StoreError> {
    let bytes = match fs::read(path).map_err(StoreError::opening(path)) {
        Ok(bytes) => bytes,
        Err(error) if error.is_passing() => return Err(error),
        // the disk does not give it back: sled must not need it
        Err(_) => return Ok(false),
    };
    let body = bytes.len().checked_sub(tail).and_then(|length| bytes.get(..length));
    let checksum = bytes.last_chunk().map(|checksum| u32::from_le_bytes(*checksum));
    Ok(body.is_some_and(|body| !body.is_empty() && Some(crc32fast::hash(body)) == checksum))
}

/// Makes the names in a state and its parameters durable, and the state's own name. sled syncs none of these, and a
/// start that was cut off may have made them without making them durable.
pub(in crate::store) fn sync(state_dir: &Path) -> Result<(), StoreError> {
    for path in [state_dir.join(CONFIGURATION), state_dir.to_path_buf()] {
        let file = File::open(&path).map_err(StoreError::opening(&path))?;
        file.sync_all().map_err(StoreError::io("sync", &path))?;
    }
    durable_file::sync_parent(state_dir)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::FolderId;
    use crate::store::engine::{Commit, StoreConfig};
    use crate::store::fsck;
    use crate::store::handle::Store;
    use crate::store::tests::{create, mailbox, message, new_message_event, open};
    use std::path::PathBuf;

    /// A store with a mailbox, opened often enough that sled has a snapshot of it.
    fn filled() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        create(&store, mailbox("anna"), None).unwrap();
        let mut commit = Commit::default();
        commit.event(new_message_event(&message(FolderId::generate(), 1)));
        store.commit_blocking(commit).unwrap();
        drop(store);
        drop(open(dir.path()));
        let state = dir.path().join("state");
        let snapshots: Vec<PathBuf> = fs::read_dir(&state)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(SNAPSHOT))
            .collect();
        assert_eq!(snapshots.len(), 1, "{snapshots:?}");
        (dir, snapshots[0].clone())
    }

    fn names(store: &Store) -> Vec<String> {
        store.mailboxes().unwrap().iter().map(|stored| stored.mailbox.id.to_string()).collect()
    }

    fn check(dir: &Path) -> Vec<String> {
        fsck::check(&StoreConfig::at(dir)).unwrap().problems
    }

    /// A start, a check and a rebuild, each after the same damage.
    fn all_go_on(damage: impl Fn(&Path, &Path)) {
        let go_on: [fn(&Path); 3] = [
            |_| {},
            |dir| assert_eq!(check(dir), Vec::<String>::new()),
            |dir| {
                let found = fsck::rebuild(&StoreConfig::at(dir), |_| Default::default()).unwrap();
                assert_eq!(found.problems, Vec::<String>::new());
                assert!(!found.notes.iter().any(|note| note.contains("begins anew")), "{found:?}");
            },
        ];
        for go_on in go_on {
            let (dir, snapshot) = filled();
            damage(&dir.path().join("state"), &snapshot);
            go_on(dir.path());
            assert_eq!(names(&open(dir.path())), ["anna"]);
            assert_eq!(check(dir.path()), Vec::<String>::new());
        }
    }

    #[test]
    fn a_snapshot_that_was_not_finished_hinders_nobody() {
        for length in [0, 1, 12, 100] {
            all_go_on(|state, snapshot| {
                let bytes = fs::read(snapshot).unwrap();
                let bytes = &bytes[..length.min(bytes.len() - 1)];
                fs::write(state.join("snap.00000000FFFFFFFF.generating"), bytes).unwrap();
            });
        }
    }

    #[test]
    fn a_snapshot_that_cannot_be_read_is_set_aside() {
        for at in [0, 20] {
            all_go_on(|_, snapshot| {
                let mut bytes = fs::read(snapshot).unwrap();
                bytes[at] ^= 1;
                fs::write(snapshot, bytes).unwrap();
            });
        }
        all_go_on(|_, snapshot| fs::write(snapshot, [0; 4096]).unwrap());
        let (dir, snapshot) = filled();
        fs::write(&snapshot, b"").unwrap();
        drop(open(dir.path()));
        let aside = format!("{ASIDE}{}", snapshot.file_name().unwrap().to_string_lossy());
        assert!(dir.path().join("state").join(aside).is_file());
    }

    #[test]
    fn parameters_that_never_reached_the_disk_are_written_again() {
        for bytes in [Vec::new(), vec![0; 62], b"segment_size: 5242".to_vec()] {
            all_go_on(|state, _| fs::write(state.join(CONFIGURATION), &bytes).unwrap());
        }
    }
}
