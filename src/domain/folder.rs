//! What IMAP selects.

use super::FolderId;
use serde::{Deserialize, Serialize};

/// UIDVALIDITY of a folder (RFC 3501 §2.3.1.1). Never 0.
pub type UidValidity = u32;

/// A folder as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folder {
    /// Its id: lives through renames and UIDVALIDITY changes.
    pub id: FolderId,
    /// Full name with `/` between levels, decoded; INBOX always in capitals.
    pub path: String,
    /// The name as the server writes it (modified UTF-7, its own separator).
    pub server_name: String,
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
