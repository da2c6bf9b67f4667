//! How long a response, and the whole answer to a command, may take. Pure.

use std::time::Duration;

/// How long a response may take.
#[derive(Clone, Copy, Debug)]
pub(in crate::imap) enum ReadTimeout {
    /// It is whole within this time.
    Within(Duration),
    /// However long it takes in all, as long as each such time brings this many bytes for each of its seconds.
    AtPace(Duration, u64),
}

/// Bytes a second that have to come of a message: the rest of it would take for ever.
pub(super) const SLOWEST: u64 = 1 << 10;

/// A whole answer may take so many times what a single response of it may.
const WHOLE: u32 = 10;
/// And a second more for so many bytes of it: a server that sends a byte now and then gains nothing by them.
const PACE: u64 = 4 << 10;

impl ReadTimeout {
    /// How long the whole answer to a command may take of which so many bytes came.
    pub(super) fn whole(self, bytes: u64) -> Duration {
        let (after, pace) = match self {
            Self::Within(after) => (after, PACE),
            Self::AtPace(after, pace) => (after, pace),
        };
        after.saturating_mul(WHOLE).saturating_add(Duration::from_secs(bytes / pace.max(1)))
    }

    /// The time after which progress is judged, and how many bytes have to have come in it for the wait to go on.
    pub(super) fn interval(self) -> (Duration, u64) {
        match self {
            Self::Within(after) => (after, u64::MAX),
            Self::AtPace(after, pace) => (after, after.as_secs().saturating_mul(pace).max(1)),
        }
    }
}
