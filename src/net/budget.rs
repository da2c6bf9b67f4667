//! A byte budget that many share: how much may be in memory at once.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A number of bytes, which clones share.
#[derive(Clone, Debug)]
pub struct ByteBudget {
    permits: Arc<Semaphore>,
    /// The part of them that may be held for long.
    long: Arc<Semaphore>,
    total: u32,
}

/// A part of a budget, given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    /// `None` only if the budget was closed, which does not happen.
    permit: Option<OwnedSemaphorePermit>,
    /// As many of what may be held long.
    long: Option<OwnedSemaphorePermit>,
}

impl ByteBudget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let total = u32::try_from(bytes).unwrap_or(u32::MAX).max(1);
        let semaphore = |permits: u32| Arc::new(Semaphore::new(permits as usize));
        Self { permits: semaphore(total), long: semaphore(long_part(total)), total }
    }

    /// Waits for a share, at most the whole budget; first come, first served. The caller must hold no share that
    /// another waits for: two that wait for each other's shares would wait for ever.
    pub async fn take(&self, bytes: usize) -> Share {
        let permits = Arc::clone(&self.permits);
        Share { permit: permits.acquire_many_owned(self.share(bytes)).await.ok(), long: None }
    }

    /// As [`ByteBudget::take`], for what is still to come and held for as long as that takes. Such shares together are at
    /// most three quarters of the budget and wait for each other apart: however slow they are, the rest flows.
    pub async fn take_long(&self, bytes: usize) -> Share {
        let bytes = self.share(bytes).min(long_part(self.total));
        let long = Arc::clone(&self.long).acquire_many_owned(bytes).await.ok();
        Share { long, ..self.take(bytes as usize).await }
    }

    /// A share if there is one now.
    #[must_use]
    pub fn try_take(&self, bytes: usize) -> Option<Share> {
        let permits = Arc::clone(&self.permits);
        permits
            .try_acquire_many_owned(self.share(bytes))
            .ok()
            .map(|permit| Share { permit: Some(permit), long: None })
    }

    /// Gives back what a share holds beyond so many bytes.
    pub fn shrink(&self, share: &mut Share, bytes: usize) {
        for permit in [&mut share.permit, &mut share.long].into_iter().flatten() {
            let excess = permit.num_permits().saturating_sub(self.share(bytes) as usize);
            drop(permit.split(excess));
        }
    }

    fn share(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).clamp(1, self.total)
    }
}

impl Share {
    /// Takes another share of the same budget into this one.
    pub fn merge(&mut self, other: Self) {
        for (mine, theirs) in [(&mut self.permit, other.permit), (&mut self.long, other.long)] {
            match (mine.as_mut(), theirs) {
                (Some(mine), Some(theirs)) => mine.merge(theirs),
                (None, theirs) => *mine = theirs,
                (Some(_), None) => {}
            }
        }
    }
}

fn long_part(total: u32) -> u32 {
    (total - total / 4).max(1)
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

    #[tokio::test]
    async fn long_shares_wait_for_each_other_and_nobody_waits_for_them() {
        let budget = ByteBudget::new(100);
        let mut first = budget.take_long(1_000_000).await;
        let mut second = std::pin::pin!(budget.take_long(30));
        assert!(futures_util::poll!(&mut second).is_pending(), "three quarters are held");
        let quarter = budget.take(25).await;
        budget.shrink(&mut first, 45);
        let second = second.await;
        drop(quarter);
        assert!(budget.try_take(26).is_none());
        assert!(budget.try_take(25).is_some());
        drop((first, second));
        assert!(budget.try_take(100).is_some());
        drop(budget.take_long(75).await);
    }
}
