//! What a check found.

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Findings {
    /// Mailboxes looked at.
    pub mailboxes: u64,
    /// Message records.
    pub messages: u64,
    /// Records in packs, every frame opened.
    pub records: u64,
    /// Their bytes.
    pub record_bytes: u64,
    /// Records nothing refers to: of messages that were deleted. Their space is not given back yet.
    pub unreferenced: u64,
    /// What is not as it must be, a line each.
    pub problems: Vec<String>,
    /// What was done or is worth knowing, a line each.
    pub notes: Vec<String>,
}

impl Findings {
    pub(super) fn problem(&mut self, what: impl Into<String>) {
        self.problems.push(what.into());
    }
}
