//! What is in the selected folder: UIDs with flags, sizes, or what tells messages apart.
// the library's enums name far more than we use
#![allow(clippy::wildcard_enum_match_arm)]

use super::decode::{FetchedParts, fetched};
use super::envelope;
use super::protocol::ImapError;
use super::wire::Connection;
use crate::domain::mailbox::Policy;
use crate::domain::message::Envelope;
use crate::domain::{Flags, Timestamp, Uid};
use async_imap::imap_proto::{MailboxDatum, Response};
use std::collections::BTreeSet;

/// A message as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListedMessage {
    pub(super) uid: Uid,
    pub(super) flags: Flags,
    /// Where it was asked for, and came with the flags.
    pub(super) size: Option<ListedSize>,
}

/// What a listing tells beside flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// Nothing: what is listed is mostly stored already.
    Flags,
    /// Sizes, of what is to be fetched.
    Sizes,
    /// Sizes and dates: the policy leaves out what is old.
    SizesAndDates,
}

impl Ask {
    /// What is to be told of messages that may be fetched under this policy.
    pub(super) fn before_fetching(policy: &Policy) -> Self {
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
pub(super) struct ListedSize {
    pub(super) size: u32,
    pub(super) internal_date: Option<Timestamp>,
}

impl Connection {
    /// The messages of a UID set (`1:*`, `5,7:9`) of the selected folder. Sorted.
    pub(super) async fn list_messages(
        &mut self,
        uids: &str,
        ask: Ask,
    ) -> Result<Vec<ListedMessage>, ImapError> {
        self.list_by(&format!("UID FETCH {uids}"), ask).await
    }

    /// Sizes of a UID set of the selected folder, as the server estimates them, and dates if they are asked for.
    pub(super) async fn list_sizes(
        &mut self,
        uids: &str,
        ask: Ask,
    ) -> Result<Vec<(Uid, ListedSize)>, ImapError> {
        let mut found = Vec::new();
        let command = format!("UID FETCH {uids} (UID{})", ask.items());
        self.exchange("FETCH", &command, |response| {
            let parts = fetched(response);
            found.extend(size_in(&parts).filter(|_| parts.uid > 0).map(|size| (parts.uid, size)));
        })
        .await?;
        Ok(found)
    }

    /// UIDs of messages in the selected folder that came on this day or later (RFC 3501 §6.4.4), whatever the server's
    /// time zone: some of the day before may be among them.
    pub(super) async fn search_since(&mut self, since: Timestamp) -> Result<BTreeSet<Uid>, ImapError> {
        let day_before = Timestamp(since.0.saturating_sub(24 * 3600 * 1000));
        let date = chrono::DateTime::from_timestamp_millis(day_before.0).unwrap_or_default();
        let mut found = BTreeSet::new();
        let command = format!("UID SEARCH SINCE {}", date.format("%-d-%b-%Y"));
        self.exchange("SEARCH", &command, |response| {
            if let Response::MailboxData(MailboxDatum::Search(uids)) = response {
                found.extend(uids);
            }
        })
        .await?;
        Ok(found)
    }

    /// The newest messages by sequence number: cheap on a folder of any size.
    pub(super) async fn list_newest(
        &mut self,
        exists: u32,
        count: u32,
        ask: Ask,
    ) -> Result<Vec<ListedMessage>, ImapError> {
        let first = exists.saturating_sub(count).saturating_add(1).max(1);
        self.list_by(&format!("FETCH {first}:*"), ask).await
    }

    /// A server that cannot tell a size may still tell flags: the sizes are then asked for by themselves.
    async fn list_by(&mut self, fetch: &str, ask: Ask) -> Result<Vec<ListedMessage>, ImapError> {
        match self.list_once(fetch, ask).await {
            Err(error) if ask != Ask::Flags && error.is_plain_refusal() => {
                self.list_once(fetch, Ask::Flags).await
            }
            listed => listed,
        }
    }

    async fn list_once(&mut self, fetch: &str, ask: Ask) -> Result<Vec<ListedMessage>, ImapError> {
        let command = format!("{fetch} (UID FLAGS{})", ask.items());
        let mut found = Vec::new();
        let mut next_tidying = 1000;
        let see = |response: &Response<'_>| {
            let parts = fetched(response);
            let size = size_in(&parts);
            // a reply for one message may come in parts
            if let (uid @ 1.., Some(flags)) = (parts.uid, parts.flags) {
                found.push(ListedMessage { uid, flags, size });
            }
            // a server may tell the same again and again
            if found.len() >= next_tidying {
                found = sorted(std::mem::take(&mut found));
                next_tidying = found.len().saturating_mul(2).max(1000);
            }
        };
        self.asks_for_flags = true;
        let listed = self.exchange("FETCH", &command, see).await;
        self.asks_for_flags = false;
        listed.map(|()| sorted(found))
    }

    /// What messages are recognised by under another UID: their INTERNALDATE, and an envelope of the fields that tell
    /// them apart. Sorted by UID.
    pub(super) async fn list_envelopes(
        &mut self,
        uids: &str,
    ) -> Result<Vec<(Uid, Timestamp, Envelope)>, ImapError> {
        let fields = "MESSAGE-ID DATE FROM SUBJECT";
        let command = format!("UID FETCH {uids} (UID INTERNALDATE BODY.PEEK[HEADER.FIELDS ({fields})])");
        let mut found = Vec::new();
        self.exchange("FETCH", &command, |response| {
            let fetched = fetched(response);
            if let (uid @ 1.., Some(date), Some(header)) = (fetched.uid, fetched.internal_date, fetched.body)
            {
                found.push((uid, date, envelope::parse(header)));
            }
        })
        .await?;
        found.sort_by_key(|(uid, _, _)| *uid);
        found.dedup_by_key(|(uid, _, _)| *uid);
        Ok(found)
    }
}

fn size_in(parts: &FetchedParts<'_>) -> Option<ListedSize> {
    let FetchedParts { size, internal_date, .. } = *parts;
    size.map(|size| ListedSize { size, internal_date })
}

/// By UID. Flags that changed while they were listed are told once more: the later word counts.
fn sorted(mut found: Vec<ListedMessage>) -> Vec<ListedMessage> {
    found.reverse();
    found.sort_by_key(|message| message.uid);
    found.dedup_by_key(|message| message.uid);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_that_change_during_the_listing_count_as_they_are_told_last() {
        let seen = Flags::from_server(["\\Seen"]);
        let listed = |uid, flags: &Flags| ListedMessage { uid, flags: flags.clone(), size: None };
        let none = Flags::default();
        let found = vec![listed(2, &none), listed(1, &none), listed(2, &seen)];
        assert_eq!(sorted(found), [listed(1, &none), listed(2, &seen)]);
    }
}
