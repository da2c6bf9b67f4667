//! Fetching messages: in batches, large ones in parts, with memory bounded, parsed and sealed on worker threads.

mod bisect;
mod bounds;
mod envelope;
mod headers;
mod message_fetch;
mod partial_fetch;
mod prepare;
mod queue;
mod sizes;
mod workers;

pub(super) use bisect::{Bisection, Blame};
pub use envelope::parse;
pub(super) use message_fetch::fetch_windows;
pub(super) use prepare::{Fetched, Prepared, Target, prepare};
pub(super) use queue::Progress;
pub use workers::Workers;
