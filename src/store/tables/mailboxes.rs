//! Verbs about mailboxes: create, replace, delete, epochs, the state shown.

use crate::domain::{Diagnosis, Incarnation, Mailbox, MailboxId, MailboxState, SendState, Timestamp};
use crate::events::{EventDraft, EventType};
use crate::store::engine::{Commit, Expect, Op, Owner, Role, expect_read};
use crate::store::error::StoreError;
use crate::store::format::{Row, Topic, codec, keys};
use crate::store::handle::Store;
use serde::{Deserialize, Serialize};

/// A mailbox as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMailbox {
    /// Which life of the id this is.
    pub incarnation: Incarnation,
    /// For compare-and-set.
    pub generation: u64,
    /// Its configuration.
    pub mailbox: Mailbox,
}

#[derive(Serialize, Deserialize)]
pub(in crate::store) struct MailboxRow {
    pub(in crate::store) incarnation: Incarnation,
    pub(in crate::store) mailbox: Mailbox,
}

/// What is shown of a mailbox's condition; kept so that a restart does not announce it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxStatus {
    /// Sign-in and receiving.
    pub state: MailboxState,
    /// Why, where somebody has to know.
    pub diagnosis: Option<Diagnosis>,
    /// Sending.
    pub send_state: SendState,
    /// Why it does not send.
    pub send_diagnosis: Option<Diagnosis>,
    /// When a throttled outbox goes on.
    pub send_until: Option<Timestamp>,
    /// When the last round over all folders ended.
    pub last_sync_at: Option<Timestamp>,
    /// Messages known on the server, wanted, not yet stored.
    pub backlog: u64,
    /// Whether `mailbox.synced` was told.
    pub synced: bool,
}

impl Default for MailboxStatus {
    fn default() -> Self {
        Self {
            state: MailboxState::Connecting,
            diagnosis: None,
            send_state: SendState::Ready,
            send_diagnosis: None,
            send_until: None,
            last_sync_at: None,
            backlog: 0,
            synced: false,
        }
    }
}

impl Store {
    /// All mailboxes, by id.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn mailboxes(&self) -> Result<Vec<StoredMailbox>, StoreError> {
        self.db()
            .scan_prefix(keys::mailboxes())
            .map(|entry| decode(&entry.map_err(StoreError::sled)?.1))
            .collect()
    }

    /// A mailbox; `None` if there is none of this id.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn mailbox(&self, id: &MailboxId) -> Result<Option<StoredMailbox>, StoreError> {
        self.get(&keys::mailbox(id))?.map(|bytes| decode(&bytes)).transpose()
    }

    /// Adds the replacement of a mailbox's configuration to a commit.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if it cannot be written.
    pub fn put_mailbox(&self, commit: &mut Commit, stored: &StoredMailbox) -> Result<(), StoreError> {
        let row = MailboxRow { incarnation: stored.incarnation, mailbox: stored.mailbox.clone() };
        commit.ops.push(Op::Put {
            key: keys::mailbox(&stored.mailbox.id),
            expect: Expect::Generation(stored.generation),
            payload: codec::to_json(&row)?,
        });
        Ok(())
    }

    /// Deletes a mailbox: from the answer on its id is free and its actors' commits are refused. What it
    /// left is removed by [`Store::erase`].
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if it was changed meanwhile.
    pub async fn delete_mailbox(&self, stored: &StoredMailbox) -> Result<(), StoreError> {
        // what makes room is written whatever there is
        let mut commit = Commit { vital: true, ..Commit::default() };
        commit.ops.push(Op::Delete {
            key: keys::mailbox(&stored.mailbox.id),
            expect: Expect::Generation(stored.generation),
        });
        commit.ops.push(Op::Delete { key: keys::incarnation(stored.incarnation), expect: Expect::Any });
        commit.ops.push(Op::Delete { key: keys::grant(stored.incarnation), expect: Expect::Any });
        // they may hold a refresh token; whoever is trying that finds it gone
        self.remove_sign_ins_of(&mut commit, stored.incarnation)?;
        self.put_smtp_password(&mut commit, stored.incarnation, None)?;
        commit.ops.push(Op::Put {
            key: keys::erasure(stored.incarnation),
            expect: Expect::Any,
            payload: Vec::new(),
        });
        self.commit(commit).await.map(drop)
    }

    /// Makes a commit conflict if the mailbox is not the one that was read when it is checked.
    pub fn expect_mailbox(&self, commit: &mut Commit, read: &StoredMailbox) {
        let expect = Expect::Generation(read.generation);
        commit.ops.push(Op::Require { key: keys::mailbox(&read.mailbox.id), expect });
    }

    /// Mailboxes that were deleted and not yet erased.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn erasures(&self) -> Result<Vec<Incarnation>, StoreError> {
        self.db()
            .scan_prefix(keys::erasures())
            .keys()
            .map(|key| {
                let number = keys::trailing_u64(&key.map_err(StoreError::sled)?);
                number.map(Incarnation).ok_or_else(|| StoreError::corrupt("an erasure key"))
            })
            .collect()
    }

    /// Destroys a deleted mailbox's key, packs and rows. Takes as long as there are rows; may be repeated.
    ///
    /// # Errors
    /// [`StoreError::Io`] if something cannot be removed.
    pub async fn erase(&self, mailbox: Incarnation) -> Result<(), StoreError> {
        self.inner.packs.erase(mailbox)?;
        for topic in Topic::ALL.into_iter().filter(|topic| topic.is_of_mailbox()) {
            loop {
                let found: Result<Vec<_>, _> =
                    self.db().scan_prefix(keys::topic(topic, mailbox)).keys().take(2000).collect();
                let found = found.map_err(StoreError::sled)?;
                if found.is_empty() {
                    break;
                }
                let mut commit = Commit::default();
                let delete = |key: sled::IVec| Op::Delete { key: key.to_vec(), expect: Expect::Any };
                commit.ops.extend(found.into_iter().map(delete));
                self.commit(commit).await?;
            }
        }
        let mut commit = Commit::default();
        commit.ops.push(Op::Delete { key: keys::erasure(mailbox), expect: Expect::Any });
        self.commit(commit).await.map(drop)
    }

    /// Raises the epochs of these of a mailbox's actors in one durable commit: from now on their predecessors' commits
    /// are refused. The owners, in the order of the roles.
    ///
    /// # Errors
    /// [`StoreError::Stale`] if the mailbox is gone.
    pub async fn raise_epochs<const N: usize>(
        &self,
        mailbox: Incarnation,
        roles: [Role; N],
    ) -> Result<[Owner; N], StoreError> {
        let mut commit = Commit::of_mailbox(mailbox);
        let mut owners = roles.map(|role| Owner { mailbox, role, epoch: 0 });
        for owner in &mut owners {
            let key = keys::epoch(mailbox, owner.role.byte());
            let last = match self.get(&key)? {
                Some(bytes) => codec::unpack::<u64>("owner epoch", &bytes)?,
                None => 0,
            };
            owner.epoch = last.saturating_add(1);
            commit.ops.push(Op::Set { key, value: codec::pack(&owner.epoch)? });
        }
        self.commit(commit).await?;
        Ok(owners)
    }

    /// [`Store::raise_epochs`] of one.
    ///
    /// # Errors
    /// As that.
    pub async fn raise_epoch(&self, mailbox: Incarnation, role: Role) -> Result<Owner, StoreError> {
        self.raise_epochs(mailbox, [role]).await.map(|[owner]| owner)
    }

    /// The condition last shown for a mailbox.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Io`].
    pub fn status(&self, mailbox: Incarnation) -> Result<Row<MailboxStatus>, StoreError> {
        let row = self.row("mailbox status", &keys::status(mailbox))?;
        Ok(row.unwrap_or_else(|| Row { generation: 0, value: MailboxStatus::default() }))
    }

    /// Adds a mailbox's condition to a commit, computed from the one read with this generation.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if it cannot be written.
    pub fn put_status(
        &self,
        commit: &mut Commit,
        mailbox: Incarnation,
        status: &Row<MailboxStatus>,
    ) -> Result<(), StoreError> {
        let expect = expect_read(status.generation);
        let payload = fitting(&status.value)?;
        commit.ops.push(Op::Put { key: keys::status(mailbox), expect, payload });
        Ok(())
    }
}

/// A status that fits a row: what is to be clicked and typed is left out first, because a reader gets it anew from code
/// and facts; then what a server said at length.
fn fitting(status: &MailboxStatus) -> Result<Vec<u8>, StoreError> {
    let mut payload = codec::to_json(status)?;
    let mut terse = status.clone();
    let shorten: [fn(&mut Diagnosis); 2] = [
        |found| {
            found.remedy.clicks.clear();
            found.remedy.commands.clear();
        },
        |found| found.evidence = None,
    ];
    for shorten in shorten {
        if payload.len() <= codec::MAX_PAYLOAD {
            break;
        }
        [&mut terse.diagnosis, &mut terse.send_diagnosis].into_iter().flatten().for_each(shorten);
        payload = codec::to_json(&terse)?;
    }
    Ok(payload)
}

impl Store {
    /// Changes the condition shown for a mailbox and tells it as an event where a state became another.
    /// Written anew over what other actors of the mailbox change meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Stale`] if the actor was replaced.
    pub async fn change_status(
        &self,
        owner: Owner,
        id: &MailboxId,
        now: Timestamp,
        change: impl Fn(&mut MailboxStatus),
    ) -> Result<MailboxStatus, StoreError> {
        loop {
            let before = self.status(owner.mailbox)?;
            let mut after = before.clone();
            change(&mut after.value);
            keep_since(&mut after.value.diagnosis, before.value.diagnosis.as_ref(), now);
            keep_since(&mut after.value.send_diagnosis, before.value.send_diagnosis.as_ref(), now);
            if after.value == before.value {
                return Ok(after.value);
            }
            let mut commit = Commit::by(owner);
            let states = |status: &MailboxStatus| (status.state, status.send_state);
            if before.generation == 0 || states(&before.value) != states(&after.value) {
                commit.event(state_changed(id, now, &before.value, &after.value));
            }
            if after.value.synced && !before.value.synced {
                let data = serde_json::json!({"backlog": after.value.backlog});
                commit.event(EventDraft::new(EventType::MailboxSynced, id, now, &data));
            }
            self.put_status(&mut commit, owner.mailbox, &after)?;
            match self.commit(commit).await {
                Ok(_) => return Ok(after.value),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn state_changed(
    id: &MailboxId,
    now: Timestamp,
    before: &MailboxStatus,
    after: &MailboxStatus,
) -> EventDraft {
    let data = serde_json::json!({
        "state": after.state,
        "previous": before.state,
        "send_state": after.send_state,
        "diagnosis": after.diagnosis.as_ref().map(Diagnosis::without_facts),
        "send_diagnosis": after.send_diagnosis.as_ref().map(Diagnosis::without_facts),
    });
    EventDraft::new(EventType::MailboxStateChanged, id, now, &data)
}

/// A finding that goes on keeps the instant it was first seen.
fn keep_since(new: &mut Option<Diagnosis>, old: Option<&Diagnosis>, now: Timestamp) {
    if let Some(found) = new {
        let since = old.filter(|old| old.code == found.code).and_then(|old| old.since);
        found.since = since.or(Some(now));
        // the same finding in other words is no change worth a write
        if let Some(old) = old.filter(|old| old.code == found.code) {
            *found = old.clone();
        }
    }
}

pub(in crate::store) fn decode(bytes: &[u8]) -> Result<StoredMailbox, StoreError> {
    let (generation, payload) = codec::split_row(bytes)?;
    let row: MailboxRow = codec::from_json("mailbox", payload)?;
    Ok(StoredMailbox { incarnation: row.incarnation, generation, mailbox: row.mailbox })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::{Facts, catalogue as c, describe};

    #[test]
    fn a_status_fits_its_row_whatever_servers_say() {
        let long = "a".repeat(240) + "@b.test";
        let facts = Facts { address: &long, host: "outlook.office365.com", ..Facts::default() };
        for said in ["\u{1F600}".repeat(300), "\"\u{1}".repeat(150), String::new()] {
            let status = MailboxStatus {
                diagnosis: Some(describe(&c::IMAP_LOGIN_REFUSED, &facts, Some(&said))),
                send_diagnosis: Some(describe(&c::SMTP_AUTH_DISABLED_TENANT, &facts, Some(&said))),
                ..MailboxStatus::default()
            };
            let payload = fitting(&status).unwrap();
            assert!(payload.len() <= codec::MAX_PAYLOAD, "{}", payload.len());
            let read: MailboxStatus = codec::from_json("status", &payload).unwrap();
            assert_eq!(read.diagnosis.unwrap().code, c::IMAP_LOGIN_REFUSED.code);
        }
    }
}
