//! A commit's way to disk: what an actor wants changed, checks over a view, one committer, and opening it all.

pub(super) mod commit;
pub(super) mod committer;
mod compact;
#[cfg(test)]
mod compact_tests;
pub(super) mod database;
mod derived;
#[cfg(test)]
mod exhausted_tests;
mod open;
pub(super) mod overlay;
mod space;
mod stage;
pub(super) mod upgrade;

pub use commit::{Body, Commit, Owner, Quarantined, Role, Vanished};
pub(super) use commit::{Expect, Op, expect_read};
pub use committer::{Committed, Fatal};
pub use compact::Compacted;
pub(super) use compact::count_uses;
pub(super) use database::{lock, open_sled, unless_it_panics};
pub use open::StoreConfig;
pub(super) use overlay::{Append, Changes, View};
