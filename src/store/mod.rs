//! The store: everything that must survive. Small rows live in sled, raw messages in pack files beside it;
//! one committer writes both (see `engine`). Outside this folder nobody sees a key or a byte layout:
//! the store is spoken to in verbs of the domain.
//!
//! Readers see a commit as soon as it is applied, a few milliseconds before it is durable, and wait for that
//! ([`Store::settle`]) before they tell others; events are readable only up to the durable cursor.

mod crypto;
mod engine;
mod error;
mod files;
mod format;
pub mod fsck;
mod handle;
mod tables;
#[cfg(test)]
mod tests;

pub(crate) use crypto::random_text;
pub use crypto::{Key, MasterKeySource, RotatedKey};
pub use engine::{
    Body, Commit, Committed, Compacted, Fatal, Owner, Quarantined, Role, StoreConfig, Vanished,
};
pub use error::StoreError;
pub use files::{
    FRAME, FULL_PAUSE, LargeRecord, LargeWriter, Measure, RecordHeader, RecordKind, RecordReader,
    encode as encode_record, keep_token, wait_for_room,
};
pub(crate) use files::{warn_if_readable, write_durably};
pub use format::{Row, UidEntry};
pub use handle::Store;
pub(crate) use tables::with_id;
pub use tables::{
    AppFacts, Attempt, Cause, DeviceAttempt, FolderPage, FoundTenant, Imported, Keyed, MailboxStatus,
    MessageFilter, Move, NewMailbox, Notice, Proof, ProvedBy, Replaced, SignIn, SignInState, StoredMailbox,
    TakeOver, ToldExpiry,
};
