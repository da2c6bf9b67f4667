//! What the mailboxes of an app share: who may ask, the app's own token, new credentials on trial, checking a registration.

mod actor;
pub mod circuit_breaker;
pub mod credential_trial;
mod request_outcome;
mod verify;
mod verify_account;
mod verify_checks;

pub use actor::AppActor;
pub(super) use circuit_breaker::Outcome;
pub use request_outcome::outcome;
pub use verify::{Verified, tenant_id, verify};
pub use verify_account::verify_account;
pub use verify_checks::{AppOnlyUse, Check, CheckResult};
