//! Between the actor and its courier, who live on one arbiter: how one calls the other.

use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// The bell.
#[derive(Default)]
pub(super) struct Bell {
    pub(super) wake: Notify,
    /// A message is on its way: whoever cuts it off now makes its fate unknown.
    attempting: AtomicBool,
    /// Its final dot may have left: its answer comes once.
    answering: AtomicBool,
    /// Somebody signed in: what the outbox is held for may be gone.
    signed_in: AtomicBool,
    ending: AtomicBool,
}

impl Bell {
    /// Says that somebody signed in.
    pub(super) fn signed_in(&self) {
        self.signed_in.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// Asks the courier to end after the message that is on its way; `false`: there is none, cut it off. Asked again,
    /// only one whose answer is waited for is worth the wait: any other goes out in the next life.
    pub(super) fn ends_by_itself(&self) -> bool {
        let was_asked = self.ending.swap(true, Ordering::Relaxed);
        if was_asked {
            self.answering.load(Ordering::Relaxed)
        } else {
            self.attempting.load(Ordering::Relaxed)
        }
    }

    /// Whether the courier was asked to end.
    pub(super) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// A message is on its way, or no longer.
    pub(super) fn attempting(&self, is_on_its_way: bool) {
        self.attempting.store(is_on_its_way, Ordering::Relaxed);
        self.answering.store(false, Ordering::Relaxed);
    }

    /// The final dot is about to leave.
    pub(super) fn answering(&self) {
        self.answering.store(true, Ordering::Relaxed);
    }

    /// Whether somebody signed in since this was last asked.
    pub(super) fn take_signed_in(&self) -> bool {
        self.signed_in.swap(false, Ordering::Relaxed)
    }
}
