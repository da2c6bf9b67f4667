//! Requests with a wrong key are counted, and logged at the first and then once a minute.

use crate::clock;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two lines about wrong keys.
const LOGGED_AGAIN: Duration = Duration::from_secs(60);

/// How many wrong keys came since the last line about them, and when that was.
#[derive(Debug, Default)]
pub(super) struct WrongKeys(Mutex<(u64, Option<Instant>)>);

impl WrongKeys {
    /// A request came with a wrong key.
    pub(super) fn note(&self, peer: Option<SocketAddr>) {
        let now = clock::monotonic();
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.0 = seen.0.saturating_add(1);
        if seen.1.is_none_or(|logged| now.saturating_duration_since(logged) >= LOGGED_AGAIN) {
            let address = peer.map(|peer| peer.ip().to_string()).unwrap_or_default();
            tracing::warn!(tries = seen.0, last = address, "wrong keys for the API");
            *seen = (0, Some(now));
        }
    }
}
