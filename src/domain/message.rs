//! A stored message.

use super::{FolderId, MessageId, Timestamp, Uid, UidValidity};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// IMAP flags and keywords, sorted. `\Recent` is never kept (RFC 3501 §2.3.2: session state).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Flags(BTreeSet<String>);

/// A record stays small whatever a server invents: more flags, or longer ones, are not kept.
const MAX_FLAGS: usize = 24;
const MAX_FLAG: usize = 48;

impl Flags {
    /// Collects flags as a server wrote them; system flags get their canonical capitals.
    pub fn from_server<I: IntoIterator<Item = S>, S: Into<String>>(flags: I) -> Self {
        let canonical = |flag: String| match flag.to_ascii_lowercase().as_str() {
            "\\seen" => Some(String::from("\\Seen")),
            "\\answered" => Some(String::from("\\Answered")),
            "\\flagged" => Some(String::from("\\Flagged")),
            "\\deleted" => Some(String::from("\\Deleted")),
            "\\draft" => Some(String::from("\\Draft")),
            "\\recent" => None,
            _ => Some(flag),
        };
        let flags = flags.into_iter().filter_map(|flag| canonical(flag.into()));
        Self(flags.filter(|flag| flag.len() <= MAX_FLAG).take(MAX_FLAGS).collect())
    }

    /// Whether a flag is set; compares exactly.
    #[must_use]
    pub fn contains(&self, flag: &str) -> bool {
        self.0.contains(flag)
    }

    /// Whether `\Seen` is set.
    #[must_use]
    pub fn seen(&self) -> bool {
        self.contains("\\Seen")
    }

    /// The flags in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// A digest that differs when the flags differ (FNV-1a over the sorted names): the UID index keeps
    /// it, so that a flag scan reads no message record.
    #[must_use]
    pub fn digest(&self) -> u32 {
        let mut hash = 0x811c_9dc5_u32;
        for byte in self.0.iter().flat_map(|flag| flag.bytes().chain([0])) {
            hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        }
        hash
    }
}

/// Whether the body is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// Body stored.
    Stored,
    /// Body not kept, by policy.
    Headers,
    /// Could not be fetched or stored.
    Quarantined,
}

/// A mail address with an optional name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Display name, decoded.
    #[serde(default)]
    pub name: Option<String>,
    /// `local@domain`.
    pub address: String,
}

/// What was parsed from the header, shortened so that a record stays small.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// `Message-ID`, with its angle brackets.
    pub message_id: Option<String>,
    /// `Date`.
    pub date: Option<Timestamp>,
    /// `From`.
    pub from: Vec<Address>,
    /// `To`.
    pub to: Vec<Address>,
    /// `Cc`.
    pub cc: Vec<Address>,
    /// `Subject`, decoded.
    pub subject: Option<String>,
    /// Whether a part is an attachment.
    pub has_attachments: bool,
}

/// A message as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// The folder it is in.
    pub folder: FolderId,
    /// Which incarnation of the folder its UID belongs to.
    pub folder_incarnation: u32,
    /// Its UIDVALIDITY.
    pub uid_validity: UidValidity,
    /// Its UID.
    pub uid: Uid,
    /// Its flags.
    pub flags: Flags,
    /// Length of the raw message in bytes.
    pub size: u64,
    /// INTERNALDATE.
    pub internal_date: Timestamp,
    /// What was parsed from the header.
    pub envelope: Envelope,
    /// Whether the body is here.
    pub state: MessageState,
    /// The message it is a copy of.
    pub copy_of: Option<MessageId>,
    /// Where the raw message lies.
    pub body: Option<BodyLocation>,
}

/// Where a raw message lies in the packs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyLocation {
    /// Number of the pack file.
    pub pack: u32,
    /// Where its record begins.
    pub offset: u64,
    /// Length of the record in the pack.
    pub length: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_canonical_and_recent_is_dropped() {
        let flags = Flags::from_server(["\\seen", "\\Recent", "$Label1"]);
        assert_eq!(flags.iter().collect::<Vec<_>>(), ["$Label1", "\\Seen"]);
        assert!(flags.seen());
    }

    #[test]
    fn digest_tells_sets_apart() {
        let one = Flags::from_server(["\\Seen"]);
        let two = Flags::from_server(["\\Seen", "\\Flagged"]);
        assert_ne!(one.digest(), two.digest());
        assert_eq!(two.digest(), Flags::from_server(["\\Flagged", "\\Seen"]).digest());
    }
}
