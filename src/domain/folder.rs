//! What IMAP selects.

use super::{FolderId, Timestamp};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// UIDVALIDITY of a folder (RFC 3501 §2.3.1.1). Never 0.
pub type UidValidity = u32;

/// A folder's name as the server spells it, byte for byte: modified UTF-7 (RFC 3501 §5.1.3) where servers keep to it, else
/// any bytes. Written as text where it is UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "WrittenName", into = "WrittenName")]
pub struct WireName(Vec<u8>);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum WrittenName {
    Text(String),
    Bytes { base64: String },
}

impl WireName {
    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it names the inbox, in whatever letters (RFC 3501 §5.1).
    #[must_use]
    pub fn is_inbox(&self) -> bool {
        self.0.eq_ignore_ascii_case(b"INBOX")
    }
}

impl From<&[u8]> for WireName {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<&str> for WireName {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl From<WrittenName> for WireName {
    fn from(written: WrittenName) -> Self {
        match written {
            WrittenName::Text(text) => Self(text.into_bytes()),
            // nobody else writes rows: what cannot be decoded is no name of a folder
            WrittenName::Bytes { base64 } => Self(STANDARD.decode(base64).unwrap_or_default()),
        }
    }
}

impl From<WireName> for WrittenName {
    fn from(name: WireName) -> Self {
        match String::from_utf8(name.0) {
            Ok(text) => Self::Text(text),
            Err(error) => Self::Bytes { base64: STANDARD.encode(error.as_bytes()) },
        }
    }
}

/// Why a folder is not in step although the mailbox is: the server does not let us into it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetApart {
    /// What happened, in the server's words where it said something.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// How often it was tried since.
    pub tries: u32,
    /// When it is tried again.
    pub next_try: Timestamp,
    /// The diagnosis' code, where somebody has to act.
    #[serde(default)]
    pub code: Option<String>,
}

/// A folder as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folder {
    /// Its id: lives through renames and UIDVALIDITY changes.
    pub id: FolderId,
    /// Full name with `/` between levels, decoded; INBOX always in capitals.
    pub path: String,
    /// The name as the server writes it (modified UTF-7, its own separator): what tells one folder from another.
    pub server_name: WireName,
    /// What it is for.
    pub role: Option<FolderRole>,
    /// Whether it can be selected.
    pub selectable: bool,
    /// Whether it is synchronized.
    pub included: bool,
    /// Which UIDVALIDITY the stored UIDs belong to; `None` before the first SELECT.
    pub uid_validity: Option<UidValidity>,
    /// Counts up with each UIDVALIDITY change: UID sets belong to one incarnation.
    pub incarnation: u32,
    /// UIDNEXT when the folder (of this incarnation) was first seen: lower UIDs are history.
    pub first_uid_next: Option<u32>,
    /// Whether every message of its history is stored or quarantined.
    pub history_complete: bool,
    /// Whether a re-match after a UIDVALIDITY change is under way; the incarnation it comes from.
    pub rematch_from: Option<u32>,
    /// How many complete LISTs in a row did not name it.
    pub missing_lists: u8,
    /// Set while the server does not let us into it.
    #[serde(default)]
    pub apart: Option<SetApart>,
    /// Whether a person decided if it is included; LIST then does not.
    #[serde(default)]
    pub is_chosen: bool,
}

impl Folder {
    /// From here on its messages have other UIDs; those that are stored wait to be matched with them.
    pub fn begin_rematch(&mut self) {
        self.rematch_from = self.rematch_from.or(Some(self.incarnation));
        self.incarnation = self.incarnation.saturating_add(1);
        self.history_complete = false;
    }

    /// The last part of the path.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

/// What a folder is for (RFC 6154, and the inbox).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FolderRole {
    /// INBOX.
    Inbox,
    /// `\Sent`.
    Sent,
    /// `\Drafts`.
    Drafts,
    /// `\Trash`.
    Trash,
    /// `\Archive`.
    Archive,
    /// `\Junk`.
    Junk,
    /// `\All`.
    All,
    /// `\Flagged`.
    Flagged,
}

/// Counts of a folder, kept by the store in the same commits as the messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderCounts {
    /// Stored messages.
    pub messages: u64,
    /// Of these without `\Seen`.
    pub unseen: u64,
    /// Bytes of the stored messages, as the server sent them.
    pub bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_bytes_are_kept() {
        for bytes in [&b"Entw&APw-rfe"[..], b"caf\xe9", "caf\u{e9}".as_bytes(), b""] {
            let name = WireName::from(bytes);
            let written = serde_json::to_string(&name).unwrap();
            assert_eq!(serde_json::from_str::<WireName>(&written).unwrap(), name);
        }
        assert_eq!(serde_json::to_string(&WireName::from("INBOX")).unwrap(), "\"INBOX\"");
    }
}
