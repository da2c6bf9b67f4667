//! Verbs about the event log.

use crate::domain::Timestamp;
use crate::events::{Cursor, Event};
use crate::store::engine::{Commit, Expect, Op, database};
use crate::store::error::StoreError;
use crate::store::format::{keys, read_chunk};
use crate::store::handle::Store;

/// How many values one commit forgets: other commits do not wait long for it.
const FORGOTTEN_AT_ONCE: usize = 500;

impl Store {
    /// Up to `limit` durable events after a cursor, of one mailbox if one is named.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn events_after(
        &self,
        after: Cursor,
        limit: usize,
        wanted: impl Fn(&Event) -> bool,
    ) -> Result<(Vec<Event>, Cursor), StoreError> {
        let durable = self.durable_cursor();
        let mut found = Vec::new();
        let mut reached = after;
        // the chunk that holds the cursor's own event begins at or before it
        let start = match self.db().range(keys::events()..=keys::event(after.0)).next_back() {
            Some(entry) => entry.map_err(StoreError::sled)?.0.to_vec(),
            None => keys::events(),
        };
        for entry in self.db().range(start..keys::event(u64::MAX)) {
            let (key, value) = entry.map_err(StoreError::sled)?;
            for event in read_chunk(&key, &value)? {
                if event.cursor <= after {
                    continue;
                }
                if event.cursor > durable || found.len() >= limit {
                    return Ok((found, reached));
                }
                reached = event.cursor;
                if wanted(&event) {
                    found.push(event);
                }
            }
        }
        Ok((found, reached.max(after)))
    }

    /// The position before the oldest event that is kept.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn earliest_cursor(&self) -> Result<Cursor, StoreError> {
        let oldest =
            self.db().scan_prefix(keys::events()).keys().next().transpose().map_err(StoreError::sled)?;
        match oldest.and_then(|key| keys::trailing_u64(&key)) {
            Some(first) => Ok(Cursor(first.saturating_sub(1))),
            None => database::last_sequence(self.db()).map(Cursor),
        }
    }

    /// Removes events older than this, in small commits; how many values of the log went. The newest value always
    /// stays: the next sequence number follows from it.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub async fn forget_events(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut forgotten: u64 = 0;
        loop {
            let mut commit = Commit::default();
            let mut chunks = self.db().scan_prefix(keys::events()).peekable();
            while let Some(chunk) = chunks.next() {
                let (key, value) = chunk.map_err(StoreError::sled)?;
                let newest = read_chunk(&key, &value)?.last().map(|event| event.at);
                if chunks.peek().is_none() || newest.is_none_or(|newest| newest >= before) {
                    break;
                }
                commit.ops.push(Op::Delete { key: key.to_vec(), expect: Expect::Any });
                if commit.ops.len() == FORGOTTEN_AT_ONCE {
                    break;
                }
            }
            drop(chunks);
            if commit.ops.is_empty() {
                return Ok(forgotten);
            }
            forgotten = forgotten.saturating_add(commit.ops.len() as u64);
            self.commit(commit).await?;
        }
    }

    /// The position after the newest durable event.
    #[must_use]
    pub fn durable_cursor(&self) -> Cursor {
        *self.handle().durable.borrow()
    }

    /// Wakes a reader when the durable cursor moves.
    #[must_use]
    pub fn watch_durable(&self) -> tokio::sync::watch::Receiver<Cursor> {
        self.handle().durable.clone()
    }
}
