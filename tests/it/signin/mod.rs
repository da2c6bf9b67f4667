//! Signing in: every way in, refresh tokens of other systems, and sign-ins that are cut off.

pub mod consent;
pub mod crash;
pub mod google;
pub mod link;
pub mod other_app;
pub mod pages;
pub mod rotation;
pub mod take_over;
pub mod take_over_kills;
pub mod ways;
