//! How the actor ends the waiting of its delivery, and learns whether a message is in flight. Both live on one arbiter.

use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// Shared by an actor and its delivery.
#[derive(Default)]
pub(super) struct Wakeup {
    pub(super) wake: Notify,
    /// A message is in flight: cut off now, nobody would know whether it was sent.
    attempting: AtomicBool,
    /// Its final dot may have left: its answer comes once.
    answering: AtomicBool,
    /// Somebody signed in: what the outbox is held for may be gone.
    signed_in: AtomicBool,
    ending: AtomicBool,
}

impl Wakeup {
    /// Somebody signed in.
    pub(super) fn signed_in(&self) {
        self.signed_in.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// Delivery is to end after the message that is in flight; `false`: there is none, and it can be cut off. At the second
    /// call only a message whose answer is waited for is worth the wait: the successor sends any other.
    pub(super) fn stop(&self) -> bool {
        let was_asked = self.ending.swap(true, Ordering::Relaxed);
        if was_asked {
            self.answering.load(Ordering::Relaxed)
        } else {
            self.attempting.load(Ordering::Relaxed)
        }
    }

    /// Whether delivery is to end.
    pub(super) fn is_stopping(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// A message is in flight, or no longer.
    pub(super) fn attempting(&self, is_in_flight: bool) {
        self.attempting.store(is_in_flight, Ordering::Relaxed);
        self.answering.store(false, Ordering::Relaxed);
    }

    /// The final dot is about to leave.
    pub(super) fn answering(&self) {
        self.answering.store(true, Ordering::Relaxed);
    }

    /// Whether somebody signed in since the last call.
    pub(super) fn take_signed_in(&self) -> bool {
        self.signed_in.swap(false, Ordering::Relaxed)
    }
}
