//! One authenticated connection, in our own words. async-imap owns the bytes; its types end here.
//!
//! Commands go through one exchange that reads every response itself: the library's own streams end at a
//! tagged NO or BAD as if it were OK, and drop a BYE's text.
// the library's enums name far more than we use
#![allow(clippy::wildcard_enum_match_arm)]

use super::protocol::ImapError;
use crate::config::Timing;
use crate::domain::{Flags, Timestamp, Uid};
use crate::net::{LimitExceeded, LimitingReader, MaybeTls};
use async_imap::imap_proto::{
    AttributeValue, MailboxDatum, NameAttribute, Response, ResponseCode, Status, StatusAttribute,
};
use async_imap::types::{Capability, UnsolicitedResponse};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::net::TcpStream;

/// The stream under the library.
pub(super) type Stream = LimitingReader<MaybeTls<TcpStream>>;

/// An authenticated connection.
pub(super) struct Connection {
    session: async_imap::Session<Stream>,
    capabilities: BTreeSet<String>,
    timing: Timing,
    selected: Option<String>,
    exists: u32,
    change: Change,
    in_idle: bool,
}

/// What changed in the selected folder without being asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// EXISTS grew.
    pub(super) arrived: bool,
    /// EXPUNGE, or other flags.
    pub(super) altered: bool,
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

/// A message as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListedMessage {
    pub(super) uid: Uid,
    pub(super) flags: Flags,
    pub(super) size: Option<u32>,
}

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
    pub(super) fn new(session: async_imap::Session<Stream>, timing: Timing) -> Self {
        Self {
            session,
            capabilities: BTreeSet::new(),
            timing,
            selected: None,
            exists: 0,
            change: Change::default(),
            in_idle: false,
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

    /// EXISTS of the selected folder as last heard.
    pub(super) fn exists(&self) -> u32 {
        self.exists
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

    /// UIDs and flags of a UID set (`1:*`, `5,7:9`) of the selected folder, with sizes if asked. Sorted.
    pub(super) async fn list_messages(
        &mut self,
        uids: &str,
        sizes: bool,
    ) -> Result<Vec<ListedMessage>, ImapError> {
        let items = if sizes { "(UID FLAGS RFC822.SIZE)" } else { "(UID FLAGS)" };
        self.list_by(&format!("UID FETCH {uids} {items}")).await
    }

    /// The newest messages by sequence number: cheap on a folder of any size.
    pub(super) async fn list_newest(
        &mut self,
        exists: u32,
        count: u32,
    ) -> Result<Vec<ListedMessage>, ImapError> {
        let first = exists.saturating_sub(count).saturating_add(1).max(1);
        self.list_by(&format!("FETCH {first}:* (UID FLAGS)")).await
    }

    async fn list_by(&mut self, command: &str) -> Result<Vec<ListedMessage>, ImapError> {
        let mut found = Vec::new();
        self.exchange("FETCH", command, |response| {
            let Response::Fetch(_, attributes) = response else { return };
            let mut message = ListedMessage { uid: 0, flags: Flags::default(), size: None };
            let mut has_flags = false;
            for attribute in attributes {
                match attribute {
                    AttributeValue::Uid(uid) => message.uid = *uid,
                    AttributeValue::Rfc822Size(size) => message.size = Some(*size),
                    AttributeValue::Flags(flags) => {
                        has_flags = true;
                        message.flags = Flags::from_server(flags.iter().map(|flag| flag.as_ref()));
                    }
                    _ => {}
                }
            }
            // an unsolicited FETCH has no UID, a reply for one message may come in parts
            if message.uid > 0 && has_flags {
                found.push(message);
            }
        })
        .await?;
        found.sort_by_key(|message| message.uid);
        found.dedup_by_key(|message| message.uid);
        Ok(found)
    }

    /// Header fields for re-matching: (UID, INTERNALDATE, Message-ID line), sorted by UID.
    pub(super) async fn list_identities(
        &mut self,
        uids: &str,
    ) -> Result<Vec<(Uid, Timestamp, Vec<u8>)>, ImapError> {
        let command = format!("UID FETCH {uids} (UID INTERNALDATE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])");
        let mut found = Vec::new();
        self.exchange("FETCH", &command, |response| {
            let fetched = fetched(response);
            if let (uid @ 1.., Some(date), Some(header)) = (fetched.uid, fetched.internal_date, fetched.body)
            {
                found.push((uid, date, header.to_vec()));
            }
        })
        .await?;
        found.sort();
        Ok(found)
    }

    /// Fetches whole messages; each response is handed on as it comes, unparsed beyond IMAP. `true` from
    /// `take` means that more may come. The tagged answer ends it.
    pub(super) async fn fetch_bodies<F, E>(&mut self, uids: &str, mut take: F) -> Result<(), E>
    where
        F: AsyncFnMut(FetchedMessage) -> Result<(), E>,
        E: From<ImapError>,
    {
        let command = format!("UID FETCH {uids} (UID FLAGS INTERNALDATE BODY.PEEK[])");
        let tag = self.send("FETCH", &command).await?;
        loop {
            let response = self.next("FETCH", self.timing.fetch_silence).await?;
            if let Some(end) = tagged("FETCH", &tag, response.parsed()) {
                return Ok(end?);
            }
            self.note(response.parsed())?;
            if matches!(response.parsed(), Response::Fetch(..)) {
                take(FetchedMessage(response)).await?;
            }
        }
    }

    /// One piece of a message: (flags, INTERNALDATE, bytes); `None` if there is no such message.
    pub(super) async fn fetch_piece(
        &mut self,
        uid: Uid,
        offset: u64,
        length: usize,
    ) -> Result<Option<(Flags, Timestamp, Vec<u8>)>, ImapError> {
        let command = format!("UID FETCH {uid} (UID FLAGS INTERNALDATE BODY.PEEK[]<{offset}.{length}>)");
        let mut found = None;
        self.exchange("FETCH", &command, |response| {
            let fetched = fetched(response);
            if let (true, Some(body)) = (fetched.uid == uid, fetched.body) {
                let date = fetched.internal_date.unwrap_or_default();
                found = Some((fetched.flags.unwrap_or_default(), date, body.to_vec()));
            }
        })
        .await?;
        Ok(found)
    }

    /// Waits in IDLE until the server speaks of a change, `wake` resolves or the time is up. Without IDLE
    /// it only waits.
    pub(super) async fn idle(
        &mut self,
        time: Duration,
        wake: impl Future<Output = ()>,
    ) -> Result<IdleEnd, ImapError> {
        tokio::pin!(wake);
        if !self.offers("IDLE") {
            return Ok(tokio::select! {
                () = &mut wake => IdleEnd::Woken,
                () = tokio::time::sleep(time) => IdleEnd::Elapsed,
            });
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
        self.in_idle = true;
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
        self.in_idle = false;
        Ok(end)
    }

    /// Says goodbye; the server need not answer.
    pub(super) async fn logout(mut self) {
        let time = self.timing.logout;
        let said = tokio::time::timeout(time, self.session.run_command("LOGOUT")).await;
        tracing::debug!(answered = said.is_ok(), "logged out");
    }

    async fn exchange(
        &mut self,
        what: &'static str,
        command: &str,
        see: impl FnMut(&Response<'_>),
    ) -> Result<(), ImapError> {
        let tag = self.send(what, command).await?;
        let silence = self.timing.command;
        self.finish(what, &tag, silence, see).await
    }

    async fn send(&mut self, what: &'static str, command: &str) -> Result<String, ImapError> {
        let after = self.timing.command;
        let sent = tokio::time::timeout(after, self.session.run_command(command)).await;
        let tag = sent.map_err(|_| ImapError::Timeout { what, after })?;
        Ok(tag.map_err(|error| library(what, error))?.0)
    }

    async fn finish(
        &mut self,
        what: &'static str,
        tag: &str,
        silence: Duration,
        mut see: impl FnMut(&Response<'_>),
    ) -> Result<(), ImapError> {
        loop {
            let response = self.next(what, silence).await?;
            if let Some(end) = tagged(what, tag, response.parsed()) {
                return end;
            }
            self.note(response.parsed())?;
            see(response.parsed());
        }
    }

    async fn next(&mut self, what: &'static str, after: Duration) -> Result<Reply, ImapError> {
        let read = tokio::time::timeout(after, read(&mut self.session, what));
        read.await.map_err(|_| ImapError::Timeout { what, after })?
    }

    /// Notes what was not asked for: changes of the selected folder, and the end of the session.
    fn note(&mut self, response: &Response<'_>) -> Result<(), ImapError> {
        match response {
            Response::MailboxData(MailboxDatum::Exists(count)) => {
                self.change.arrived |= *count > self.exists;
                self.exists = *count;
            }
            Response::Expunge(_) => {
                self.change.altered = true;
                self.exists = self.exists.saturating_sub(1);
            }
            Response::Vanished { .. } => self.change.altered = true,
            Response::Fetch(_, attributes) => {
                let flags_only = |attribute: &AttributeValue<'_>| {
                    matches!(
                        attribute,
                        AttributeValue::Flags(_) | AttributeValue::Uid(_) | AttributeValue::ModSeq(_)
                    )
                };
                self.change.altered |= self.in_idle && attributes.iter().all(flags_only);
            }
            Response::Data { status: Status::Bye, outcome } => {
                return Err(ImapError::Bye { text: short(outcome.information.as_deref()) });
            }
            _ => {}
        }
        Ok(())
    }
}

/// A response with its bytes where the library read them to. The library's own type cannot be named, but
/// this variant holds one.
struct Reply(UnsolicitedResponse);

static NOTHING: Response<'static> = Response::Capabilities(Vec::new());

impl Reply {
    fn parsed(&self) -> &Response<'_> {
        match &self.0 {
            UnsolicitedResponse::Other(data) => data.parsed(),
            UnsolicitedResponse::Status { .. }
            | UnsolicitedResponse::Recent(_)
            | UnsolicitedResponse::Exists(_)
            | UnsolicitedResponse::Expunge(_) => &NOTHING,
        }
    }
}

async fn read(session: &mut async_imap::Session<Stream>, what: &'static str) -> Result<Reply, ImapError> {
    match session.read_response().await {
        Ok(Some(response)) => Ok(Reply(UnsolicitedResponse::Other(response))),
        Ok(None) => Err(ImapError::Lost { what }),
        Err(error) => Err(unreadable(what, &error)),
    }
}

/// A FETCH response with a body.
pub(super) struct FetchedMessage(Reply);

/// The parts of a FETCH response.
#[derive(Default)]
pub(super) struct FetchedParts<'r> {
    pub(super) uid: Uid,
    pub(super) flags: Option<Flags>,
    pub(super) internal_date: Option<Timestamp>,
    pub(super) body: Option<&'r [u8]>,
}

impl FetchedMessage {
    pub(super) fn parts(&self) -> FetchedParts<'_> {
        fetched(self.0.parsed())
    }
}

fn fetched<'r>(response: &'r Response<'_>) -> FetchedParts<'r> {
    let mut parts = FetchedParts::default();
    let Response::Fetch(_, attributes) = response else { return parts };
    for attribute in attributes {
        match attribute {
            AttributeValue::Uid(uid) => parts.uid = *uid,
            AttributeValue::Flags(flags) => {
                parts.flags = Some(Flags::from_server(flags.iter().map(|flag| flag.as_ref())));
            }
            AttributeValue::InternalDate(text) => parts.internal_date = internal_date(text),
            AttributeValue::BodySection { data, .. } => parts.body = data.as_deref(),
            _ => {}
        }
    }
    parts
}

/// `date-time` of RFC 3501 §9: ` 7-Feb-1994 22:43:04 -0800`.
fn internal_date(text: &str) -> Option<Timestamp> {
    let parsed = chrono::DateTime::parse_from_str(text.trim(), "%d-%b-%Y %H:%M:%S %z").ok()?;
    Some(Timestamp(parsed.timestamp_millis()))
}

fn tagged(what: &'static str, tag: &str, response: &Response<'_>) -> Option<Result<(), ImapError>> {
    let Response::Done { tag: done, status, outcome } = response else { return None };
    if done.0 != tag {
        return None;
    }
    let text = || short(outcome.information.as_deref());
    Some(match status {
        Status::Ok | Status::PreAuth => Ok(()),
        Status::No => Err(ImapError::No { what, text: text() }),
        Status::Bad => Err(ImapError::Bad { what, text: text() }),
        Status::Bye => Err(ImapError::Bye { text: text() }),
    })
}

/// Errors of the library, without its copies of what was on the wire.
pub(super) fn library(what: &'static str, error: async_imap::error::Error) -> ImapError {
    use async_imap::error::Error;
    match error {
        Error::Io(error) => unreadable(what, &error),
        Error::Bad(text) => ImapError::Bad { what, text: short(Some(&text)) },
        Error::No(text) => ImapError::No { what, text: short(Some(&text)) },
        Error::ConnectionLost => ImapError::Lost { what },
        Error::Parse(_) => ImapError::Unreadable { what, detail: String::from("not a response of IMAP") },
        _ => ImapError::Unreadable { what, detail: String::from("not usable") },
    }
}

fn unreadable(what: &'static str, error: &std::io::Error) -> ImapError {
    use std::io::ErrorKind;
    if let Some(limit) = LimitExceeded::find(error) {
        return ImapError::Unreadable { what, detail: limit.to_string() };
    }
    match error.kind() {
        ErrorKind::UnexpectedEof
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe => ImapError::Lost { what },
        ErrorKind::Other | ErrorKind::InvalidData => {
            ImapError::Unreadable { what, detail: String::from("not a response of IMAP") }
        }
        kind => ImapError::Unreadable { what, detail: kind.to_string() },
    }
}

/// A server's words, at most 300 characters of them.
pub(super) fn short(text: Option<&str>) -> String {
    text.unwrap_or_default().trim().chars().take(300).collect()
}

/// A name as a quoted string (RFC 3501 §4.3).
fn quoted(name: &str) -> Result<String, ImapError> {
    if name.contains(['\r', '\n', '\0']) || !name.is_ascii() {
        return Err(ImapError::Unsupported(String::from("a folder's name cannot be written in a command")));
    }
    Ok(format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"")))
}

pub(super) fn capability_name(capability: &async_imap::imap_proto::Capability<'_>) -> String {
    match Capability::from(capability) {
        Capability::Imap4rev1 => String::from("IMAP4REV1"),
        Capability::Auth(name) => format!("AUTH={}", name.to_ascii_uppercase()),
        Capability::Atom(name) => name.to_ascii_uppercase(),
    }
}

fn attribute_name(attribute: &NameAttribute<'_>) -> String {
    let name = match attribute {
        NameAttribute::NoInferiors => "\\noinferiors",
        NameAttribute::NoSelect => "\\noselect",
        NameAttribute::Marked => "\\marked",
        NameAttribute::Unmarked => "\\unmarked",
        NameAttribute::All => "\\all",
        NameAttribute::Archive => "\\archive",
        NameAttribute::Drafts => "\\drafts",
        NameAttribute::Flagged => "\\flagged",
        NameAttribute::Junk => "\\junk",
        NameAttribute::Sent => "\\sent",
        NameAttribute::Trash => "\\trash",
        NameAttribute::Extension(name) => return name.to_ascii_lowercase(),
        _ => "",
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internal_dates_with_padding_and_zone() {
        assert_eq!(internal_date(" 7-Feb-1994 22:43:04 -0800"), Some(Timestamp(760_689_784_000)));
        assert_eq!(internal_date("07-Feb-1994 22:43:04 -0800"), Some(Timestamp(760_689_784_000)));
        assert_eq!(internal_date("yesterday"), None);
    }

    #[test]
    fn names_are_quoted_and_cannot_smuggle_a_command() {
        assert_eq!(quoted("a\"b\\c").unwrap(), "\"a\\\"b\\\\c\"");
        assert!(quoted("a\r\nA1 LOGOUT").is_err());
    }
}
