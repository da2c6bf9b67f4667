//! Stafette: a headless mail synchronization engine.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

pub mod clock;
pub mod diagnosis;
pub mod domain;
pub mod net;
pub mod smtp;
pub mod token;
