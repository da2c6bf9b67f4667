//! Whether the event log is whole, and what becomes of one that is not.

use crate::clock;
use crate::store::StoreError;
use crate::store::format::event_rows;

/// Follows the log from its first row to its last.
#[derive(Default)]
pub(super) struct Followed {
    next: Option<u64>,
    is_broken: bool,
}

impl Followed {
    /// The next row of the log; the numbers that are missing before it.
    pub(super) fn row(&mut self, key: &[u8], value: &[u8]) -> Result<Option<(u64, u64)>, StoreError> {
        let events: Vec<_> = event_rows::read_chunk(key, value)?.collect();
        let (Some(first), Some(last)) = (events.first(), events.last()) else { return Ok(None) };
        let (first, expected) = (first.cursor.0, self.next);
        self.next = Some(last.cursor.0.saturating_add(1));
        let gap = expected.filter(|expected| *expected != first).map(|expected| (expected, first));
        self.is_broken |= gap.is_some();
        Ok(gap)
    }

    /// A row cannot be read, or nobody knows whether there were more.
    pub(super) fn broken(&mut self) {
        self.is_broken = true;
    }

    /// Where a log begins that takes the place of one with gaps or none: above every number that may have been given.
    /// Whoever comes with an older cursor is told that his events are gone, instead of missing some unnoticed.
    /// `None`: the log is whole and goes on.
    pub(super) fn anew(&self) -> Option<u64> {
        let known = self.next.unwrap_or(0);
        // no log has grown by an event each microsecond since 1970
        let above = u64::try_from(clock::now().0).unwrap_or(0).saturating_mul(1000);
        (self.is_broken || self.next.is_none()).then(|| above.max(known))
    }
}
