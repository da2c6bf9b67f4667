//! How keys and values are written.

pub(super) mod codec;
pub(super) mod event_rows;
pub(super) mod keys;
pub(super) mod overflow;
mod pack_rows;
pub(super) mod submission_row;
mod topic;
pub(super) mod uid_index;

pub use codec::Row;
pub(super) use event_rows::read_chunk;
pub(super) use keys::Key;
pub(super) use pack_rows::{PackState, PackUse};
pub(super) use submission_row::{KeyRow, decode, encode, idempotency, is_indexed, is_open};
pub(super) use topic::{InJournal, Topic};
pub use uid_index::UidEntry;
