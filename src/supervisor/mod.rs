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
mod state;
mod stopping;
mod upkeep;
mod watchdog;

pub use client::SupervisorClient;
pub use state::{Factories, Supervisor};
