//! Between the actor and its rider, who live on one arbiter: how one calls the other out of IDLE.

use crate::imap::connection::IdleEnd;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// The bell.
#[derive(Default)]
pub(in crate::imap) struct Bell {
    wake: Notify,
    leave: Notify,
    is_waiting: AtomicBool,
    is_leaving: AtomicBool,
}

impl Bell {
    /// There is something to look at. Rung while nobody waits, it ends the next wait.
    pub(in crate::imap) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Comes when there is something to look at.
    pub(in crate::imap) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Asks the rider to say goodbye and go; `false`: it is in the middle of something, cut it off.
    pub(in crate::imap) fn ask_to_leave(&self) -> bool {
        self.is_leaving.store(true, Ordering::Relaxed);
        self.leave.notify_one();
        self.is_waiting.load(Ordering::Relaxed)
    }

    /// Whether the rider was asked to go.
    pub(in crate::imap) fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Relaxed)
    }

    /// Does what can be ended at any time by the call.
    pub(in crate::imap) async fn wait_in<T>(&self, wait: impl AsyncFnOnce() -> T) -> T {
        self.is_waiting.store(true, Ordering::Relaxed);
        let done = wait().await;
        self.is_waiting.store(false, Ordering::Relaxed);
        done
    }

    /// Comes when somebody calls.
    pub(in crate::imap) async fn called(&self) -> IdleEnd {
        tokio::select! {
            () = self.wake.notified() => IdleEnd::Woken,
            () = self.leave.notified() => IdleEnd::Leaving,
        }
    }
}
