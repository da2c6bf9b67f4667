//! What is in the selected folder: UIDs with flags and sizes.

use super::response::{FetchedMessage, Response};
use super::uid_sets::{LONGEST_UID_SET, uid_sets};
use super::wire::Connection;
use crate::domain::mailbox::Policy;
use crate::domain::message::Envelope;
use crate::domain::{Flags, Timestamp, Uid};
use crate::imap::protocol::ImapError;
use std::collections::BTreeSet;

/// A message as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedMessage {
    /// Its UID.
    pub uid: Uid,
    /// `None`: what the server sent of it could not be read.
    pub flags: Option<Flags>,
    /// Where it was requested, and came with the flags.
    pub size: Option<ListedSize>,
}

/// What a listing brings beside flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::imap) enum ListingDetail {
    /// Nothing: what is listed is mostly stored already.
    Flags,
    /// Sizes, of what is to be fetched.
    Sizes,
    /// Sizes and dates: the policy leaves out what is old.
    SizesAndDates,
}

impl ListingDetail {
    /// What is needed of messages that may be fetched under this policy.
    pub(in crate::imap) fn before_fetching(policy: &Policy) -> Self {
        if policy.since.is_some() { Self::SizesAndDates } else { Self::Sizes }
    }

    /// The items of a FETCH command beside UID and FLAGS.
    fn items(self) -> &'static str {
        match self {
            Self::Flags => "",
            Self::Sizes => " RFC822.SIZE",
            Self::SizesAndDates => " RFC822.SIZE INTERNALDATE",
        }
    }
}

/// How large a message is, and when it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedSize {
    /// In bytes, as the server estimates it (RFC 9051 §7.5.2, RFC822.SIZE).
    pub size: u64,
    /// When it came, if that was requested and is a date.
    pub internal_date: Option<Timestamp>,
}

/// What a message is recognised by under another UID.
#[derive(Clone, Debug)]
pub(in crate::imap) struct ListedEnvelope {
    pub(in crate::imap) uid: Uid,
    /// INTERNALDATE, where it is one.
    pub(in crate::imap) date: Option<Timestamp>,
    /// Of the fields that tell messages apart.
    pub(in crate::imap) envelope: Envelope,
}

impl Connection {
    /// The messages of a UID set (`1:*`, `5,7:9`) of the selected folder. Sorted.
    pub(in crate::imap) async fn list_messages(
        &mut self,
        uids: &str,
        detail: ListingDetail,
    ) -> Result<Vec<ListedMessage>, ImapError> {
        self.list_by(&format!("UID FETCH {uids}"), detail).await
    }

    /// Sizes of a UID set of the selected folder, as the server estimates them, and dates if they are requested.
    pub(in crate::imap) async fn list_sizes(
        &mut self,
        uids: &str,
        detail: ListingDetail,
    ) -> Result<Vec<(Uid, ListedSize)>, ImapError> {
        let mut found = Vec::new();
        let command = format!("UID FETCH {uids} (UID{})", detail.items());
        self.exchange("FETCH", &command, |response| {
            if let Response::Fetch(message) = response {
                found.extend(message.uid.zip(size_in(message)));
            }
        })
        .await?;
        Ok(found)
    }

    /// INTERNALDATEs of a UID set of the selected folder, where they are dates.
    pub(in crate::imap) async fn list_dates(
        &mut self,
        uids: &str,
    ) -> Result<Vec<(Uid, Timestamp)>, ImapError> {
        let mut found = Vec::new();
        let command = format!("UID FETCH {uids} (UID INTERNALDATE)");
        self.exchange("FETCH", &command, |response| {
            if let Response::Fetch(message) = response {
                found.extend(message.uid.zip(message.internal_date));
            }
        })
        .await?;
        Ok(found)
    }

    /// UIDs of messages in the selected folder that came on this day or later (RFC 3501 §6.4.4), whatever the server's
    /// time zone: some of the day before may be among them.
    pub(in crate::imap) async fn search_since(
        &mut self,
        since: Timestamp,
    ) -> Result<BTreeSet<Uid>, ImapError> {
        let day_before = Timestamp(since.0.saturating_sub(24 * 3600 * 1000));
        let date = chrono::DateTime::from_timestamp_millis(day_before.0).unwrap_or_default();
        let mut found = BTreeSet::new();
        let command = format!("UID SEARCH SINCE {}", date.format("%-d-%b-%Y"));
        self.exchange("SEARCH", &command, |response| {
            if let Response::Search(uids) = response {
                found.extend(uids);
            }
        })
        .await?;
        Ok(found)
    }

    /// Whether a message with this Message-ID is in the selected folder. A server that cannot search says no.
    pub(in crate::imap) async fn has_message_id(&mut self, id: &str) -> Result<bool, ImapError> {
        if !id.is_ascii() || id.contains(['"', '\\', '\r', '\n']) {
            return Ok(false);
        }
        let mut found = false;
        let command = format!("UID SEARCH HEADER MESSAGE-ID \"{id}\"");
        let searched = self.exchange("SEARCH", &command, |response| {
            found |= matches!(response, Response::Search(uids) if !uids.is_empty());
        });
        match searched.await {
            Err(error) if error.refuses_folder() => Ok(false),
            other => other.map(|()| found),
        }
    }

    /// The newest messages by sequence number: cheap on a folder of any size.
    pub(in crate::imap) async fn list_newest(
        &mut self,
        exists: u32,
        count: u32,
        detail: ListingDetail,
    ) -> Result<Vec<ListedMessage>, ImapError> {
        let first = exists.saturating_sub(count).saturating_add(1).max(1);
        self.list_by(&format!("FETCH {first}:*"), detail).await
    }

    /// A server that refuses sizes may still list flags: the sizes are then requested by themselves.
    async fn list_by(&mut self, fetch: &str, detail: ListingDetail) -> Result<Vec<ListedMessage>, ImapError> {
        match self.list_once(fetch, detail).await {
            Err(error) if detail != ListingDetail::Flags && error.is_plain_refusal() => {
                self.list_once(fetch, ListingDetail::Flags).await
            }
            listed => listed,
        }
    }

    async fn list_once(
        &mut self,
        fetch: &str,
        detail: ListingDetail,
    ) -> Result<Vec<ListedMessage>, ImapError> {
        let command = format!("{fetch} (UID FLAGS{})", detail.items());
        let (mut found, mut unnamed) = (Vec::new(), BTreeSet::new());
        let mut next_tidying = 1000;
        let see = |response: &Response| {
            let Response::Fetch(message) = response else { return };
            match message.uid {
                // a reply for one message may come in parts
                Some(uid) => {
                    let (flags, size) = (message.flags.clone(), size_in(message));
                    found.push(ListedMessage { uid, flags, size });
                }
                None if message.is_whole && message.is_flags_only => {}
                None => drop(unnamed.insert(message.sequence)),
            }
            // a server may list the same again and again
            if found.len() >= next_tidying {
                found = sorted(std::mem::take(&mut found));
                next_tidying = found.len().saturating_mul(2).max(1000);
            }
        };
        self.flags_requested = true;
        let listed = self.exchange("FETCH", &command, see).await;
        self.flags_requested = false;
        listed?;
        for uid in self.uids_of(&unnamed).await? {
            found.push(ListedMessage { uid, flags: None, size: None });
        }
        Ok(sorted(found))
    }

    /// The UIDs of messages that only their sequence numbers are known of: a line about each could not be read.
    async fn uids_of(&mut self, sequences: &BTreeSet<u32>) -> Result<BTreeSet<Uid>, ImapError> {
        let sequences: Vec<u32> = sequences.iter().copied().collect();
        let mut found = BTreeSet::new();
        for set in uid_sets(&sequences, LONGEST_UID_SET) {
            let command = format!("UID SEARCH {set}");
            let searched = self.exchange("SEARCH", &command, |response| {
                if let Response::Search(uids) = response {
                    found.extend(uids);
                }
            });
            match searched.await {
                // the listing is then known to be incomplete by its length
                Err(error) if error.is_plain_refusal() => {}
                other => other?,
            }
        }
        Ok(found)
    }

    /// Which of these UIDs are in the selected folder: requested by UID, whatever a listing of everything left out.
    pub(in crate::imap) async fn present(&mut self, uids: &[Uid]) -> Result<BTreeSet<Uid>, ImapError> {
        let mut found = BTreeSet::new();
        for set in uid_sets(uids, LONGEST_UID_SET) {
            let listed = self.list_messages(&set, ListingDetail::Flags).await?;
            found.extend(listed.into_iter().map(|message| message.uid));
        }
        Ok(found)
    }
}

fn size_in(message: &FetchedMessage) -> Option<ListedSize> {
    message.size.map(|size| ListedSize { size, internal_date: message.internal_date })
}

/// By UID. Flags that change while they are listed come a second time: the later ones count.
fn sorted(mut found: Vec<ListedMessage>) -> Vec<ListedMessage> {
    found.sort_by_key(|message| message.uid);
    found.dedup_by(|later, earlier| {
        let is_same = later.uid == earlier.uid;
        if is_same {
            earlier.flags = later.flags.take().or(earlier.flags.take());
            earlier.size = later.size.or(earlier.size);
        }
        is_same
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_that_change_during_the_listing_count_as_they_are_told_last() {
        let seen = Flags::from_server(["\\Seen"]);
        let listed = |uid, flags: &Flags| ListedMessage { uid, flags: Some(flags.clone()), size: None };
        let none = Flags::default();
        let found = vec![listed(2, &none), listed(1, &none), listed(2, &seen)];
        assert_eq!(sorted(found), [listed(1, &none), listed(2, &seen)]);
    }
}
