//! Fetching messages: in batches, in pieces, bounded, parsed and sealed on worker threads.

mod bisect;
mod bounds;
mod envelope;
mod headers;
mod message_fetch;
mod partial_fetch;
mod sizes;
mod workers;

pub(super) use bisect::Isolation;
pub use envelope::parse;
pub(super) use message_fetch::{Fetched, Prepared, Progress, SET, Target, fetch_windows, prepare};
pub use workers::Workers;
