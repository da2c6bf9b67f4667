//! Receiving: one actor per mailbox that keeps the store in step with an IMAP server.

mod actor;
mod checkup;
mod connection;
mod fetch;
mod probe;
pub mod protocol;
mod sync;
mod wakeup;

pub use actor::{ImapActor, ImapDeps};
pub use checkup::{Checkup, CheckupSession};
pub use connection::{Credentials, ListedMessage, ListedSize};
pub use fetch::{Workers, parse as parse_envelope};
pub use probe::probe;
pub use sync::{FlagChange, Known, Listing, Plan, plan};
