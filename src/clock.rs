//! The only door to time. Everything that decides takes `now` as an argument.

use crate::domain::Timestamp;
use std::time::Instant;

/// The wall clock, for what is stored and shown.
#[must_use]
#[allow(clippy::disallowed_methods)]
pub fn now() -> Timestamp {
    Timestamp(chrono::Utc::now().timestamp_millis())
}

/// The monotonic clock, for deadlines.
#[must_use]
#[allow(clippy::disallowed_methods)]
pub fn monotonic() -> Instant {
    Instant::now()
}
