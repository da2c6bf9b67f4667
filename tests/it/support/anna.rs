//! One mailbox at a scripted server, as its tests look at it.

use crate::api::frame::deaf;
use crate::support::api::Api;
use crate::support::engine::{Running, bare_config};
use crate::support::scripted::Server;
use serde_json::{Value, json};
use stafette::config::Config;
use stafette::domain::Incarnation;
use stafette::events::{Event, EventType};
use std::collections::BTreeSet;
use std::time::Duration;

pub struct Anna {
    pub server: Server,
    pub api: Api,
    pub running: Running,
    pub mailbox: Incarnation,
    _data: tempfile::TempDir,
}

/// Anna's mailbox at this server, under the configuration of tests.
pub fn anna(server: &Server) -> Anna {
    anna_with(server, |_| {})
}

pub fn anna_with(server: &Server, change: impl FnOnce(&mut Config)) -> Anna {
    let data = tempfile::tempdir().unwrap();
    let mut config = bare_config(data.path());
    change(&mut config);
    let (running, api) = Running::serve(&config);
    let mut mailbox = deaf("anna");
    mailbox["imap"] = server.endpoint();
    mailbox["smtp"] = Value::Null;
    api.post("/v1/mailboxes", &mailbox).ok(201);
    let mailbox = running.stored("anna").incarnation;
    Anna { server: server.clone(), api, running, mailbox, _data: data }
}

impl Anna {
    pub fn shown(&self) -> Value {
        self.api.get("/v1/mailboxes/anna").ok(200)
    }

    pub fn folders(&self) -> Vec<Value> {
        let listed = self.api.get("/v1/mailboxes/anna/folders?limit=1000").ok(200);
        listed["items"].as_array().unwrap().clone()
    }

    /// The folder that is shown by this path.
    pub fn folder(&self, path: &str) -> Value {
        let folders = self.folders();
        let found = folders.iter().find(|folder| folder["path"] == path).cloned();
        found.unwrap_or_else(|| panic!("no {path} in {folders:?}"))
    }

    /// Waits for what the API shows: unlike what the store holds, it cannot be asked for in the midst of a commit.
    pub fn wait<T>(&self, what: &str, look: impl Fn() -> Option<T>) -> T {
        let mut durable = self.running.store.watch_durable();
        let begun = stafette::clock::monotonic();
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "waited in vain for {what}: {:?}",
                self.folders()
            );
            self.running.block_on(async {
                // commits without events wake nobody: look again now and then
                drop(tokio::time::timeout(Duration::from_millis(100), durable.changed()).await);
            });
        }
    }

    /// Waits until the mailbox is live.
    pub fn until_live(&self) -> &Self {
        self.running
            .until(self.mailbox, "live", |status| status.state == stafette::domain::MailboxState::Live);
        self
    }

    /// Subjects of what is stored, with the path of its folder.
    pub fn stored(&self) -> BTreeSet<(String, String)> {
        let folders = self.running.store.folders(self.mailbox).unwrap();
        let mut found = BTreeSet::new();
        for folder in folders.into_iter().map(|row| row.value) {
            let entries =
                self.running.store.uid_entries(self.mailbox, folder.id, folder.incarnation).unwrap();
            for entry in entries {
                let message = self.running.store.message(self.mailbox, entry.message).unwrap();
                found
                    .extend(message.map(|it| (folder.path.clone(), it.envelope.subject.unwrap_or_default())));
            }
        }
        found
    }

    /// Waits until exactly these subjects are stored.
    pub fn until_stored(&self, expected: &[(&str, &str)]) {
        let expected: BTreeSet<(String, String)> =
            expected.iter().map(|(path, subject)| ((*path).into(), (*subject).into())).collect();
        let look = || (self.stored() == expected).then_some(());
        let why = || {
            format!("stored {:?}\nexpected {expected:?}\n{:?}", self.stored(), self.server.state().commands)
        };
        self.running.wait_or("what is stored", look, why);
    }

    pub fn events(&self, kind: EventType) -> Vec<Event> {
        self.running.events_of(kind)
    }

    /// Waits until the mailbox's folders were looked at so many times more.
    pub fn rounds(&self, more: usize) {
        let begun = self.server.state().count("LIST");
        let look = || (self.server.state().count("LIST") >= begun + more).then_some(());
        self.running.wait("rounds", look);
    }

    /// Asserts that the mailbox is live and says so to nobody.
    pub fn assert_live(&self) {
        let shown = self.shown();
        assert_eq!((&shown["state"], &shown["diagnosis"]), (&json!("live"), &Value::Null), "{shown}");
    }
}
