//! A view of the keyspace with changes over it: what a commit is checked against and staged into.

use super::commit::Body;
use crate::domain::Incarnation;
use crate::domain::folder::FolderCounts;
use crate::store::error::StoreError;
use crate::store::format::{Key, PackState, PackUse, UidEntry};
use std::collections::BTreeMap;

/// Bytes that a staged commit adds to a pack.
pub(in crate::store) struct Append {
    pub(in crate::store) mailbox: Incarnation,
    pub(in crate::store) pack: u32,
    pub(in crate::store) offset: u64,
    pub(in crate::store) body: Body,
}

impl Append {
    /// Whether this record begins where another one ended.
    pub(in crate::store) fn follows(&self, mailbox: Incarnation, pack: u32, end: u64) -> bool {
        let is_record = matches!(self.body, Body::Record(_));
        is_record && self.mailbox == mailbox && self.pack == pack && self.offset == end
    }
}

/// A view of the keyspace: what is stored, overlaid by what earlier commits of the group changed.
pub(in crate::store) trait View {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
}

/// Changes over a view.
pub(in crate::store) struct Overlay<'v> {
    pub(in crate::store) below: &'v dyn View,
    pub(in crate::store) changes: Changes,
    pub(in crate::store) appends: Vec<Append>,
    pub(in crate::store) pack_limit: u64,
    pub(in crate::store) derived: Derived,
}

impl View for Overlay<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        overlaid(&self.changes, self.below, key)
    }
}

impl<'v> Overlay<'v> {
    pub(in crate::store) fn over(below: &'v dyn View, pack_limit: u64) -> Self {
        Self { below, changes: BTreeMap::new(), appends: Vec::new(), pack_limit, derived: Derived::default() }
    }
}

/// Rows that follow from a commit's messages and that many of them share: kept decoded until the commit is staged.
#[derive(Default)]
pub(in crate::store) struct Derived {
    pub(in crate::store) chunks: BTreeMap<Key, Vec<UidEntry>>,
    pub(in crate::store) counts: BTreeMap<Key, FolderCounts>,
    pub(in crate::store) packs: BTreeMap<Key, PackState>,
    pub(in crate::store) uses: BTreeMap<Key, PackUse>,
}

pub(in crate::store) type Changes = BTreeMap<Key, Option<Vec<u8>>>;

pub(in crate::store) fn overlaid(
    changes: &Changes,
    below: &dyn View,
    key: &[u8],
) -> Result<Option<Vec<u8>>, StoreError> {
    match changes.get(key) {
        Some(changed) => Ok(changed.clone()),
        None => below.get(key),
    }
}
