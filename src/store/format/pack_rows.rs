//! The rows about a mailbox's packs.

use crate::domain::message::BodyLocation;

/// Where the packs of a mailbox end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(in crate::store) struct PackState {
    /// The pack that is appended to; 0: none yet.
    pub(in crate::store) current: u32,
    /// How long it is.
    pub(in crate::store) end: u64,
    /// The highest number given to any pack.
    pub(in crate::store) highest: u32,
}

/// How much of a pack somebody refers to. What is in use by nobody stays so: a body is referred to anew only by whoever
/// takes it over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(in crate::store) struct PackUse {
    /// Records.
    pub(in crate::store) records: u64,
    /// Their bytes.
    pub(in crate::store) bytes: u64,
}

impl PackUse {
    pub(in crate::store) fn add(&mut self, place: BodyLocation) {
        self.records = self.records.saturating_add(1);
        self.bytes = self.bytes.saturating_add(place.length);
    }

    pub(in crate::store) fn take(&mut self, place: BodyLocation) {
        self.records = self.records.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(place.length);
    }
}
