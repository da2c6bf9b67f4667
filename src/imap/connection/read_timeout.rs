//! How long a response is waited for, and how long others wait meanwhile.

use super::response::Response;
use super::wire::{Connection, read};
use crate::clock;
use crate::imap::protocol::ImapError;
use std::time::Duration;

/// Others on the arbiter get their turn after so many responses or bytes: what comes fast could be read for tens of
/// milliseconds without a pause.
const TURN_RESPONSES: u32 = 256;
const TURN_BYTES: u64 = 256 << 10;

/// How long a response may take.
#[derive(Clone, Copy, Debug)]
pub(in crate::imap) enum Patience {
    /// It is whole within this time.
    Within(Duration),
    /// However long it is in coming, as long as so many bytes a second come in each such time.
    AtPace(Duration, u64),
}

/// Bytes a second that have to come of a message: the rest of it would take for ever.
pub(in crate::imap) const SLOWEST: u64 = 1 << 10;

/// A whole answer may take so many times what a single response of it may.
const WHOLE: u32 = 10;
/// And a second more for so many bytes of it: a server that sends a byte now and then gains nothing by them.
const PACE: u64 = 4 << 10;

impl Patience {
    /// How long the whole answer to a command may be waited for of which so many bytes came.
    fn whole(self, bytes: u64) -> Duration {
        let (after, pace) = match self {
            Self::Within(after) => (after, PACE),
            Self::AtPace(after, pace) => (after, pace),
        };
        after.saturating_mul(WHOLE).saturating_add(Duration::from_secs(bytes / pace.max(1)))
    }
}

impl Connection {
    /// A command was sent: the wait for its answer begins.
    pub(in crate::imap) fn begin_waiting(&mut self) {
        self.waited = (Duration::ZERO, self.meter.bytes());
    }

    /// Lets others have their turn now and then.
    pub(in crate::imap) async fn give_way(&mut self) {
        let (responses, bytes) = (self.turn.0.saturating_add(1), self.meter.bytes());
        if responses < TURN_RESPONSES && bytes.saturating_sub(self.turn.1) < TURN_BYTES {
            self.turn.0 = responses;
        } else {
            self.turn = (0, bytes);
            tokio::task::yield_now().await;
        }
    }

    /// The next response. Responses that come each in time and never end are not waited for for ever.
    pub(in crate::imap) async fn next(
        &mut self,
        what: &'static str,
        patience: Patience,
    ) -> Result<Response, ImapError> {
        self.give_way().await;
        let begun = clock::monotonic();
        let response = self.next_in_time(what, patience).await;
        let (waited, before) = &mut self.waited;
        *waited = waited.saturating_add(clock::monotonic().saturating_duration_since(begun));
        let after = patience.whole(self.meter.bytes().saturating_sub(*before));
        if *waited > after {
            return Err(ImapError::Timeout { what, after });
        }
        response
    }

    async fn next_in_time(&mut self, what: &'static str, patience: Patience) -> Result<Response, ImapError> {
        let (after, least) = match patience {
            Patience::Within(after) => (after, u64::MAX),
            Patience::AtPace(after, pace) => (after, after.as_secs().saturating_mul(pace).max(1)),
        };
        let mut heard = self.meter.bytes();
        let mut read = std::pin::pin!(read(&mut self.session, what));
        loop {
            if let Ok(response) = tokio::time::timeout(after, &mut read).await {
                return response;
            }
            let before = std::mem::replace(&mut heard, self.meter.bytes());
            if heard.saturating_sub(before) < least {
                return Err(ImapError::Timeout { what, after });
            }
        }
    }
}
