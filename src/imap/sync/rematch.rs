//! Re-match after a UIDVALIDITY change: the folder's messages have new UIDs, and nothing of it is news.
//! Messages are matched as multisets by (Message-ID, INTERNALDATE), ties by what else their headers say, then in
//! UID order; where a server's dates are none, or change, by their headers alone.
//! Resumable: what is matched carries the new incarnation, what is left of the old one is what is still
//! to be matched.

use super::mass_deletion::is_mass;
use super::syncer::Syncer;
use crate::clock;
use crate::domain::message::Envelope;
use crate::domain::{FolderId, Message, Timestamp, Uid};
use crate::events::EventType;
use crate::imap::connection::{Connection, ListedEnvelope};
use crate::imap::protocol::ImapError;
use crate::store::{Commit, Row};
use std::collections::{BTreeMap, BTreeSet};

/// How many messages change in one commit.
const BATCH: usize = 500;

type Identity = (Option<String>, Timestamp);

/// Whether the headers say the same; copies of one second differ in that.
fn alike(one: &Envelope, other: &Envelope) -> bool {
    header(one) == header(other)
}

type Header<'e> = (Option<&'e str>, Option<&'e str>, Option<Timestamp>, Option<&'e str>);

/// What a header says that nobody rewrites without reason.
fn header(envelope: &Envelope) -> Header<'_> {
    let from = envelope.from.first().map(|from| from.address.as_str());
    (envelope.message_id.as_deref(), envelope.subject.as_deref(), envelope.date, from)
}

impl ListedEnvelope {
    /// The date that a message with this header was stored with, if its INTERNALDATE was one or its header has one.
    fn stored_date(&self) -> Option<Timestamp> {
        self.date.or(self.envelope.date)
    }

    fn identity(&self) -> Option<Identity> {
        Some((self.envelope.message_id.clone(), self.stored_date()?))
    }

    /// Whether the message that is shown under a known UID is the one that is stored under it.
    pub(in crate::imap) fn is(&self, stored: &Message) -> bool {
        self.envelope.message_id == stored.envelope.message_id
            && self.stored_date().is_none_or(|date| date == stored.internal_date)
            && (self.envelope.message_id.is_some() || alike(&stored.envelope, &self.envelope))
    }

    /// Whether it says what this stored message says, whatever the dates are.
    pub(super) fn resembles(&self, stored: &Message) -> bool {
        alike(&stored.envelope, &self.envelope)
    }
}

/// Matches what the server lists with what is stored: (message, new UID). Pure.
fn matches(stored: Vec<Message>, listed: &[ListedEnvelope]) -> Vec<(Message, Uid)> {
    let mut waiting: BTreeMap<Identity, Vec<Message>> = BTreeMap::new();
    for message in stored {
        let identity = (message.envelope.message_id.clone(), message.internal_date);
        waiting.entry(identity).or_default().push(message);
    }
    let (mut found, mut unlike, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for listed in listed {
        let candidates = listed.identity().and_then(|identity| waiting.get_mut(&identity));
        let place = candidates.as_ref().and_then(|candidates| {
            candidates.iter().position(|message| alike(&message.envelope, &listed.envelope))
        });
        match candidates.zip(place) {
            Some((candidates, place)) => found.push((candidates.remove(place), listed.uid)),
            None => unlike.push(listed),
        }
    }
    // a server may rewrite a header; without a Message-ID there is nothing left to know it by
    for listed in unlike {
        let identity = listed.identity().filter(|(message_id, _)| message_id.is_some());
        match identity.and_then(|identity| waiting.get_mut(&identity)).filter(|waiting| !waiting.is_empty()) {
            Some(candidates) => found.push((candidates.remove(0), listed.uid)),
            None => unknown.push(listed),
        }
    }
    found.extend(matches_by_header(waiting.into_values().flatten().collect(), &unknown));
    found
}

/// Matches by headers alone what has another date than it was stored with, or none.
fn matches_by_header(stored: Vec<Message>, listed: &[&ListedEnvelope]) -> Vec<(Message, Uid)> {
    let mut waiting: BTreeMap<Header<'_>, Vec<&Message>> = BTreeMap::new();
    for message in &stored {
        waiting.entry(header(&message.envelope)).or_default().push(message);
    }
    let mut found = Vec::new();
    for listed in listed {
        // without a Message-ID and with a date of the server's it is a message of another day
        let is_known = listed.envelope.message_id.is_some() || listed.date.is_none();
        if let Some(candidates) = waiting.get_mut(&header(&listed.envelope)).filter(|_| is_known)
            && !candidates.is_empty()
        {
            found.push((candidates.remove(0).clone(), listed.uid));
        }
    }
    found
}

impl Syncer {
    /// Gives stored messages of the old incarnation their new UIDs; what the server has no longer is set
    /// aside. `false`: that is so much that it is looked at again.
    pub(in crate::imap) async fn rematch(
        &mut self,
        connection: &mut Connection,
        folder: FolderId,
    ) -> Result<bool, ImapError> {
        let mailbox = self.owner.mailbox;
        let Some(row) = self.store.folder(mailbox, folder)? else { return Ok(true) };
        let Some(old_incarnation) = row.value.rematch_from else { return Ok(true) };
        // listed in an empty folder, too: what a server forgot to count shows here
        let listed = connection.list_envelopes("1:*", (&self.workers, mailbox)).await;
        let (listed, is_inferred) = connection.or_empty(listed)?;
        let is_complete = listed.len() == connection.exists() as usize;
        let have = self.store.uid_entries(mailbox, folder, row.value.incarnation)?;
        let have: BTreeSet<Uid> = have.iter().map(|entry| entry.uid).collect();
        let listed: Vec<_> = listed.into_iter().filter(|listed| !have.contains(&listed.uid)).collect();
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
            return self.put_off(folder).map(|()| true);
        }
        let is_doubtful = is_mass(gone, known) || is_inferred && gone > 0;
        let (number, now) = (connection.number(), clock::monotonic());
        if is_doubtful && !self.deletions.is_confirmed(folder, number, now, self.confirm) {
            self.deletions.suspect(folder, number, now);
            return Ok(false);
        }
        self.deletions.clear(folder);
        for incarnation in 1..row.value.incarnation {
            let left = self.store.uid_entries(mailbox, folder, incarnation)?;
            self.set_aside(&left).await?;
        }
        self.incomplete.remove(&folder);
        self.end_rematch(folder).await?;
        Ok(true)
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

    fn listed(uid: Uid, id: Option<&str>, subject: &str) -> ListedEnvelope {
        ListedEnvelope { uid, date: Some(Timestamp(0)), envelope: envelope(id, subject) }
    }

    fn pairs(stored: Vec<Message>, server: &[ListedEnvelope]) -> Vec<(Uid, Uid)> {
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

    #[test]
    fn dates_that_are_none_or_others_keep_nothing_from_its_message() {
        let (a, b) = (Some("<a>"), Some("<b>"));
        let stored = vec![message(1, a, "x"), message(2, b, "y"), message(3, None, "z")];
        let dated = |date, listed: ListedEnvelope| ListedEnvelope { date, ..listed };
        let server = [
            dated(None, listed(10, a, "x")),
            dated(Some(Timestamp(5)), listed(11, b, "y")),
            dated(None, listed(12, None, "z")),
        ];
        assert_eq!(pairs(stored.clone(), &server), [(1, 10), (2, 11), (3, 12)]);
        let another_day = [dated(Some(Timestamp(5)), listed(12, None, "z"))];
        assert_eq!(pairs(stored, &another_day), [], "without a Message-ID the date counts");
    }
}
