//! Header listings: the fields that tell messages apart. They are parsed by the workers while more of them come: a folder
//! of many messages, or a hostile server, must not keep an arbiter.

use super::envelope;
use super::workers::{Work, Workers};
use crate::domain::{Incarnation, Timestamp, Uid};
use crate::imap::connection::{ANSWER, Connection, FetchedMessage, ListedEnvelope};
use crate::imap::protocol::ImapError;
use crate::net::LimitExceeded;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// Messages and bytes that go to the workers together, and how often before the first are waited for.
const MESSAGES: usize = 256;
const BYTES: usize = 256 << 10;
const UNDER_WAY: usize = 4;

impl Connection {
    /// What messages are recognised by under another UID. Sorted by UID.
    pub(in crate::imap) async fn list_envelopes(
        &mut self,
        uids: &str,
        by: (&Workers, Incarnation),
    ) -> Result<Vec<ListedEnvelope>, ImapError> {
        let fields = "MESSAGE-ID DATE FROM SUBJECT";
        let command = format!("UID FETCH {uids} (UID INTERNALDATE BODY.PEEK[HEADER.FIELDS ({fields})])");
        let meter = Arc::clone(&self.meter);
        let before = meter.bytes();
        let mut parsing = Parsing::new(by);
        self.fetch(&command, async |message| {
            if meter.bytes().saturating_sub(before) > ANSWER {
                return Err(ImapError::Exceeded { what: "FETCH", limit: LimitExceeded::Answer(ANSWER) });
            }
            match message {
                Some(message) => parsing.add(&message).await,
                None => Ok(()),
            }
        })
        .await?;
        parsing.end().await
    }
}

/// A header that is to be parsed.
struct Header {
    uid: Uid,
    date: Option<Timestamp>,
    bytes: Vec<u8>,
}

/// Headers that the workers parse, in the order in which they came.
struct Parsing<'w> {
    by: (&'w Workers, Incarnation),
    seen: BTreeSet<Uid>,
    batch: Vec<Header>,
    bytes: usize,
    under_way: VecDeque<Work<Vec<ListedEnvelope>>>,
    found: Vec<ListedEnvelope>,
}

impl<'w> Parsing<'w> {
    fn new(by: (&'w Workers, Incarnation)) -> Self {
        let (under_way, found) = (VecDeque::new(), Vec::new());
        Self { by, seen: BTreeSet::new(), batch: Vec::new(), bytes: 0, under_way, found }
    }

    /// Takes a header; of a long one there is only the beginning. What comes twice is dropped unread.
    async fn add(&mut self, message: &FetchedMessage) -> Result<(), ImapError> {
        let section = message.body.as_ref().filter(|section| !section.is_nil);
        let (Some(uid), Some(section)) = (message.uid, section) else { return Ok(()) };
        if !(message.is_whole || section.is_cut) || !self.seen.insert(uid) {
            return Ok(());
        }
        // a copy does not hold on to what was read with it
        self.batch.push(Header { uid, date: message.internal_date, bytes: section.bytes.to_vec() });
        self.bytes = self.bytes.saturating_add(section.bytes.len());
        if self.batch.len() >= MESSAGES || self.bytes >= BYTES {
            self.hand_over();
        }
        while self.under_way.len() > UNDER_WAY {
            self.wait().await?;
        }
        Ok(())
    }

    fn hand_over(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        self.bytes = 0;
        let parse = |Header { uid, date, bytes }: Header| ListedEnvelope {
            uid,
            date,
            envelope: envelope::parse(&bytes),
        };
        let (workers, mailbox) = self.by;
        self.under_way.push_back(workers.run(mailbox, move || batch.into_iter().map(parse).collect()));
    }

    async fn wait(&mut self) -> Result<(), ImapError> {
        if let Some(work) = self.under_way.pop_front() {
            self.found.extend(work.result().await?);
        }
        Ok(())
    }

    async fn end(mut self) -> Result<Vec<ListedEnvelope>, ImapError> {
        self.hand_over();
        while !self.under_way.is_empty() {
            self.wait().await?;
        }
        self.found.sort_by_key(|listed| listed.uid);
        Ok(self.found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::connection::Section;

    fn header(uid: Uid, text: &str, is_cut: bool) -> FetchedMessage {
        let bytes = bytes::Bytes::copy_from_slice(text.as_bytes());
        let body = Some(Section { bytes, origin: None, is_nil: false, is_cut });
        FetchedMessage { uid: Some(uid), body, is_whole: !is_cut, ..FetchedMessage::default() }
    }

    #[tokio::test]
    async fn headers_are_parsed_once_each_and_long_ones_by_their_beginning() {
        let workers = Workers::start();
        let mut parsing = Parsing::new((&workers, Incarnation(1)));
        for uid in (1..=2000).rev() {
            parsing.add(&header(uid, &format!("Subject: {uid}\r\n\r\n"), uid % 2 == 0)).await.unwrap();
            parsing.add(&header(uid, "Subject: twice\r\n\r\n", false)).await.unwrap();
            assert!(parsing.under_way.len() <= UNDER_WAY);
        }
        let damaged = FetchedMessage { is_whole: false, ..header(9999, "Subject: x\r\n", false) };
        parsing.add(&damaged).await.unwrap();
        let found = parsing.end().await.unwrap();
        assert_eq!(found.len(), 2000);
        for (listed, uid) in found.iter().zip(1_u32..) {
            assert_eq!((listed.uid, listed.envelope.subject.as_deref()), (uid, Some(&*uid.to_string())));
        }
    }
}
