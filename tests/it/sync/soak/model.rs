//! What the random client did: the messages it made, where each of them is, and the last commands that concerned it.

use sha2::Digest;
use std::collections::{BTreeMap, VecDeque};

/// How many commands of a message's life a report shows.
const REMEMBERED: usize = 14;

/// Names a message for ever: it is in its Message-ID, its subject and its body.
pub type Token = String;

/// One instance of a message, where the client knows it to be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Held {
    pub uid: u32,
    pub token: Token,
}

/// A message the client made, and what became of it.
#[derive(Debug)]
pub struct Made {
    /// How many instances there ever were: one, and one for each copy.
    pub instances: usize,
    /// Of the raw message, in hexadecimal.
    pub sha256: String,
    pub commands: VecDeque<String>,
}

/// One mailbox as it has to be.
#[derive(Default)]
pub struct Model {
    pub mailbox: String,
    /// Folders by name, their messages in the order of their UIDs.
    pub folders: BTreeMap<String, Vec<Held>>,
    pub made: BTreeMap<Token, Made>,
    folders_made: usize,
}

impl Model {
    pub fn new(mailbox: &str) -> Self {
        let folders = ["INBOX", "Sent", "Drafts", "Trash"].map(|name| (name.to_owned(), Vec::new()));
        Self { mailbox: mailbox.to_owned(), folders: folders.into(), ..Self::default() }
    }

    /// A message that nobody has seen before; `padding` makes its size.
    pub fn make(&mut self, padding: usize) -> (Token, Vec<u8>) {
        let token = format!("{}-{:05}", self.mailbox, self.made.len());
        let line = format!("line of {token}\r\n");
        let raw = format!(
            "From: Ben <ben@kunde.test>\r\nTo: {}@makler.test\r\nSubject: {token}\r\nMessage-ID: <{token}@soak.test>\r\n\
             Date: Mon, 23 Nov 2026 19:00:00 +0000\r\n\r\n{}",
            self.mailbox,
            line.repeat(1 + padding)
        )
        .into_bytes();
        let sha256 = sha2::Sha256::digest(&raw).iter().map(|byte| format!("{byte:02x}")).collect();
        self.made.insert(token.clone(), Made { instances: 1, sha256, commands: VecDeque::new() });
        (token, raw)
    }

    /// A folder name that was never used; every third needs modified UTF-7.
    pub fn folder_name(&mut self) -> String {
        self.folders_made += 1;
        let number = self.folders_made;
        match number % 3 {
            0 => format!("Größe & Maß {number}"),
            1 => format!("F{number}"),
            _ => format!("Vorgang {number}"),
        }
    }

    pub fn put(&mut self, folder: &str, held: Held) {
        let messages = self.folders.entry(folder.to_owned()).or_default();
        messages.push(held);
        messages.sort();
    }

    /// Takes messages out of a folder.
    pub fn take(&mut self, folder: &str, uids: &[u32]) -> Vec<Held> {
        let Some(messages) = self.folders.get_mut(folder) else { return Vec::new() };
        messages.extract_if(.., |held| uids.contains(&held.uid)).collect()
    }

    pub fn held(&self, folder: &str) -> &[Held] {
        self.folders.get(folder).map_or(&[], Vec::as_slice)
    }

    /// Remembers a command with each message that it concerned.
    pub fn note(&mut self, tokens: impl IntoIterator<Item = Token>, command: &str) {
        for token in tokens {
            let Some(made) = self.made.get_mut(&token) else { continue };
            made.commands.push_back(command.to_owned());
            if made.commands.len() > REMEMBERED {
                made.commands.pop_front();
            }
        }
    }

    /// The instances of each message that are left.
    pub fn living(&self) -> BTreeMap<&str, usize> {
        let mut living: BTreeMap<&str, usize> = BTreeMap::new();
        for held in self.folders.values().flatten() {
            *living.entry(&held.token).or_default() += 1;
        }
        living
    }
}
