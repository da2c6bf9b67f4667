//! One binary for every test against real parts: Dovecot, Postfix and the Entra ID stand-in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

#[path = "../world/mod.rs"]
mod world;

mod client;
mod daemon;
mod drain;
mod durability;
mod engine;
mod follow;
mod kills;
mod kills_send;
mod kills_tokens;
mod leaks;
mod oauth;
mod panics;
mod rounds;
mod send;
mod sync;
mod trace;
