//! Re-match after a UIDVALIDITY change: the folder's messages have new UIDs, and nothing of it is news.
//! Messages are matched as multisets by (Message-ID, INTERNALDATE), ties by what else their headers say, then in
//! UID order. Resumable: what is matched carries the new incarnation, what is left of the old one is what is still
//! to be matched.

use super::doubts::is_mass;
use super::protocol::ImapError;
use super::sync::Syncer;
use super::wire::Connection;
use crate::clock;
use crate::domain::message::Envelope;
use crate::domain::{FolderId, Message, Timestamp, Uid};
use crate::events::EventType;
use crate::store::{Commit, Row};
use std::collections::{BTreeMap, BTreeSet};

/// How many messages change in one commit.
const BATCH: usize = 500;

type Identity = (Option<String>, Timestamp);

fn identity(date: Timestamp, envelope: &Envelope) -> Identity {
    (envelope.message_id.clone(), date)
}

/// Whether the headers say the same; twins of one second differ in that.
fn alike(one: &Envelope, other: &Envelope) -> bool {
    let from = |envelope: &Envelope| envelope.from.first().map(|from| from.address.clone());
    one.subject == other.subject && one.date == other.date && from(one) == from(other)
}

/// Whether a message that the server shows under a known UID is the one that is stored under it.
pub(super) fn is_same(stored: &Message, date: Timestamp, envelope: &Envelope) -> bool {
    identity(stored.internal_date, &stored.envelope) == identity(date, envelope)
        && (envelope.message_id.is_some() || alike(&stored.envelope, envelope))
}

/// Matches what the server lists with what is stored: (message, new UID). Pure.
fn matches(stored: Vec<Message>, listed: &[(Uid, Timestamp, Envelope)]) -> Vec<(Message, Uid)> {
    let mut waiting: BTreeMap<Identity, Vec<Message>> = BTreeMap::new();
    for message in stored {
        waiting.entry(identity(message.internal_date, &message.envelope)).or_default().push(message);
    }
    let (mut found, mut unlike) = (Vec::new(), Vec::new());
    for (uid, date, envelope) in listed {
        let Some(candidates) = waiting.get_mut(&identity(*date, envelope)) else { continue };
        match candidates.iter().position(|message| alike(&message.envelope, envelope)) {
            Some(place) => found.push((candidates.remove(place), *uid)),
            None => unlike.push((uid, date, envelope)),
        }
    }
    // a server may rewrite a header; without a Message-ID there is nothing left to know it by
    for (uid, date, envelope) in unlike.into_iter().filter(|(_, _, envelope)| envelope.message_id.is_some()) {
        let candidates = waiting.get_mut(&identity(*date, envelope));
        if let Some(candidates) = candidates.filter(|candidates| !candidates.is_empty()) {
            found.push((candidates.remove(0), *uid));
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
        // asked in an empty folder, too: what a server forgot to count shows here
        let listed = connection.list_envelopes("1:*").await;
        let (listed, is_inferred) = connection.or_empty(listed)?;
        let is_complete = listed.len() == connection.exists() as usize;
        let have = self.store.uid_entries(mailbox, folder, row.value.incarnation)?;
        let have: BTreeSet<Uid> = have.iter().map(|entry| entry.uid).collect();
        let listed: Vec<_> = listed.into_iter().filter(|(uid, _, _)| !have.contains(uid)).collect();
        let mut stored = Vec::new();
        for incarnation in 1..=old_incarnation.max(row.value.incarnation.saturating_sub(1)) {
            for entry in self.store.uid_entries(mailbox, folder, incarnation)? {
                stored.extend(self.store.message(mailbox, entry.message)?);
            }
        }
        let (known, matched) = (stored.len(), matches(stored, &listed));
        let gone = known.saturating_sub(matched.len());
        for batch in matched.chunks(BATCH) {
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
        let is_doubtful = is_mass(gone, known) || is_inferred && gone > 0;
        if is_doubtful && !self.doubts.are_confirmed(folder, connection.number()) {
            self.doubts.raise(folder, connection.number());
            let detail = String::from("another UIDVALIDITY, and most messages are not there");
            return Err(ImapError::Unreadable { what: "a listing", detail });
        }
        self.doubts.drop(folder);
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
    use crate::domain::{Flags, MessageId, MessageState};

    fn envelope(id: Option<&str>, subject: &str) -> Envelope {
        let message_id = id.map(String::from);
        Envelope { message_id, subject: Some(subject.into()), ..Envelope::default() }
    }

    fn message(uid: Uid, id: Option<&str>, subject: &str) -> Message {
        Message {
            id: MessageId::generate(),
            folder: FolderId::generate(),
            folder_incarnation: 1,
            uid_validity: 1,
            uid,
            flags: Flags::default(),
            size: 1,
            internal_date: Timestamp(0),
            envelope: envelope(id, subject),
            state: MessageState::Stored,
            copy_of: None,
            body: None,
        }
    }

    fn listed(uid: Uid, id: Option<&str>, subject: &str) -> (Uid, Timestamp, Envelope) {
        (uid, Timestamp(0), envelope(id, subject))
    }

    fn pairs(stored: Vec<Message>, server: &[(Uid, Timestamp, Envelope)]) -> Vec<(Uid, Uid)> {
        let mut pairs: Vec<_> =
            matches(stored, server).iter().map(|(message, uid)| (message.uid, *uid)).collect();
        pairs.sort_unstable();
        pairs
    }

    #[test]
    fn twins_are_matched_once_each_in_uid_order() {
        let (a, b) = (Some("<a>"), Some("<b>"));
        let stored = vec![message(1, a, ""), message(2, a, ""), message(3, b, "")];
        let server = [listed(10, a, ""), listed(11, b, ""), listed(12, a, ""), listed(13, a, "")];
        assert_eq!(pairs(stored, &server), [(1, 10), (2, 12), (3, 11)]);
    }

    #[test]
    fn twins_of_one_second_are_told_apart_by_their_headers() {
        let (a, none) = (Some("<a>"), None);
        let stored =
            vec![message(1, none, "one"), message(2, none, "two"), message(3, a, "x"), message(4, a, "y")];
        let server =
            [listed(10, none, "two"), listed(11, none, "one"), listed(12, a, "y"), listed(13, a, "x")];
        assert_eq!(pairs(stored, &server), [(1, 11), (2, 10), (3, 13), (4, 12)]);
    }

    #[test]
    fn a_rewritten_header_is_forgiven_only_where_a_message_id_vouches() {
        let stored = vec![message(1, Some("<a>"), "x"), message(2, None, "one")];
        let server = [listed(10, Some("<a>"), "[list] x"), listed(11, None, "another")];
        assert_eq!(pairs(stored, &server), [(1, 10)]);
    }
}
