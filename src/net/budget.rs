//! A byte budget that many share: how much may be in memory at once.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many bytes. Clones share them.
#[derive(Clone, Debug)]
pub struct ByteBudget {
    permits: Arc<Semaphore>,
    total: u32,
}

/// A part of a budget, given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    /// `None` only if the budget was closed, which nobody does.
    permit: Option<OwnedSemaphorePermit>,
}

impl ByteBudget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let total = u32::try_from(bytes).unwrap_or(u32::MAX).max(1);
        Self { permits: Arc::new(Semaphore::new(total as usize)), total }
    }

    /// Waits for a share, at most the whole budget; whoever came first is served first. Who waits must hold none that
    /// depends on him: two who wait for each other's shares would wait for ever.
    pub async fn take(&self, bytes: usize) -> Share {
        let permits = Arc::clone(&self.permits);
        Share { permit: permits.acquire_many_owned(self.share(bytes)).await.ok() }
    }

    /// A share if there is one now.
    #[must_use]
    pub fn try_take(&self, bytes: usize) -> Option<Share> {
        let permits = Arc::clone(&self.permits);
        permits.try_acquire_many_owned(self.share(bytes)).ok().map(|permit| Share { permit: Some(permit) })
    }

    /// Gives back what a share holds beyond so many bytes.
    pub fn shrink(&self, share: &mut Share, bytes: usize) {
        if let Some(permit) = &mut share.permit {
            let excess = permit.num_permits().saturating_sub(self.share(bytes) as usize);
            drop(permit.split(excess));
        }
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
        let all = budget.take(1_000_000).await;
        assert!(budget.try_take(1).is_none());
        drop(all);
        let mut all = budget.try_take(100).unwrap();
        budget.shrink(&mut all, 40);
        assert!(budget.try_take(61).is_none());
        assert!(budget.try_take(60).is_some());
    }
}
