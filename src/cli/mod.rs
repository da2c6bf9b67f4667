//! The command line. `serve` is the daemon, `fsck` works on its store while it does not run; every other command
//! talks to the daemon's HTTP API.

mod admin;
mod args;
mod client;
mod commands;
mod doctor;
mod failure;
mod fsck;
mod invite;
mod printer;
mod rotate;
mod run;
mod serve;
mod show;

pub use args::Arguments;
pub use failure::Failure;
pub use run::run;
