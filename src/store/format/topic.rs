//! What a row is about. Everything the store says of a topic as a whole is said here, once: its letter, whether its rows
//! belong to one mailbox, whether the journal keeps a second copy of them, and how their values are written.

/// What a row is about: the first byte of its key. The variants stand in the order in which a mailbox's rows are erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(in crate::store) enum Topic {
    /// Counters and the schema version, by name.
    Meta = b'm',
    /// An app, by its id.
    App = b'a',
    /// What was found out about an app, by its id.
    AppFacts = b'y',
    /// The last replacement of an app's credential, by the app's id.
    AppRotation = b'j',
    /// A mailbox and its incarnation, by its id.
    Mailbox = b'b',
    /// A mailbox's id, by its incarnation.
    Incarnation = b'i',
    /// The epoch of one of a mailbox's actors.
    OwnerEpoch = b'o',
    /// States and diagnoses shown for a mailbox.
    Status = b'd',
    /// A mailbox's grant.
    Grant = b'g',
    /// The password of an SMTP login of its own.
    SmtpPassword = b'h',
    /// A folder.
    Folder = b'f',
    /// How many messages a folder has.
    FolderCounts = b'c',
    /// A chunk of a folder's UID index (see `uid_index`), by folder, its incarnation and the chunk's number.
    UidChunk = b'u',
    /// A message that could not be fetched or stored, and why.
    Quarantine = b'q',
    /// A message.
    Message = b'r',
    /// The order of a folder's list; the value is empty.
    Listing = b'l',
    /// A message that vanished and may turn up elsewhere.
    Vanished = b'v',
    /// Where a mailbox's packs end.
    Packs = b'p',
    /// How much of a pack is in use.
    PackUse = b'x',
    /// A submission.
    Submission = b't',
    /// There is something left to do about a submission; the value is empty.
    OpenSubmission = b's',
    /// The submission of an idempotency key, by the key's digest.
    IdempotencyKey = b'k',
    /// Which sign-in holds the refresh token that was handed in last.
    TakeOver = b'0',
    /// Which sign-in moves a mailbox to another app.
    AppMigration = b'1',
    /// A sign-in is of a mailbox; the value is empty.
    SignInOfMailbox = b'3',
    /// A sign-in under way.
    SignIn = b'w',
    /// A further piece of a value that is long: key of the row, generation, number.
    Piece = b'2',
    /// Mail that was sent to people about an invitation or an alert.
    Notice = b'n',
    /// A mailbox that was deleted and is not yet erased; the value is empty.
    Erasure = b'z',
    /// Events, in chunks, by their sequence.
    Event = b'e',
}

/// What follows the letter in a key first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Belongs {
    /// To one mailbox: its incarnation follows, and the row is erased with it.
    ToMailbox,
    /// To the installation, or to a mailbox in a way of its own.
    Elsewhere,
}

/// Whether the journal has a second copy of a topic's rows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum InJournal {
    /// Of all of them.
    Always,
    /// For as long as the submission is open, and some days more.
    Remembered,
    /// None: they are made anew from the server, or count for nothing without sled's other rows.
    Never,
}

/// How a topic's values are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Form {
    /// Sealed with the data key; long ones continue in pieces.
    Sealed,
    /// Anything else.
    Plain,
}

impl Topic {
    /// All of them, in the order of erasure.
    pub(in crate::store) const ALL: [Self; 30] = [
        Self::Meta,
        Self::App,
        Self::AppFacts,
        Self::AppRotation,
        Self::Mailbox,
        Self::Incarnation,
        Self::OwnerEpoch,
        Self::Status,
        Self::Grant,
        Self::SmtpPassword,
        Self::Folder,
        Self::FolderCounts,
        Self::UidChunk,
        Self::Quarantine,
        Self::Message,
        Self::Listing,
        Self::Vanished,
        Self::Packs,
        Self::PackUse,
        Self::Submission,
        Self::OpenSubmission,
        Self::IdempotencyKey,
        Self::TakeOver,
        Self::AppMigration,
        Self::SignInOfMailbox,
        Self::SignIn,
        Self::Piece,
        Self::Notice,
        Self::Erasure,
        Self::Event,
    ];

    /// What is said of a topic as a whole.
    const fn facts(self) -> (Belongs, InJournal, Form) {
        use {Belongs::*, Form::*, InJournal::*};
        match self {
            Self::Meta | Self::Event => (Elsewhere, Never, Plain),
            Self::App | Self::AppRotation | Self::SignIn => (Elsewhere, Always, Sealed),
            Self::AppFacts | Self::Mailbox | Self::Incarnation => (Elsewhere, Always, Plain),
            Self::Piece | Self::Notice | Self::Erasure => (Elsewhere, Always, Plain),
            Self::Grant | Self::SmtpPassword => (ToMailbox, Always, Sealed),
            Self::TakeOver | Self::AppMigration | Self::SignInOfMailbox => (ToMailbox, Always, Plain),
            Self::Submission | Self::IdempotencyKey => (ToMailbox, Remembered, Plain),
            Self::OwnerEpoch | Self::Status | Self::OpenSubmission => (ToMailbox, Never, Plain),
            Self::Folder => (ToMailbox, Always, Plain),
            Self::FolderCounts | Self::UidChunk => (ToMailbox, Never, Plain),
            Self::Quarantine | Self::Message | Self::Listing => (ToMailbox, Never, Plain),
            Self::Vanished | Self::Packs | Self::PackUse => (ToMailbox, Never, Plain),
        }
    }

    /// The topic of a key; `None`: of a kind that this program does not know.
    pub(in crate::store) fn of(key: &[u8]) -> Option<Self> {
        let letter = *key.first()?;
        Self::ALL.into_iter().find(|topic| topic.letter() == letter)
    }

    /// The first byte of its keys.
    pub(in crate::store) const fn letter(self) -> u8 {
        self as u8
    }

    /// What all its keys begin with.
    pub(in crate::store) fn prefix(self) -> Vec<u8> {
        vec![self.letter()]
    }

    /// Whether its rows belong to one mailbox, whose incarnation follows the letter.
    pub(in crate::store) fn is_of_mailbox(self) -> bool {
        self.facts().0 == Belongs::ToMailbox
    }

    /// Whether the journal has a second copy of its rows.
    pub(in crate::store) fn in_journal(self) -> InJournal {
        self.facts().1
    }

    /// Whether its rows follow from packs and submissions: a rebuild makes them anew and takes none from the old state.
    pub(in crate::store) fn is_derived(self) -> bool {
        use Topic::{FolderCounts, Listing, Message, OpenSubmission, PackUse, Packs, UidChunk};
        matches!(self, Message | Listing | UidChunk | FolderCounts | Packs | PackUse | OpenSubmission)
    }

    /// Whether its values are sealed, and may be long.
    pub(in crate::store) fn is_sealed(self) -> bool {
        self.facts().2 == Form::Sealed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letters(is_wanted: impl Fn(Topic) -> bool) -> String {
        let mut letters: Vec<char> = Topic::ALL
            .into_iter()
            .filter(|topic| is_wanted(*topic))
            .map(|topic| topic.letter().into())
            .collect();
        letters.sort_unstable();
        letters.into_iter().collect()
    }

    /// What stores hold that are on disks already.
    #[test]
    fn every_letter_means_what_it_meant() {
        assert_eq!(letters(|_| true), "0123abcdefghijklmnopqrstuvwxyz");
        assert_eq!(letters(Topic::is_of_mailbox), "013cdfghklopqrstuvx");
        assert_eq!(letters(|topic| topic.in_journal() == InJournal::Always), "0123abfghijnwyz");
        assert_eq!(letters(|topic| topic.in_journal() == InJournal::Remembered), "kt");
        assert_eq!(letters(Topic::is_sealed), "aghjw");
        assert_eq!(letters(Topic::is_derived), "clprsux");
        assert!(Topic::ALL.into_iter().all(|topic| Topic::of(&[topic.letter(), 7]) == Some(topic)));
        assert_eq!((Topic::of(b""), Topic::of(b"!")), (None, None));
    }
}
