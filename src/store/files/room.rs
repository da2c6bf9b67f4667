//! How much room a disk has, and waiting for more of it.

use crate::store::error::StoreError;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How many bytes are free. Tests give another.
pub type Measure = Arc<dyn Fn() -> std::io::Result<u64> + Send + Sync>;

/// The room that is left for bodies.
#[derive(Clone)]
pub(in crate::store) struct Room {
    pub(in crate::store) data_dir: PathBuf,
    /// Bytes that bodies leave free; 0: nothing is measured and nothing kept.
    pub(in crate::store) min_free: u64,
    pub(in crate::store) measure: Measure,
}

impl Room {
    /// Whether more of a body may be written that no commit speaks of yet.
    pub(in crate::store) fn check(&self) -> Result<(), StoreError> {
        let is_low = self.min_free > 0 && (self.measure)().is_ok_and(|free| free < self.min_free);
        if is_low { Err(self.full()) } else { Ok(()) }
    }

    pub(in crate::store) fn full(&self) -> StoreError {
        StoreError::Full { path: self.data_dir.clone() }
    }
}

/// Asks the file system.
pub(in crate::store) fn of_disk(data_dir: &Path) -> Measure {
    let data_dir = data_dir.to_path_buf();
    Arc::new(move || {
        let found = rustix::fs::statvfs(&data_dir)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    })
}

/// How long a full disk is left alone.
pub const FULL_PAUSE: Duration = Duration::from_secs(2);

/// Waits a moment for space, with something in hand that is nowhere else.
pub async fn wait_for_room(what: &'static str, path: &Path) {
    tracing::error!(path = %path.display(), "no room for {what} on this machine now, waiting with it");
    tokio::time::sleep(FULL_PAUSE).await;
}

/// Writes a refresh token that was just received: a full disk is waited out with it in hand.
///
/// # Errors
/// Those of `write` that do not pass by themselves.
pub async fn keep_token(mut write: impl AsyncFnMut() -> Result<(), StoreError>) -> Result<(), StoreError> {
    loop {
        match write().await {
            Err(StoreError::Full { path } | StoreError::Exhausted { path, .. }) => {
                wait_for_room("a refresh token", &path).await;
            }
            other => return other,
        }
    }
}
