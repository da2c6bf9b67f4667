//! What is said of one cause, and the macro that writes a file of them.

use super::super::language::Language;
use crate::domain::{RetryClass, Who};
use serde::{Serialize, Serializer};

/// A text in every language we have; `{address}` and the other facts are filled in when it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Text {
    /// English.
    #[serde(serialize_with = "whole")]
    pub en: &'static str,
    /// German.
    #[serde(serialize_with = "whole")]
    pub de: &'static str,
}

/// A text as it is with all facts known: without what is said in their place, and with what is left out else.
fn with_all_facts(text: &str) -> String {
    let mut whole = String::new();
    let mut is_left_out = false;
    for letter in text.chars() {
        is_left_out = (is_left_out && letter != '}') || letter == '|';
        if !is_left_out && !matches!(letter, '[' | ']') {
            whole.push(letter);
        }
    }
    whole
}

fn whole<S: Serializer>(text: &&'static str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&with_all_facts(text))
}

fn runnable<S: Serializer>(commands: &&'static [&'static str], serializer: S) -> Result<S::Ok, S::Error> {
    // a `|` outside of braces is the shell's
    let plain = |command: &&str| {
        let address =
            command.replace("{login|https://login.microsoftonline.com}", "https://login.microsoftonline.com");
        address.replace("{tenant|organizations}", "{tenant}")
    };
    serializer.collect_seq(commands.iter().map(plain))
}

impl Text {
    /// The text in a language.
    #[must_use]
    pub fn get(&self, language: Language) -> &'static str {
        match language {
            Language::En => self.en,
            Language::De => self.de,
        }
    }
}

/// A cause: its stable code, what to say, who acts.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Stable name, shown as `diagnosis.code`.
    pub code: &'static str,
    /// Who has to act.
    pub who: Who,
    /// Whether it passes by itself.
    pub retry: RetryClass,
    /// In a few words.
    pub label: Text,
    /// One sentence: what is wrong.
    pub summary: Text,
    /// What to do, in a sentence or two.
    pub remedy: Text,
    /// What the mailbox's user reads instead of summary and remedy, who can click nothing of an administrator's;
    /// `None`: what goes for everything that this one has to act in (`diagnosis::for_user`).
    pub user: Option<Text>,
    /// The clicks, in order.
    pub clicks: &'static [Text],
    /// The commands, in order.
    #[serde(serialize_with = "runnable")]
    pub commands: &'static [&'static str],
}

macro_rules! entries {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $who:ident, $retry:ident, $label:literal => $label_de:literal,
        $summary:literal => $summary_de:literal, $remedy:literal => $remedy_de:literal
        $(, user $user:literal => $user_de:literal)?
        $(, clicks [$($click:literal => $click_de:literal),* $(,)?])?
        $(, commands [$($command:literal),* $(,)?])?;)*) => {
        $($(#[$doc])*
        pub static $name: super::Entry = super::Entry {
            code: $code,
            who: crate::domain::Who::$who,
            retry: crate::domain::RetryClass::$retry,
            label: super::Text { en: $label, de: $label_de },
            summary: super::Text { en: $summary, de: $summary_de },
            remedy: super::Text { en: $remedy, de: $remedy_de },
            user: super::optional_text!($($user => $user_de)?),
            clicks: &[$($(super::Text { en: $click, de: $click_de }),*)?],
            commands: &[$($($command),*)?],
        };)*
        /// The entries of this file.
        pub(super) static ENTRIES: &[&super::Entry] = &[$(&$name),*];
    };
}
pub(super) use entries;

macro_rules! optional_text {
    () => {
        None
    };
    ($en:literal => $de:literal) => {
        Some(super::Text { en: $en, de: $de })
    };
}
pub(super) use optional_text;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_lists_the_texts_sees_their_facts_and_nothing_of_how_they_are_left_out() {
        let text = "{host} knows[ {tenant}], says {address|nobody}: {detail|nothing}.";
        assert_eq!(with_all_facts(text), "{host} knows {tenant}, says {address}: {detail}.");
        for entry in crate::diagnosis::catalogue::all() {
            let listed = serde_json::to_string(&[entry.summary, entry.remedy]).unwrap();
            assert!(!listed.trim_matches(['[', ']']).contains(['[', ']', '|']), "{listed}");
        }
    }
}
