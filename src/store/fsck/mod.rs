//! Checking a store that no daemon has open, and making it anew from what can be read.
//!
//! The check neither cuts packs nor finishes erasures; it opens sled, as a start does. Rebuilding writes a second
//! state beside the first and puts it in its place at the end; the damaged one stays, under another name.

pub(super) mod check;
mod findings;
mod log;
#[cfg(test)]
mod lying_tests;
mod mailbox;
mod offline;
mod old;
mod place;
pub(super) mod rebuild;
mod rows;
mod salvage;
mod scan;
mod second;
#[cfg(test)]
mod tests;
mod writer;

pub use check::check;
pub use findings::Findings;
pub(super) use place::finish as finish_rebuild;
pub use rebuild::rebuild;
