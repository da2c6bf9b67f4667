//! Receiving: one actor per mailbox that keeps the store in step with an IMAP server.

mod actor;
mod announce;
mod backoff;
mod bell;
mod checkup;
mod connect;
mod decode;
mod doubts;
mod envelope;
mod fetch;
mod folders;
mod goodbye;
mod idle;
mod isolate;
mod listings;
pub mod names;
mod patience;
mod pieces;
mod plan;
mod probe;
pub mod protocol;
mod rematch;
mod rider;
mod rounds;
mod seen;
mod sizes;
mod sync;
mod twins;
mod wire;
mod workers;

pub use actor::{ImapActor, ImapDeps};
pub use checkup::{Checkup, CheckupSession};
pub use connect::Credentials;
pub use envelope::parse as parse_envelope;
pub use probe::probe;
pub use workers::Workers;
