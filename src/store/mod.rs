//! The store: everything that must survive. Small rows live in sled, raw messages in pack files beside it;
//! one committer writes both (see `committer`). Outside this folder nobody sees a key or a byte layout:
//! the store is spoken to in verbs of the domain.
//!
//! Readers see a commit as soon as it is applied, a few milliseconds before it is durable, and wait for that
//! ([`Store::settle`]) before they tell others; events are readable only up to the durable cursor.

mod app_facts;
mod app_states;
mod apps;
mod codec;
mod commit;
mod committer;
mod compact;
#[cfg(test)]
mod compact_tests;
mod create_many;
mod database;
mod derived;
mod error;
mod event_rows;
mod events_log;
#[cfg(test)]
mod events_tests;
#[cfg(test)]
mod exhausted_tests;
mod files;
mod folders;
pub mod fsck;
mod grants;
mod handle;
mod journal;
mod journal_copy;
#[cfg(test)]
mod journal_ends_tests;
mod journal_rows;
#[cfg(test)]
mod journal_tests;
mod key;
mod keys;
mod large;
#[cfg(test)]
mod lists_tests;
mod long;
mod mailboxes;
mod master_key;
mod messages;
mod moves;
mod notices;
mod open;
mod outbox;
mod overlay;
mod pack;
mod pack_rows;
#[cfg(test)]
mod pack_tests;
mod packs;
mod room;
mod rotation;
mod sign_ins;
mod space;
mod stage;
mod state_files;
mod submission_row;
mod take_over;
#[cfg(test)]
mod tests;
mod uid_index;
mod upgrade;
mod vault;

pub use app_facts::{AppFacts, FoundTenant, Proof, ProvedBy, ToldExpiry};
pub use codec::Row;
pub use commit::{Body, Commit, Owner, Quarantined, Role, Vanished};
pub use committer::{Committed, Fatal};
pub use compact::Compacted;
pub use create_many::NewMailbox;
pub use error::StoreError;
pub(crate) use files::{warn_if_readable, write_durably};
pub use handle::Store;
pub use key::Key;
pub(crate) use key::random_text;
pub use large::{LargeRecord, LargeWriter};
pub use mailboxes::{MailboxStatus, StoredMailbox};
pub use master_key::{MasterKeySource, RotatedKey};
pub use messages::{FolderPage, MessageFilter};
pub use moves::Move;
pub use notices::{Cause, Notice};
pub use open::StoreConfig;
pub use outbox::Keyed;
pub use pack::{FRAME, RecordHeader, RecordKind, RecordReader, encode as encode_record};
pub use room::{FULL_PAUSE, Measure, keep_token, wait_for_room};
pub use rotation::Replaced;
pub(crate) use sign_ins::with_id;
pub use sign_ins::{Attempt, DeviceAttempt, Imported, SignIn, SignInState};
pub use take_over::TakeOver;
pub use uid_index::UidEntry;
