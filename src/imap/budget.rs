//! The byte budget that all mailboxes share: how much of message bodies may be in memory at once.

use super::protocol::ImapError;
use super::workers::Workers;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of message bodies in flight in the whole process, and the threads that prepare them.
#[derive(Clone)]
pub struct ByteBudget {
    permits: Arc<Semaphore>,
    total: u32,
    pub(super) workers: Workers,
}

impl ByteBudget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let total = u32::try_from(bytes).unwrap_or(u32::MAX).max(1);
        Self { permits: Arc::new(Semaphore::new(total as usize)), total, workers: Workers::start() }
    }

    /// Waits for a share. Who waits must hold none that depends on him: two who wait for each other's
    /// shares would wait for ever.
    pub(super) async fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, ImapError> {
        let permit = Arc::clone(&self.permits).acquire_many_owned(self.share(bytes)).await;
        permit.map_err(|_| ImapError::Internal(String::from("the byte budget was closed")))
    }

    /// A share if there is one now.
    pub(super) fn try_take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).try_acquire_many_owned(self.share(bytes)).ok()
    }

    /// Gives back what a share holds beyond so many bytes.
    pub(super) fn shrink(&self, share: &mut OwnedSemaphorePermit, bytes: usize) {
        let excess = share.num_permits().saturating_sub(self.share(bytes) as usize);
        drop(share.split(excess));
    }

    fn share(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).clamp(1, self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_share_larger_than_the_budget_is_the_whole_budget_and_nothing_is_left() {
        let budget = ByteBudget::new(100);
        let all = budget.take(1_000_000).await.unwrap();
        assert!(budget.try_take(1).is_none());
        drop(all);
        let mut all = budget.try_take(100).unwrap();
        budget.shrink(&mut all, 40);
        assert!(budget.try_take(61).is_none());
        assert!(budget.try_take(60).is_some());
    }
}
