//! What the server says of messages before they are fetched, and how each is to be fetched.

use super::fetch::SET;
use super::listings::{Ask, ListedMessage, ListedSize};
use super::plan::uid_sets;
use super::protocol::ImapError;
use super::wire::Connection;
use crate::domain::Uid;
use crate::domain::mailbox::Policy;
use std::collections::{BTreeMap, BTreeSet};

/// Messages larger than this are fetched in pieces.
const WHOLE: u32 = 2 << 20;

/// How messages are to be fetched, as far as their sizes and dates tell.
#[derive(Default)]
pub(super) struct Sizes {
    /// In pieces; how large the server says that each is.
    pub(super) large: BTreeMap<Uid, u32>,
    /// The header only; how large the server says that the whole is.
    pub(super) oversize: BTreeMap<Uid, u32>,
    /// Not at all.
    pub(super) old: BTreeSet<Uid>,
}

impl Sizes {
    /// Whole.
    pub(super) fn is_small(&self, uid: Uid) -> bool {
        !self.large.contains_key(&uid) && !self.oversize.contains_key(&uid) && !self.old.contains(&uid)
    }

    fn sort(&mut self, policy: &Policy, uid: Uid, ListedSize { size, internal_date }: ListedSize) {
        if policy.since.zip(internal_date).is_some_and(|(since, date)| date < since) {
            self.old.insert(uid);
        } else if u64::from(size) > policy.max_message {
            self.oversize.insert(uid, size);
        } else if size > WHOLE {
            self.large.insert(uid, size);
        }
    }
}

/// Sorts messages by what the server says of them; its size is an estimate and only that. It is asked for what the
/// listing, ascending by UID, does not tell.
pub(super) async fn sizes(
    connection: &mut Connection,
    policy: &Policy,
    windows: &[&[Uid]],
    listed: &[ListedMessage],
) -> Result<Sizes, ImapError> {
    let ask = Ask::before_fetching(policy);
    let mut sizes = Sizes::default();
    let mut untold = Vec::new();
    for uid in windows.iter().copied().flatten() {
        let place = listed.binary_search_by_key(uid, |message| message.uid).ok();
        match place.and_then(|place| listed.get(place)?.size) {
            Some(size) if ask == Ask::Sizes || size.internal_date.is_some() => {
                sizes.sort(policy, *uid, size);
            }
            Some(_) | None => untold.push(*uid),
        }
    }
    untold.sort_unstable();
    for set in uid_sets(&untold, SET) {
        for (uid, size) in connection.list_sizes(&set, ask).await? {
            sizes.sort(policy, uid, size);
        }
    }
    Ok(sizes)
}
