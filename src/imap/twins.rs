//! Moves on a server without MOVE notifications: a message that turns up in one folder may have left
//! another. Twins have the same Message-ID, INTERNALDATE and size. Pure.

use crate::domain::{FolderId, Message, MessageId};
use crate::store::Vanished;
use std::collections::{BTreeMap, BTreeSet};

/// What is known about messages that look like one stored in another folder.
#[derive(Debug, Default)]
pub(super) struct Twins {
    /// Originals that were still in their folder when it was looked at: a twin is a copy.
    still_there: BTreeSet<MessageId>,
    /// Originals whose folders have to be looked at.
    suspected: BTreeMap<MessageId, FolderId>,
}

/// What a message is that looks like a stored one, or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is new.
    New,
    /// It is a copy of this one.
    CopyOf(MessageId),
    /// Its twin's folder must be looked at first: it may have been moved.
    LookFirst,
}

impl Twins {
    /// Judges a message that is about to be stored, by the stored ones with its INTERNALDATE.
    pub(super) fn judge(&mut self, message: &Message, stored: &[Message]) -> Verdict {
        let mut twins =
            stored.iter().filter(|other| other.folder != message.folder && is_twin(other, message));
        let Some(twin) = twins.next() else { return Verdict::New };
        if self.still_there.contains(&twin.id) {
            return Verdict::CopyOf(twin.id);
        }
        self.suspected.insert(twin.id, twin.folder);
        Verdict::LookFirst
    }

    /// The folders that have to be looked at; afterwards what is still stored there is an original.
    pub(super) fn take_suspected(&mut self) -> BTreeSet<FolderId> {
        let suspected = std::mem::take(&mut self.suspected);
        self.still_there = suspected.keys().copied().collect();
        suspected.into_values().collect()
    }
}

/// The one message set aside that this is, and no other like it.
pub(super) fn take_twin(aside: &mut Vec<Vanished>, message: &Message) -> Option<Vanished> {
    let mut places = aside
        .iter()
        .enumerate()
        .filter(|(_, vanished)| is_twin(&vanished.message, message))
        .map(|(at, _)| at);
    let place = places.next()?;
    if places.next().is_some() {
        return None;
    }
    Some(aside.swap_remove(place))
}

fn is_twin(one: &Message, other: &Message) -> bool {
    one.envelope.message_id.is_some()
        && one.envelope.message_id == other.envelope.message_id
        && one.internal_date == other.internal_date
        && one.size == other.size
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
        let mut twins = Twins::default();
        let original = message("<a>");
        let stored = [original.clone()];
        assert_eq!(twins.judge(&message("<b>"), &stored), Verdict::New);
        assert_eq!(twins.judge(&message("<a>"), &stored), Verdict::LookFirst);
        assert_eq!(twins.take_suspected(), BTreeSet::from([original.folder]));
        assert_eq!(twins.judge(&message("<a>"), &stored), Verdict::CopyOf(original.id));
        assert_eq!(twins.judge(&message("<a>"), &[]), Verdict::New, "it had left: set aside, or deleted");
    }

    #[test]
    fn two_of_a_kind_set_aside_are_not_guessed_between() {
        let aside = |id| Vanished { message: message(id), since: Timestamp(0) };
        assert!(take_twin(&mut vec![aside("<a>"), aside("<b>")], &message("<a>")).is_some());
        assert!(take_twin(&mut vec![aside("<a>"), aside("<a>")], &message("<a>")).is_none());
    }
}
