//! The supervisor: spawns each mailbox's actors by factory, watches them, restarts them with backoff.

pub mod protocol;
