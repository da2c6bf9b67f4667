//! A large message, fetched in parts (RFC 3501 §6.4.5, `BODY[]<origin.octets>`). While one part is worked on the next one is
//! in flight; what is longer than the memory set apart for it goes straight to a file of its own.

use super::prepare::{Prepared, Target, guarded, headers_only, message, record_header, sealed};
use super::queue::{Batch, Progress, send};
use crate::clock;
use crate::domain::{Flags, Message, MessageId, Timestamp, Uid};
use crate::imap::connection::{Connection, ReadTimeout, Response};
use crate::imap::protocol::ImapError;
use crate::net::{LimitExceeded, Share};
use crate::store::{Body, FRAME, LargeWriter};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Bytes of a message that may be in memory, beside one part.
const LARGE: u32 = 8 << 20;
/// By which part of itself a message may be longer than the server says before it gets a file of its own: Exchange
/// estimates.
const LEEWAY: u32 = 8;
/// Bytes a second that have to come of a part: others wait for the memory that is held for it.
const PACE: u64 = 16 << 10;

/// Reads one message that has `announced` bytes by what the server says.
pub(super) async fn fetch_in_parts(
    connection: &mut Connection,
    target: &Target,
    (uid, announced): (Uid, u64),
    progress: &Progress,
    batches: &mpsc::Sender<Batch>,
) -> Result<(), ImapError> {
    // no message is longer than IMAP can count (RFC 3501 §9, number)
    let announced = u32::try_from(announced).unwrap_or(u32::MAX);
    let room = LARGE.min(announced.saturating_add(announced / LEEWAY)) as usize;
    let share = target.budget.take_long(room.saturating_add(FRAME)).await;
    let mut parts = PartialFetch::of(connection, uid, announced);
    let Some(mut part) = parts.next(0).await? else {
        return parts.end().await; // expunged meanwhile: the next listing knows
    };
    let mut message_so_far = PartialMessage::begin(target, (uid, room), &part, share);
    loop {
        let (is_short, is_empty) = (part.bytes.len() < FRAME, part.bytes.is_empty());
        message_so_far.add(part.bytes).await?;
        if is_empty
            || is_short && message_so_far.length == u64::from(announced)
            || message_so_far.is_oversize()
        {
            break;
        }
        // the end, if the message is shorter than announced; but some servers send shorter parts than were requested
        parts.requests_ahead &= !is_short;
        let at = u32::try_from(message_so_far.length).map_err(|_| endless())?;
        part = match parts.next(at).await {
            Ok(Some(part)) => part,
            Err(error) if !error.is_plain_refusal() => return Err(error),
            // not every server has an empty string for what is beyond the end
            Ok(None) | Err(_) => match parts.ends_at(at).await? {
                Some(true) => break,
                // a moment's failure
                Some(false) => parts.next(at).await?.ok_or_else(|| strange("no more of a message"))?,
                None => return parts.end().await,
            },
        };
    }
    parts.end().await?;
    progress.delivered.borrow_mut().insert(uid);
    send(batches, message_so_far.prepare()).await
}

/// Whether a message is longer than this, by the byte behind it: what the server says of its size may be wrong. A server
/// that does not know parts is not believed either way: reading shows it.
pub(super) async fn is_longer(connection: &mut Connection, uid: Uid, length: u64) -> Result<bool, ImapError> {
    let Ok(offset) = u32::try_from(length) else { return Ok(false) };
    let command = format!("UID FETCH {uid} (UID BODY.PEEK[]<{offset}.1>)");
    let mut is_longer = false;
    let see = |response: &Response| {
        if let Response::Fetch(message) = response
            && let (Some(found), true, Some(body)) = (message.uid, message.is_whole, &message.body)
        {
            is_longer |= found == uid && body.origin == Some(offset) && body.bytes.len() == 1;
        }
    };
    match connection.exchange("FETCH", &command, see).await {
        // not every server has an answer for what is beyond the end
        Err(error) if error.is_plain_refusal() => Ok(false),
        other => other.map(|()| is_longer),
    }
}

/// A message longer than IMAP can count (RFC 3501 §9: `number` has 32 bits) is none.
fn endless() -> ImapError {
    let limit = LimitExceeded::Answer(u64::from(u32::MAX));
    ImapError::Exceeded { what: "FETCH", limit }
}

fn strange(detail: &str) -> ImapError {
    ImapError::Unreadable { what: "FETCH", detail: detail.into() }
}

/// A part of a message.
struct Part {
    flags: Flags,
    date: Option<Timestamp>,
    bytes: Vec<u8>,
}

/// The parts of one message, each of at most [`FRAME`] bytes.
struct PartialFetch<'c> {
    connection: &'c mut Connection,
    uid: Uid,
    /// Its length as the server announces it: beyond it nothing is requested ahead.
    announced: u32,
    /// Whether the next part begins [`FRAME`] bytes further.
    requests_ahead: bool,
    /// Tags of commands that have no answer yet, and the offset that each requests. The server may answer them in any
    /// order (RFC 3501 §5.5).
    requested: Vec<(String, u32)>,
    /// What came, by offset, and what was refused.
    came: BTreeMap<u32, Part>,
    refused: BTreeMap<u32, ImapError>,
}

impl<'c> PartialFetch<'c> {
    fn of(connection: &'c mut Connection, uid: Uid, announced: u32) -> Self {
        let (came, refused) = (BTreeMap::new(), BTreeMap::new());
        Self { connection, uid, announced, requests_ahead: true, requested: Vec::new(), came, refused }
    }

    /// The part at this offset; `None` if there is no such message. The one after it is then under way.
    async fn next(&mut self, offset: u32) -> Result<Option<Part>, ImapError> {
        self.came.retain(|came, _| *came >= offset);
        self.refused.remove(&offset);
        self.request(offset).await?;
        let ahead = offset.saturating_add(u32::try_from(FRAME).unwrap_or(u32::MAX));
        if self.requests_ahead && ahead < self.announced {
            self.request(ahead).await?;
        }
        while self.is_requested(offset) {
            self.answer().await?;
        }
        match self.refused.remove(&offset) {
            Some(error) => Err(error),
            None => Ok(self.came.remove(&offset)),
        }
    }

    /// Whether the message ends at this offset: its last byte is there, and nothing behind it. `None`: there is no such
    /// message.
    async fn ends_at(&mut self, offset: u32) -> Result<Option<bool>, ImapError> {
        self.requests_ahead = false;
        let last = self.next(offset.saturating_sub(1)).await?;
        Ok(last.map(|part| part.bytes.len() == 1))
    }

    /// Waits for what is under way: the connection is free after it.
    async fn end(mut self) -> Result<(), ImapError> {
        while !self.requested.is_empty() {
            self.answer().await?;
            self.came.clear();
        }
        Ok(())
    }

    fn is_requested(&self, offset: u32) -> bool {
        self.requested.iter().any(|(_, requested)| *requested == offset)
    }

    async fn request(&mut self, offset: u32) -> Result<(), ImapError> {
        if self.is_requested(offset) || self.came.contains_key(&offset) {
            return Ok(());
        }
        let uid = self.uid;
        let command = format!("UID FETCH {uid} (UID FLAGS INTERNALDATE BODY.PEEK[]<{offset}.{FRAME}>)");
        let tag = self.connection.send("FETCH", &command).await?;
        self.requested.push((tag, offset));
        Ok(())
    }

    /// Reads until one of the commands is answered.
    async fn answer(&mut self) -> Result<(), ImapError> {
        let Self { connection, uid, requested, came, refused, .. } = self;
        let mut is_strange = false;
        let see = |response: &Response| {
            let Response::Fetch(message) = response else { return };
            let Some(body) = message.body.as_ref().filter(|_| message.uid == Some(*uid)) else { return };
            let origin = body.origin.unwrap_or(0);
            // beyond the end some servers have nothing to send, not even an empty string
            if body.is_nil && origin == 0 {
                return;
            }
            // a server that does not know parts sends the whole again and again
            if body.bytes.len() > FRAME
                || !message.is_whole
                || !requested.iter().any(|(_, offset)| *offset == origin)
            {
                is_strange = true;
                return;
            }
            let flags = message.flags.clone().unwrap_or_default();
            came.insert(origin, Part { flags, date: message.internal_date, bytes: body.bytes.to_vec() });
        };
        let tags: Vec<&str> = requested.iter().map(|(tag, _)| tag.as_str()).collect();
        let timeout = ReadTimeout::AtPace(connection.timing.fetch_silence, PACE);
        let (number, answer) = connection.answer("FETCH", &tags, timeout, see).await?;
        let (_, offset) = requested.remove(number);
        if is_strange {
            return Err(strange("another piece of the message than was asked for"));
        }
        if let Err(error) = answer {
            refused.insert(offset, error);
        }
        Ok(())
    }
}

/// What came of a message so far.
struct PartialMessage<'t> {
    target: &'t Target,
    uid: Uid,
    flags: Flags,
    date: Option<Timestamp>,
    id: MessageId,
    /// Bytes of it that may be in memory.
    room: usize,
    share: Share,
    length: u64,
    kept: Kept,
}

/// Where it is.
enum Kept {
    Memory(Vec<u8>),
    /// In a file; what its beginning says of it.
    File(Box<LargeWriter>, Box<Message>),
}

impl<'t> PartialMessage<'t> {
    fn begin(target: &'t Target, (uid, room): (Uid, usize), first: &Part, share: Share) -> Self {
        let Part { flags, date, .. } = first;
        Self {
            target,
            uid,
            flags: flags.clone(),
            date: *date,
            id: MessageId::at(date.unwrap_or_else(clock::now)),
            room,
            share,
            length: 0,
            kept: Kept::Memory(Vec::new()),
        }
    }

    /// Larger than the policy wants messages kept: the server announced less.
    fn is_oversize(&self) -> bool {
        self.length > self.target.policy.max_message
    }

    async fn add(&mut self, part: Vec<u8>) -> Result<(), ImapError> {
        self.length = self.length.saturating_add(part.len() as u64);
        let is_oversize = self.is_oversize();
        let kept = std::mem::replace(&mut self.kept, Kept::Memory(Vec::new()));
        self.kept = match kept {
            Kept::Memory(mut head) => {
                head.extend_from_slice(&part);
                if head.len() > self.room && !is_oversize {
                    self.spill(head).await?
                } else {
                    Kept::Memory(head)
                }
            }
            Kept::File(writer, message) if is_oversize => Kept::File(writer, message),
            Kept::File(mut writer, message) => {
                let key = Arc::clone(&self.target.key);
                let work = self.target.run(move || writer.append(&key, &part).map(|()| writer));
                Kept::File(work.result().await??, message)
            }
        };
        Ok(())
    }

    /// Takes what came so far to a file.
    async fn spill(&mut self, head: Vec<u8>) -> Result<Kept, ImapError> {
        let (target, message) = (self.target.clone(), self.describe());
        let uid = self.uid;
        let write = move || {
            let message = message(&head);
            let header = record_header(&message, &target.folder.path);
            let mut writer = target.store.large_writer(target.mailbox, header)?;
            writer.append(&target.key, &head)?;
            Ok(Kept::File(Box::new(writer), Box::new(message)))
        };
        let work = self.target.run(move || guarded(uid, write));
        let kept = work.result().await??;
        self.target.budget.shrink(&mut self.share, FRAME);
        Ok(kept)
    }

    /// Makes a message's record of its beginning. Costs CPU time: not for an arbiter.
    fn describe(&self) -> impl FnOnce(&[u8]) -> Message + Send + use<> {
        let (target, uid, flags) = (self.target.clone(), self.uid, self.flags.clone());
        let (date, id) = (self.date, self.id);
        move |head| Message { id, ..message(&target, uid, flags, date, head) }
    }

    /// The whole message came.
    fn prepare(self) -> Batch {
        let (target, is_oversize, describe) = (self.target.clone(), self.is_oversize(), self.describe());
        let Self { length, kept, share, uid, .. } = self;
        let prepare = move || {
            let prepared = match kept {
                Kept::Memory(head) if is_oversize => headers_only(describe(&head), length, share),
                Kept::Memory(head) => {
                    sealed(&target, Message { size: length, ..describe(&head) }, &head, share)?
                }
                Kept::File(_, message) if is_oversize => headers_only(*message, length, share),
                Kept::File(writer, message) => {
                    let body = Some(Body::Large(writer.finish(&target.key, target.mailbox)?));
                    Prepared { message: Message { size: length, ..*message }, body, bytes: 0, share }
                }
            };
            Ok(vec![prepared])
        };
        self.target.run(move || guarded(uid, prepare))
    }
}
