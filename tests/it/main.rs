//! One binary for every test against real parts: Dovecot, Postfix and the Entra ID stand-in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::string_slice, clippy::print_stdout)]

#[path = "../world/mod.rs"]
mod world;

mod api;
mod bad_input;
mod bad_servers;
mod browser;
mod certificate;
mod client;
mod compaction;
mod consent;
mod daemon;
mod distribute;
mod doctor;
mod doors;
mod drain;
mod durability;
mod engine;
mod fleet;
mod follow;
mod garbage;
mod guide;
mod http;
mod http_mail;
mod http_outbox;
mod import;
mod invite;
mod kills;
mod kills_send;
mod kills_tokens;
mod language;
mod large;
mod leaks;
mod logins;
mod master_key;
mod oauth;
mod overheard;
mod panics;
mod policy;
mod providers;
mod quiet;
mod rotation;
mod rounds;
mod send;
mod service_account;
mod signin;
mod signin_crash;
mod signin_ways;
mod sync;
mod take_over;
mod take_over_kills;
mod trace;
mod upkeep;
mod verify;
