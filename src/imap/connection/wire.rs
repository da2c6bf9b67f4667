//! One authenticated connection. async-imap is the session and writes the commands; what the server
//! answers is read by [`crate::imap::connection::response`] from the stream below it: the library's parser ends a connection at a line it
//! does not know, its streams end at a tagged NO or BAD as if it were OK, and drop a BYE's text.
// there are far more responses than any place uses
#![allow(clippy::wildcard_enum_match_arm)]

use super::decode::{library, needed, short, tagged, unreadable};
use super::dialogue::Dialogue;
use super::oddities::Oddities;
use super::read_timeout::{ReadTimeout, SLOWEST};
use super::response::{FetchedMessage, Response, Status};
use crate::clock;
use crate::config::Timing;
use crate::domain::WireName;
use crate::imap::protocol::ImapError;
use crate::net::{LimitExceeded, MaybeTls, ReadAhead, ReadMeter};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Bytes of everything that a server says to one FETCH, message bodies apart: a listing of millions of messages. What is
/// listed is held in memory.
pub(in crate::imap) const ANSWER: u64 = 1 << 28;
/// The same for SEARCH: the UIDs of as many.
const SEARCH_ANSWER: u64 = 1 << 25;
/// The same for any other command: folders with long names, and what changed meanwhile.
pub(super) const OTHER_ANSWER: u64 = 1 << 24;
/// What a server may offer.
const CAPABILITIES: usize = 500;

static NUMBERS: AtomicU64 = AtomicU64::new(0);

/// Whoever has waited so long for a message hands on what came before it.
const LULL: Duration = Duration::from_millis(100);

/// The stream under the library.
pub(super) type Stream = Dialogue<MaybeTls<ReadAhead<TcpStream>>>;

/// An authenticated connection.
pub(in crate::imap) struct Connection {
    pub(in crate::imap) session: async_imap::Session<Stream>,
    pub(in crate::imap) capabilities: BTreeSet<String>,
    pub(in crate::imap) timing: Timing,
    pub(in crate::imap) selected: Option<WireName>,
    pub(in crate::imap) exists: u32,
    pub(in crate::imap) change: Change,
    /// Whether flags are requested: those that come are an answer.
    pub(super) flags_requested: bool,
    pub(in crate::imap) meter: Arc<ReadMeter>,
    /// Lines of the server that are not understood.
    pub(in crate::imap) oddities: Arc<Oddities>,
    /// Whether it says that it is an Exchange server.
    pub(in crate::imap) is_exchange: bool,
    /// Whether backslashes in names escape, as the list of folders shows it.
    pub(super) escapes: bool,
    /// Distinguishes this connection from others.
    number: u64,
    /// Tags that were given to commands which the library does not write.
    pub(in crate::imap) tags: u32,
    /// Responses that were read since others had their turn, and where the meter stood then.
    pub(super) turn: (u32, u64),
    /// How long the last command was waited for, and where the meter stood when it was sent.
    pub(super) waited: (Duration, u64),
    /// Since when responses in IDLE are counted, and how many came.
    pub(super) unsolicited: (Instant, u32),
}

/// What the server reported of the selected folder without a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::imap) struct Change {
    /// EXISTS grew.
    pub(in crate::imap) arrived: bool,
    /// EXPUNGE.
    pub(in crate::imap) gone: bool,
    /// Other flags.
    pub(in crate::imap) flags: bool,
}

impl Connection {
    pub(in crate::imap) fn new(
        session: async_imap::Session<Stream>,
        timing: Timing,
        oddities: Arc<Oddities>,
    ) -> Self {
        let meter = session.get_ref().meter();
        Self {
            session,
            capabilities: BTreeSet::new(),
            timing,
            selected: None,
            exists: 0,
            change: Change::default(),
            flags_requested: false,
            meter,
            oddities,
            is_exchange: false,
            escapes: true,
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            tags: 0,
            turn: (0, 0),
            waited: (Duration::ZERO, 0),
            unsolicited: (clock::monotonic(), 0),
        }
    }

    /// Whether the server offers a capability, by what it said after log-in.
    pub(in crate::imap) fn offers(&self, capability: &str) -> bool {
        self.capabilities.contains(&capability.to_ascii_uppercase())
    }

    /// Reads the capabilities again: they differ before and after log-in.
    pub(super) async fn read_capabilities(&mut self) -> Result<(), ImapError> {
        let mut found = BTreeSet::new();
        self.exchange("CAPABILITY", "CAPABILITY", |response| {
            if let Response::Capabilities(capabilities) = response {
                let room = CAPABILITIES.saturating_sub(found.len());
                found.extend(capabilities.iter().take(room).cloned());
            }
        })
        .await?;
        self.capabilities = found;
        Ok(())
    }

    /// Sends name and version of this program, and reads those of the server (RFC 2971).
    pub(super) async fn identify(&mut self) -> Result<(), ImapError> {
        let command = concat!("ID (\"name\" \"stafette\" \"version\" \"", env!("CARGO_PKG_VERSION"), "\")");
        let mut is_exchange = false;
        self.exchange("ID", command, |response| {
            if let Response::Id(text) = response {
                is_exchange = text.contains("Microsoft.Exchange");
            }
        })
        .await?;
        self.is_exchange = is_exchange;
        Ok(())
    }

    /// The selected folder was only compared: a visit selects it anew.
    pub(in crate::imap) fn forget_selection(&mut self) {
        self.selected = None;
    }

    /// A number that no other connection has.
    pub(in crate::imap) fn number(&self) -> u64 {
        self.number
    }

    /// EXISTS of the selected folder as last heard.
    pub(in crate::imap) fn exists(&self) -> u32 {
        self.exists
    }

    /// What was listed of the whole selected folder; some servers reject a set that means nothing, in an empty one.
    /// `true`: that it is empty is known from EXISTS alone.
    pub(in crate::imap) fn or_empty<T>(
        &self,
        listed: Result<Vec<T>, ImapError>,
    ) -> Result<(Vec<T>, bool), ImapError> {
        match listed {
            Ok(listed) => Ok((listed, false)),
            Err(error) if self.exists == 0 && error.is_plain_refusal() => Ok((Vec::new(), true)),
            Err(error) => Err(error),
        }
    }

    /// What changed since the last call.
    pub(in crate::imap) fn take_change(&mut self) -> Change {
        std::mem::take(&mut self.change)
    }

    /// Which folder is selected.
    pub(in crate::imap) fn selected(&self) -> Option<&WireName> {
        self.selected.as_ref()
    }

    /// Fetches a section of messages: `[]` is the whole, `[HEADER]` its header. Each response is handed on as it comes,
    /// unparsed beyond IMAP; `None`: nothing came for a while, and more may come. The tagged answer ends it.
    pub(in crate::imap) async fn fetch_sections<F, E>(
        &mut self,
        uids: &str,
        section: &str,
        mut take: F,
    ) -> Result<(), E>
    where
        F: AsyncFnMut(Option<FetchedMessage>) -> Result<(), E>,
        E: From<ImapError>,
    {
        let command = format!("UID FETCH {uids} (UID FLAGS INTERNALDATE BODY.PEEK{section})");
        let is_damaged = |message: &FetchedMessage| message.body.is_some() && !message.is_whole;
        self.fetch(&command, async |message| {
            if message.as_ref().is_some_and(is_damaged) {
                // where its literals end is not certain, and with it everything behind them
                let detail = String::from("a message in a damaged response");
                return Err(ImapError::Unreadable { what: "FETCH", detail }.into());
            }
            take(message).await
        })
        .await
    }

    /// Reads what a FETCH brings of messages, each as it comes, as [`Self::fetch_sections`] does.
    pub(in crate::imap) async fn fetch<F, E>(&mut self, command: &str, mut take: F) -> Result<(), E>
    where
        F: AsyncFnMut(Option<FetchedMessage>) -> Result<(), E>,
        E: From<ImapError>,
    {
        let tag = self.send("FETCH", command).await?;
        loop {
            let response = {
                let timeout = ReadTimeout::AtPace(self.timing.fetch_silence, SLOWEST);
                let mut next = std::pin::pin!(self.next("FETCH", timeout));
                match tokio::time::timeout(LULL, &mut next).await {
                    Ok(response) => response?,
                    Err(_) => {
                        take(None).await?;
                        next.await?
                    }
                }
            };
            if let Some(end) = tagged("FETCH", &tag, &response) {
                return Ok(end?);
            }
            self.note(&response)?;
            let Response::Fetch(message) = response else { continue };
            take(Some(*message)).await?;
        }
    }

    pub(in crate::imap) async fn exchange(
        &mut self,
        what: &'static str,
        command: &str,
        see: impl FnMut(&Response),
    ) -> Result<(), ImapError> {
        let tag = self.send(what, command).await?;
        let within = self.timing.command;
        self.finish(what, &tag, within, see).await
    }

    /// Gives the server an occasion to speak.
    pub(super) async fn noop(&mut self) -> Result<(), ImapError> {
        self.exchange("NOOP", "NOOP", |_| {}).await
    }

    pub(in crate::imap) async fn send(
        &mut self,
        what: &'static str,
        command: &str,
    ) -> Result<String, ImapError> {
        let after = self.timing.command;
        self.session.get_mut().keep(needed(command));
        self.begin_waiting();
        let sent = tokio::time::timeout(after, self.session.run_command(command)).await;
        match sent.map_err(|_| ImapError::Timeout { what, after })? {
            Ok(tag) => Ok(tag.0),
            Err(error) => Err(self.last_words(library(what, error)).await),
        }
    }

    /// Writes what the library has no words for.
    pub(in crate::imap) async fn write(&mut self, what: &'static str, bytes: &[u8]) -> Result<(), ImapError> {
        let after = self.timing.command;
        let stream = self.session.get_mut();
        let write = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        let written = tokio::time::timeout(after, write).await;
        written.map_err(|_| ImapError::Timeout { what, after })?.map_err(|error| unreadable(what, &error))
    }

    /// Whether more came since `before` than an answer may have.
    pub(super) fn bound(&self, what: &'static str, before: u64, most: u64) -> Result<(), ImapError> {
        if self.meter.bytes().saturating_sub(before) > most {
            return Err(ImapError::Exceeded { what, limit: LimitExceeded::Answer(most) });
        }
        Ok(())
    }

    pub(in crate::imap) async fn finish(
        &mut self,
        what: &'static str,
        tag: &str,
        within: Duration,
        see: impl FnMut(&Response),
    ) -> Result<(), ImapError> {
        self.answer(what, &[tag], ReadTimeout::Within(within), see).await?.1
    }

    /// Reads until one of these commands is answered: which one, and how.
    pub(in crate::imap) async fn answer(
        &mut self,
        what: &'static str,
        tags: &[&str],
        timeout: ReadTimeout,
        mut see: impl FnMut(&Response),
    ) -> Result<(usize, Result<(), ImapError>), ImapError> {
        let before = self.meter.bytes();
        let most = most(what);
        loop {
            let response = self.next(what, timeout).await?;
            let mut ends = tags.iter().map(|tag| tagged(what, tag, &response));
            if let Some((number, Some(end))) = ends.by_ref().enumerate().find(|(_, end)| end.is_some()) {
                return Ok((number, end));
            }
            self.bound(what, before, most)?;
            self.note(&response)?;
            see(&response);
        }
    }

    /// Notes what was not requested: changes of the selected folder, what is not understood, and the end of the session.
    pub(in crate::imap) fn note(&mut self, response: &Response) -> Result<(), ImapError> {
        match response {
            Response::Exists(count) => {
                self.change.arrived |= *count > self.exists;
                self.exists = *count;
            }
            Response::Expunge => {
                self.change.gone = true;
                self.exists = self.exists.saturating_sub(1);
            }
            Response::Vanished => self.change.gone = true,
            Response::Fetch(message) => self.change.flags |= !self.flags_requested && message.is_flags_only,
            Response::Condition { status: Status::Bye, text } => {
                return Err(ImapError::Bye { text: short(Some(text)) });
            }
            Response::Strange(kind) => self.oddities.note(kind),
            _ => {}
        }
        Ok(())
    }
}

/// Bytes that an answer may have.
fn most(what: &str) -> u64 {
    match what {
        "FETCH" => ANSWER,
        "SEARCH" => SEARCH_ANSWER,
        _ => OTHER_ANSWER,
    }
}
