//! A file of mailboxes, read: each mailbox as it would be posted, with its line.

use crate::problem::LineError;
use serde_json::Value;

/// A mailbox as it is posted, and where it was.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) line: u64,
    pub(super) value: Value,
}

/// A file, read.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) lines: Vec<Line>,
    pub(super) errors: Vec<LineError>,
}
