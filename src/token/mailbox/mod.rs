//! One mailbox's tokens: when to refresh, the refresh itself, and acting for a user.

mod actor;
mod impersonation;
pub mod lifecycle;
mod refresh;
mod token_state;

pub use actor::TokenActor;
pub use impersonation::scope_of;
pub(super) use impersonation::verdict;
pub(super) use lifecycle::{Circumstances, Step, after_failure, refresh_at};
