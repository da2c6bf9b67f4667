//! Receiving: one actor per mailbox that keeps the store in step with an IMAP server.

mod connect;
mod envelope;
mod fetch;
pub mod names;
pub mod plan;
pub mod protocol;
mod wire;

pub use fetch::ByteBudget;
