//! Pack files on disk: appending (the committer only), adopting large ones, syncing, reading, and what a
//! start does about bytes that were never committed.

use super::durable_file;
use crate::domain::Incarnation;
use crate::store::engine::{Append, Body};
use crate::store::error::StoreError;
use crate::store::format::PackState;
use lru::LruCache;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::fs::File;
use std::io::IoSlice;
use std::num::NonZeroUsize;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// How many pack files are kept open.
const OPEN_FILES: NonZeroUsize = NonZeroUsize::new(128).unwrap();
/// From how many touched packs on one `syncfs` is cheaper than a sync each.
const SYNCFS_FROM: usize = 16;

pub(in crate::store) struct Packs {
    root: PathBuf,
    open: Mutex<LruCache<(Incarnation, u32), Arc<File>>>,
}

impl Packs {
    pub(in crate::store) fn new(root: PathBuf) -> Self {
        Self { root, open: Mutex::new(LruCache::new(OPEN_FILES)) }
    }

    pub(in crate::store) fn folder(&self, mailbox: Incarnation) -> PathBuf {
        self.root.join(format!("{:016}", mailbox.0))
    }

    pub(in crate::store) fn path(&self, mailbox: Incarnation, pack: u32) -> PathBuf {
        self.folder(mailbox).join(format!("{pack:08}.pack"))
    }

    /// The pack, for reading.
    pub(in crate::store) fn file(&self, mailbox: Incarnation, pack: u32) -> Result<Arc<File>, StoreError> {
        self.open_file(mailbox, pack, false)
    }

    fn open_file(&self, mailbox: Incarnation, pack: u32, create: bool) -> Result<Arc<File>, StoreError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.get(&(mailbox, pack)) {
            return Ok(Arc::clone(file));
        }
        let file = loop {
            match Self::open_new(&self.path(mailbox, pack), create) {
                // of what is kept open something can be done without
                Err(StoreError::Exhausted { .. }) if open.pop_lru().is_some() => {}
                opened => break Arc::new(opened?),
            }
        };
        open.put((mailbox, pack), Arc::clone(&file));
        Ok(file)
    }

    fn open_new(path: &Path, create: bool) -> Result<File, StoreError> {
        let is_new = create && !path.is_file();
        // opened before the file is made: one that is there is taken for durable the next time
        let folder = if is_new { Some(durable_file::open_parent(path)?) } else { None };
        let file = File::options()
            .read(true)
            .write(true)
            .create(create)
            .mode(0o600)
            .open(path)
            .map_err(StoreError::opening(path))?;
        if let Some(folder) = folder {
            durable_file::sync_folder(&folder, path)?;
        }
        Ok(file)
    }

    /// Opens the packs that these records go to, so that nothing is missing when they are written.
    pub(in crate::store) fn hold(
        &self,
        appends: &[Append],
        held: &mut BTreeMap<(Incarnation, u32), Arc<File>>,
    ) -> Result<(), StoreError> {
        for append in appends.iter().filter(|append| matches!(append.body, Body::Record(_))) {
            let place = (append.mailbox, append.pack);
            if let Entry::Vacant(vacant) = held.entry(place) {
                vacant.insert(self.open_file(append.mailbox, append.pack, true)?);
            }
        }
        Ok(())
    }

    /// Writes records that follow each other at their place in a pack; durable only after [`Packs::sync`].
    pub(in crate::store) fn append(
        &self,
        file: Arc<File>,
        (mailbox, pack, offset): (Incarnation, u32, u64),
        records: &[Vec<u8>],
    ) -> Result<Arc<File>, StoreError> {
        for (records, offset) in at_offsets(records, offset) {
            write_all_at(&file, records, offset)
                .map_err(StoreError::io("write", &self.path(mailbox, pack)))?;
        }
        Ok(file)
    }

    /// Frees the space of records that were appended from here on and are not committed. If it fails, they are
    /// overwritten later.
    pub(in crate::store) fn take_back(&self, (mailbox, pack, offset): (Incarnation, u32, u64)) {
        let cut = self.open_file(mailbox, pack, false).map(|file| file.set_len(offset));
        if !matches!(cut, Ok(Ok(()))) {
            tracing::debug!(%mailbox, pack, "a refused record stays until it is overwritten");
        }
    }

    /// Gives a finished large record its name as a pack.
    pub(in crate::store) fn adopt(
        &self,
        mailbox: Incarnation,
        pack: u32,
        record: &Path,
    ) -> Result<Arc<File>, StoreError> {
        let path = self.path(mailbox, pack);
        // what may be refused for want of descriptors comes before what changes anything
        let folder = durable_file::open_parent(&path)?;
        let file =
            File::options().read(true).write(true).open(record).map_err(StoreError::opening(record))?;
        fs::rename(record, &path).map_err(StoreError::io("rename", record))?;
        durable_file::sync_folder(&folder, &path)?;
        // a number may have been given before, to a record that was refused: what is open is that one's file
        let file = Arc::new(file);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.put((mailbox, pack), Arc::clone(&file));
        Ok(file)
    }

    /// Makes the bytes of these packs durable; in parallel, and by one `syncfs` when there are many.
    pub(in crate::store) fn sync(
        &self,
        touched: BTreeMap<(Incarnation, u32), Arc<File>>,
    ) -> Result<(), StoreError> {
        if crate::faults::skips_syncs() {
            return Ok(());
        }
        let sync_one = |(mailbox, pack): (Incarnation, u32), file: &File| {
            file.sync_data().map_err(StoreError::io("sync", &self.path(mailbox, pack)))
        };
        if let (true, Some(file)) = (touched.len() >= SYNCFS_FROM, touched.values().next()) {
            return rustix::fs::syncfs(file)
                .map_err(|error| StoreError::io("sync the file system of", &self.root)(error.into()));
        }
        if let (1, Some((place, file))) = (touched.len(), touched.first_key_value()) {
            return sync_one(*place, file);
        }
        std::thread::scope(|scope| {
            let (mut syncs, mut left) = (Vec::new(), Vec::new());
            for (place, file) in &touched {
                match std::thread::Builder::new().spawn_scoped(scope, move || sync_one(*place, file)) {
                    Ok(sync) => syncs.push(sync),
                    // no thread to be had for it
                    Err(_) => left.push(sync_one(*place, file)),
                }
            }
            // one that panicked did not sync
            let broken = || Err(StoreError::corrupt("a sync panicked"));
            left.extend(syncs.into_iter().map(|sync| sync.join().unwrap_or_else(|_| broken())));
            left.into_iter().collect()
        })
    }

    /// The mailboxes that have a folder here, by number.
    pub(in crate::store) fn folders(&self) -> Result<Vec<Incarnation>, StoreError> {
        let numbers = durable_file::numbers_in(&self.root, "")?;
        Ok(numbers.into_iter().map(Incarnation).collect())
    }

    /// The numbers of a mailbox's packs.
    pub(in crate::store) fn numbers(&self, mailbox: Incarnation) -> Result<Vec<u32>, StoreError> {
        let numbers = durable_file::numbers_in(&self.folder(mailbox), ".pack")?;
        Ok(numbers.into_iter().filter_map(|number| u32::try_from(number).ok()).collect())
    }

    /// Cuts a mailbox's packs to what was committed, and removes what never was.
    pub(in crate::store) fn recover(&self, mailbox: Incarnation, state: PackState) -> Result<(), StoreError> {
        let folder = self.folder(mailbox);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(StoreError::io("read", &folder)(error)),
        };
        for entry in entries {
            let path = entry.map_err(StoreError::io("read", &folder))?.path();
            let number: Option<u32> = path
                .file_name()
                .and_then(|name| name.to_str())
                .and_then(|name| name.strip_suffix(".pack"))
                .and_then(|number| number.parse().ok());
            match number {
                Some(number) if number > state.highest => {
                    fs::remove_file(&path).map_err(StoreError::io("remove", &path))?;
                }
                Some(number) if number == state.current => cut(&path, state.end)?,
                None if path.extension().is_some_and(|end| end == "large") => {
                    fs::remove_file(&path).map_err(StoreError::io("remove", &path))?;
                }
                Some(_) | None => {}
            }
        }
        Ok(())
    }

    /// Removes a pack; whoever has it open reads on.
    pub(in crate::store) fn remove(&self, mailbox: Incarnation, pack: u32) -> Result<(), StoreError> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).pop(&(mailbox, pack));
        let path = self.path(mailbox, pack);
        fs::remove_file(&path).map_err(StoreError::io("remove", &path))?;
        durable_file::sync_parent(&path)
    }

    /// Forgets open descriptors of a mailbox and removes its folder: key, packs and all.
    pub(in crate::store) fn erase(&self, mailbox: Incarnation) -> Result<(), StoreError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of_mailbox: Vec<_> =
            open.iter().map(|(place, _)| *place).filter(|place| place.0 == mailbox).collect();
        of_mailbox.iter().for_each(|place| drop(open.pop(place)));
        drop(open);
        let folder = self.folder(mailbox);
        // the key first: from then on what else is left, here or in a backup, is noise
        for path in [folder.join("mailbox.key"), folder.clone()] {
            let removed = if path == folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            match removed {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(StoreError::io("remove", &path)(error));
                }
                _ => {}
            }
            if folder.is_dir() || path == folder {
                durable_file::sync_parent(&path)?;
            }
        }
        Ok(())
    }
}

/// How many pieces one system call takes (IOV_MAX).
const PIECES: usize = 1024;

fn at_offsets(records: &[Vec<u8>], mut offset: u64) -> impl Iterator<Item = (&[Vec<u8>], u64)> {
    records.chunks(PIECES).map(move |records| {
        let here = offset;
        offset = offset.saturating_add(records.iter().map(|record| record.len() as u64).sum());
        (records, here)
    })
}

fn write_all_at(file: &File, records: &[Vec<u8>], mut offset: u64) -> std::io::Result<()> {
    let mut pieces: Vec<IoSlice<'_>> = records.iter().map(|record| IoSlice::new(record)).collect();
    let mut pieces = pieces.as_mut_slice();
    while !pieces.is_empty() {
        match rustix::io::pwritev(file, pieces, offset) {
            Ok(0) => return Err(std::io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                offset = offset.saturating_add(written as u64);
                IoSlice::advance_slices(&mut pieces, written);
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn cut(path: &Path, end: u64) -> Result<(), StoreError> {
    let file = File::options().write(true).open(path).map_err(StoreError::io("open", path))?;
    let length = file.metadata().map_err(StoreError::io("read", path))?.len();
    if length < end {
        return Err(StoreError::corrupt(format!(
            "{} has {length} bytes, {end} were committed",
            path.display()
        )));
    }
    if length > end {
        file.set_len(end).map_err(StoreError::io("cut", path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_given_again_leads_to_the_new_file() {
        let dir = tempfile::tempdir().unwrap();
        let packs = Packs::new(dir.path().to_path_buf());
        let anna = Incarnation(1);
        fs::create_dir(packs.folder(anna)).unwrap();
        let [refused, taken] = ["a.large", "b.large"].map(|name| packs.folder(anna).join(name));
        fs::write(&refused, b"first").unwrap();
        packs.adopt(anna, 1, &refused).unwrap();
        packs.take_back((anna, 1, 0));
        fs::write(&taken, b"second one").unwrap();
        packs.adopt(anna, 1, &taken).unwrap();
        assert_eq!(packs.file(anna, 1).unwrap().metadata().unwrap().len(), 10);
    }
}
