//! What has to hold when the engine is in step: the store is the server, the events lead to the store, and nothing was
//! announced more often than it was made.

use super::client::Client;
use super::model::{Held, Model};
use super::replay::{Replay, Told, told};
use crate::support::daemon::Daemon;
use crate::world::mailbox::Snapshot;
use serde_json::Value;
use sha2::Digest;
use std::collections::{BTreeMap, BTreeSet};

/// What a daemon's API says of one mailbox now.
pub struct Listed {
    /// Messages by id.
    messages: BTreeMap<String, Told>,
    /// Folders' paths by id.
    folders: BTreeMap<String, String>,
}

/// Something that must not be, and the message that it concerns, if one.
pub struct Violation {
    pub kind: &'static str,
    pub token: Option<String>,
    pub what: String,
}

const NOT_IN_STEP: &str = "the store differs from the server";
const UNTOLD: &str = "the events do not lead to the store";
const AGAIN: &str = "announced again";
const IMPOSSIBLE: &str = "an event that cannot be";
const BYTES: &str = "other bytes";

fn of(kind: &'static str, token: &str, what: String) -> Violation {
    Violation { kind, token: Some(token.to_owned()), what }
}

impl Listed {
    pub fn of(daemon: &Daemon, mailbox: &str) -> Self {
        let rows = |what: &str| {
            let (mut rows, mut after) = (Vec::new(), String::new());
            loop {
                let page = daemon.get(&format!("/v1/mailboxes/{mailbox}/{what}?limit=1000{after}"));
                rows.extend(page["items"].as_array().unwrap().iter().cloned());
                match page["next"].as_str() {
                    Some(next) => after = format!("&cursor={next}"),
                    None => return rows,
                }
            }
        };
        let id = |row: &Value| row["id"].as_str().unwrap().to_owned();
        let path = |row: &Value| row["path"].as_str().unwrap().to_owned();
        Self {
            folders: rows("folders").iter().map(|row| (id(row), path(row))).collect(),
            messages: rows("messages").iter().map(|row| (id(row), told(row))).collect(),
        }
    }

    fn path(&self, told: &Told) -> &str {
        self.folders.get(&told.folder_id).map_or("(no folder)", String::as_str)
    }

    /// Where each message is, and its flags.
    fn places(&self) -> BTreeMap<(String, u64), Vec<String>> {
        let place = |told: &Told| (self.path(told).to_owned(), told.uid.unwrap_or_default());
        self.messages.values().map(|told| (place(told), told.flags.clone())).collect()
    }
}

/// The client believes of the server what is so; else the test itself is wrong.
pub fn assert_model_is_right(model: &Model, server: &Snapshot) {
    let seen = |(folder, seen): (&String, &Vec<crate::world::Seen>)| {
        let rows: Vec<(u32, String)> = seen.iter().map(|seen| (seen.uid, seen.sha256.clone())).collect();
        (folder.clone(), rows)
    };
    let held = |held: &Held| (held.uid, model.made[&held.token].sha256.clone());
    let believed: BTreeMap<String, Vec<(u32, String)>> = model
        .folders
        .iter()
        .map(|(folder, messages)| (folder.clone(), messages.iter().map(held).collect()))
        .collect();
    let is: BTreeMap<_, _> = server.iter().map(seen).collect();
    assert_eq!(believed, is, "the model of {}", model.mailbox);
}

/// How the listing differs from the server, bytes apart.
pub fn differences(listed: &Listed, client: &Client, server: &Snapshot) -> Vec<Violation> {
    let mut found = Vec::new();
    let ours: BTreeSet<&str> = listed.folders.values().map(String::as_str).collect();
    let theirs: BTreeSet<&str> = server.keys().map(String::as_str).collect();
    if ours != theirs {
        found.push(Violation {
            kind: NOT_IN_STEP,
            token: None,
            what: format!("folders differ: stored {ours:?}, on the server {theirs:?}"),
        });
    }
    let token = |folder: &str, uid: u64| {
        let held = client.model.held(folder).iter().find(|held| u64::from(held.uid) == uid);
        held.map(|held| held.token.clone())
    };
    let ours = listed.places();
    let theirs: BTreeMap<(String, u64), Vec<String>> = server
        .iter()
        .flat_map(|(folder, seen)| seen.iter().map(move |seen| (folder, seen)))
        .map(|(folder, seen)| ((folder.clone(), u64::from(seen.uid)), seen.flags.clone()))
        .collect();
    for (place, flags) in &theirs {
        let what = match ours.get(place) {
            None => String::from("is not stored"),
            Some(stored) if stored != flags => format!("is stored with {stored:?}, the server has {flags:?}"),
            Some(_) => continue,
        };
        let token = token(&place.0, place.1);
        found.push(Violation { kind: NOT_IN_STEP, token, what: format!("{place:?} {what}") });
    }
    for place in ours.keys().filter(|place| !theirs.contains_key(place)) {
        let of =
            listed.messages.values().find(|told| listed.path(told) == place.0 && told.uid == Some(place.1));
        let what = format!("{place:?} is stored, and not on the server");
        found.push(Violation { kind: NOT_IN_STEP, token: of.map(|told| told.token.clone()), what });
    }
    found
}

/// Whether every deletion that is due was told: the events know of no message that the listing lacks.
pub fn untold(listed: &Listed, replay: &Replay) -> Vec<Violation> {
    let mut found = Vec::new();
    for (id, told) in &replay.messages {
        let Some(stored) = listed.messages.get(id) else {
            found.push(of(UNTOLD, &told.token, format!("{id} is gone, and no event says so")));
            continue;
        };
        let is_told = told.folder_id == stored.folder_id
            && told.flags == stored.flags
            && (told.uid.is_none() || told.uid == stored.uid);
        if !is_told {
            found.push(of(UNTOLD, &told.token, format!("{id}: events say {told:?}, stored is {stored:?}")));
        }
    }
    for (id, stored) in listed.messages.iter().filter(|(id, _)| !replay.messages.contains_key(*id)) {
        found.push(of(UNTOLD, &stored.token, format!("{id} is stored, and no event says so")));
    }
    if replay.folders != listed.folders {
        let what = format!("events tell folders {:?}, stored are {:?}", replay.folders, listed.folders);
        found.push(Violation { kind: UNTOLD, token: None, what });
    }
    found
}

/// Announced more often than there were instances, deleted while it lives, and events that cannot be.
pub fn announced(model: &Model, replay: &Replay) -> Vec<Violation> {
    let living = model.living();
    let mut found: Vec<Violation> =
        replay.impossible.iter().map(|(token, what)| of(IMPOSSIBLE, token, what.clone())).collect();
    for (token, times) in &replay.announced {
        let Some(made) = model.made.get(token) else {
            found.push(of(AGAIN, token, format!("{token} is announced, and nobody made it")));
            continue;
        };
        if *times > made.instances {
            let living = living.get(token.as_str()).copied().unwrap_or_default();
            let what = format!(
                "announced {times} times; {} instances were ever made, {living} are left",
                made.instances
            );
            found.push(of(AGAIN, token, what));
        }
    }
    found
}

/// Bytes that are not the server's.
pub fn wrong_bytes(daemon: &Daemon, mailbox: &str, listed: &Listed, server: &Snapshot) -> Vec<Violation> {
    let mut found = Vec::new();
    for (id, told) in &listed.messages {
        let raw = daemon.raw(&format!("/v1/mailboxes/{mailbox}/messages/{id}/raw"));
        let sum: String = sha2::Sha256::digest(&raw).iter().map(|byte| format!("{byte:02x}")).collect();
        let on_server = server.get(listed.path(told)).and_then(|folder| {
            folder.iter().find(|seen| Some(u64::from(seen.uid)) == told.uid).map(|seen| &seen.sha256)
        });
        if on_server != Some(&sum) {
            let what = format!("{id} in {} uid {:?} has other bytes", listed.path(told), told.uid);
            found.push(of(BYTES, &told.token, what));
        }
    }
    found
}
