//! Commands about folders: LIST, SELECT, EXAMINE, STATUS. Names go over the wire byte for byte as the server spells them.

// there are far more responses than any place uses
#![allow(clippy::wildcard_enum_match_arm)]

use super::decode::{Spelling, spelled, tagged};
use super::read_timeout::ReadTimeout;
use super::response::{FolderStatus, ListedFolder, Response, Status, code_number};
use super::wire::{Change, Connection};
use crate::domain::WireName;
use crate::imap::protocol::ImapError;
use bytes::Bytes;
use std::collections::{BTreeMap, HashSet};

/// All folders, as LIST shows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::imap) struct FolderList {
    pub(in crate::imap) folders: Vec<ListedFolder>,
    /// Counts that came with them (RFC 5819).
    pub(in crate::imap) statuses: BTreeMap<WireName, FolderStatus>,
    /// Whether every line of it was understood: what it does not name may be gone.
    pub(in crate::imap) is_complete: bool,
    /// Whether there are more than [`FOLDERS`]: the others are not in it.
    pub(in crate::imap) is_full: bool,
}

/// So many folders are taken of a mailbox.
pub(in crate::imap) const FOLDERS: usize = 20_000;

/// What a LIST shows, while it is read. A name counts once: some servers list folders twice, a hostile one without end.
#[derive(Default)]
struct Reading {
    list: FolderList,
    names: HashSet<Bytes>,
    is_unescaped: bool,
}

impl Reading {
    fn see(&mut self, response: &Response) {
        let Self { list, names, is_unescaped } = self;
        match response {
            Response::List(folder) if names.contains(&folder.name) => {}
            Response::List(_) if names.len() >= FOLDERS => list.is_full = true,
            Response::List(folder) => {
                // a copy does not hold on to what was read with it
                let name = Bytes::copy_from_slice(&folder.name);
                *is_unescaped |= folder.is_unescaped;
                names.insert(name.clone());
                list.folders.push(ListedFolder { name, ..folder.clone() });
            }
            Response::FolderStatus(name, status) if names.contains(name) || list.statuses.len() < FOLDERS => {
                list.statuses.insert(WireName::from(&**name), *status);
            }
            // it may have been the line of a folder
            Response::Strange(_) => list.is_complete = false,
            _ => {}
        }
        list.is_complete &= !list.is_full;
    }
}

/// What SELECT answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::imap) struct Selected {
    pub(in crate::imap) exists: u32,
    pub(in crate::imap) uid_validity: Option<u32>,
    pub(in crate::imap) uid_next: Option<u32>,
    pub(in crate::imap) highest_modseq: Option<u64>,
}

impl Selected {
    /// Takes note of what was said before the end of SELECT.
    pub(in crate::imap) fn see(&mut self, response: &Response) {
        match response {
            Response::Exists(count) => self.exists = *count,
            Response::Condition { status: Status::Ok, text } => {
                self.uid_validity = code_number(text, "UIDVALIDITY").or(self.uid_validity);
                self.uid_next = code_number(text, "UIDNEXT").or(self.uid_next);
                self.highest_modseq = code_number(text, "HIGHESTMODSEQ").or(self.highest_modseq);
            }
            _ => {}
        }
    }

    /// As STATUS would report it, as far as it goes.
    pub(in crate::imap) fn as_status(self) -> FolderStatus {
        let Self { exists, uid_validity, uid_next, highest_modseq } = self;
        FolderStatus { messages: Some(exists), uid_next, uid_validity, unseen: None, highest_modseq }
    }
}

impl Connection {
    /// All folders of the personal namespace.
    pub(in crate::imap) async fn list(&mut self) -> Result<FolderList, ImapError> {
        self.list_with("").await
    }

    /// All folders with their counts, in one answer (RFC 5819).
    pub(in crate::imap) async fn list_status(&mut self) -> Result<FolderList, ImapError> {
        let items = self.status_items();
        self.list_with(&format!(" RETURN (STATUS {items})")).await
    }

    async fn list_with(&mut self, options: &str) -> Result<FolderList, ImapError> {
        let list = FolderList { is_complete: true, ..FolderList::default() };
        let mut reading = Reading { list, ..Reading::default() };
        let command = format!("LIST \"\" \"*\"{options}");
        self.exchange("LIST", &command, |response| reading.see(response)).await?;
        self.escapes = !reading.is_unescaped;
        Ok(reading.list)
    }

    /// Selects a folder, read-write as every client does; nothing we fetch changes it.
    pub(in crate::imap) async fn select(&mut self, name: &WireName) -> Result<Selected, ImapError> {
        let mut selected = Selected::default();
        self.selected = None;
        self.exchange_named("SELECT", name, "", |response| selected.see(response)).await?;
        self.selected = Some(name.clone());
        self.exists = selected.exists;
        self.change = Change::default();
        Ok(selected)
    }

    /// Looks into a folder without the right to change it; how many messages it holds.
    pub(in crate::imap) async fn examine(&mut self, name: &WireName) -> Result<u32, ImapError> {
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

    /// The items that STATUS is to report (RFC 3501 §6.3.10).
    fn status_items(&self) -> String {
        let modseq = if self.offers("CONDSTORE") { " HIGHESTMODSEQ" } else { "" };
        format!("(MESSAGES UIDNEXT UIDVALIDITY UNSEEN{modseq})")
    }

    /// Counts of folders that need not be selected: every STATUS is sent before the first answer is read.
    pub(in crate::imap) async fn statuses(
        &mut self,
        names: &[WireName],
    ) -> Result<Vec<Result<FolderStatus, ImapError>>, ImapError> {
        let items = format!(" {}", self.status_items());
        let mut pending = Vec::with_capacity(names.len());
        let mut found: Vec<Result<FolderStatus, ImapError>> = Vec::with_capacity(names.len());
        for name in names {
            if let Spelling::Literal(_) = spelled(name.as_bytes(), self.escapes) {
                // the server is waited for before it is sent: nothing else may be under way
                self.take_statuses(names, &mut pending, &mut found).await?;
            }
            let refusal = |error: &ImapError| matches!(error, ImapError::No { .. } | ImapError::Bad { .. });
            found.push(match self.send_named("STATUS", name, &items).await {
                Ok(tag) => {
                    pending.push((tag, found.len()));
                    Ok(FolderStatus::default())
                }
                Err(error) if refusal(&error) => Err(error),
                Err(error) => return Err(error),
            });
        }
        self.take_statuses(names, &mut pending, &mut found).await?;
        Ok(found)
    }

    /// Reads the answers to every STATUS under way: by its tag, and the number of its folder.
    async fn take_statuses(
        &mut self,
        names: &[WireName],
        pending: &mut Vec<(String, usize)>,
        found: &mut [Result<FolderStatus, ImapError>],
    ) -> Result<(), ImapError> {
        while !pending.is_empty() {
            let mut reported: Vec<(WireName, FolderStatus)> = Vec::new();
            let tags: Vec<&str> = pending.iter().map(|(tag, _)| tag.as_str()).collect();
            let timeout = ReadTimeout::Within(self.timing.command);
            let see = |response: &Response| {
                if let Response::FolderStatus(name, status) = response {
                    reported.push((WireName::from(&**name), *status));
                }
            };
            let (place, answer) = self.answer("STATUS", &tags, timeout, see).await?;
            let (_, number) = pending.remove(place);
            // a server may spell the name in another way: then the last STATUS before the end of the command counts
            let named = |(name, _): &&(WireName, FolderStatus)| names.get(number) == Some(name);
            let status = reported.iter().find(named).or(reported.last()).map(|(_, status)| *status);
            if let Some(slot) = found.get_mut(number) {
                *slot = answer.map(|()| status.unwrap_or_default());
            }
        }
        Ok(())
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
            let response = self.next(verb, ReadTimeout::Within(self.timing.command)).await?;
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
        self.write(verb, &[&*bytes, rest.as_bytes(), b"\r\n"].concat()).await?;
        Ok(tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(name: String) -> Response {
        let (name, separator) = (Bytes::from(name), Some(String::from("/")));
        Response::List(ListedFolder { name, separator, attributes: Vec::new(), is_unescaped: false })
    }

    #[test]
    fn a_name_counts_once_and_there_is_a_most_of_them() {
        let mut reading = Reading::default();
        reading.list.is_complete = true;
        for number in 0..FOLDERS {
            reading.see(&listed(format!("f{number}")));
            reading.see(&listed(format!("f{}", number / 2)));
        }
        assert!(reading.list.folders.len() == FOLDERS && reading.list.is_complete && !reading.list.is_full);
        for number in 0..2 * FOLDERS {
            reading.see(&listed(format!("g{number}")));
            reading.see(&Response::FolderStatus(Bytes::from(format!("g{number}")), FolderStatus::default()));
        }
        reading.see(&Response::FolderStatus(Bytes::from_static(b"f7"), FolderStatus::default()));
        let FolderList { folders, statuses, is_complete, is_full } = reading.list;
        assert_eq!((folders.len(), statuses.len()), (FOLDERS, FOLDERS + 1));
        assert!(is_full && !is_complete, "what it does not name is not gone");
    }
}
