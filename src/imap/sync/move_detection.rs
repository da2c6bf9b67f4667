//! Moves on a server without MOVE notifications: a message that turns up in one folder may have left another. MoveDetection have
//! the same Message-ID, INTERNALDATE and size; without a Message-ID, the same header. Pure.

use crate::domain::{FolderId, Message, MessageId};
use crate::store::Vanished;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// What is known about messages that look like one stored in another folder.
#[derive(Debug, Default)]
pub(super) struct MoveDetection {
    /// Originals that were still in their folder when it was looked at.
    still_there: BTreeSet<MessageId>,
    /// Originals whose folders have to be looked at.
    suspected: BTreeMap<MessageId, FolderId>,
    /// Folders that could not be looked at, and since when.
    out_of_sight: BTreeMap<FolderId, Instant>,
}

/// What a message is that looks like a stored one, or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is new.
    New,
    /// It is a copy of this one.
    CopyOf(MessageId),
    /// The folders of its counterparts must be visited first: it may have been moved.
    LookFirst,
}

/// Folders that have to be looked at, and the messages there that matter.
pub(super) type Suspects = BTreeMap<FolderId, Vec<MessageId>>;

impl MoveDetection {
    /// Judges a message that is about to be stored, by the stored ones with its INTERNALDATE. Every one of its
    /// counterparts is looked at: the one that has left is the one that was moved.
    pub(super) fn judge(&mut self, message: &Message, stored: &[Message]) -> Verdict {
        let counterparts =
            stored.iter().filter(|other| other.folder != message.folder && is_counterpart(other, message));
        let (mut first, mut is_known) = (None, true);
        for counterpart in counterparts {
            first = first.or(Some(counterpart.id));
            if !self.still_there.contains(&counterpart.id) {
                self.suspected.insert(counterpart.id, counterpart.folder);
                is_known = false;
            }
        }
        match first {
            None => Verdict::New,
            Some(original) if is_known => Verdict::CopyOf(original),
            Some(_) => Verdict::LookFirst,
        }
    }

    /// The folders that have to be looked at.
    pub(super) fn take_suspected(&mut self) -> Suspects {
        let mut suspects = Suspects::new();
        for (message, folder) in std::mem::take(&mut self.suspected) {
            suspects.entry(folder).or_default().push(message);
        }
        suspects
    }

    /// A suspected folder was looked at just now: what is still stored of these messages is still there.
    pub(super) fn looked_at(&mut self, messages: Vec<MessageId>) {
        self.still_there.extend(messages);
    }

    /// A folder was looked at.
    pub(super) fn in_sight(&mut self, folder: FolderId) {
        self.out_of_sight.remove(&folder);
    }

    /// A suspected folder cannot be looked at: from that nothing follows, but for a time only.
    pub(super) fn not_looked_at(
        &mut self,
        folder: FolderId,
        messages: Vec<MessageId>,
        now: Instant,
        longest: Duration,
    ) {
        let since = *self.out_of_sight.entry(folder).or_insert(now);
        if now.saturating_duration_since(since) >= longest {
            self.still_there.extend(messages);
        }
    }

    /// What was seen a while ago proves nothing now.
    pub(super) fn forget_looks(&mut self) {
        self.still_there.clear();
    }
}

/// The message set aside that this is. Of several that are alike, the one that was set aside last.
pub(super) fn take_counterpart(aside: &mut Vec<Vanished>, message: &Message) -> Option<Vanished> {
    let alike = aside.iter().enumerate().filter(|(_, vanished)| is_counterpart(&vanished.message, message));
    let (place, _) = alike.max_by_key(|(_, vanished)| vanished.since)?;
    Some(aside.swap_remove(place))
}

fn is_counterpart(one: &Message, other: &Message) -> bool {
    one.envelope.message_id == other.envelope.message_id
        && one.internal_date == other.internal_date
        && one.size == other.size
        && (one.envelope.message_id.is_some() || one.envelope == other.envelope)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::message::Envelope;
    use crate::domain::{Flags, MessageState, Timestamp};

    fn message(id: &str) -> Message {
        Message {
            id: MessageId::generate(),
            folder: FolderId::generate(),
            folder_incarnation: 1,
            uid_validity: 1,
            uid: 1,
            flags: Flags::default(),
            size: 1,
            internal_date: Timestamp(0),
            envelope: Envelope { message_id: Some(id.into()), ..Envelope::default() },
            state: MessageState::Stored,
            copy_of: None,
            body: None,
        }
    }

    #[test]
    fn a_twin_is_a_copy_only_after_its_originals_folder_was_looked_at() {
        let mut counterparts = MoveDetection::default();
        let original = message("<a>");
        let stored = [original.clone()];
        assert_eq!(counterparts.judge(&message("<b>"), &stored), Verdict::New);
        assert_eq!(counterparts.judge(&message("<a>"), &stored), Verdict::LookFirst);
        assert_eq!(counterparts.take_suspected(), Suspects::from([(original.folder, vec![original.id])]));
        counterparts.looked_at(vec![original.id]);
        assert_eq!(counterparts.judge(&message("<a>"), &stored), Verdict::CopyOf(original.id));
        assert_eq!(
            counterparts.judge(&message("<a>"), &[]),
            Verdict::New,
            "it had left: set aside, or deleted"
        );
    }

    #[test]
    fn of_two_of_a_kind_the_one_that_left_last_was_moved() {
        let aside = |id, since| Vanished { message: message(id), since: Timestamp(since) };
        let mut vanished = vec![aside("<a>", 1), aside("<a>", 2), aside("<b>", 3)];
        let last = vanished[1].message.id;
        assert_eq!(take_counterpart(&mut vanished, &message("<a>")).unwrap().message.id, last);
        assert_eq!(vanished.len(), 2);
    }

    #[test]
    fn without_a_message_id_the_header_tells_twins() {
        let mut one = message("");
        one.envelope.message_id = None;
        let mut other = Message { folder: FolderId::generate(), ..one.clone() };
        assert!(is_counterpart(&one, &other));
        other.envelope.subject = Some("another".into());
        assert!(!is_counterpart(&one, &other));
    }

    #[test]
    fn nothing_follows_from_a_folder_that_cannot_be_looked_at_for_a_time() {
        let (mut counterparts, original) = (MoveDetection::default(), message("<a>"));
        let (now, minute) = (crate::clock::monotonic(), Duration::from_secs(60));
        let copy = Verdict::CopyOf(original.id);
        for (after, expected) in [(0, Verdict::LookFirst), (59, Verdict::LookFirst), (60, copy)] {
            counterparts.judge(&message("<a>"), std::slice::from_ref(&original));
            for (folder, messages) in counterparts.take_suspected() {
                counterparts.not_looked_at(folder, messages, now + Duration::from_secs(after), minute);
            }
            assert_eq!(counterparts.judge(&message("<a>"), std::slice::from_ref(&original)), expected);
        }
    }

    #[test]
    fn every_twin_is_looked_at() {
        let (mut counterparts, one, other) = (MoveDetection::default(), message("<a>"), message("<a>"));
        let stored = [one.clone(), other.clone()];
        assert_eq!(counterparts.judge(&message("<a>"), &stored), Verdict::LookFirst);
        assert_eq!(counterparts.take_suspected().len(), 2);
        counterparts.looked_at(vec![one.id]);
        assert_eq!(counterparts.judge(&message("<a>"), &stored), Verdict::LookFirst);
        counterparts.looked_at(vec![other.id]);
        assert_eq!(counterparts.judge(&message("<a>"), &stored), Verdict::CopyOf(one.id));
    }
}
