//! One binary for every test against real parts: Dovecot, Postfix and the Entra ID stand-in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::string_slice, clippy::print_stdout)]

#[path = "../world/mod.rs"]
mod world;

mod admin;
mod api;
mod operate;
mod send;
mod signin;
mod store;
mod support;
mod sync;
mod tokens;
