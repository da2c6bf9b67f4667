//! IDLE (RFC 2177): waiting for the server to speak of a change in the selected folder.

use super::decode::{library, tagged};
use super::protocol::ImapError;
use super::wire::{Change, Connection, read};
use async_imap::imap_proto::Response;
use std::time::Duration;

/// How waiting in IDLE ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IdleEnd {
    /// The server spoke of a change.
    Changed,
    /// The time was up.
    Elapsed,
    /// Somebody woke us.
    Woken,
}

impl Connection {
    /// Waits in IDLE until the server speaks of a change, `wake` resolves or the time is up; not at all if it
    /// spoke of one before. Without IDLE it waits, and then asks.
    pub(super) async fn idle(
        &mut self,
        time: Duration,
        wake: impl Future<Output = ()>,
    ) -> Result<IdleEnd, ImapError> {
        tokio::pin!(wake);
        if self.change != Change::default() {
            return Ok(IdleEnd::Changed);
        }
        if !self.offers("IDLE") {
            let end = tokio::select! {
                () = &mut wake => IdleEnd::Woken,
                () = tokio::time::sleep(time) => IdleEnd::Elapsed,
            };
            self.noop().await?;
            return Ok(end);
        }
        let tag = self.send("IDLE", "IDLE").await?;
        let start = self.timing.idle_start;
        loop {
            let response = self.next("IDLE", start).await?;
            if let Some(end) = tagged("IDLE", &tag, response.parsed()) {
                end?;
                return Err(ImapError::Bad { what: "IDLE", text: String::from("ended before it began") });
            }
            self.note(response.parsed())?;
            if matches!(response.parsed(), Response::Continue(_)) {
                break;
            }
        }
        let deadline = tokio::time::sleep(time);
        tokio::pin!(deadline);
        let end = loop {
            if self.change != Change::default() {
                break IdleEnd::Changed;
            }
            tokio::select! {
                // read_response keeps what it read in its buffer: cutting it off loses nothing
                response = read(&mut self.session, "IDLE") => {
                    let response = response?;
                    if let Some(end) = tagged("IDLE", &tag, response.parsed()) {
                        end?;
                        return Err(ImapError::Lost { what: "IDLE" });
                    }
                    self.note(response.parsed())?;
                }
                () = &mut wake => break IdleEnd::Woken,
                () = &mut deadline => break IdleEnd::Elapsed,
            }
        };
        self.session.run_command_untagged("DONE").await.map_err(|error| library("IDLE", error))?;
        self.finish("IDLE", &tag, start, |_| {}).await?;
        Ok(end)
    }
}
