//! One authenticated connection, in our own words. async-imap owns the bytes; its types end here.
//!
//! Commands go through one exchange that reads every response itself: the library's own streams end at a
//! tagged NO or BAD as if it were OK, and drop a BYE's text.
// the library's enums name far more than we use
#![allow(clippy::wildcard_enum_match_arm)]

use super::decode::{
    FetchedMessage, Reply, attribute_name, capability_name, library, quoted, short, tagged, unreadable,
};
use super::patience::{Patience, SLOWEST};
use super::protocol::ImapError;
use crate::config::Timing;
use crate::net::{LimitExceeded, LimitingReader, MaybeTls, ReadAhead, ReadMeter};
use async_imap::imap_proto::{AttributeValue, MailboxDatum, Response, ResponseCode, Status, StatusAttribute};
use async_imap::types::UnsolicitedResponse;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;

/// Bytes of everything that a server says to one command, message bodies apart: a listing of millions of messages. What
/// is listed is held in memory.
const ANSWER: u64 = 1 << 28;

static NUMBERS: AtomicU64 = AtomicU64::new(0);

/// Whoever has waited so long for a message hands on what came before it.
const LULL: Duration = Duration::from_millis(100);

/// The stream under the library.
pub(super) type Stream = LimitingReader<MaybeTls<ReadAhead<TcpStream>>>;

/// An authenticated connection.
pub(super) struct Connection {
    pub(super) session: async_imap::Session<Stream>,
    pub(super) capabilities: BTreeSet<String>,
    pub(super) timing: Timing,
    selected: Option<String>,
    exists: u32,
    pub(super) change: Change,
    /// Whether flags are asked for: those that come are an answer.
    pub(super) asks_for_flags: bool,
    pub(super) meter: Arc<ReadMeter>,
    /// Tells this connection from others.
    number: u64,
    /// Responses that were read since others had their turn, and where the meter stood then.
    pub(super) turn: (u32, u64),
}

/// What changed in the selected folder without being asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// EXISTS grew.
    pub(super) arrived: bool,
    /// EXPUNGE.
    pub(super) gone: bool,
    /// Other flags.
    pub(super) flags: bool,
}

/// A folder as LIST shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListedFolder {
    pub(super) name: String,
    pub(super) separator: Option<String>,
    /// Attributes in lower case, with their backslash.
    pub(super) attributes: Vec<String>,
}

/// What SELECT answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Selected {
    pub(super) exists: u32,
    pub(super) uid_validity: Option<u32>,
    pub(super) uid_next: Option<u32>,
}

/// What STATUS answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FolderStatus {
    pub(super) messages: Option<u32>,
    pub(super) uid_next: Option<u32>,
    pub(super) uid_validity: Option<u32>,
    pub(super) unseen: Option<u32>,
    pub(super) highest_modseq: Option<u64>,
}

impl Connection {
    pub(super) fn new(mut session: async_imap::Session<Stream>, timing: Timing) -> Self {
        let meter = session.as_mut().meter();
        Self {
            session,
            capabilities: BTreeSet::new(),
            timing,
            selected: None,
            exists: 0,
            change: Change::default(),
            asks_for_flags: false,
            meter,
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            turn: (0, 0),
        }
    }

    /// Whether the server offers a capability, by what it said after log-in.
    pub(super) fn offers(&self, capability: &str) -> bool {
        self.capabilities.contains(&capability.to_ascii_uppercase())
    }

    /// Reads the capabilities again: they differ before and after log-in.
    pub(super) async fn read_capabilities(&mut self) -> Result<(), ImapError> {
        let mut found = BTreeSet::new();
        self.exchange("CAPABILITY", "CAPABILITY", |response| {
            if let Response::Capabilities(capabilities) = response {
                found.extend(capabilities.iter().map(capability_name));
            }
        })
        .await?;
        self.capabilities = found;
        Ok(())
    }

    /// Tells who we are, where the server wants to know (RFC 2971).
    pub(super) async fn identify(&mut self) -> Result<(), ImapError> {
        let command = concat!("ID (\"name\" \"stafette\" \"version\" \"", env!("CARGO_PKG_VERSION"), "\")");
        self.exchange("ID", command, |_| {}).await
    }

    /// All folders of the personal namespace.
    pub(super) async fn list(&mut self) -> Result<Vec<ListedFolder>, ImapError> {
        let mut found = Vec::new();
        self.exchange("LIST", "LIST \"\" \"*\"", |response| {
            if let Response::MailboxData(MailboxDatum::List(data)) = response {
                found.push(ListedFolder {
                    name: data.name.to_string(),
                    separator: data.delimiter.as_deref().map(str::to_owned),
                    attributes: data.name_attributes.iter().map(attribute_name).collect(),
                });
            }
        })
        .await?;
        Ok(found)
    }

    /// Selects a folder, read-write as every client does; nothing we fetch changes it.
    pub(super) async fn select(&mut self, name: &str) -> Result<Selected, ImapError> {
        let mut selected = Selected::default();
        self.selected = None;
        self.exchange("SELECT", &format!("SELECT {}", quoted(name)?), |response| match response {
            Response::MailboxData(MailboxDatum::Exists(count)) => selected.exists = *count,
            Response::Data { status: Status::Ok, outcome } => match &outcome.code {
                // 0 is not a value of either (RFC 3501 §9, nz-number): some servers send it
                Some(ResponseCode::UidValidity(value)) if *value > 0 => selected.uid_validity = Some(*value),
                Some(ResponseCode::UidNext(value)) if *value > 0 => selected.uid_next = Some(*value),
                _ => {}
            },
            _ => {}
        })
        .await?;
        self.selected = Some(name.to_owned());
        self.exists = selected.exists;
        self.change = Change::default();
        Ok(selected)
    }

    /// Looks into a folder without the right to change it; how many messages it holds.
    pub(super) async fn examine(&mut self, name: &str) -> Result<u32, ImapError> {
        self.selected = None;
        let mut exists = 0;
        self.exchange("EXAMINE", &format!("EXAMINE {}", quoted(name)?), |response| {
            if let Response::MailboxData(MailboxDatum::Exists(count)) = response {
                exists = *count;
            }
        })
        .await?;
        self.exists = exists;
        self.change = Change::default();
        Ok(exists)
    }

    /// A number that no other connection has.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// EXISTS of the selected folder as last heard.
    pub(super) fn exists(&self) -> u32 {
        self.exists
    }

    /// What was listed of the whole selected folder; some servers reject a set that means nothing, in an empty one.
    /// `true`: that it is empty is known from EXISTS alone.
    pub(super) fn or_empty<T>(&self, listed: Result<Vec<T>, ImapError>) -> Result<(Vec<T>, bool), ImapError> {
        match listed {
            Ok(listed) => Ok((listed, false)),
            Err(error) if self.exists == 0 && error.is_plain_refusal() => Ok((Vec::new(), true)),
            Err(error) => Err(error),
        }
    }

    /// What changed since this was last asked.
    pub(super) fn take_change(&mut self) -> Change {
        std::mem::take(&mut self.change)
    }

    /// Which folder is selected.
    pub(super) fn selected(&self) -> Option<&str> {
        self.selected.as_deref()
    }

    /// Counts of a folder that need not be selected.
    pub(super) async fn status(&mut self, name: &str) -> Result<FolderStatus, ImapError> {
        let modseq = if self.offers("CONDSTORE") { " HIGHESTMODSEQ" } else { "" };
        let command = format!("STATUS {} (MESSAGES UIDNEXT UIDVALIDITY UNSEEN{modseq})", quoted(name)?);
        let mut found = FolderStatus::default();
        self.exchange("STATUS", &command, |response| {
            if let Response::MailboxData(MailboxDatum::Status { status, .. }) = response {
                for attribute in status {
                    match attribute {
                        StatusAttribute::Messages(value) => found.messages = Some(*value),
                        StatusAttribute::UidNext(value) => found.uid_next = Some(*value),
                        StatusAttribute::UidValidity(value) => found.uid_validity = Some(*value),
                        StatusAttribute::Unseen(value) => found.unseen = Some(*value),
                        StatusAttribute::HighestModSeq(value) => found.highest_modseq = Some(*value),
                        _ => {}
                    }
                }
            }
        })
        .await?;
        Ok(found)
    }

    /// Fetches a section of messages: `[]` is the whole, `[HEADER]` its header. Each response is handed on as it comes,
    /// unparsed beyond IMAP; `None`: nothing came for a while, and more may come. The tagged answer ends it.
    pub(super) async fn fetch_sections<F, E>(
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
        let tag = self.send("FETCH", &command).await?;
        loop {
            let response = {
                let patience = Patience::AtPace(self.timing.fetch_silence, SLOWEST);
                let mut next = std::pin::pin!(self.next("FETCH", patience));
                match tokio::time::timeout(LULL, &mut next).await {
                    Ok(response) => response?,
                    Err(_) => {
                        take(None).await?;
                        next.await?
                    }
                }
            };
            if let Some(end) = tagged("FETCH", &tag, response.parsed()) {
                return Ok(end?);
            }
            self.note(response.parsed())?;
            if matches!(response.parsed(), Response::Fetch(..)) {
                take(Some(FetchedMessage(response))).await?;
            }
        }
    }

    pub(super) async fn exchange(
        &mut self,
        what: &'static str,
        command: &str,
        see: impl FnMut(&Response<'_>),
    ) -> Result<(), ImapError> {
        let tag = self.send(what, command).await?;
        let within = self.timing.command;
        self.finish(what, &tag, within, see).await
    }

    /// Gives the server an occasion to speak.
    pub(super) async fn noop(&mut self) -> Result<(), ImapError> {
        self.exchange("NOOP", "NOOP", |_| {}).await
    }

    pub(super) async fn send(&mut self, what: &'static str, command: &str) -> Result<String, ImapError> {
        let after = self.timing.command;
        let sent = tokio::time::timeout(after, self.session.run_command(command)).await;
        match sent.map_err(|_| ImapError::Timeout { what, after })? {
            Ok(tag) => Ok(tag.0),
            Err(error) => Err(self.last_words(library(what, error)).await),
        }
    }

    pub(super) async fn finish(
        &mut self,
        what: &'static str,
        tag: &str,
        within: Duration,
        see: impl FnMut(&Response<'_>),
    ) -> Result<(), ImapError> {
        self.answer(what, &[tag], Patience::Within(within), see).await?.1
    }

    /// Reads until one of these commands is answered: which one, and how.
    pub(super) async fn answer(
        &mut self,
        what: &'static str,
        tags: &[&str],
        patience: Patience,
        mut see: impl FnMut(&Response<'_>),
    ) -> Result<(usize, Result<(), ImapError>), ImapError> {
        let before = self.meter.bytes();
        loop {
            let response = self.next(what, patience).await?;
            let mut ends = tags.iter().map(|tag| tagged(what, tag, response.parsed()));
            if let Some((number, Some(end))) = ends.by_ref().enumerate().find(|(_, end)| end.is_some()) {
                return Ok((number, end));
            }
            if self.meter.bytes().saturating_sub(before) > ANSWER {
                return Err(ImapError::Exceeded { what, limit: LimitExceeded::Answer(ANSWER) });
            }
            self.note(response.parsed())?;
            see(response.parsed());
        }
    }

    /// Notes what was not asked for: changes of the selected folder, and the end of the session.
    pub(super) fn note(&mut self, response: &Response<'_>) -> Result<(), ImapError> {
        match response {
            Response::MailboxData(MailboxDatum::Exists(count)) => {
                self.change.arrived |= *count > self.exists;
                self.exists = *count;
            }
            Response::Expunge(_) => {
                self.change.gone = true;
                self.exists = self.exists.saturating_sub(1);
            }
            Response::Vanished { .. } => self.change.gone = true,
            Response::Fetch(_, attributes) => {
                let flags_only = |attribute: &AttributeValue<'_>| {
                    matches!(
                        attribute,
                        AttributeValue::Flags(_) | AttributeValue::Uid(_) | AttributeValue::ModSeq(_)
                    )
                };
                self.change.flags |= !self.asks_for_flags && attributes.iter().all(flags_only);
            }
            Response::Data { status: Status::Bye, outcome } => {
                return Err(ImapError::Bye { text: short(outcome.information.as_deref()) });
            }
            _ => {}
        }
        Ok(())
    }
}

pub(super) async fn read(
    session: &mut async_imap::Session<Stream>,
    what: &'static str,
) -> Result<Reply, ImapError> {
    match session.read_response().await {
        Ok(Some(response)) => Ok(Reply(UnsolicitedResponse::Other(response))),
        Ok(None) => Err(ImapError::Lost { what }),
        Err(error) => Err(unreadable(what, &error)),
    }
}
