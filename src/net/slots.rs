//! How many connections may be open at once: each takes a descriptor of the process.

use super::NetError;
use crate::descriptors::Shares;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long room to send is waited for: connections that send end soon.
const ROOM: Duration = Duration::from_secs(30);

/// Room for connections; shared by all mailboxes.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    limit: u64,
    receiving: Arc<Semaphore>,
    sending: Arc<Semaphore>,
}

/// Room for one connection, given back when it is dropped.
#[derive(Debug)]
pub struct Slot {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Slots {
    pub(super) fn of(shares: Shares) -> Self {
        let semaphore = |size: usize| Arc::new(Semaphore::new(size.min(Semaphore::MAX_PERMITS)));
        Self {
            limit: shares.limit,
            receiving: semaphore(shares.receiving),
            sending: semaphore(shares.sending),
        }
    }

    /// Room for a connection that stays.
    pub(super) fn receiving(&self) -> Result<Slot, NetError> {
        let permit = Arc::clone(&self.receiving).try_acquire_owned();
        permit
            .map(|permit| Slot { _permit: Some(permit) })
            .map_err(|_| NetError::Descriptors { limit: self.limit })
    }

    /// Waits a while for room for a connection that sends and ends; first come, first served.
    pub(super) async fn sending(&self) -> Result<Slot, NetError> {
        let permit = tokio::time::timeout(ROOM, Arc::clone(&self.sending).acquire_owned()).await;
        // the other error only if it was closed, which does not happen
        let permit = permit.map_err(|_| NetError::Descriptors { limit: self.limit })?;
        Ok(Slot { _permit: permit.ok() })
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_finds_no_room_is_told_the_limit_and_finds_it_when_another_leaves() {
        let slots = Slots::of(Shares { limit: 77, http: 1, sending: 1, receiving: 2 });
        let (first, _second) = (slots.receiving().unwrap(), slots.receiving().unwrap());
        let refused = slots.receiving().unwrap_err();
        assert_eq!(refused.diagnosis().code, "descriptors");
        assert!(refused.to_string().contains("77"), "{refused}");
        drop(first);
        assert!(slots.receiving().is_ok());
        let one = slots.sending().await.unwrap();
        assert!(futures_util::poll!(Box::pin(slots.sending())).is_pending());
        drop(one);
        slots.sending().await.unwrap();
    }
}
