//! What tests are made of: the engine and the daemon, a scripted server, clients, and what is heard of them.

pub mod anna;
pub mod api;
pub mod browser;
pub mod client;
pub mod daemon;
pub mod engine;
pub mod follow;
pub mod hostile;
pub mod leaks;
pub mod names;
pub mod overheard;
pub mod rounds;
pub mod scripted;
pub mod trace;
pub mod webs;
