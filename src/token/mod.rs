//! Tokens: how access tokens are obtained, kept fresh, and never lost.

pub mod protocol;
