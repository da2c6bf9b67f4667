//! Every cause that can be named, with every word a person reads about it.
//!
//! Texts are [`Text`] values, one field per language, so that a translation is a second column and not a second
//! table.

mod mail;
mod net;
mod sign_in;

pub use mail::*;
pub use net::*;
pub use sign_in::*;

use crate::domain::{RetryClass, Who};

/// A text in every language we have; `{address}` and the other facts are filled in when it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    /// English.
    pub en: &'static str,
}

/// A cause: its stable code, what to say, who acts.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// Stable name, shown as `diagnosis.code`.
    pub code: &'static str,
    /// Who has to act.
    pub who: Who,
    /// Whether it passes by itself.
    pub retry: RetryClass,
    /// One sentence: what is wrong.
    pub summary: Text,
    /// What to do, in a sentence or two.
    pub remedy: Text,
    /// The clicks, in order.
    pub clicks: &'static [Text],
    /// The commands, in order.
    pub commands: &'static [Text],
}

macro_rules! entries {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $who:ident, $retry:ident, $summary:literal, $remedy:literal
        $(, clicks [$($click:literal),* $(,)?])? $(, commands [$($command:literal),* $(,)?])?;)*) => {
        $($(#[$doc])*
        pub static $name: super::Entry = super::Entry {
            code: $code,
            who: crate::domain::Who::$who,
            retry: crate::domain::RetryClass::$retry,
            summary: super::Text { en: $summary },
            remedy: super::Text { en: $remedy },
            clicks: &[$($(super::Text { en: $click }),*)?],
            commands: &[$($(super::Text { en: $command }),*)?],
        };)*
        /// The entries of this file.
        pub(super) static ENTRIES: &[&super::Entry] = &[$(&$name),*];
    };
}
use entries;

/// All entries, for documentation and tests.
pub fn all() -> impl Iterator<Item = &'static Entry> {
    [sign_in::ENTRIES, mail::ENTRIES, net::ENTRIES].into_iter().flatten().copied()
}

/// The entry of a code.
#[must_use]
pub fn find(code: &str) -> Option<&'static Entry> {
    all().find(|entry| entry.code == code)
}
