//! Bytes on disk beside sled: packs, large records, the journal, and small files that survive power loss.

pub(super) mod durable_file;
pub(super) mod journal;
#[cfg(test)]
mod journal_ends_tests;
pub(super) mod journal_read;
pub(super) mod journal_rows;
#[cfg(test)]
pub(super) mod journal_tests;
mod large;
mod pack;
#[cfg(test)]
mod pack_tests;
mod packs;
pub(super) mod room;
pub(super) mod state_files;

pub(super) use durable_file::sync_parent;
pub(crate) use durable_file::{warn_if_readable, write_durably};
pub(super) use journal::{Journal, applied_by};
pub(super) use journal_read::{Copy, FILE};
pub use large::{LargeRecord, LargeWriter};
pub use pack::{FRAME, RecordHeader, RecordKind, RecordReader, encode};
pub(super) use pack::{MAGIC, Prelude};
pub(super) use packs::Packs;
pub(super) use room::Room;
pub use room::{FULL_PAUSE, Measure, keep_token, wait_for_room};
