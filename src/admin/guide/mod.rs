//! How an app is registered, step by step, for this installation's addresses and the chosen way of signing in.

mod consent;
mod facts;
mod steps;
mod texts;

pub(crate) use consent::url as consent_url;
pub(crate) use steps::{Guide, guide};
pub(crate) use texts::{Language, Way};
