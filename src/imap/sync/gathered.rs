//! What is read of small folders and shares one commit with others.

use crate::domain::FolderId;
use crate::net::Share;
use crate::store::Commit;
use std::collections::BTreeSet;

/// Bytes, messages and folders of one commit. What is gathered holds its share of the memory for bodies.
const BYTES: u64 = 1 << 20;
const MESSAGES: usize = 256;
const FOLDERS: usize = 128;

/// What is read of folders and not yet committed.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) commit: Option<Commit>,
    pub(super) shares: Vec<Share>,
    pub(super) bytes: u64,
    pub(super) messages: usize,
    pub(super) folders: BTreeSet<FolderId>,
}

impl Gathered {
    /// Whether this folder is among what was read.
    pub(super) fn holds(&self, folder: FolderId) -> bool {
        self.folders.contains(&folder)
    }

    /// Whether it is enough for a commit.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= BYTES || self.messages >= MESSAGES || self.folders.len() >= FOLDERS
    }
}
