//! What a daemon tells by its API: events, states, and everything that it stores.

use crate::support::client::Gone;
use crate::support::daemon::{Daemon, PATIENCE};
use crate::world::{Seen, World};
use serde_json::Value;
use sha2::Digest;
use stafette::clock;
use stafette::domain::Timestamp;
use std::collections::BTreeMap;

impl Daemon {
    /// Waits for something, looked for after every event and now and then: not every change is one.
    pub fn try_until<T>(
        &self,
        what: &str,
        mut look: impl FnMut() -> Result<Option<T>, Gone>,
    ) -> Result<T, Gone> {
        let started = clock::monotonic();
        let mut cursor = self.try_get("/v1/events?after=latest")?["next"].as_str().unwrap().to_owned();
        loop {
            if let Some(found) = look()? {
                return Ok(found);
            }
            let waited = started.elapsed();
            assert!(waited < PATIENCE, "waited in vain for {what}:\n{}", self.tail());
            let next = self.try_get(&format!("/v1/events?limit=1000&wait=1&after={cursor}"))?;
            next["next"].as_str().unwrap().clone_into(&mut cursor);
        }
    }

    pub fn until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        self.try_until(what, || Ok(look())).unwrap_or_else(|_| panic!("the daemon is gone:\n{}", self.tail()))
    }

    /// All events of a type so far.
    pub fn try_events(&self, kind: &str) -> Result<Vec<Value>, Gone> {
        let mut events = Vec::new();
        let mut cursor = String::from("earliest");
        loop {
            let page = self.try_get(&format!("/v1/events?limit=1000&type={kind}&after={cursor}"))?;
            let items = page["items"].as_array().unwrap();
            if items.is_empty() {
                return Ok(events);
            }
            events.extend(items.iter().cloned());
            page["next"].as_str().unwrap().clone_into(&mut cursor);
        }
    }

    pub fn events(&self, kind: &str) -> Vec<Value> {
        self.try_events(kind).unwrap_or_else(|_| panic!("the daemon is gone:\n{}", self.tail()))
    }

    /// The states that this daemon, not an earlier one, told of a mailbox.
    pub fn states(&self, mailbox: &str) -> Result<Vec<String>, Gone> {
        let events = self.try_events(&format!("mailbox.state_changed&mailbox={mailbox}"))?;
        let since = |event: &&Value| {
            let at: Timestamp = serde_json::from_value(event["at"].clone()).unwrap();
            at >= self.started_at
        };
        let state = |event: &Value| event["data"]["state"].as_str().unwrap().to_owned();
        Ok(events.iter().filter(since).map(state).collect())
    }

    /// Waits until the mailbox is live by this daemon's own doing, for the n-th time.
    pub fn try_until_live(&self, mailbox: &str, times: usize) -> Result<(), Gone> {
        self.try_until(&format!("{mailbox} live {times} times"), || {
            let mut states = self.states(mailbox)?;
            states.dedup();
            let came_live =
                states.windows(2).filter(|pair| pair[0] == "syncing" && pair[1] == "live").count();
            Ok((came_live >= times && states.last().is_some_and(|state| state == "live")).then_some(()))
        })
    }

    pub fn until_live(&self, mailbox: &str) {
        self.until_live_times(mailbox, 1);
    }

    pub fn until_live_times(&self, mailbox: &str, times: usize) {
        self.try_until_live(mailbox, times)
            .unwrap_or_else(|_| panic!("the daemon is gone:\n{}", self.tail()));
    }

    /// What is stored of a mailbox, in the shape of the world's own view; folders without mail are left out.
    pub fn snapshot(&self, mailbox: &str) -> BTreeMap<String, Vec<Seen>> {
        let mut snapshot: BTreeMap<String, Vec<Seen>> = BTreeMap::new();
        let mut after = String::new();
        loop {
            let page = self.get(&format!("/v1/mailboxes/{mailbox}/messages?limit=1000{after}"));
            for item in page["items"].as_array().unwrap() {
                let raw = self
                    .raw(&format!("/v1/mailboxes/{mailbox}/messages/{}/raw", item["id"].as_str().unwrap()));
                assert_eq!(item["size"], raw.len());
                let seen = Seen {
                    uid: u32::try_from(item["uid"].as_u64().unwrap()).unwrap(),
                    sha256: sha2::Sha256::digest(&raw).iter().map(|byte| format!("{byte:02x}")).collect(),
                    flags: sorted(serde_json::from_value(item["flags"].clone()).unwrap()),
                };
                snapshot.entry(item["folder"].as_str().unwrap().to_owned()).or_default().push(seen);
            }
            match page["next"].as_str() {
                Some(next) => after = format!("&cursor={next}"),
                None => break,
            }
        }
        snapshot.values_mut().for_each(|messages| messages.sort());
        snapshot
    }

    /// Asserts that what is stored is what the server has, and that each message was announced exactly once.
    pub fn assert_in_step(&self, world: &World, mailbox: &str, address: &str) {
        self.assert_stored(&present(world, address), mailbox);
    }

    /// The same, against what the server is known to have.
    pub fn assert_stored(&self, theirs: &BTreeMap<String, Vec<Seen>>, mailbox: &str) {
        let ours = self.snapshot(mailbox);
        let counts = |side: &BTreeMap<String, Vec<Seen>>| -> Vec<(String, usize)> {
            side.iter().map(|(folder, messages)| (folder.clone(), messages.len())).collect()
        };
        assert_eq!(counts(&ours), counts(theirs), "every message once");
        assert_eq!(&ours, theirs, "the right bytes and flags");
        let mut announced: BTreeMap<String, usize> = BTreeMap::new();
        for event in self.events(&format!("message.new&mailbox={mailbox}")) {
            *announced.entry(event["data"]["message"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        assert!(announced.values().all(|times| *times == 1), "announced more than once: {announced:?}");
        let stored: usize = ours.values().map(Vec::len).sum();
        assert_eq!(announced.len(), stored, "every message is announced, and nothing else");
    }
}

/// What the server has, without folders that have no mail.
pub fn present(world: &World, address: &str) -> BTreeMap<String, Vec<Seen>> {
    let mut snapshot = world.snapshot(address);
    snapshot.retain(|_, messages| !messages.is_empty());
    snapshot
}

fn sorted(mut flags: Vec<String>) -> Vec<String> {
    flags.sort();
    flags
}
