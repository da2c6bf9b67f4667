//! A view of the keyspace with changes over it: what a commit is checked against and staged into.

use super::commit::Body;
use super::error::StoreError;
use super::keys::Key;
use super::pack_rows::{PackState, PackUse};
use super::uid_index::UidEntry;
use crate::domain::Incarnation;
use crate::domain::folder::FolderCounts;
use std::collections::BTreeMap;

/// Bytes that a staged commit adds to a pack.
pub(super) struct Append {
    pub(super) mailbox: Incarnation,
    pub(super) pack: u32,
    pub(super) offset: u64,
    pub(super) body: Body,
}

impl Append {
    /// Whether this record begins where another one ended.
    pub(super) fn follows(&self, mailbox: Incarnation, pack: u32, end: u64) -> bool {
        let is_record = matches!(self.body, Body::Record(_));
        is_record && self.mailbox == mailbox && self.pack == pack && self.offset == end
    }
}

/// A view of the keyspace: what is stored, overlaid by what earlier commits of the group changed.
pub(super) trait View {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
}

/// Changes over a view.
pub(super) struct Overlay<'v> {
    pub(super) below: &'v dyn View,
    pub(super) changes: Changes,
    pub(super) appends: Vec<Append>,
    pub(super) pack_limit: u64,
    pub(super) derived: Derived,
}

impl View for Overlay<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        overlaid(&self.changes, self.below, key)
    }
}

impl<'v> Overlay<'v> {
    pub(super) fn over(below: &'v dyn View, pack_limit: u64) -> Self {
        Self { below, changes: BTreeMap::new(), appends: Vec::new(), pack_limit, derived: Derived::default() }
    }
}

/// Rows that follow from a commit's messages and that many of them share: kept decoded until the commit is staged.
#[derive(Default)]
pub(super) struct Derived {
    pub(super) chunks: BTreeMap<Key, Vec<UidEntry>>,
    pub(super) counts: BTreeMap<Key, FolderCounts>,
    pub(super) packs: BTreeMap<Key, PackState>,
    pub(super) uses: BTreeMap<Key, PackUse>,
}

pub(super) type Changes = BTreeMap<Key, Option<Vec<u8>>>;

pub(super) fn overlaid(
    changes: &Changes,
    below: &dyn View,
    key: &[u8],
) -> Result<Option<Vec<u8>>, StoreError> {
    match changes.get(key) {
        Some(changed) => Ok(changed.clone()),
        None => below.get(key),
    }
}
