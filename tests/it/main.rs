//! One binary for every test against real parts: Dovecot, Postfix and the Entra ID stand-in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

#[path = "../world/mod.rs"]
mod world;

mod api;
mod bad_input;
mod bad_servers;
mod engine;
mod http;
mod http_mail;
mod http_outbox;
mod oauth;
mod send;
mod signin;
mod signin_crash;
mod sync;
