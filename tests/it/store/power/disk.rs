//! A disk under a data directory: what calls left in its page cache, and what of that is there after a cut.
//!
//! What a sync covered that was over before the cut is there. Of later writes each block of 4 KiB is there as any of
//! them left it, or as it was before, and the length is one that the file had meanwhile. Of later names none is there,
//! or as many as a journal of the file system had reached.

use super::record::{Call, What, calls};
use rand::Rng;
use rand::rngs::StdRng;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const BLOCK: usize = 4096;
/// Not durable yet.
const NEVER: usize = usize::MAX;

/// What a cut leaves of names and bytes that no sync covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Power is cut; no name is there whose folder was not synced.
    Strict,
    /// Power is cut; names are there in the order in which they were made, up to any of them.
    Ordered,
    /// The process is killed: the page cache is whole.
    Killed,
}

/// A moment at which power may be cut: when this call has begun and not ended.
pub struct Cut {
    pub line: usize,
    pub at: u64,
    /// The call and its file, for whoever looks into a failure.
    pub call: String,
    /// sled is writing its snapshot, or gives it its name.
    pub is_in_snapshot: bool,
}

/// When a change began and ended, and by which line it was durable.
#[derive(Clone, Copy)]
struct Span {
    begun: usize,
    ended: usize,
    durable: usize,
}

enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Resize { length: usize },
}

enum Naming {
    Put { name: String, inode: usize },
    Remove { name: String },
    Move { from: String, to: String, inode: usize },
}

/// A file or a folder.
#[derive(Default)]
struct Inode {
    is_folder: bool,
    /// Durable from the beginning.
    base: Vec<u8>,
    changes: Vec<(Span, Change)>,
    names: BTreeMap<String, usize>,
}

struct Named {
    folder: usize,
    span: Span,
    /// By which line any sync that writes the file system's journal covered it.
    journaled: usize,
    naming: Naming,
}

/// A disk and all that was done to it.
#[derive(Default)]
pub struct Disk {
    /// The first is the data directory.
    inodes: Vec<Inode>,
    namings: Vec<Named>,
    /// By their paths now.
    live: BTreeMap<String, usize>,
    lines: usize,
    pub cuts: Vec<Cut>,
}

/// Open files: which, and where they are read and written.
type Open = BTreeMap<u32, (usize, usize)>;

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

impl Disk {
    /// A disk that holds what is in this directory, all of it durable.
    pub fn of(dir: &Path) -> Self {
        let mut disk = Self::default();
        disk.inodes.push(Inode { is_folder: true, ..Inode::default() });
        disk.live.insert(String::new(), 0);
        disk.take(dir, "", 0);
        disk
    }

    fn take(&mut self, dir: &Path, path: &str, folder: usize) {
        for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            let is_folder = entry.file_type().unwrap().is_dir();
            let base = if is_folder { Vec::new() } else { std::fs::read(entry.path()).unwrap() };
            let inode = self.inodes.len();
            self.inodes.push(Inode { is_folder, base, ..Inode::default() });
            self.inodes[folder].names.insert(name.clone(), inode);
            let path = if path.is_empty() { name } else { format!("{path}/{name}") };
            self.live.insert(path.clone(), inode);
            if is_folder {
                self.take(&entry.path(), &path, inode);
            }
        }
    }

    /// Does what a process did that has just ended, whose page cache goes on after those before it.
    pub fn replay(&mut self, trace: &str, root: &Path) {
        let mut open = Open::new();
        for call in calls(trace, root.to_str().unwrap(), self.lines) {
            self.cut(&call, &open);
            if !call.is_unknown || self.is_done(&call.what, &open, root) {
                self.apply(call, &mut open);
            }
        }
        self.cuts.sort_by_key(|cut| cut.line);
        self.lines += trace.lines().count();
    }

    /// Whether a write in which the process was killed took place: nothing was written after it.
    fn is_done(&self, what: &What, open: &Open, root: &Path) -> bool {
        let What::Write { file, offset, bytes } = what else { return false };
        let (inode, position) = open[file];
        let Some((path, _)) = self.live.iter().find(|(_, live)| **live == inode) else { return false };
        let content = std::fs::read(root.join(path)).unwrap();
        let offset = offset.map_or(position, |offset| offset as usize);
        content.get(offset..offset + bytes.len()) == Some(bytes)
    }

    /// Notes the moment of a call that changes anything.
    fn cut(&mut self, call: &Call, open: &Open) {
        let path = |file: &u32| {
            let inode = open.get(file).map_or(NEVER, |(inode, _)| *inode);
            let found = self.live.iter().find(|(_, live)| **live == inode);
            found.map_or_else(|| String::from("(removed)"), |(path, _)| path.clone())
        };
        let text = match &call.what {
            What::Open { path, creates: true, .. } if !self.live.contains_key(path) => {
                format!("create {path}")
            }
            What::Open { path, truncates: true, .. } => format!("truncate {path}"),
            What::Write { file, .. } => format!("write {}", path(file)),
            What::Resize { file, .. } | What::Reserve { file, .. } => format!("resize {}", path(file)),
            What::Sync { file, .. } => format!("sync {}", path(file)),
            What::Rename { from, to } => format!("rename {from} {to}"),
            What::Remove { path } => format!("remove {path}"),
            What::MakeFolder { path } => format!("make {path}"),
            What::SyncAll => String::from("sync all"),
            What::Open { .. } | What::Seek { .. } | What::Duplicate { .. } => return,
        };
        let is_in_snapshot = text.contains("state/snap.");
        self.cuts.push(Cut { line: call.begun, at: call.at, call: text, is_in_snapshot });
    }

    fn apply(&mut self, call: Call, open: &mut Open) {
        let span = Span { begun: call.begun, ended: call.ended, durable: NEVER };
        match call.what {
            What::Open { path, file, creates, truncates, appends } => {
                let known = self.live.get(&path).copied();
                let inode = known.unwrap_or_else(|| {
                    assert!(creates, "{path} is opened and was never made");
                    self.make(&path, false, span)
                });
                if truncates && known.is_some() {
                    self.inodes[inode].changes.push((span, Change::Resize { length: 0 }));
                }
                let position = if appends { self.length(inode) } else { 0 };
                open.insert(file, (inode, position));
            }
            What::Write { file, offset, bytes } => {
                let (inode, position) = open.get_mut(&file).expect("an open file");
                let inode = *inode;
                let offset = match offset {
                    Some(offset) => offset as usize,
                    None => std::mem::replace(position, *position + bytes.len()),
                };
                self.inodes[inode].changes.push((span, Change::Write { offset, bytes }));
            }
            What::Seek { file, to } => open.get_mut(&file).expect("an open file").1 = to as usize,
            What::Resize { file, length } => {
                let change = Change::Resize { length: length as usize };
                self.inodes[open[&file].0].changes.push((span, change));
            }
            What::Reserve { file, length } => {
                let inode = open[&file].0;
                let length = self.length(inode).max(length as usize);
                self.inodes[inode].changes.push((span, Change::Resize { length }));
            }
            What::Duplicate { file, to } => drop(open.insert(to, open[&file])),
            What::Sync { file, is_data_only } => self.sync(Some(open[&file].0), span, is_data_only),
            What::SyncAll => self.sync(None, span, false),
            What::Rename { from, to } => self.rename(&from, &to, span),
            What::Remove { path } => {
                self.live.remove(&path);
                let (folder, name) = split(&path);
                self.name(folder, span, Naming::Remove { name: name.to_owned() });
            }
            What::MakeFolder { path } => drop(self.make(&path, true, span)),
        }
    }

    fn make(&mut self, path: &str, is_folder: bool, span: Span) -> usize {
        let inode = self.inodes.len();
        self.inodes.push(Inode { is_folder, ..Inode::default() });
        self.live.insert(path.to_owned(), inode);
        let (folder, name) = split(path);
        self.name(folder, span, Naming::Put { name: name.to_owned(), inode });
        inode
    }

    fn name(&mut self, folder: &str, span: Span, naming: Naming) {
        let folder = self.live[folder];
        self.namings.push(Named { folder, span, journaled: NEVER, naming });
    }

    fn rename(&mut self, from: &str, to: &str, span: Span) {
        let moved: Vec<(String, usize)> = self
            .live
            .iter()
            .filter(|(path, _)| *path == from || path.starts_with(&format!("{from}/")))
            .map(|(path, inode)| (path.clone(), *inode))
            .collect();
        for (path, _) in &moved {
            self.live.remove(path);
        }
        let inode = moved.iter().find(|(path, _)| path == from).expect("it is there").1;
        self.live.extend(moved.iter().map(|(path, inode)| (format!("{to}{}", &path[from.len()..]), *inode)));
        let ((folder, from), (other, to)) = (split(from), split(to));
        assert_eq!(folder, other, "a rename into another folder");
        self.name(folder, span, Naming::Move { from: from.to_owned(), to: to.to_owned(), inode });
    }

    /// A sync covers what had ended when it began.
    fn sync(&mut self, of: Option<usize>, sync: Span, is_data_only: bool) {
        let cover = |span: &mut Span| {
            if span.ended < sync.begun && span.durable == NEVER {
                span.durable = sync.ended;
            }
        };
        for (number, inode) in self.inodes.iter_mut().enumerate() {
            if of.is_none_or(|of| of == number) {
                inode.changes.iter_mut().for_each(|(span, _)| cover(span));
            }
        }
        for named in &mut self.namings {
            if of.is_none_or(|of| of == named.folder) {
                cover(&mut named.span);
            }
            if !is_data_only && named.span.ended < sync.begun {
                named.journaled = named.journaled.min(sync.ended);
            }
        }
    }

    fn length(&self, inode: usize) -> usize {
        let inode = &self.inodes[inode];
        inode.changes.iter().fold(inode.base.len(), |length, (_, change)| change.length_after(length))
    }

    /// Whether the page cache is what is in this directory.
    pub fn assert_is(&self, dir: &Path) {
        let replayed = tempfile::tempdir().unwrap();
        let last = Cut { line: NEVER - 1, at: 0, call: String::new(), is_in_snapshot: false };
        let mut rng = rand::SeedableRng::seed_from_u64(0);
        self.image(&last, Rest::Killed, &mut rng, replayed.path());
        let real = Self::of(dir);
        let replayed = Self::of(replayed.path());
        let names = |disk: &Self| disk.live.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&real), names(&replayed));
        for (path, inode) in &real.live {
            let other = &replayed.inodes[replayed.live[path]];
            assert!(real.inodes[*inode].base == other.base, "{path} is not what the calls made it");
        }
    }

    /// What is there after a cut, written to an empty directory.
    pub fn image(&self, cut: &Cut, rest: Rest, rng: &mut StdRng, to: &Path) {
        let folders = self.folders(cut, rest, rng);
        self.write(0, &folders, (cut, rest), rng, to);
    }

    /// The names in each folder.
    fn folders(&self, cut: &Cut, rest: Rest, rng: &mut StdRng) -> BTreeMap<usize, BTreeMap<String, usize>> {
        let mut folders: BTreeMap<usize, BTreeMap<String, usize>> = BTreeMap::new();
        for (number, inode) in self.inodes.iter().enumerate().filter(|(_, inode)| inode.is_folder) {
            folders.insert(number, inode.names.clone());
        }
        let begun: Vec<&Named> = self.namings.iter().filter(|named| named.span.begun <= cut.line).collect();
        let reached = match rest {
            Rest::Strict => 0,
            Rest::Killed => begun.iter().filter(|named| named.span.ended < cut.line).count(),
            Rest::Ordered => {
                let least = begun.iter().rposition(|named| named.journaled < cut.line);
                let least = least.map_or(0, |last| last + 1);
                // the end is the most likely, and the most of interest
                if rng.random_bool(0.5) { begun.len() } else { rng.random_range(least..=begun.len()) }
            }
        };
        for (number, named) in begun.into_iter().enumerate() {
            if !(number < reached || (rest == Rest::Strict && named.span.durable < cut.line)) {
                continue;
            }
            let names = folders.entry(named.folder).or_default();
            match &named.naming {
                Naming::Put { name, inode } => drop(names.insert(name.clone(), *inode)),
                Naming::Remove { name } => drop(names.remove(name)),
                Naming::Move { from, to, inode } => {
                    names.remove(from);
                    names.insert(to.clone(), *inode);
                }
            }
        }
        folders
    }

    fn write(
        &self,
        folder: usize,
        folders: &BTreeMap<usize, BTreeMap<String, usize>>,
        (cut, rest): (&Cut, Rest),
        rng: &mut StdRng,
        to: &Path,
    ) {
        for (name, inode) in &folders[&folder] {
            let path = to.join(name);
            if self.inodes[*inode].is_folder {
                std::fs::create_dir(&path).unwrap();
                self.write(*inode, folders, (cut, rest), rng, &path);
            } else {
                std::fs::write(&path, self.inodes[*inode].content(cut, rest, rng)).unwrap();
            }
        }
    }
}

impl Change {
    fn length_after(&self, length: usize) -> usize {
        match self {
            Self::Write { offset, bytes } => length.max(offset + bytes.len()),
            Self::Resize { length } => *length,
        }
    }

    fn apply(&self, content: &mut Vec<u8>) {
        content.resize(self.length_after(content.len()), 0);
        if let Self::Write { offset, bytes } = self {
            content[*offset..offset + bytes.len()].copy_from_slice(bytes);
        }
    }

    /// The same to one block, which is as long as a block.
    fn apply_to(&self, number: usize, block: &mut [u8]) {
        let begin = number * BLOCK;
        match self {
            Self::Write { offset, bytes } => {
                let (from, to) = ((*offset).max(begin), (offset + bytes.len()).min(begin + BLOCK));
                if from < to {
                    block[from - begin..to - begin].copy_from_slice(&bytes[from - offset..to - offset]);
                }
            }
            Self::Resize { length } => block[length.saturating_sub(begin).min(BLOCK)..].fill(0),
        }
    }

    fn blocks(&self) -> std::ops::Range<usize> {
        match self {
            Self::Write { offset, bytes } => offset / BLOCK..(offset + bytes.len()).div_ceil(BLOCK),
            Self::Resize { .. } => 0..0,
        }
    }
}

/// As many of so many, often all or none.
fn some(most: usize, rng: &mut StdRng) -> usize {
    match rng.random_range(0..3) {
        0 => 0,
        1 => most,
        _ => rng.random_range(0..=most),
    }
}

impl Inode {
    fn content(&self, cut: &Cut, rest: Rest, rng: &mut StdRng) -> Vec<u8> {
        let mut content = self.base.clone();
        let begun: Vec<_> = self.changes.iter().filter(|(span, _)| span.begun <= cut.line).collect();
        let is_there = |span: &Span| match rest {
            Rest::Killed => span.ended < cut.line,
            Rest::Strict | Rest::Ordered => span.durable < cut.line,
        };
        let (there, open): (Vec<_>, Vec<_>) = begun.into_iter().partition(|(span, _)| is_there(span));
        there.iter().for_each(|(_, change)| change.apply(&mut content));
        if rest == Rest::Killed {
            let open = open.into_iter().filter(|_| rng.random_bool(0.5));
            open.for_each(|(_, change)| change.apply(&mut content));
            return content;
        }
        let reached = some(open.len(), rng);
        let length =
            open[..reached].iter().fold(content.len(), |length, (_, change)| change.length_after(length));
        let blocks: BTreeSet<usize> = open.iter().flat_map(|(_, change)| change.blocks()).collect();
        let before = content.clone();
        for (_, change) in &open[..reached] {
            if let Change::Resize { length } = change {
                content.truncate(*length);
            }
        }
        content.resize(length, 0);
        for number in blocks.into_iter().filter(|number| number * BLOCK < length) {
            let mut block = [0; BLOCK];
            let known = &before[(number * BLOCK).min(before.len())..((number + 1) * BLOCK).min(before.len())];
            block[..known.len()].copy_from_slice(known);
            // what a length cut off that is there is gone
            let cut_off = open[..reached].iter().rposition(
                |(_, change)| matches!(change, Change::Resize { length } if *length < (number + 1) * BLOCK),
            );
            let least = cut_off.map_or(0, |place| place + 1);
            let version = some(open.len(), rng).max(least);
            open[..version].iter().for_each(|(_, change)| change.apply_to(number, &mut block));
            let end = ((number + 1) * BLOCK).min(length);
            content[number * BLOCK..end].copy_from_slice(&block[..end - number * BLOCK]);
        }
        content
    }
}
