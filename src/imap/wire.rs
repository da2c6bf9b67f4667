//! One authenticated connection, in our own words. async-imap is the session and writes the commands; what the server
//! answers is read by [`super::response`] from the stream below it: the library's parser ends a connection at a line it
//! does not know, its streams end at a tagged NO or BAD as if it were OK, and drop a BYE's text.
// there are far more responses than any place uses
#![allow(clippy::wildcard_enum_match_arm)]

use super::decode::{Spelling, library, short, spelled, tagged, unreadable};
use super::dialogue::Dialogue;
use super::oddities::Oddities;
use super::patience::{Patience, SLOWEST};
use super::protocol::ImapError;
use super::response::{FetchedMessage, FolderStatus, ListedFolder, Response, Status, code_number, parse};
use crate::config::Timing;
use crate::domain::WireName;
use crate::net::{LimitExceeded, MaybeTls, ReadAhead, ReadMeter};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Bytes of everything that a server says to one command, message bodies apart: a listing of millions of messages. What
/// is listed is held in memory.
const ANSWER: u64 = 1 << 28;

static NUMBERS: AtomicU64 = AtomicU64::new(0);

/// Whoever has waited so long for a message hands on what came before it.
const LULL: Duration = Duration::from_millis(100);

/// The stream under the library.
pub(super) type Stream = Dialogue<MaybeTls<ReadAhead<TcpStream>>>;

/// An authenticated connection.
pub(super) struct Connection {
    pub(super) session: async_imap::Session<Stream>,
    pub(super) capabilities: BTreeSet<String>,
    pub(super) timing: Timing,
    selected: Option<WireName>,
    exists: u32,
    pub(super) change: Change,
    /// Whether flags are asked for: those that come are an answer.
    pub(super) asks_for_flags: bool,
    pub(super) meter: Arc<ReadMeter>,
    /// What the server says that nobody understands.
    pub(super) oddities: Arc<Oddities>,
    /// Whether it says that it is an Exchange server.
    pub(super) is_exchange: bool,
    /// Whether backslashes in names escape, as the list of folders shows it.
    escapes: bool,
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

/// All folders, as LIST shows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FolderList {
    pub(super) folders: Vec<ListedFolder>,
    /// Counts that came with them (RFC 5819).
    pub(super) statuses: Vec<(WireName, FolderStatus)>,
    /// Whether every line of it was understood: what it does not name may be gone.
    pub(super) is_complete: bool,
}

/// What SELECT answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Selected {
    pub(super) exists: u32,
    pub(super) uid_validity: Option<u32>,
    pub(super) uid_next: Option<u32>,
}

impl Connection {
    pub(super) fn new(session: async_imap::Session<Stream>, timing: Timing, oddities: Arc<Oddities>) -> Self {
        let meter = session.get_ref().meter();
        Self {
            session,
            capabilities: BTreeSet::new(),
            timing,
            selected: None,
            exists: 0,
            change: Change::default(),
            asks_for_flags: false,
            meter,
            oddities,
            is_exchange: false,
            escapes: true,
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
                found.extend(capabilities.iter().cloned());
            }
        })
        .await?;
        self.capabilities = found;
        Ok(())
    }

    /// Tells who we are, where the server wants to know (RFC 2971).
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

    /// All folders of the personal namespace.
    pub(super) async fn list(&mut self) -> Result<FolderList, ImapError> {
        self.list_with("").await
    }

    /// All folders with their counts, in one answer (RFC 5819).
    pub(super) async fn list_status(&mut self) -> Result<FolderList, ImapError> {
        let items = self.status_items();
        self.list_with(&format!(" RETURN (STATUS {items})")).await
    }

    async fn list_with(&mut self, options: &str) -> Result<FolderList, ImapError> {
        let mut list = FolderList { is_complete: true, ..FolderList::default() };
        let command = format!("LIST \"\" \"*\"{options}");
        self.exchange("LIST", &command, |response| match response {
            Response::List(folder) => list.folders.push(folder.clone()),
            Response::FolderStatus(name, status) => list.statuses.push((WireName::from(&**name), *status)),
            // it may have been the line of a folder
            Response::Strange(_) => list.is_complete = false,
            _ => {}
        })
        .await?;
        self.escapes = !list.folders.iter().any(|folder| folder.is_unescaped);
        Ok(list)
    }

    /// Selects a folder, read-write as every client does; nothing we fetch changes it.
    pub(super) async fn select(&mut self, name: &WireName) -> Result<Selected, ImapError> {
        let mut selected = Selected::default();
        self.selected = None;
        self.exchange_named("SELECT", name, "", |response| match response {
            Response::Exists(count) => selected.exists = *count,
            Response::Told { status: Status::Ok, text } => {
                selected.uid_validity = code_number(text, "UIDVALIDITY").or(selected.uid_validity);
                selected.uid_next = code_number(text, "UIDNEXT").or(selected.uid_next);
            }
            _ => {}
        })
        .await?;
        self.selected = Some(name.clone());
        self.exists = selected.exists;
        self.change = Change::default();
        Ok(selected)
    }

    /// Looks into a folder without the right to change it; how many messages it holds.
    pub(super) async fn examine(&mut self, name: &WireName) -> Result<u32, ImapError> {
        self.selected = None;
        let mut exists = 0;
        self.exchange_named("EXAMINE", name, "", |response| {
            if let Response::Exists(count) = response {
                exists = *count;
            }
        })
        .await?;
        self.exists = exists;
        self.change = Change::default();
        Ok(exists)
    }

    /// The selected folder was only compared: whoever visits it selects it anew.
    pub(super) fn forget_selection(&mut self) {
        self.selected = None;
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
    pub(super) fn selected(&self) -> Option<&WireName> {
        self.selected.as_ref()
    }

    /// What STATUS is asked for.
    fn status_items(&self) -> String {
        let modseq = if self.offers("CONDSTORE") { " HIGHESTMODSEQ" } else { "" };
        format!("(MESSAGES UIDNEXT UIDVALIDITY UNSEEN{modseq})")
    }

    /// Counts of folders that need not be selected: all are asked for before the first answer is read.
    pub(super) async fn statuses(
        &mut self,
        names: &[WireName],
    ) -> Result<Vec<Result<FolderStatus, ImapError>>, ImapError> {
        let items = format!(" {}", self.status_items());
        let mut asked = Vec::with_capacity(names.len());
        let mut found: Vec<Result<FolderStatus, ImapError>> = Vec::with_capacity(names.len());
        for name in names {
            if let Spelling::Literal(_) = spelled(name.as_bytes(), self.escapes) {
                // the server is waited for before it is sent: nothing else may be under way
                self.take_statuses(names, &mut asked, &mut found).await?;
            }
            let refusal = |error: &ImapError| matches!(error, ImapError::No { .. } | ImapError::Bad { .. });
            found.push(match self.send_named("STATUS", name, &items).await {
                Ok(tag) => {
                    asked.push((tag, found.len()));
                    Ok(FolderStatus::default())
                }
                Err(error) if refusal(&error) => Err(error),
                Err(error) => return Err(error),
            });
        }
        self.take_statuses(names, &mut asked, &mut found).await?;
        Ok(found)
    }

    /// Reads the answers to every STATUS under way: by its tag, and the number of its folder.
    async fn take_statuses(
        &mut self,
        names: &[WireName],
        asked: &mut Vec<(String, usize)>,
        found: &mut [Result<FolderStatus, ImapError>],
    ) -> Result<(), ImapError> {
        while !asked.is_empty() {
            let mut told: Vec<(WireName, FolderStatus)> = Vec::new();
            let tags: Vec<&str> = asked.iter().map(|(tag, _)| tag.as_str()).collect();
            let patience = Patience::Within(self.timing.command);
            let see = |response: &Response| {
                if let Response::FolderStatus(name, status) = response {
                    told.push((WireName::from(&**name), *status));
                }
            };
            let (place, answer) = self.answer("STATUS", &tags, patience, see).await?;
            let (_, number) = asked.remove(place);
            // what a server calls by another name than we do is told directly before its end
            let named = |(name, _): &&(WireName, FolderStatus)| names.get(number) == Some(name);
            let status = told.iter().find(named).or(told.last()).map(|(_, status)| *status);
            if let Some(slot) = found.get_mut(number) {
                *slot = answer.map(|()| status.unwrap_or_default());
            }
        }
        Ok(())
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
            if let Some(end) = tagged("FETCH", &tag, &response) {
                return Ok(end?);
            }
            self.note(&response)?;
            let Response::Fetch(message) = response else { continue };
            if message.body.is_some() && !message.is_whole {
                // where its literals end is in doubt, and with it everything behind them
                let detail = String::from("a message in a damaged response");
                return Err(ImapError::Unreadable { what: "FETCH", detail }.into());
            }
            take(Some(*message)).await?;
        }
    }

    /// A command that names a folder, and its answer.
    async fn exchange_named(
        &mut self,
        verb: &'static str,
        name: &WireName,
        rest: &str,
        see: impl FnMut(&Response),
    ) -> Result<(), ImapError> {
        let tag = self.send_named(verb, name, rest).await?;
        self.finish(verb, &tag, self.timing.command, see).await
    }

    /// Sends a command that names a folder, byte for byte as the server spells it.
    async fn send_named(
        &mut self,
        verb: &'static str,
        name: &WireName,
        rest: &str,
    ) -> Result<String, ImapError> {
        let bytes = match spelled(name.as_bytes(), self.escapes) {
            Spelling::Quoted(name) => return self.send(verb, &format!("{verb} {name}{rest}")).await,
            Spelling::Literal(bytes) => bytes,
        };
        let tag = self.send(verb, &format!("{verb} {{{}}}", bytes.len())).await?;
        loop {
            let response = self.next(verb, Patience::Within(self.timing.command)).await?;
            if let Some(end) = tagged(verb, &tag, &response) {
                end?;
                let detail = String::from("an end before the folder was named");
                return Err(ImapError::Unreadable { what: verb, detail });
            }
            self.note(&response)?;
            if response == Response::Continue {
                break;
            }
        }
        let line = [&*bytes, rest.as_bytes(), b"\r\n"].concat();
        let after = self.timing.command;
        let stream = self.session.get_mut();
        let write = async {
            stream.write_all(&line).await?;
            stream.flush().await
        };
        let written = tokio::time::timeout(after, write).await;
        written
            .map_err(|_| ImapError::Timeout { what: verb, after })?
            .map_err(|error| unreadable(verb, &error))?;
        Ok(tag)
    }

    pub(super) async fn exchange(
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
        see: impl FnMut(&Response),
    ) -> Result<(), ImapError> {
        self.answer(what, &[tag], Patience::Within(within), see).await?.1
    }

    /// Reads until one of these commands is answered: which one, and how.
    pub(super) async fn answer(
        &mut self,
        what: &'static str,
        tags: &[&str],
        patience: Patience,
        mut see: impl FnMut(&Response),
    ) -> Result<(usize, Result<(), ImapError>), ImapError> {
        let before = self.meter.bytes();
        loop {
            let response = self.next(what, patience).await?;
            let mut ends = tags.iter().map(|tag| tagged(what, tag, &response));
            if let Some((number, Some(end))) = ends.by_ref().enumerate().find(|(_, end)| end.is_some()) {
                return Ok((number, end));
            }
            if self.meter.bytes().saturating_sub(before) > ANSWER {
                return Err(ImapError::Exceeded { what, limit: LimitExceeded::Answer(ANSWER) });
            }
            self.note(&response)?;
            see(&response);
        }
    }

    /// Notes what was not asked for: changes of the selected folder, what is not understood, and the end of the session.
    pub(super) fn note(&mut self, response: &Response) -> Result<(), ImapError> {
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
            Response::Fetch(message) => self.change.flags |= !self.asks_for_flags && message.is_flags_only,
            Response::Told { status: Status::Bye, text } => {
                return Err(ImapError::Bye { text: short(Some(text)) });
            }
            Response::Strange(kind) => self.oddities.note(kind),
            _ => {}
        }
        Ok(())
    }
}

/// The next response.
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
