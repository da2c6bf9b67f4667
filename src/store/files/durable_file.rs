//! Small files written so that they survive power loss: content, then name, then folder.

use crate::store::error::StoreError;
use std::fs;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// A folder, open to be synced.
pub(in crate::store) fn open_parent(path: &Path) -> Result<File, StoreError> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(parent).map_err(StoreError::opening(parent))
}

/// The file's bytes; `None` if there is no such file.
pub(in crate::store) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::opening(path)(error)),
    }
}

/// Removes a file; one that is gone already is as good.
pub(in crate::store) fn remove_if_there(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::io("remove", path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes a file, mode 0600, by way of a temporary one; when this returns it is there for good.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let temporary = path.with_extension("tmp");
    // one that was left is removed, not written to: it may be a link of somebody else's
    remove_if_there(&temporary)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(StoreError::opening(&temporary))?;
    file.write_all(bytes).map_err(StoreError::io("write", &temporary))?;
    file.sync_all().map_err(StoreError::io("sync", &temporary))?;
    fs::rename(&temporary, path).map_err(StoreError::io("rename", path))?;
    sync_parent(path)
}

/// Keeps a folder from everybody else. One that somebody made before may be open to all.
pub(in crate::store) fn make_private(folder: &Path) -> Result<(), StoreError> {
    let mode = fs::metadata(folder).map_err(StoreError::io("read", folder))?.permissions().mode();
    if mode & OTHERS == 0 {
        return Ok(());
    }
    let private = fs::Permissions::from_mode(mode & !OTHERS);
    fs::set_permissions(folder, private).map_err(StoreError::io("keep others out of", folder))?;
    tracing::warn!(path = %folder.display(), "was open to other users of this machine, and is not any more");
    Ok(())
}

/// Rights of everybody but the owner.
const OTHERS: u32 = 0o077;

/// Says it of a file with a secret that others on this machine can read.
pub(crate) fn warn_if_readable(path: &Path) {
    if fs::metadata(path).is_ok_and(|found| found.permissions().mode() & OTHERS != 0) {
        tracing::warn!(path = %path.display(), "others on this machine can read this key: chmod 600");
    }
}

/// Creates a folder (mode 0700) and its parents; when this returns they are there for good.
pub(in crate::store) fn create_folder_durably(path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        create_folder_durably(parent)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(StoreError::io("create", path)(error));
        }
        _ => {}
    }
    sync_parent(path)
}

/// Writes a file, mode 0600, into a folder of its own. Durable only after [`sync_file_system`].
pub(in crate::store) fn write_into_new_folder(
    folder: &Path,
    name: &str,
    bytes: &[u8],
) -> Result<(), StoreError> {
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(StoreError::io("create", folder)(error));
        }
        _ => {}
    }
    let path = folder.join(name);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .map_err(StoreError::opening(&path))?;
    file.write_all(bytes).map_err(StoreError::io("write", &path))
}

/// Makes everything on the file system of a folder durable.
pub(in crate::store) fn sync_file_system(folder: &Path) -> Result<(), StoreError> {
    let file = File::open(folder).map_err(StoreError::opening(folder))?;
    rustix::fs::syncfs(&file).map_err(|error| StoreError::io("sync the file system of", folder)(error.into()))
}

/// Makes a new name in `path`'s folder durable.
pub(in crate::store) fn sync_parent(path: &Path) -> Result<(), StoreError> {
    sync_folder(&open_parent(path)?, path)
}

/// Makes the names in an open folder durable, `path`'s among them. Never tried again, for whatever it failed, and never
/// taken for a full disk: the name is there, and nobody knows whether it lasts.
pub(in crate::store) fn sync_folder(folder: &File, path: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::Io { what: "sync the folder of", path: path.to_path_buf(), source };
    folder.sync_all().map_err(failed)
}

/// Names of the form number and suffix, as numbers, ascending.
pub(in crate::store) fn numbers_in(folder: &Path, suffix: &str) -> Result<Vec<u64>, StoreError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(StoreError::io("read", folder))?,
    };
    let mut numbers = std::collections::BTreeSet::new();
    for entry in entries {
        let name = entry.map_err(StoreError::io("read", folder))?.file_name();
        numbers.extend(name.to_string_lossy().strip_suffix(suffix).and_then(|text| text.parse::<u64>().ok()));
    }
    Ok(numbers.into_iter().collect())
}
