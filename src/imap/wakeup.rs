//! How the actor ends its sync loop's waiting: to look at the server, or to stop. Both live on one arbiter.

use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// Why waiting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// There is something to look at.
    Wake,
    /// The sync loop is to log out and end.
    Stop,
}

/// Shared by an actor and its sync loop.
#[derive(Default)]
pub(super) struct Wakeup {
    wake: Notify,
    stop: Notify,
    is_waiting: AtomicBool,
    is_stopping: AtomicBool,
}

impl Wakeup {
    /// There is something to look at. Called while nobody waits, it ends the next wait.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Completes when there is something to look at.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// The sync loop is to log out and end; `false`: it is in the middle of something, and has to be cut
    /// off.
    pub(super) fn stop(&self) -> bool {
        self.is_stopping.store(true, Ordering::Relaxed);
        self.stop.notify_one();
        self.is_waiting.load(Ordering::Relaxed)
    }

    /// Whether the sync loop is to end.
    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    /// Runs `wait`, which [`Self::called`] ends at any time, so that [`Self::stop`] knows it is heard.
    pub(super) async fn wait_in<T>(&self, wait: impl AsyncFnOnce() -> T) -> T {
        self.is_waiting.store(true, Ordering::Relaxed);
        let done = wait().await;
        self.is_waiting.store(false, Ordering::Relaxed);
        done
    }

    /// Completes with the next call.
    pub(super) async fn called(&self) -> Call {
        tokio::select! {
            () = self.wake.notified() => Call::Wake,
            () = self.stop.notified() => Call::Stop,
        }
    }
}
