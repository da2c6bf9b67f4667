//! What must be true of a data directory after a cut.

use super::scene::{Acknowledged, Known, copy};
use serde_json::Value;
use stafette::domain::submission::Phase;
use stafette::domain::{MailboxId, Submission, SubmissionState};
use stafette::events::{Cursor, Event, EventType};
use stafette::store::{MessageFilter, Store, StoreConfig, StoreError, StoredMailbox, fsck};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;

fn open(dir: &Path) -> Result<Store, StoreError> {
    Store::open_with(&StoreConfig::at(dir), Arc::new(|error| panic!("{error}")))
}

fn events(store: &Store) -> Result<Vec<Event>, StoreError> {
    Ok(store.events_after(Cursor(0), usize::MAX, |_| true)?.0)
}

fn anna(store: &Store) -> Result<Option<StoredMailbox>, StoreError> {
    store.mailbox(&MailboxId::new("anna").unwrap())
}

/// The messages that were deleted, by the log.
fn deleted(events: &[Event]) -> BTreeSet<String> {
    let deletions = events.iter().filter(|event| event.kind == EventType::MessageDeleted);
    deletions.filter_map(|event| event.data["message"].as_str().map(String::from)).collect()
}

/// The raw message of each id, those included that vanished and may turn up again.
fn bodies(store: &Store, anna: &StoredMailbox) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
    let all = store.list_messages(anna.incarnation, &MessageFilter::default(), None, 10_000)?.messages;
    let body = |message: stafette::domain::Message| {
        let place = message.body.ok_or(StoreError::Conflict)?;
        Ok((message.id.to_string(), store.read_body(anna.incarnation, place)?))
    };
    let aside = store.set_aside(anna.incarnation)?.into_iter().map(|vanished| vanished.message);
    all.into_iter().chain(aside).map(body).collect()
}

/// All that a run stored in the end, of which every earlier moment has a part.
pub struct Truth {
    events: Vec<Event>,
    bodies: BTreeMap<String, Vec<u8>>,
    deleted: BTreeSet<String>,
    submissions: BTreeMap<String, Vec<u8>>,
}

impl Truth {
    /// Of a directory that no cut has touched; it stays as it is.
    pub fn of(dir: &Path) -> Self {
        let copied = tempfile::tempdir().unwrap();
        copy(dir, copied.path());
        let store = open(copied.path()).unwrap();
        let anna = anna(&store).unwrap().unwrap();
        let submissions = submissions(&store, &anna).unwrap();
        let raw =
            |one: Submission| (one.id.to_string(), store.read_body(anna.incarnation, one.body).unwrap());
        let events = events(&store).unwrap();
        Self {
            deleted: deleted(&events),
            events,
            bodies: bodies(&store, &anna).unwrap(),
            submissions: submissions.into_iter().map(raw).collect(),
        }
    }

    /// Whether there were at least so many events, messages and submissions.
    pub fn assert_has(&self, events: usize, messages: usize, submissions: usize) {
        let is = (self.events.len(), self.bodies.len(), self.submissions.len());
        println!("{} events, {} messages, {} submissions", is.0, is.1, is.2);
        assert!(is.0 >= events && is.1 >= messages && is.2 >= submissions, "too few");
    }

    /// What of an image is not as it must be, a line each.
    pub fn violations(&self, dir: &Path, known: &Acknowledged) -> Vec<String> {
        told(|| self.check(dir, known))
    }

    /// The same where the state is lost and was made anew: events are gone, and what was never committed may be back.
    pub fn violations_without_state(&self, dir: &Path, known: &Acknowledged) -> Vec<String> {
        if !dir.join("state").is_dir() {
            return self.violations(dir, known);
        }
        std::fs::remove_dir_all(dir.join("state")).unwrap();
        told(|| {
            fsck::rebuild(&StoreConfig::at(dir), stafette::imap::parse_envelope)?;
            let store = open(dir)?;
            let mut violations = Vec::new();
            match anna(&store)? {
                Some(mailbox) => self.check_known(&store, &mailbox, known, &mut violations)?,
                None if known.is_empty() => {}
                None => violations.push(String::from("the mailbox is missing")),
            }
            Ok(violations)
        })
    }

    fn check(&self, dir: &Path, known: &Acknowledged) -> Result<Vec<String>, StoreError> {
        match fsck::check(&StoreConfig::at(dir)) {
            Ok(found) => {
                let problems = found.problems.into_iter().map(|problem| format!("fsck: {problem}"));
                let problems: Vec<String> = problems.collect();
                if !problems.is_empty() {
                    return Ok(problems);
                }
            }
            // before anything was told there may be nothing at all
            Err(StoreError::Vault { .. }) if known.is_empty() && !dir.join("state").is_dir() => {}
            Err(error) => return Err(error),
        }
        let store = open(dir)?;
        let mut violations = Vec::new();
        let found = events(&store)?;
        if found.len() > self.events.len() || found[..] != self.events[..found.len()] {
            violations.push(format!("{} events, which are no beginning of the log", found.len()));
        }
        for event in known.iter().filter_map(|(_, known)| event(known)) {
            let is_there = found.iter().any(|found| {
                found.cursor.to_string() == event["cursor"]
                    && found.data == event["data"]
                    && found.id == event["id"]
            });
            if !is_there {
                violations.push(format!("event {} is missing", event["cursor"]));
            }
        }
        let Some(mailbox) = anna(&store)? else {
            if known.iter().any(|(_, known)| matches!(known, Known::Mailbox)) {
                violations.push(String::from("the mailbox is missing"));
            }
            return Ok(violations);
        };
        self.check_mailbox(&store, &mailbox, known, &mut violations)?;
        Ok(violations)
    }

    fn check_mailbox(
        &self,
        store: &Store,
        anna: &StoredMailbox,
        known: &Acknowledged,
        violations: &mut Vec<String>,
    ) -> Result<(), StoreError> {
        let bodies = bodies(store, anna)?;
        for (id, body) in &bodies {
            if !self.deleted.contains(id) && self.bodies.get(id) != Some(body) {
                violations.push(format!("message {id} is not what was received"));
            }
        }
        for one in &submissions(store, anna)? {
            let is = store.read_body(anna.incarnation, one.body)?;
            if self.submissions.get(&one.id.to_string()).is_some_and(|raw| *raw != is) {
                violations.push(format!("submission {} is not what was handed over", one.id));
            }
        }
        self.check_known(store, anna, known, violations)
    }

    fn check_known(
        &self,
        store: &Store,
        anna: &StoredMailbox,
        known: &Acknowledged,
        violations: &mut Vec<String>,
    ) -> Result<(), StoreError> {
        if store.grant(anna.incarnation)?.is_none() {
            violations.push(String::from("the sign-in is missing"));
        }
        let name = named(anna);
        let (bodies, all) = (bodies(store, anna)?, submissions(store, anna)?);
        for (_, known) in known {
            match known {
                Known::Mailbox => {}
                Known::Deleted(times) => {
                    let ben = store.mailbox(&MailboxId::new("ben").unwrap())?;
                    // it may have been made again since
                    if ben.is_some_and(|ben| named(&ben) <= *times) {
                        violations.push(String::from("a deleted mailbox is back"));
                    }
                }
                Known::Name(number) if name < *number => violations.push(format!("name {number} is lost")),
                Known::Name(_) => {}
                Known::Accepted { id, key } => {
                    let keyed = store.submission_of_key(anna.incarnation, key)?;
                    if keyed.is_none_or(|keyed| keyed.submission.id.to_string() != *id) {
                        violations.push(format!("submission {id} is missing under its key"));
                    }
                }
                Known::Dot(message_id) => {
                    let sent = all.iter().find(|one| one.message_id == *message_id);
                    if sent.is_none_or(would_be_sent) {
                        violations.push(format!("{message_id} would be sent again"));
                    }
                }
                Known::Event(event) if event["type"] == "message.new" => {
                    let id = event["data"]["message"].as_str().unwrap_or_default();
                    if !bodies.contains_key(id) && !self.deleted.contains(id) {
                        violations.push(format!("message {id} is missing"));
                    }
                }
                Known::Event(_) => {}
            }
        }
        Ok(())
    }
}

/// An error and a panic are violations, too.
fn told(check: impl FnOnce() -> Result<Vec<String>, StoreError>) -> Vec<String> {
    match std::panic::catch_unwind(AssertUnwindSafe(check)) {
        Ok(Ok(violations)) => violations,
        Ok(Err(error)) => vec![format!("an error: {error}")],
        Err(_) => vec![String::from("a panic")],
    }
}

fn event(known: &Known) -> Option<&Value> {
    if let Known::Event(event) = known { Some(event) } else { None }
}

/// The number that a mailbox has as its name.
fn named(stored: &StoredMailbox) -> u32 {
    stored.mailbox.display_name.as_deref().map_or(0, |name| name.parse().unwrap_or(0))
}

/// Whether the next start sends it.
fn would_be_sent(submission: &Submission) -> bool {
    match submission.state {
        SubmissionState::Queued | SubmissionState::Deferred => true,
        SubmissionState::Sending => submission.phase != Phase::DataSent,
        SubmissionState::Unknown
        | SubmissionState::Sent
        | SubmissionState::Failed
        | SubmissionState::Cancelled => false,
    }
}

fn submissions(store: &Store, anna: &StoredMailbox) -> Result<Vec<Submission>, StoreError> {
    Ok(store.list_submissions(anna.incarnation, None, None, 10_000)?.submissions)
}
