//! The supervisor: spawns each mailbox's actors by factory, watches them, restarts them with backoff.

mod actor;
mod apps;
mod children;
mod client;
mod credential_trial;
mod plan;
pub mod protocol;
mod reconcile;
mod requests;
mod stopping;
mod upkeep;
mod watchdog;

pub use actor::{Factories, Supervisor};
pub use client::SupervisorClient;
