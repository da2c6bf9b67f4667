//! The HTTP side: the API (`api`, one file per resource) and the pages a user signs in by (`pages`).
//!
//! Open: `/healthz`, `/readyz`, `/sign-in/…`. Everything under `/v1` needs the key (`auth`). Whatever goes wrong is
//! answered as `application/problem+json` (`problem`). What is changed here is committed first; then the supervisor is
//! woken, and a wake-up may be lost.

mod api;
mod auth;
mod bodies;
mod extract;
mod language;
mod listeners;
mod pages;
mod problem;
mod routing;
mod server;
mod shared;
mod visitors;
mod wait;
mod wrong_keys;

pub use auth::{ADMIN_KEY_FILE, admin_key};
pub use listeners::BindError;
pub use server::{Bound, Servers, ServersHandle, bind};
pub use shared::HttpDeps;

use shared::Shared;
