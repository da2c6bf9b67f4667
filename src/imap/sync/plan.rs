//! What to do about a folder: a function of what is stored and what the server lists. Pure.

use super::mass_deletion::is_mass;
use crate::domain::{Flags, MessageId, Uid};
use crate::imap::connection::ListedMessage;
use crate::store::UidEntry;
use std::collections::BTreeSet;

/// Messages per FETCH command: between two of them the server waits for us.
const WINDOW: usize = 2000;

/// What is stored of a folder.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Stored messages by UID, ascending.
    pub entries: &'a [UidEntry],
    /// UIDs that are not fetched.
    pub quarantined: &'a BTreeSet<Uid>,
    /// The only ones that are to be stored; `None`: all.
    pub wanted: Option<&'a BTreeSet<Uid>>,
    /// Whether a deletion was seen before, on another connection.
    pub deletion_confirmed: bool,
}

/// What the server lists.
#[derive(Clone, Copy, Debug)]
pub struct Listing<'a> {
    /// By UID, ascending.
    pub messages: &'a [ListedMessage],
    /// Every UID from this one on that exists is in the listing, with a tagged OK; `None`: no such claim
    /// (the count did not equal EXISTS).
    pub complete_from: Option<Uid>,
    /// The server refused to list: that nothing is there is known from EXISTS alone.
    pub is_inferred: bool,
}

impl<'a> Listing<'a> {
    /// A listing that the server gave.
    #[must_use]
    pub fn of(messages: &'a [ListedMessage], complete_from: Option<Uid>) -> Self {
        Self { messages, complete_from, is_inferred: false }
    }
}

/// What to do, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Messages whose flags differ.
    pub flags: Vec<FlagChange>,
    /// Stored messages that are gone from the folder.
    pub vanished: Vec<UidEntry>,
    /// A deletion that is not to be believed at once: too large, or inferred.
    pub suspicious: bool,
    /// UIDs to fetch: windows newest first, ascending inside.
    pub fetch: Vec<Vec<Uid>>,
}

/// A message whose flags differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlagChange {
    /// Its UID.
    pub uid: Uid,
    /// Its id.
    pub message: MessageId,
    /// Its flags on the server.
    pub flags: Flags,
}

/// Compares what is stored with what is listed.
#[must_use]
pub fn plan(known: Known<'_>, listing: Listing<'_>) -> Plan {
    let mut plan = Plan::default();
    let mut missing = Vec::new();
    let mut entries = known.entries.iter().peekable();
    let mut gone = Vec::new();
    for listed in listing.messages {
        while let Some(entry) = entries.next_if(|entry| entry.uid < listed.uid) {
            gone.push(*entry);
        }
        match entries.next_if(|entry| entry.uid == listed.uid) {
            Some(entry) => match &listed.flags {
                Some(flags) if entry.flags_digest != flags.digest() => plan.flags.push(FlagChange {
                    uid: entry.uid,
                    message: entry.message,
                    flags: flags.clone(),
                }),
                Some(_) | None => {}
            },
            None if known.quarantined.contains(&listed.uid) => {}
            None if known.wanted.is_some_and(|wanted| !wanted.contains(&listed.uid)) => {}
            None => missing.push(listed.uid),
        }
    }
    gone.extend(entries.copied());
    gone.retain(|entry| listing.complete_from.is_some_and(|from| entry.uid >= from));
    let is_doubtful = is_mass(gone.len(), known.entries.len()) || listing.is_inferred && !gone.is_empty();
    if is_doubtful && !known.deletion_confirmed {
        plan.suspicious = true;
    } else {
        plan.vanished = gone;
    }
    plan.fetch = missing.rchunks(WINDOW).map(<[Uid]>::to_vec).collect();
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn entry(uid: Uid, flags: &Flags) -> UidEntry {
        UidEntry { uid, message: MessageId::generate(), flags_digest: flags.digest() }
    }

    fn listed(uid: Uid, flags: &Flags) -> ListedMessage {
        ListedMessage { uid, flags: Some(flags.clone()), size: None }
    }

    fn complete(messages: &[ListedMessage]) -> Listing<'_> {
        Listing::of(messages, Some(1))
    }

    #[test]
    fn an_incomplete_listing_deletes_nothing() {
        let entries: Vec<_> = (1..=3).map(|uid| entry(uid, &Flags::default())).collect();
        let known = Known {
            entries: &entries,
            quarantined: &BTreeSet::new(),
            wanted: None,
            deletion_confirmed: false,
        };
        let confirmed = Known { deletion_confirmed: true, ..known };
        assert_eq!(plan(confirmed, Listing::of(&[], None)), Plan::default());
        assert_eq!(plan(confirmed, Listing::of(&[], Some(3))).vanished, [entries[2]]);
    }

    #[test]
    fn a_large_deletion_waits_for_a_second_look() {
        let entries: Vec<_> = (1..=100).map(|uid| entry(uid, &Flags::default())).collect();
        let known = Known {
            entries: &entries,
            quarantined: &BTreeSet::new(),
            wanted: None,
            deletion_confirmed: false,
        };
        let first = plan(known, complete(&[]));
        assert!(first.suspicious && first.vanished.is_empty());
        let confirmed = Known { deletion_confirmed: true, ..known };
        assert_eq!(plan(confirmed, complete(&[])).vanished.len(), 100);
    }

    #[test]
    fn an_inferred_deletion_of_any_size_waits_for_a_second_look() {
        let entries = [entry(1, &Flags::default())];
        let known = Known {
            entries: &entries,
            quarantined: &BTreeSet::new(),
            wanted: None,
            deletion_confirmed: false,
        };
        let inferred = Listing { is_inferred: true, ..complete(&[]) };
        let first = plan(known, inferred);
        assert!(first.suspicious && first.vanished.is_empty());
        assert_eq!(plan(Known { deletion_confirmed: true, ..known }, inferred).vanished, entries);
        assert_eq!(plan(known, complete(&[])).vanished, entries, "what was listed is believed");
    }

    #[test]
    fn windows_are_newest_first_and_skip_the_quarantined() {
        let messages: Vec<_> = (1..=900).map(|uid| listed(uid, &Flags::default())).collect();
        let known = Known {
            entries: &[],
            quarantined: &BTreeSet::from([900]),
            wanted: None,
            deletion_confirmed: false,
        };
        let plan = plan(known, complete(&messages));
        assert_eq!(plan.fetch[0].last(), Some(&899));
        assert_eq!(plan.fetch.last().and_then(|window| window.first()), Some(&1));
        assert_eq!(plan.fetch.iter().map(Vec::len).sum::<usize>(), 899);
    }

    #[test]
    fn only_what_is_wanted_is_fetched_and_nothing_stored_is_gone_for_it() {
        let entries = [entry(1, &Flags::default())];
        let messages: Vec<_> = (1..=4).map(|uid| listed(uid, &Flags::default())).collect();
        let wanted = BTreeSet::from([3, 4]);
        let known = Known {
            entries: &entries,
            quarantined: &BTreeSet::new(),
            wanted: Some(&wanted),
            deletion_confirmed: false,
        };
        let plan = plan(known, complete(&messages));
        assert_eq!((plan.fetch, plan.vanished), (vec![vec![3, 4]], vec![]));
    }

    fn arbitrary_flags() -> impl Strategy<Value = Flags> {
        prop::collection::btree_set(prop::sample::select(vec!["\\Seen", "\\Flagged", "$Label1"]), 0..3)
            .prop_map(Flags::from_server)
    }

    proptest! {
        #[test]
        fn planning_again_after_success_plans_nothing(
            stored in prop::collection::btree_map(1_u32..200, arbitrary_flags(), 0..60),
            server in prop::collection::btree_map(1_u32..200, arbitrary_flags(), 0..60),
        ) {
            let entries: Vec<_> = stored.iter().map(|(uid, flags)| entry(*uid, flags)).collect();
            let messages: Vec<_> = server.iter().map(|(uid, flags)| listed(*uid, flags)).collect();
            let none = BTreeSet::new();
            let known = |entries| Known { entries, quarantined: &none, wanted: None, deletion_confirmed: true };
            let plan = super::plan(known(&entries), complete(&messages));

            let mut after: BTreeMap<Uid, UidEntry> = entries.iter().map(|e| (e.uid, *e)).collect();
            for gone in &plan.vanished { after.remove(&gone.uid); }
            for change in &plan.flags {
                after.get_mut(&change.uid).unwrap().flags_digest = change.flags.digest();
            }
            for uid in plan.fetch.iter().flatten() {
                prop_assert!(after.insert(*uid, entry(*uid, &server[uid])).is_none());
            }
            prop_assert_eq!(after.keys().collect::<Vec<_>>(), server.keys().collect::<Vec<_>>());
            let after: Vec<_> = after.into_values().collect();
            let again = super::plan(known(&after), complete(&messages));
            prop_assert!(again == Plan::default());
        }
    }
}
