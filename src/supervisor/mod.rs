//! The supervisor: spawns each mailbox's actors by factory, watches them, restarts them with backoff.

mod actor;
mod apps;
mod asks;
mod children;
mod leaving;
mod plan;
pub mod protocol;
mod reconcile;
mod trial;
mod upkeep;
mod watchdog;

pub use actor::{Factories, Supervisor};
