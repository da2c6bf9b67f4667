//! Tokens: refresh, rotation, apps that break, and what a kill leaves of a grant.

pub mod certificate;
pub mod fleet;
pub mod kills;
pub mod oauth;
pub mod refusals;
pub mod service_account;
pub mod upkeep;
