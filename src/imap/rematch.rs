//! Re-match after a UIDVALIDITY change: the folder's messages have new UIDs, and nothing of it is news.
//! Messages are matched as multisets by (Message-ID, INTERNALDATE), ties in UID order. Resumable: what is
//! matched carries the new incarnation, what is left of the old one is what is still to be matched.

use super::envelope;
use super::protocol::ImapError;
use super::sync::Syncer;
use super::wire::Connection;
use crate::clock;
use crate::domain::{FolderId, Message, Timestamp, Uid};
use crate::events::EventType;
use crate::store::{Commit, Row};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How many messages change in one commit.
const BATCH: usize = 500;

type Identity = (Option<String>, Timestamp);

/// Matches what the server lists with what is stored: (message, new UID). Pure.
fn matches(
    stored: impl IntoIterator<Item = (Identity, Message)>,
    listed: &[(Uid, Identity)],
) -> Vec<(Message, Uid)> {
    let mut waiting: BTreeMap<Identity, VecDeque<Message>> = BTreeMap::new();
    for (identity, message) in stored {
        waiting.entry(identity).or_default().push_back(message);
    }
    let mut found = Vec::new();
    for (uid, identity) in listed {
        if let Some(message) = waiting.get_mut(identity).and_then(VecDeque::pop_front) {
            found.push((message, *uid));
        }
    }
    found
}

impl Syncer {
    /// Gives stored messages of the old incarnation their new UIDs; what the server has no longer is set
    /// aside.
    pub(super) async fn rematch(
        &mut self,
        connection: &mut Connection,
        folder: FolderId,
    ) -> Result<(), ImapError> {
        let mailbox = self.owner.mailbox;
        let Some(row) = self.store.folder(mailbox, folder)? else { return Ok(()) };
        let Some(old_incarnation) = row.value.rematch_from else { return Ok(()) };
        let listed =
            if connection.exists() == 0 { Vec::new() } else { connection.list_identities("1:*").await? };
        let is_complete = listed.len() == connection.exists() as usize;
        let have = self.store.uid_entries(mailbox, folder, row.value.incarnation)?;
        let have: BTreeSet<Uid> = have.iter().map(|entry| entry.uid).collect();
        let listed: Vec<(Uid, Identity)> = listed
            .into_iter()
            .filter(|(uid, _, _)| !have.contains(uid))
            .map(|(uid, date, field)| (uid, (envelope::message_id(&field), date)))
            .collect();
        let mut stored = Vec::new();
        for incarnation in 1..=old_incarnation.max(row.value.incarnation.saturating_sub(1)) {
            for entry in self.store.uid_entries(mailbox, folder, incarnation)? {
                if let Some(message) = self.store.message(mailbox, entry.message)? {
                    stored.push(((message.envelope.message_id.clone(), message.internal_date), message));
                }
            }
        }
        for batch in matches(stored, &listed).chunks(BATCH) {
            let mut commit = Commit::by(self.owner);
            for (message, uid) in batch {
                commit.replace_message(Message {
                    uid: *uid,
                    uid_validity: row.value.uid_validity.unwrap_or_default(),
                    folder_incarnation: row.value.incarnation,
                    ..message.clone()
                });
            }
            self.store.commit(commit).await?;
            crate::faults::point("imap.rematch", &self.stored.mailbox.id);
        }
        if !is_complete {
            return self.put_off(folder);
        }
        for incarnation in 1..row.value.incarnation {
            let left = self.store.uid_entries(mailbox, folder, incarnation)?;
            self.set_aside(&left).await?;
        }
        self.incomplete.remove(&folder);
        self.end_rematch(folder).await
    }

    /// A listing that names fewer messages than the server says there are proves nothing gone, and what it leaves out
    /// must not be taken for new: another connection tries again. If that one sees no more, what can be matched is
    /// matched, and the rest waits for the next SELECT.
    fn put_off(&mut self, folder: FolderId) -> Result<(), ImapError> {
        if !self.incomplete.insert(folder) {
            return Ok(());
        }
        let detail = String::from("fewer messages than it says the folder has");
        Err(ImapError::Unreadable { what: "a listing", detail })
    }

    async fn end_rematch(&self, folder: FolderId) -> Result<(), ImapError> {
        let Some(Row { generation, value: mut folder }) = self.store.folder(self.owner.mailbox, folder)?
        else {
            return Ok(());
        };
        folder.rematch_from = None;
        let mut commit = Commit::by(self.owner);
        commit.event(self.announcer.folder(EventType::FolderReset, clock::now(), &folder));
        self.store.put_folder(&mut commit, self.owner.mailbox, generation, &folder)?;
        self.store.commit(commit).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::message::Envelope;
    use crate::domain::{Flags, MessageId, MessageState};

    fn message(uid: Uid, id: &str) -> (Identity, Message) {
        let message = Message {
            id: MessageId::generate(),
            folder: FolderId::generate(),
            folder_incarnation: 1,
            uid_validity: 1,
            uid,
            flags: Flags::default(),
            size: 1,
            internal_date: Timestamp(0),
            envelope: Envelope { message_id: Some(id.into()), ..Envelope::default() },
            state: MessageState::Stored,
            copy_of: None,
            body: None,
        };
        ((Some(id.into()), Timestamp(0)), message)
    }

    #[test]
    fn twins_are_matched_once_each_in_uid_order() {
        let stored = [message(1, "<a>"), message(2, "<a>"), message(3, "<b>")];
        let listed = |uid: Uid, id: &str| (uid, (Some(String::from(id)), Timestamp(0)));
        let server = [listed(10, "<a>"), listed(11, "<b>"), listed(12, "<a>"), listed(13, "<a>")];
        let pairs: Vec<(Uid, Uid)> =
            matches(stored, &server).iter().map(|(message, uid)| (message.uid, *uid)).collect();
        assert_eq!(pairs, [(1, 10), (3, 11), (2, 12)]);
    }
}
