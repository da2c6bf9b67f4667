//! Reading the next response: within its timeout, and without keeping the arbiter from others.

use super::decode::unreadable;
use super::read_timeout::ReadTimeout;
use super::response::{Response, parse};
use super::wire::{Connection, Stream};
use crate::clock;
use crate::imap::protocol::ImapError;
use std::time::Duration;

/// Others on the arbiter get their turn after so many responses or bytes: what comes fast could be read for tens of
/// milliseconds without a pause.
const TURN_RESPONSES: u32 = 256;
const TURN_BYTES: u64 = 256 << 10;

/// The next response. Cut off, it loses nothing: the reader keeps what it has read.
pub(super) async fn read(
    session: &mut async_imap::Session<Stream>,
    what: &'static str,
) -> Result<Response, ImapError> {
    match session.get_mut().response().await {
        Ok(Some(response)) => Ok(parse(&response)),
        Ok(None) => Err(ImapError::Lost { what }),
        Err(error) => Err(unreadable(what, &error)),
    }
}

impl Connection {
    /// A command was sent: the wait for its answer begins.
    pub(super) fn begin_waiting(&mut self) {
        self.waited = (Duration::ZERO, self.meter.bytes());
    }

    /// Lets others have their turn now and then.
    pub(super) async fn give_way(&mut self) {
        let (responses, bytes) = (self.turn.0.saturating_add(1), self.meter.bytes());
        if responses < TURN_RESPONSES && bytes.saturating_sub(self.turn.1) < TURN_BYTES {
            self.turn.0 = responses;
        } else {
            self.turn = (0, bytes);
            tokio::task::yield_now().await;
        }
    }

    /// The next response. The whole answer has a limit of its own: responses that each come in time and never end would
    /// keep the mailbox for ever.
    pub(super) async fn next(
        &mut self,
        what: &'static str,
        timeout: ReadTimeout,
    ) -> Result<Response, ImapError> {
        self.give_way().await;
        let begun = clock::monotonic();
        let response = self.next_in_time(what, timeout).await;
        let (waited, before) = &mut self.waited;
        *waited = waited.saturating_add(clock::monotonic().saturating_duration_since(begun));
        let after = timeout.whole(self.meter.bytes().saturating_sub(*before));
        if *waited > after {
            return Err(ImapError::Timeout { what, after });
        }
        response
    }

    async fn next_in_time(
        &mut self,
        what: &'static str,
        timeout: ReadTimeout,
    ) -> Result<Response, ImapError> {
        let (after, least) = timeout.interval();
        let mut read_before = self.meter.bytes();
        let mut read = std::pin::pin!(read(&mut self.session, what));
        loop {
            if let Ok(response) = tokio::time::timeout(after, &mut read).await {
                return response;
            }
            let before = std::mem::replace(&mut read_before, self.meter.bytes());
            if read_before.saturating_sub(before) < least {
                return Err(ImapError::Timeout { what, after });
            }
        }
    }
}
