//! Duties: what is done once for the whole installation, now and every hour. Each may be interrupted anywhere and goes on
//! where it was.

use crate::clock;
use crate::config::Config;
use crate::domain::Timestamp;
use crate::periodic::Periodic;
use crate::store::{Store, StoreError};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// What is done once for the whole installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Duty {
    /// Erasures of deleted mailboxes that are not finished.
    Erasure,
    /// Events that are older than they have to be are removed.
    EventExpiry,
    /// Packs that are mostly dead are rewritten.
    Compaction,
    /// Client secrets that end soon are announced.
    SecretExpiry,
}

impl Duty {
    const ALL: [Self; 4] = [Self::Erasure, Self::EventExpiry, Self::Compaction, Self::SecretExpiry];

    const fn name(self) -> &'static str {
        match self {
            Self::Erasure => "erasure",
            Self::EventExpiry => "event expiry",
            Self::Compaction => "compaction",
            Self::SecretExpiry => "secret expiry",
        }
    }
}

/// Takes up all duties; they end with `periodic`.
pub fn take_up(periodic: &Periodic, store: &Store, config: &Config) {
    for duty in Duty::ALL {
        let (store, retention, dead) = (store.clone(), config.events.retention, config.store.compact_at);
        periodic.every(duty.name(), HOUR, move || {
            let store = store.clone();
            async move {
                match duty {
                    Duty::Erasure => finish_erasures(&store).await,
                    Duty::EventExpiry => forget_old_events(&store, retention).await,
                    Duty::Compaction => compact_packs(&store, dead).await,
                    Duty::SecretExpiry => announce_expiring_secrets(&store).await,
                }
            }
        });
    }
}

async fn finish_erasures(store: &Store) {
    for mailbox in store.erasures().unwrap_or_default() {
        if let Err(error) = store.erase(mailbox).await {
            tracing::error!(%mailbox, %error, "erasure not finished, tried again in an hour");
        }
    }
}

async fn forget_old_events(store: &Store, retention: Duration) {
    let kept = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
    match store.forget_events(Timestamp(clock::now().0.saturating_sub(kept))).await {
        Ok(0) => {}
        Ok(values) => tracing::info!(values, "old events removed"),
        Err(error) => tracing::warn!(%error, "old events are not removed yet"),
    }
}

/// `dead`: the share of a pack from which on it is rewritten.
async fn compact_packs(store: &Store, dead: f64) {
    for stored in store.mailboxes().unwrap_or_default() {
        let (store, mailbox) = (store.clone(), stored.incarnation);
        match tokio::task::spawn_blocking(move || store.compact(mailbox, dead)).await {
            Ok(Ok(done)) if done.packs == 0 => {}
            Ok(Ok(done)) => tracing::info!(mailbox = %stored.mailbox.id, ?done, "packs compacted"),
            Ok(Err(StoreError::Stale)) => {} // deleted meanwhile
            Ok(Err(error)) => tracing::warn!(mailbox = %stored.mailbox.id, %error, "packs not compacted"),
            Err(_) => {} // logged by the panic hook
        }
    }
}

async fn announce_expiring_secrets(store: &Store) {
    match store.tell_expiring_secrets(clock::now()).await {
        Ok(0) => {}
        Ok(secrets) => tracing::warn!(secrets, "client secrets end soon"),
        Err(error) => tracing::warn!(%error, "the ends of client secrets are not told yet"),
    }
}
