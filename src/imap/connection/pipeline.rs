//! Small folders opened and read in one go: every command of a group is written before the first answer is read, so that a
//! group costs one round trip and not three for each folder.

use super::decode::{Spelling, spelled, tagged};
use super::folder_commands::Selected;
use super::read_timeout::{ReadTimeout, SLOWEST};
use super::response::{FetchedMessage, Response, Status};
use super::wire::{Change, Connection, OTHER_ANSWER};
use crate::domain::WireName;
use crate::imap::protocol::ImapError;
use crate::net::Literals;
use std::collections::VecDeque;
use std::fmt::Write;

/// So many bytes of each message are requested; what is longer is not small.
pub(super) const PIECE: usize = 256 << 10;

/// A folder to be opened, and its count by STATUS.
#[derive(Clone, Copy, Debug)]
pub(in crate::imap) struct Small<'a> {
    pub(in crate::imap) name: &'a WireName,
    pub(in crate::imap) messages: u32,
}

/// What came of a small folder.
#[derive(Debug)]
pub(in crate::imap) struct Opened {
    pub(in crate::imap) selected: Selected,
    pub(in crate::imap) messages: Vec<FetchedMessage>,
}

/// The commands for one folder of a group.
struct Opening {
    select: String,
    fetch: String,
    /// Messages by STATUS.
    expected: u32,
}

/// Answers that came before those to earlier commands. A refusal may: a server or a proxy need not wait with it. Where
/// anything else does, nothing is believed that comes between the answers.
struct Early {
    /// Tags without an answer yet, in their order.
    awaited: VecDeque<String>,
    came: Vec<Response>,
    is_disordered: bool,
}

impl Early {
    fn of(openings: &[Opening]) -> Self {
        let awaited = openings.iter().flat_map(|opening| [opening.select.clone(), opening.fetch.clone()]);
        Self { awaited: awaited.collect(), came: Vec::new(), is_disordered: false }
    }

    /// Notes an answer while that to `tag` is waited for; one to a command that nobody sent is none.
    fn note(&mut self, tag: &str, response: Response) {
        let Response::Done { tag: done, status, .. } = &response else { return };
        let Some(place) = self.awaited.iter().position(|awaited| awaited.eq_ignore_ascii_case(done)) else {
            return;
        };
        self.awaited.remove(place);
        self.is_disordered |= *status == Status::Ok && !done.eq_ignore_ascii_case(tag);
        self.came.push(response);
    }

    fn take(&mut self, tag: &str) -> Option<Response> {
        let is_it = |response: &Response| matches!(response, Response::Done { tag: done, .. } if done.eq_ignore_ascii_case(tag));
        let place = self.came.iter().position(is_it)?;
        Some(self.came.swap_remove(place))
    }
}

/// What is read of a folder.
#[derive(Default)]
struct SmallFolder {
    messages: Vec<FetchedMessage>,
    /// How many there are.
    expected: usize,
    is_unsound: bool,
    /// Bytes that may come.
    limit: usize,
}

impl SmallFolder {
    fn see(&mut self, response: Response) {
        let Response::Fetch(message) = response else { return };
        let length = message.body.as_ref().map_or(0, |body| body.bytes.len());
        // flags that changed meanwhile come without what was requested: the folder is visited by itself; and never more
        // messages are kept than were requested, because each holds on to all of its response
        let is_full = self.messages.len() >= self.expected;
        self.is_unsound |= !is_all(&message) || length > self.limit || is_full;
        self.limit = self.limit.saturating_sub(length);
        if self.is_unsound {
            self.messages.clear();
        } else {
            self.messages.push(*message);
        }
    }
}

/// Whether the server carried out the command; `false`: it refused that one alone.
fn succeeded(answer: Result<(), ImapError>) -> Result<bool, ImapError> {
    match answer {
        Ok(()) => Ok(true),
        Err(error) if error.refuses_folder() => Ok(false),
        Err(error) => Err(error),
    }
}

impl Connection {
    /// Whether a folder's name can be written before an answer to what went before is read.
    pub(in crate::imap) fn can_pipeline(&self, name: &WireName) -> bool {
        matches!(spelled(name.as_bytes(), self.escapes), Spelling::Quoted(_))
    }

    /// Selects folders one after the other and reads every message in them, at most `limit` bytes together. `None` for one
    /// that was refused, or did not come whole. And how many bytes of the limit were used. The last that opened is
    /// selected then.
    pub(in crate::imap) async fn open_small(
        &mut self,
        folders: &[Small<'_>],
        mut limit: usize,
    ) -> Result<(Vec<Option<Opened>>, usize), ImapError> {
        let whole = limit;
        let openings = self.write_openings(folders).await?;
        let mut early = Early::of(&openings);
        let mut opened = Vec::with_capacity(folders.len());
        for (folder, opening) in folders.iter().zip(openings) {
            self.selected = None;
            self.begin_waiting();
            let mut selected = Selected::default();
            let select = self.until("SELECT", &opening.select, &mut early, |response| {
                selected.see(&response);
            });
            let is_open = succeeded(select.await?)?;
            self.exists = selected.exists;
            self.change = Change::default();
            let expected = opening.expected as usize;
            let mut small = SmallFolder { limit, expected, ..SmallFolder::default() };
            let fetch = self.until("FETCH", &opening.fetch, &mut early, |response| small.see(response));
            let is_read = match fetch.await? {
                // some servers reject a set that means nothing, in an empty folder
                Err(error) if opening.expected == 0 && error.is_plain_refusal() => true,
                other => succeeded(other)?,
            };
            limit = small.limit;
            if is_open {
                self.selected = Some(folder.name.clone());
            }
            let is_whole = !small.is_unsound && small.messages.len() == expected;
            let is_settled = self.change == Change::default() && selected.exists == opening.expected;
            let is_believed = is_open && is_read && is_whole && is_settled && !early.is_disordered;
            opened.push(is_believed.then_some(Opened { selected, messages: small.messages }));
        }
        Ok((opened, whole.saturating_sub(limit)))
    }

    /// Reads until this command is answered, or takes its answer if it came before its turn.
    async fn until(
        &mut self,
        what: &'static str,
        tag: &str,
        early: &mut Early,
        mut see: impl FnMut(Response),
    ) -> Result<Result<(), ImapError>, ImapError> {
        let before = self.meter.bytes();
        loop {
            self.bound(what, before, OTHER_ANSWER)?;
            if let Some(response) = early.take(tag)
                && let Some(end) = tagged(what, tag, &response)
            {
                return Ok(end);
            }
            let timeout = match what {
                "FETCH" => ReadTimeout::AtPace(self.timing.fetch_silence, SLOWEST),
                _ => ReadTimeout::Within(self.timing.command),
            };
            let response = self.next(what, timeout).await?;
            if matches!(response, Response::Done { .. }) {
                early.note(tag, response);
                continue;
            }
            // flags are what was requested
            if !matches!(response, Response::Fetch(_)) {
                self.note(&response)?;
            }
            see(response);
        }
    }

    async fn write_openings(&mut self, folders: &[Small<'_>]) -> Result<Vec<Opening>, ImapError> {
        let (mut lines, mut openings) = (String::new(), Vec::with_capacity(folders.len()));
        for Small { name, messages } in folders {
            let Spelling::Quoted(name) = spelled(name.as_bytes(), self.escapes) else {
                return Err(ImapError::Internal(String::from("a name that has to be waited for")));
            };
            let (select, fetch) = (self.own_tag(), self.own_tag());
            // by sequence numbers: even where the server is wrong about the folder, no more than these are read
            let what = match messages {
                0 => String::from("UID FETCH 1:* (UID FLAGS RFC822.SIZE)"),
                count => {
                    format!("FETCH 1:{count} (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[]<0.{PIECE}>)")
                }
            };
            // a String takes everything
            let _ = write!(lines, "{select} SELECT {name}\r\n{fetch} {what}\r\n");
            openings.push(Opening { select, fetch, expected: *messages });
        }
        self.begin_waiting();
        self.session.get_mut().keep(Literals::Whole);
        self.write("SELECT", lines.as_bytes()).await?;
        Ok(openings)
    }

    /// A tag that the library never uses: it writes one letter and digits.
    fn own_tag(&mut self) -> String {
        self.tags = self.tags.wrapping_add(1);
        format!("ST{}", self.tags)
    }
}

/// Whether a response brings all of a message: what came is shorter than what was requested, and no shorter than the
/// server says the message is.
fn is_all(message: &FetchedMessage) -> bool {
    let Some(body) = message.body.as_ref().filter(|body| !body.is_nil && !body.bytes.is_empty()) else {
        return false;
    };
    let length = body.bytes.len();
    let is_cut = body.origin != Some(0) && body.origin.is_some() || body.origin.is_some() && length >= PIECE;
    message.is_whole
        && message.uid.is_some()
        && !is_cut
        && message.size.is_none_or(|size| size <= length as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::connection::response::Section;
    use bytes::Bytes;

    fn fetched(length: usize, origin: Option<u32>, size: u64) -> FetchedMessage {
        let body = Section { bytes: Bytes::from(vec![b'x'; length]), origin, is_nil: false, is_cut: false };
        FetchedMessage {
            uid: Some(1),
            size: Some(size),
            body: Some(body),
            is_whole: true,
            ..FetchedMessage::default()
        }
    }

    fn done(tag: &str, status: Status) -> Response {
        Response::Done { tag: tag.to_owned(), status, text: String::new() }
    }

    #[test]
    fn refusals_may_come_before_their_turn_and_nothing_else() {
        let openings = [1, 3].map(|tag| Opening {
            select: format!("ST{tag}"),
            fetch: format!("ST{}", tag + 1),
            expected: 1,
        });
        let mut early = Early::of(&openings);
        early.note("ST1", done("st3", Status::No));
        early.note("ST1", done("A7", Status::Ok));
        early.note("ST1", done("ST1", Status::Ok));
        assert!(!early.is_disordered);
        assert_eq!(early.take("ST1"), Some(done("ST1", Status::Ok)));
        assert_eq!(early.take("ST3"), Some(done("st3", Status::No)));
        assert_eq!(early.take("ST3"), None);
        early.note("ST2", done("ST4", Status::Ok));
        assert!(early.is_disordered);
    }

    #[test]
    fn no_more_messages_are_kept_than_were_asked_for() {
        let mut small = SmallFolder { limit: 1000, expected: 2, ..SmallFolder::default() };
        for uid in 1..=3 {
            let message = FetchedMessage { uid: Some(uid), ..fetched(10, Some(0), 10) };
            small.see(Response::Fetch(Box::new(message)));
            assert_eq!(
                (small.messages.len(), small.is_unsound),
                [(1, false), (2, false), (0, true)][uid as usize - 1]
            );
        }
        small.see(Response::Fetch(Box::new(fetched(10, Some(0), 10))));
        assert!(small.messages.is_empty());
    }

    #[test]
    fn a_message_is_whole_if_it_ends_before_what_was_asked_for() {
        assert!(is_all(&fetched(100, Some(0), 100)));
        assert!(is_all(&fetched(100, Some(0), 90)), "some servers count wrongly");
        assert!(is_all(&fetched(PIECE + 1, None, 100)), "the server gave more than was asked for");
        assert!(!is_all(&fetched(PIECE, Some(0), 100)), "there may be more");
        assert!(!is_all(&fetched(100, Some(0), 101)), "it says that there is more");
        assert!(!is_all(&fetched(100, Some(5), 100)), "its beginning is missing");
        assert!(!is_all(&fetched(0, Some(0), 0)), "nothing is no body");
        let damaged = FetchedMessage { is_whole: false, ..fetched(100, Some(0), 100) };
        assert!(!is_all(&damaged));
    }
}
