//! A server's responses, and how they are read from what it sent. Lenient: what is understood of a line
//! counts, a line that is not understood is [`Response::Strange`] and costs what it spoke of, nothing else.
// there are far more responses than any place uses
#![allow(clippy::wildcard_enum_match_arm)]

use super::lexer::{Lexer, Word};
use crate::domain::{Flags, Timestamp, Uid};
use crate::net::RawResponse;
use bytes::Bytes;

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::imap) enum Response {
    /// The end of a command.
    Done { tag: String, status: Status, text: String },
    /// `+`: the server waits for more of the command.
    Continue,
    /// An untagged OK, NO, BAD, BYE or PREAUTH (`resp-cond-state` of RFC 3501 §9 and the like).
    Condition { status: Status, text: String },
    /// What the server offers, in capitals.
    Capabilities(Vec<String>),
    /// A folder.
    List(ListedFolder),
    /// Counts of a folder, and its name.
    FolderStatus(Bytes, FolderStatus),
    /// How many messages the selected folder has.
    Exists(u32),
    /// A message left the selected folder.
    Expunge,
    /// Several did (RFC 7162).
    Vanished,
    /// What a search found.
    Search(Vec<Uid>),
    /// Who the server says it is (RFC 2971).
    Id(String),
    /// A message.
    Fetch(Box<FetchedMessage>),
    /// What this program does not use.
    Other,
    /// What is not understood, and of what kind it seems to be.
    Strange(&'static str),
}

/// How an answer or a condition is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::imap) enum Status {
    Ok,
    No,
    Bad,
    Bye,
    PreAuth,
}

/// A folder as LIST shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::imap) struct ListedFolder {
    pub(in crate::imap) name: Bytes,
    pub(in crate::imap) separator: Option<String>,
    /// Attributes in lower case, with their backslash.
    pub(in crate::imap) attributes: Vec<String>,
    /// Its name, or another in the same line, has a backslash that escapes nothing.
    pub(in crate::imap) is_unescaped: bool,
}

/// What STATUS answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::imap) struct FolderStatus {
    pub(in crate::imap) messages: Option<u32>,
    pub(in crate::imap) uid_next: Option<u32>,
    pub(in crate::imap) uid_validity: Option<u32>,
    pub(in crate::imap) unseen: Option<u32>,
    pub(in crate::imap) highest_modseq: Option<u64>,
}

/// A FETCH response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::imap) struct FetchedMessage {
    pub(in crate::imap) sequence: u32,
    pub(in crate::imap) uid: Option<Uid>,
    pub(in crate::imap) flags: Option<Flags>,
    /// `None`: absent, or no date.
    pub(in crate::imap) internal_date: Option<Timestamp>,
    pub(in crate::imap) size: Option<u64>,
    pub(in crate::imap) body: Option<Section>,
    /// Whether it is well-formed to its end: if not, what it brings of a body cannot be believed.
    pub(in crate::imap) is_whole: bool,
    /// Whether it says nothing but flags.
    pub(in crate::imap) is_flags_only: bool,
}

/// A section of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::imap) struct Section {
    pub(in crate::imap) bytes: Bytes,
    /// Where a piece begins.
    pub(in crate::imap) origin: Option<u32>,
    /// There is no such section.
    pub(in crate::imap) is_nil: bool,
    /// Only its beginning is here: what is behind it was passed over.
    pub(in crate::imap) is_cut: bool,
}

/// Reads a response (RFC 3501 §7).
pub(in crate::imap) fn parse(raw: &RawResponse) -> Response {
    let bytes = raw.bytes.clone();
    let mut lexer = if raw.is_cut { Lexer::of_beginning(bytes) } else { Lexer::new(bytes) };
    let Some(first) = lexer.word() else { return Response::Other };
    let Word::Atom(first) = first else { return Response::Strange("line") };
    match &*first {
        b"*" => match untagged(lexer) {
            // what came of it says which message it is
            Response::Fetch(message) => Response::Fetch(message),
            _ if raw.is_cut => Response::Strange("line that is too long"),
            whole => whole,
        },
        _ if first.starts_with(b"+") => Response::Continue,
        _ => done(&first, lexer).unwrap_or(Response::Strange("line")),
    }
}

fn status(word: &[u8]) -> Option<Status> {
    Some(match word.to_ascii_uppercase().as_slice() {
        b"OK" => Status::Ok,
        b"NO" => Status::No,
        b"BAD" => Status::Bad,
        b"BYE" => Status::Bye,
        b"PREAUTH" => Status::PreAuth,
        _ => return None,
    })
}

fn done(tag: &[u8], mut lexer: Lexer) -> Option<Response> {
    let Word::Atom(word) = lexer.word()? else { return None };
    let status = status(&word)?;
    Some(Response::Done { tag: lossy(tag), status, text: lossy(&lexer.rest()) })
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn untagged(mut lexer: Lexer) -> Response {
    let Some(Word::Atom(kind)) = lexer.word() else { return Response::Strange("untagged line") };
    if let Some(status) = status(&kind) {
        return Response::Condition { status, text: lossy(&lexer.rest()) };
    }
    match kind.to_ascii_uppercase().as_slice() {
        b"CAPABILITY" => Response::Capabilities(capabilities(&lexer.rest())),
        b"LIST" => list(lexer).map_or(Response::Strange("LIST"), Response::List),
        b"STATUS" => folder_status(lexer).unwrap_or(Response::Strange("STATUS")),
        b"SEARCH" => {
            Response::Search(std::iter::from_fn(|| lexer.word()).filter_map(|word| word.number()).collect())
        }
        b"VANISHED" => Response::Vanished,
        b"ID" => Response::Id(lossy(&lexer.rest())),
        b"FLAGS" | b"LSUB" | b"NAMESPACE" | b"ENABLED" | b"ESEARCH" | b"SORT" | b"THREAD" | b"QUOTA"
        | b"QUOTAROOT" | b"ACL" | b"METADATA" => Response::Other,
        _ => match Word::Atom(kind).number::<u32>() {
            Some(number) => numbered(number, lexer),
            None => Response::Strange("untagged line"),
        },
    }
}

/// What the server offers, in capitals.
pub(in crate::imap) fn capabilities(text: &[u8]) -> Vec<String> {
    let words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    words.map(|word| lossy(word).to_ascii_uppercase()).collect()
}

fn numbered(number: u32, mut lexer: Lexer) -> Response {
    let Some(Word::Atom(kind)) = lexer.item() else { return Response::Strange("numbered line") };
    match kind.to_ascii_uppercase().as_slice() {
        b"EXISTS" => Response::Exists(number),
        b"EXPUNGE" => Response::Expunge,
        b"RECENT" => Response::Other,
        b"FETCH" => Response::Fetch(Box::new(fetch(number, lexer))),
        _ => Response::Strange("numbered line"),
    }
}

/// Attributes of a folder that are read: RFC 9051 knows fifteen.
const ATTRIBUTES: usize = 50;

/// `(attributes) separator name`; the separator may be missing, and a name that is no string may have blanks.
fn list(mut lexer: Lexer) -> Option<ListedFolder> {
    let Some(Word::Open) = lexer.word() else { return None };
    let mut attributes = Vec::new();
    loop {
        match lexer.word()? {
            Word::Close => break,
            Word::Open => return None,
            word if attributes.len() < ATTRIBUTES => {
                attributes.extend(word.text().map(|text| lossy(text).to_ascii_lowercase()));
            }
            _ => {}
        }
    }
    let before = lexer.clone();
    let first = lexer.word()?;
    let mut behind = lexer.clone();
    let (separator, name) = match behind.word() {
        None => (None, first),
        // quoted strings and literals are their own end
        Some(Word::Atom(_))
            if matches!(first, Word::Atom(_)) && first.text().is_some_and(|text| text.len() > 1) =>
        {
            (None, Word::Atom(before.rest()))
        }
        Some(Word::Atom(_) | Word::Open | Word::Close) => (Some(first), Word::Atom(lexer.rest())),
        Some(name) => (Some(first), name),
    };
    let name = match name {
        Word::Atom(text) | Word::Quoted(text) | Word::Literal(text) => text,
        Word::Open | Word::Close => return None,
    };
    let separator =
        separator.as_ref().and_then(Word::text).map(|text| lossy(text)).filter(|text| !text.is_empty());
    let is_unescaped = lexer.saw_bare_backslash || behind.saw_bare_backslash;
    Some(ListedFolder { name, separator, attributes, is_unescaped })
}

/// `name (counts)`; a name that is no string may have blanks.
fn folder_status(lexer: Lexer) -> Option<Response> {
    let rest = lexer.rest();
    let mut lexer = Lexer::new(rest.clone());
    let name = match lexer.word()? {
        Word::Quoted(name) | Word::Literal(name) => name,
        Word::Atom(_) => {
            let counts = counts_in(&rest)?;
            let name = rest.slice_ref(rest.get(..counts)?.trim_ascii());
            lexer = Lexer::new(rest.slice(counts..));
            name
        }
        Word::Open | Word::Close => return None,
    };
    let Some(Word::Open) = lexer.word() else { return None };
    let mut found = FolderStatus::default();
    while let Some(Word::Atom(attribute)) = lexer.word() {
        let number: Option<u64> = lexer.clone().word().and_then(|word| word.number());
        let small = number.and_then(|number| u32::try_from(number).ok());
        // 0 is not a value of UIDNEXT and UIDVALIDITY (RFC 3501 §9, nz-number): some servers send it
        let positive = small.filter(|number| *number > 0);
        match attribute.to_ascii_uppercase().as_slice() {
            b"MESSAGES" => found.messages = small,
            b"UIDNEXT" => found.uid_next = positive,
            b"UIDVALIDITY" => found.uid_validity = positive,
            b"UNSEEN" => found.unseen = small,
            b"HIGHESTMODSEQ" => found.highest_modseq = number,
            _ => {}
        }
        if !lexer.skip_value() {
            return None;
        }
    }
    Some(Response::FolderStatus(name, found))
}

/// Where the counts begin behind a name that is no string and may have parentheses itself.
fn counts_in(text: &[u8]) -> Option<usize> {
    let is_count = |place: &usize| {
        let inside = text.get(place.saturating_add(1)..).unwrap_or_default().trim_ascii_start();
        ["MESSAGES ", "UIDNEXT ", "UIDVALIDITY ", "UNSEEN ", "HIGHESTMODSEQ "].iter().any(|count| {
            inside.get(..count.len()).is_some_and(|word| word.eq_ignore_ascii_case(count.as_bytes()))
        })
    };
    memchr::memchr_iter(b'(', text).find(is_count).or_else(|| memchr::memrchr(b'(', text))
}

fn fetch(sequence: u32, mut lexer: Lexer) -> FetchedMessage {
    let mut found = FetchedMessage { sequence, is_flags_only: true, ..FetchedMessage::default() };
    let is_list = matches!(lexer.clone().word(), Some(Word::Open));
    if is_list {
        lexer.word();
    }
    loop {
        match lexer.item() {
            Some(Word::Atom(item)) => {
                if item.is_empty() || !fetched_item(&mut found, &item, &mut lexer) {
                    return found;
                }
            }
            Some(Word::Close) => {
                found.is_whole = is_list && lexer.word().is_none();
                return found;
            }
            Some(_) | None => return found,
        }
    }
}

/// Reads the value of one data item; `false`: the response is damaged from here on.
fn fetched_item(found: &mut FetchedMessage, item: &Bytes, lexer: &mut Lexer) -> bool {
    let name =
        item.get(..item.iter().position(|byte| *byte == b'[').unwrap_or(item.len())).unwrap_or_default();
    let name = name.to_ascii_uppercase();
    found.is_flags_only &= matches!(name.as_slice(), b"FLAGS" | b"UID" | b"MODSEQ");
    let mut value = || lexer.word().filter(|word| !matches!(word, Word::Open | Word::Close));
    match name.as_slice() {
        b"UID" => {
            found.uid = value().and_then(|word| word.number()).filter(|uid| *uid > 0);
            found.uid.is_some()
        }
        b"RFC822.SIZE" => {
            // no message is as large as what does not fit
            found.size = value().map(|word| word.number().unwrap_or(u64::MAX));
            found.size.is_some()
        }
        b"INTERNALDATE" => {
            let Some(word) = value() else { return false };
            found.internal_date = word.text().and_then(|text| internal_date(&lossy(text)));
            true
        }
        b"BODY" | b"RFC822" | b"RFC822.HEADER" | b"BINARY" if item.len() > 4 => {
            let Some(word) = value() else { return false };
            let bytes = word.text().cloned();
            let is_nil = bytes.is_none();
            let (bytes, origin, is_cut) = (bytes.unwrap_or_default(), origin(item), lexer.saw_cut_literal);
            found.body = Some(Section { bytes, origin, is_nil, is_cut });
            !is_cut
        }
        b"FLAGS" => flags(found, lexer),
        _ => lexer.skip_value(),
    }
}

/// A list of flags; of what is no flag nothing is kept, and what is in place of a list is no flags.
fn flags(found: &mut FetchedMessage, lexer: &mut Lexer) -> bool {
    let mut flags = Vec::new();
    let mut depth = 0_usize;
    let is_complete = loop {
        match lexer.word() {
            Some(Word::Open) => depth += 1,
            Some(Word::Close) => depth = depth.saturating_sub(1),
            Some(Word::Atom(text) | Word::Quoted(text)) if depth == 1 => flags.extend(flag(&text)),
            Some(_) => {}
            None => break false,
        }
        if depth == 0 {
            break true;
        }
    };
    found.flags = Some(Flags::from_server(flags));
    is_complete
}

/// A flag or keyword (RFC 3501 §9, `flag`), as servers extend it: any text without blanks.
fn flag(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let is_none = matches!(text, "" | "\\" | "*" | "\\*") || text.eq_ignore_ascii_case("NIL");
    let is_odd = text.chars().any(|letter| letter.is_whitespace() || letter.is_control());
    (!is_none && !is_odd).then(|| text.to_owned())
}

/// Where a piece begins: `BODY[]<n>`; one server repeats the length in it, `<n.length>`.
fn origin(item: &[u8]) -> Option<u32> {
    let begin = memchr::memrchr(b'<', item)?.checked_add(1)?;
    let inner = item.get(begin..)?.strip_suffix(b">")?;
    let digits = inner.split(|byte| *byte == b'.').next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// `date-time` of RFC 3501 §9: ` 7-Feb-1994 22:43:04 -0800`. A day, an hour or a zone that there is not is no date.
fn internal_date(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let gmt =
        text.strip_suffix("GMT").or_else(|| text.strip_suffix("UTC")).map(|rest| format!("{rest}+0000"));
    let parsed =
        chrono::DateTime::parse_from_str(gmt.as_deref().unwrap_or(text), "%d-%b-%Y %H:%M:%S %z").ok()?;
    // the longest way round the earth is 14 hours (RFC 5322 §3.3 takes any number)
    let is_zone = parsed.offset().local_minus_utc().abs() <= 14 * 3600;
    is_zone.then(|| Timestamp(parsed.timestamp_millis()))
}

/// The number behind a response code, `[UIDNEXT 5]`, in an OK's text.
pub(super) fn code_number<N: std::str::FromStr + PartialOrd + Default>(text: &str, code: &str) -> Option<N> {
    let inner = text.strip_prefix('[')?.split(']').next()?;
    let mut words = inner.split_ascii_whitespace();
    let is_it = words.next()?.eq_ignore_ascii_case(code);
    words.next()?.parse().ok().filter(|number| is_it && *number > N::default())
}

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
