//! The test world: a Dovecot, a Postfix (or an Exim) and an Entra ID stand-in of one's own, in a temporary folder on free
//! ports, with a fault proxy to put before them and a seeder to fill them. Tests, benches and the demo include
//! this module by path; each uses a part of it. The API blocks and needs no runtime; the world brings its own.
#![allow(dead_code, unused_imports, missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::string_slice)]
#![allow(
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    clippy::print_stdout,
    clippy::print_stderr
)]

pub mod backstage;
pub mod certs;
pub mod config;
pub mod cyrus;
pub mod entra;
pub mod exim;
pub mod http;
pub mod imap;
pub mod mailbox;
pub mod process;
pub mod proxy;
pub mod seeder;
pub mod smtp;
pub mod stage;

pub use cyrus::Cyrus;
pub use entra::{Entra, EntraOptions, Rotation};
pub use mailbox::{Mailboxes, Seen};
pub use proxy::{Kind, ProxyHandle, Transport};
pub use seeder::{SeedOptions, SeedReport};
pub use stage::{World, WorldBuilder};
