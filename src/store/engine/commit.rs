//! A commit: what one actor wants changed, as a value. `stage` computes what it does.

use crate::domain::message::BodyLocation;
use crate::domain::{Incarnation, Message, MessageId, Submission, Timestamp, Uid};
use crate::events::EventDraft;
use crate::store::files::LargeRecord;
use crate::store::format::Key;
use ulid::Ulid;

/// Who commits: an actor of one mailbox, by the epoch it was spawned with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The mailbox.
    pub mailbox: Incarnation,
    /// Which of its actors.
    pub role: Role,
    /// Raised durably at each spawn: an older one is refused.
    pub epoch: u64,
}

/// An actor of a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Tokens.
    Token,
    /// Receiving.
    Imap,
    /// Sending.
    Smtp,
}

impl Role {
    pub(in crate::store) fn byte(self) -> u8 {
        match self {
            Self::Token => b't',
            Self::Imap => b'i',
            Self::Smtp => b's',
        }
    }
}

/// What a row must be for its replacement to be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Expect {
    /// Whatever it is.
    Any,
    /// Not there.
    Absent,
    /// The one that was read.
    Generation(u64),
}

/// What a row read with this generation must still be; 0 was not there.
pub(in crate::store) fn expect_read(generation: u64) -> Expect {
    if generation == 0 { Expect::Absent } else { Expect::Generation(generation) }
}

/// A record's bytes on their way into a pack.
#[derive(Debug)]
pub enum Body {
    /// A sealed record.
    Record(Vec<u8>),
    /// A record in a file of its own.
    Large(LargeRecord),
}

impl Body {
    pub(in crate::store) fn len(&self) -> u64 {
        match self {
            Self::Record(bytes) => bytes.len() as u64,
            Self::Large(record) => record.length,
        }
    }
}

pub(in crate::store) enum Op {
    Put {
        key: Key,
        expect: Expect,
        payload: Vec<u8>,
    },
    /// A sealed value, which may be long.
    PutSealed {
        key: Key,
        expect: Expect,
        payload: Vec<u8>,
    },
    /// Nothing is written; the row must be as it was when it was read.
    Require {
        key: Key,
        expect: Expect,
    },
    /// Its further pieces go with a row.
    Delete {
        key: Key,
        expect: Expect,
    },
    /// A value without a generation, written by its only owner.
    Set {
        key: Key,
        value: Vec<u8>,
    },
    AddMessage {
        message: Box<Message>,
        body: Option<Body>,
    },
    ReplaceMessage {
        message: Box<Message>,
    },
    RemoveMessage {
        message: MessageId,
    },
    SetAside {
        message: MessageId,
        since: Timestamp,
    },
    ForgetAside {
        message: MessageId,
    },
    /// The next record begins another pack, if this one is being written.
    RollPack {
        pack: u32,
    },
    /// A copy of the record of this id that was at `from`.
    MoveBody {
        id: Ulid,
        from: BodyLocation,
        body: Body,
    },
    AddSubmission {
        submission: Box<Submission>,
        body: Body,
    },
    Counter {
        name: &'static str,
        at_least: u64,
    },
}

/// Changes that become visible and durable together, or not at all.
#[derive(Default)]
pub struct Commit {
    pub(in crate::store) owner: Option<Owner>,
    pub(in crate::store) mailbox: Option<Incarnation>,
    pub(in crate::store) ops: Vec<Op>,
    pub(in crate::store) events: Vec<EventDraft>,
    /// Written even below the reserve of disk space: grants, phases and outcomes.
    pub(in crate::store) vital: bool,
}

impl Commit {
    /// A commit of one of a mailbox's actors.
    #[must_use]
    pub fn by(owner: Owner) -> Self {
        Self { owner: Some(owner), mailbox: Some(owner.mailbox), ..Self::default() }
    }

    /// A commit that belongs to a mailbox, but to none of its actors (the API's).
    #[must_use]
    pub fn of_mailbox(mailbox: Incarnation) -> Self {
        Self { mailbox: Some(mailbox), ..Self::default() }
    }

    /// Adds an event.
    pub fn event(&mut self, event: EventDraft) {
        self.events.push(event);
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty() && self.events.is_empty()
    }
}

/// A UID of a folder that could not be fetched or stored, and why.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Quarantined {
    /// Its UID.
    pub uid: Uid,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: crate::domain::Timestamp,
}

/// A message that vanished from its folder and may turn up in another.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Vanished {
    /// As it was.
    pub message: Message,
    /// Since when.
    pub since: Timestamp,
}
