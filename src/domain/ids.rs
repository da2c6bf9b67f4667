//! Ids. Mailboxes and apps are named by people (`anna`), everything else by ULIDs.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use ulid::Ulid;

/// Why a text is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not of the form of a mailbox's or app's id.
    #[error("{0:?} is not an id: use 1 to 64 of a-z 0-9 . _ - and begin with a letter or digit")]
    Slug(String),
    /// Not a ULID.
    #[error("{0:?} is not an id of 26 characters as this API gives them out")]
    Ulid(String),
}

fn check_slug(text: &str) -> Result<(), IdError> {
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let rest = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b));
    if first && rest && text.len() <= 64 {
        Ok(())
    } else {
        Err(IdError::Slug(text.chars().take(80).collect()))
    }
}

macro_rules! slug_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks the form `[a-z0-9][a-z0-9._-]{0,63}`.
            ///
            /// # Errors
            /// [`IdError::Slug`] if the text has another form.
            pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                check_slug(&text)?;
                Ok(Self(text))
            }

            /// A fresh id for an object whose creator gave none.
            #[must_use]
            pub fn generate() -> Self {
                Self(Ulid::new().to_string().to_lowercase())
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

slug_id!(
    /// A mailbox's id, chosen by the client or generated.
    MailboxId
);
slug_id!(
    /// An app's id, chosen by the client or generated.
    AppId
);

macro_rules! ulid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Ulid);

        impl $name {
            /// A fresh id.
            #[must_use]
            pub fn generate() -> Self {
                Self(Ulid::new())
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Ulid::from_string(text).map(Self).map_err(|_| IdError::Ulid(text.chars().take(80).collect()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

ulid_id!(
    /// A folder's id: lives through renames and UIDVALIDITY changes.
    FolderId
);
ulid_id!(
    /// A message's id. Its time part is the INTERNALDATE, so that ids sort as messages are listed.
    MessageId
);
ulid_id!(
    /// A submission's id.
    SubmissionId
);
ulid_id!(
    /// A sign-in's id.
    SignInId
);

impl FolderId {
    /// When the folder was first seen.
    #[must_use]
    pub fn made_at(self) -> super::Timestamp {
        super::Timestamp(i64::try_from(self.0.timestamp_ms()).unwrap_or(i64::MAX))
    }
}

impl MessageId {
    /// A fresh id whose time part is `internal_date`, clamped to what a ULID can hold (1970 to 10889).
    #[must_use]
    pub fn at(internal_date: super::Timestamp) -> Self {
        let millis = u64::try_from(internal_date.0).unwrap_or(0).min((1 << 48) - 1);
        Self(Ulid::from_parts(millis, Ulid::new().random()))
    }
}

/// Which life of a mailbox something belongs to. Counts up for ever, so that a mailbox created again
/// under an old id never meets the old one's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Incarnation(pub u64);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// An IMAP unique identifier (RFC 3501 §2.3.1.1): positive, ascending within a UIDVALIDITY.
pub type Uid = u32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    #[test]
    fn slugs_accept_what_the_contract_names_and_nothing_else() {
        for good in ["anna", "0", "a.b_c-d", &"a".repeat(64)] {
            assert!(MailboxId::new(good).is_ok(), "{good}");
        }
        for bad in ["", "Anna", "a/b", "../etc", ".a", "-a", "a b", "ä", &"a".repeat(65)] {
            assert!(MailboxId::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn message_ids_sort_by_internal_date() {
        let old = MessageId::at(Timestamp(1_000));
        let new = MessageId::at(Timestamp(2_000));
        assert!(old < new);
        assert!(MessageId::at(Timestamp(-5)) < old, "a date before 1970 is clamped");
    }
}
