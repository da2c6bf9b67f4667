//! IDLE (RFC 2177): waiting for the server to report a change in the selected folder.

use super::decode::{library, tagged};
use super::read::read;
use super::read_timeout::ReadTimeout;
use super::response::Response;
use super::wire::{Change, Connection};
use crate::clock;
use crate::imap::protocol::ImapError;
use crate::imap::wakeup::{Call, Wakeup};
use crate::net::LimitExceeded;
use std::time::Duration;

/// Responses that IDLE may bring in a minute. Each change ends IDLE, and what came with it is read as an answer: no busy
/// mailbox comes near.
const UNSOLICITED: u32 = 5000;

/// How waiting in IDLE ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::imap) enum IdleEnd {
    /// The server reported a change.
    Changed,
    /// The time was up.
    Elapsed,
    /// There is something else to look at.
    Woken,
    /// The server refused IDLE.
    Refused,
    /// The server ended it without reporting a change.
    Ended,
    /// The sync loop is to stop: IDLE has been ended, its answer is not waited for.
    Stopping,
}

impl From<Call> for IdleEnd {
    fn from(call: Call) -> Self {
        match call {
            Call::Wake => Self::Woken,
            Call::Stop => Self::Stopping,
        }
    }
}

/// How to wait for a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::imap) enum Waiting {
    /// In IDLE, where the server offers it.
    Idle,
    /// Without it: NOOP when the time is up.
    Poll,
}

impl Connection {
    /// Waits in IDLE until the server reports a change, `wakeup` is called or the time is up; not at all if the server
    /// reported a change before. Without IDLE it waits, and then sends NOOP.
    pub(in crate::imap) async fn idle(
        &mut self,
        time: Duration,
        wakeup: &Wakeup,
        waiting: Waiting,
    ) -> Result<IdleEnd, ImapError> {
        if self.change != Change::default() {
            return Ok(IdleEnd::Changed);
        }
        if waiting == Waiting::Poll || !self.offers("IDLE") {
            let wait = async || {
                tokio::select! {
                    call = wakeup.called() => IdleEnd::from(call),
                    () = tokio::time::sleep(time) => IdleEnd::Elapsed,
                }
            };
            let end = wakeup.wait_in(wait).await;
            if end != IdleEnd::Stopping {
                self.noop().await?;
            }
            return Ok(end);
        }
        let wait = async || {
            let tag = self.send("IDLE", "IDLE").await?;
            match self.until_idle(&tag).await {
                Ok(true) => {}
                Ok(false) => return Ok((None, IdleEnd::Ended)),
                Err(error @ (ImapError::No { .. } | ImapError::Bad { .. })) => {
                    // what it says of the session counts, what it says of IDLE is IDLE's
                    let is_session = error.is_of_session();
                    return if is_session { Err(error) } else { Ok((None, IdleEnd::Refused)) };
                }
                Err(error) => return Err(error),
            }
            let end = self.change_or_call(&tag, time, wakeup).await?;
            Ok::<_, ImapError>((Some(tag).filter(|_| end != IdleEnd::Ended), end))
        };
        let (tag, end) = wakeup.wait_in(wait).await?;
        let Some(tag) = tag else { return Ok(end) };
        self.say_done().await?;
        if end != IdleEnd::Stopping {
            self.finish("IDLE", &tag, self.timing.idle_start, |_| {}).await?;
        }
        Ok(end)
    }

    /// Begins IDLE and ends it again: whether the server does what it offers.
    pub(in crate::imap) async fn try_idle(&mut self) -> Result<(), ImapError> {
        let tag = self.send("IDLE", "IDLE").await?;
        if !self.until_idle(&tag).await? {
            return Err(ImapError::Bad { what: "IDLE", text: String::from("ended before it began") });
        }
        self.say_done().await?;
        self.finish("IDLE", &tag, self.timing.idle_start, |_| {}).await
    }

    async fn say_done(&mut self) -> Result<(), ImapError> {
        let after = self.timing.idle_start;
        let said = tokio::time::timeout(after, self.session.run_command_untagged("DONE")).await;
        let said = said.map_err(|_| ImapError::Timeout { what: "IDLE", after })?;
        said.map_err(|error| library("IDLE", error))
    }

    /// Waits for `+`; `false`: IDLE ended before it began.
    async fn until_idle(&mut self, tag: &str) -> Result<bool, ImapError> {
        loop {
            let response = self.next("IDLE", ReadTimeout::Within(self.timing.idle_start)).await?;
            if let Some(end) = tagged("IDLE", tag, &response) {
                return end.map(|()| false);
            }
            self.note(&response)?;
            if response == Response::Continue {
                return Ok(true);
            }
        }
    }

    /// Counts a response in IDLE: a server that floods is given up, with the wait that an error brings.
    fn count_unsolicited(&mut self) -> Result<(), ImapError> {
        let (now, (since, count)) = (clock::monotonic(), &mut self.unsolicited);
        if now.saturating_duration_since(*since) >= Duration::from_secs(60) {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        if *count > UNSOLICITED {
            return Err(ImapError::Exceeded { what: "IDLE", limit: LimitExceeded::Unsolicited(UNSOLICITED) });
        }
        Ok(())
    }

    async fn change_or_call(
        &mut self,
        tag: &str,
        time: Duration,
        wakeup: &Wakeup,
    ) -> Result<IdleEnd, ImapError> {
        let mut called = std::pin::pin!(wakeup.called());
        let mut deadline = std::pin::pin!(tokio::time::sleep(time));
        loop {
            if self.change != Change::default() {
                return Ok(IdleEnd::Changed);
            }
            self.give_way().await;
            tokio::select! {
                // the reader keeps what it has read: cutting it off loses nothing
                response = read(&mut self.session, "IDLE") => {
                    let response = response?;
                    if let Some(end) = tagged("IDLE", tag, &response) {
                        end?;
                        return Ok(IdleEnd::Ended);
                    }
                    self.note(&response)?;
                    self.count_unsolicited()?;
                }
                call = &mut called => return Ok(IdleEnd::from(call)),
                () = &mut deadline => return Ok(IdleEnd::Elapsed),
            }
        }
    }
}
