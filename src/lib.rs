//! Stafette: a headless mail synchronization engine.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

pub mod clock;
pub mod config;
pub mod diagnosis;
pub mod domain;
pub mod events;
mod faults;
pub mod http;
pub mod imap;
pub mod net;
pub mod protocol;
pub mod smtp;
pub mod store;
pub mod supervisor;
pub mod token;
