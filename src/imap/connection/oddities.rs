//! Lines of a server that are not understood: passed over, counted, and logged once for each kind.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Lines of one mailbox's server that were passed over.
#[derive(Debug, Default)]
pub(in crate::imap) struct Oddities {
    count: AtomicU64,
    kinds: Mutex<BTreeSet<&'static str>>,
}

impl Oddities {
    /// A line of this kind was passed over.
    pub(in crate::imap) fn note(&self, kind: &'static str) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let is_new = self.kinds.lock().unwrap_or_else(PoisonError::into_inner).insert(kind);
        if is_new {
            tracing::info!(
                kind,
                "a line that is not understood was passed over; others of its kind are only counted"
            );
        }
    }

    /// How many.
    pub(in crate::imap) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}
