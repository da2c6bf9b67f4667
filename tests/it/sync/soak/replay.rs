//! The event log applied from its first event on: what a reader of it believes to be there, and what in it cannot be.

use serde_json::Value;
use std::collections::BTreeMap;

/// A message as the events leave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub folder_id: String,
    /// Unknown after a `folder.reset`, which gives a folder's messages other UIDs without naming them.
    pub uid: Option<u64>,
    pub flags: Vec<String>,
    pub token: String,
}

/// A mailbox as its events tell it.
#[derive(Default)]
pub struct Replay {
    /// Messages by id.
    pub messages: BTreeMap<String, Told>,
    /// Folders' paths by id.
    pub folders: BTreeMap<String, String>,
    /// Every event of a message, by its token, in a line each.
    pub lines: BTreeMap<String, Vec<String>>,
    /// How often each message was announced.
    pub announced: BTreeMap<String, usize>,
    /// Events that cannot follow the ones before them: the message's token, and why.
    pub impossible: Vec<(String, String)>,
    tokens: BTreeMap<String, String>,
}

impl Replay {
    pub fn of(events: &[Value]) -> Self {
        let mut replay = Self::default();
        for event in events {
            replay.apply(event);
        }
        replay
    }

    fn apply(&mut self, event: &Value) {
        let (kind, data) = (event["type"].as_str().unwrap(), &event["data"]);
        if let Some(id) = data["message"].as_str() {
            self.note(id, event);
            if let Some(why) = self.message(kind, id, data) {
                let token = self.tokens.get(id).cloned().unwrap_or_default();
                self.impossible.push((token, format!("{kind} at {}: {why}", text(event, "cursor"))));
            }
        } else if kind.starts_with("folder.") {
            self.folder(kind, data);
        }
    }

    fn folder(&mut self, kind: &str, data: &Value) {
        let id = text(data, "folder_id");
        match kind {
            "folder.deleted" => drop(self.folders.remove(&id)),
            "folder.reset" => {
                for told in self.messages.values_mut().filter(|told| told.folder_id == id) {
                    told.uid = None;
                }
            }
            _ => drop(self.folders.insert(id, text(data, "folder"))),
        }
    }

    /// Applies a message's event; why it cannot be.
    fn message(&mut self, kind: &str, id: &str, data: &Value) -> Option<String> {
        let known = self.messages.contains_key(id);
        match kind {
            "message.new" => {
                *self.announced.entry(token(data)).or_default() += 1;
                self.messages.insert(id.to_owned(), told(data));
                return known.then(|| format!("{id} is announced twice"));
            }
            "message.deleted" => drop(self.messages.remove(id)),
            "message.moved" => {
                let from = self.messages.get(id).and_then(|told| self.folders.get(&told.folder_id));
                let said = data["from_folder"].as_str();
                let why = (known && said != from.map(String::as_str))
                    .then(|| format!("{id} comes from {said:?}, but was told to be in {from:?}"));
                self.messages.insert(id.to_owned(), told(data));
                if why.is_some() {
                    return why;
                }
            }
            "message.flags_changed" => drop(self.messages.insert(id.to_owned(), told(data))),
            other => return Some(format!("no event of a message: {other}")),
        }
        (!known).then(|| format!("{id} is not there"))
    }

    fn note(&mut self, id: &str, event: &Value) {
        let data = &event["data"];
        if data["message_id"].is_string() {
            self.tokens.entry(id.to_owned()).or_insert_with(|| token(data));
        }
        let tail = &id[id.len().saturating_sub(6)..];
        let from = data["from_folder"].as_str().map(|from| format!(" from {from}")).unwrap_or_default();
        let original = data["copy_of"].as_str();
        let copy =
            original.map(|of| format!(" copy of …{}", &of[of.len().saturating_sub(6)..])).unwrap_or_default();
        let line = format!(
            "{} {} …{tail} in {} uid {}{from}{copy}",
            time_of_day(&event["at"]),
            text(event, "type"),
            data["folder"],
            data["uid"]
        );
        let token = self.tokens.get(id).cloned().unwrap_or_default();
        self.lines.entry(token).or_default().push(line);
    }
}

/// The time of a timestamp, to the millisecond.
pub fn time_of_day(at: &Value) -> String {
    at.as_str().unwrap_or_default().chars().skip(11).take(12).collect()
}

/// The token in a Message-ID.
pub fn token(data: &Value) -> String {
    let id = data["message_id"].as_str().unwrap_or_default();
    id.trim_start_matches('<').split('@').next().unwrap_or_default().to_owned()
}

/// What an event, or a list of messages, says of a message.
pub fn told(data: &Value) -> Told {
    let mut flags: Vec<String> = serde_json::from_value(data["flags"].clone()).unwrap_or_default();
    flags.sort();
    Told { folder_id: text(data, "folder_id"), uid: data["uid"].as_u64(), flags, token: token(data) }
}

fn text(data: &Value, name: &str) -> String {
    data[name].as_str().unwrap_or_default().to_owned()
}
