//! What the server says of messages before they are fetched, and how each is to be read. Its word on a size decides
//! nothing else: servers estimate it, and some are wrong by any factor.

use crate::domain::Uid;
use crate::domain::mailbox::Policy;
use crate::imap::connection::{
    Connection, LONGEST_UID_SET, ListedMessage, ListedSize, ListingDetail, uid_sets,
};
use crate::imap::protocol::ImapError;
use crate::net::Limits;
use std::collections::{BTreeMap, BTreeSet};

/// Messages larger than this are fetched in pieces.
const WHOLE: u64 = 2 << 20;

/// How messages are to be read, as far as their sizes and dates tell.
#[derive(Default)]
pub(in crate::imap) struct Sizes {
    /// In pieces; how large the server says that each is.
    pub(super) large: BTreeMap<Uid, u64>,
    /// Larger than the policy wants, if what the server says is true: that is looked at first.
    pub(super) oversize: BTreeMap<Uid, u64>,
    /// The header only: it can be read in no other way.
    pub(in crate::imap) headers: BTreeMap<Uid, u64>,
    /// Not at all.
    pub(in crate::imap) old: BTreeSet<Uid>,
    /// The server says that there is nothing in it: then nothing is all of it.
    pub(super) empty: BTreeSet<Uid>,
}

/// What the policy wants of messages, and what is known of them from earlier tries.
pub(super) struct Wanted<'a> {
    pub(in crate::imap) policy: &'a Policy,
    /// Could not be read in the way that their sizes suggest: they are read in the other one.
    pub(in crate::imap) other_way: &'a BTreeSet<Uid>,
}

impl Sizes {
    /// Whole.
    pub(in crate::imap) fn is_small(&self, uid: Uid) -> bool {
        let elsewhere = [&self.large, &self.oversize, &self.headers];
        !elsewhere.iter().any(|sizes| sizes.contains_key(&uid)) && !self.old.contains(&uid)
    }

    fn sort(&mut self, wanted: &Wanted<'_>, uid: Uid, ListedSize { size, internal_date }: ListedSize) {
        let policy = wanted.policy;
        if policy.since.zip(internal_date).is_some_and(|(since, date)| date < since) {
            self.old.insert(uid);
        } else if wanted.other_way.contains(&uid) {
            match size {
                ..=WHOLE => drop(self.large.insert(uid, size)),
                size if size > Limits::default().literal => drop(self.headers.insert(uid, size)),
                _ => {}
            }
        } else if size > policy.max_message {
            self.oversize.insert(uid, size);
        } else if size > WHOLE {
            self.large.insert(uid, size);
        } else if size == 0 {
            self.empty.insert(uid);
        }
    }
}

/// Sorts messages by what the server says of them. What the listing, ascending by UID, does not say is requested.
pub(in crate::imap) async fn sizes(
    connection: &mut Connection,
    wanted: &Wanted<'_>,
    windows: &[&[Uid]],
    listed: &[ListedMessage],
) -> Result<Sizes, ImapError> {
    let detail = ListingDetail::before_fetching(wanted.policy);
    let mut sizes = Sizes::default();
    let mut unknown: BTreeSet<Uid> = BTreeSet::new();
    for uid in windows.iter().copied().flatten() {
        let place = listed.binary_search_by_key(uid, |message| message.uid).ok();
        match place.and_then(|place| listed.get(place)?.size) {
            Some(size) if detail == ListingDetail::Sizes || size.internal_date.is_some() => {
                sizes.sort(wanted, *uid, size);
            }
            Some(_) | None => drop(unknown.insert(*uid)),
        }
    }
    let requested: Vec<Uid> = unknown.iter().copied().collect();
    for set in uid_sets(&requested, LONGEST_UID_SET) {
        for (uid, size) in connection.list_sizes(&set, detail).await? {
            unknown.remove(&uid);
            sizes.sort(wanted, uid, size);
        }
    }
    // of these nothing is known: they are read whole, or, where that failed, in pieces
    for uid in unknown.intersection(wanted.other_way) {
        sizes.large.insert(*uid, 0);
    }
    Ok(sizes)
}
