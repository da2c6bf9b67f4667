//! The rows about a mailbox's packs.

use crate::domain::message::BodyLocation;

/// Where the packs of a mailbox end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct PackState {
    /// The pack that is appended to; 0: none yet.
    pub(super) current: u32,
    /// How long it is.
    pub(super) end: u64,
    /// The highest number given to any pack.
    pub(super) highest: u32,
}

/// How much of a pack somebody refers to. What is in use by nobody stays so: a body is referred to anew only by whoever
/// takes it over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct PackUse {
    /// Records.
    pub(super) records: u64,
    /// Their bytes.
    pub(super) bytes: u64,
}

impl PackUse {
    pub(super) fn add(&mut self, place: BodyLocation) {
        self.records = self.records.saturating_add(1);
        self.bytes = self.bytes.saturating_add(place.length);
    }

    pub(super) fn take(&mut self, place: BodyLocation) {
        self.records = self.records.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(place.length);
    }
}
