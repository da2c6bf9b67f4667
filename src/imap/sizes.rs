//! What the server says of messages before they are fetched, and how each is to be fetched.

use super::fetch::SET;
use super::listings::ListedSize;
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
    /// In pieces.
    pub(super) large: BTreeSet<Uid>,
    /// The header only, and how large the server says that the whole is.
    pub(super) oversize: BTreeSet<Uid>,
    pub(super) told: BTreeMap<Uid, u32>,
    /// Not at all.
    pub(super) old: BTreeSet<Uid>,
}

impl Sizes {
    /// Whole.
    pub(super) fn is_small(&self, uid: Uid) -> bool {
        ![&self.large, &self.oversize, &self.old].iter().any(|kind| kind.contains(&uid))
    }
}

/// Sorts messages by what the server says of them; its size is an estimate and only that.
pub(super) async fn sizes(
    connection: &mut Connection,
    policy: &Policy,
    windows: &[&[Uid]],
) -> Result<Sizes, ImapError> {
    let mut uids = windows.concat();
    uids.sort_unstable();
    let mut sizes = Sizes::default();
    for set in uid_sets(&uids, SET) {
        for ListedSize { uid, size, internal_date } in
            connection.list_sizes(&set, policy.since.is_some()).await?
        {
            if policy.since.zip(internal_date).is_some_and(|(since, date)| date < since) {
                sizes.old.insert(uid);
            } else if u64::from(size) > policy.max_message {
                sizes.oversize.insert(uid);
                sizes.told.insert(uid, size);
            } else if size > WHOLE {
                sizes.large.insert(uid);
            }
        }
    }
    Ok(sizes)
}
