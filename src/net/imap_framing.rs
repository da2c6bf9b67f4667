//! Finds where an IMAP server's responses end, and bounds them: lines, literals in them (RFC 3501 §4.3; RFC 7888 for
//! `{n+}`; RFC 3516 for `~{n}`), and text for people, in which braces mean nothing. Every byte of text is looked at
//! once, however it arrives; a literal's bytes are not looked at at all.

/// What an IMAP server may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one response outside its literals. What is longer is passed over: only its beginning is kept.
    pub line: u64,
    /// The same for the answer to SEARCH, which names any number of messages in one line.
    pub search: u64,
    /// Bytes of one response outside its literals that are passed over before the connection ends.
    pub passed_over: u64,
    /// Bytes of one literal.
    pub literal: u64,
}

/// What is kept of literals: a command says what it needs of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Literals {
    /// All of them. One that is larger than [`Limits::literal`] is an error.
    Whole,
    /// So many bytes of all that a response has. What is beyond is passed over, and the response with it.
    UpTo(usize),
}

/// What a name may need, which any command may meet.
const NAMES: usize = 16 << 10;

impl Default for Limits {
    fn default() -> Self {
        Self { line: 64 << 10, search: 16 << 20, passed_over: 128 << 20, literal: 16 << 20 }
    }
}

/// A server sent more than [`Limits`] allow. Recovered from the `io::Error` by downcasting its inner error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitExceeded {
    /// A response without end.
    #[error("a response of more than {0} bytes outside literals")]
    Line(u64),
    /// Responses without end.
    #[error("more than {0} responses a minute that nobody asked for")]
    Unsolicited(u32),
    /// An answer without end.
    #[error("an answer of more than {0} bytes")]
    Answer(u64),
    /// A literal.
    #[error("a literal of {announced} bytes, more than {limit}")]
    Literal {
        /// What was announced.
        announced: u64,
        /// What is allowed.
        limit: u64,
    },
}

/// Of a response that is too long this much of its beginning is kept, if it has no literal: enough to know what it speaks
/// of.
pub(super) const HEAD: usize = 512;
/// And of its end: enough for the announcement of a literal.
const TAIL: usize = 64;
/// Bytes that all literals of one response may have beside the largest that one may.
const BESIDE: u64 = 1 << 20;
/// How much may gather before it is dropped.
const SLACK: usize = 16 << 10;

/// What was found in the bytes so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A response ends at this length.
    End(usize),
    /// More is needed; so many bytes of it are known to come.
    More(usize),
}

/// Follows one response after the other. Lengths and positions count from the beginning of the response.
#[derive(Clone, Debug)]
pub(super) struct Framing {
    limits: Limits,
    /// Up to where bytes were looked at.
    seen: usize,
    /// Where the present piece of text begins: at the start, or behind a literal.
    text: usize,
    /// Bytes of its literals.
    literals: u64,
    /// Bytes of text before the present piece, those that were dropped included.
    before: u64,
    /// Whether it is too long, so that only its beginning is kept.
    is_cut: bool,
    /// How much of its beginning.
    head: usize,
    keep: Literals,
}

impl Framing {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            seen: 0,
            text: 0,
            literals: 0,
            before: 0,
            is_cut: false,
            head: HEAD,
            keep: Literals::UpTo(NAMES),
        }
    }

    /// Whether the response is too long: its middle was dropped.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// How much is kept of a response that is too long.
    pub(super) fn head(&self) -> usize {
        self.head
    }

    /// What is kept of literals from here on.
    pub(super) fn keep(&mut self, literals: Literals) {
        self.keep = literals;
    }

    /// The response was taken away: what follows is the next one.
    pub(super) fn begin(&mut self) {
        *self = Self { keep: self.keep, ..Self::new(self.limits) };
    }

    /// Looks at what has come of the response so far.
    pub(super) fn look(&mut self, bytes: &[u8]) -> Result<Found, LimitExceeded> {
        loop {
            if self.seen > bytes.len() {
                return Ok(Found::More(self.seen - bytes.len()));
            }
            let Some(end) = line_end(bytes, self.seen) else {
                self.seen = bytes.len();
                // a CR may be half of a line end
                if bytes.last() == Some(&b'\r') {
                    self.seen = self.seen.saturating_sub(1).max(self.text);
                }
                self.bound(bytes, bytes.len())?;
                return Ok(Found::More(0));
            };
            self.bound(bytes, end)?;
            match announced(bytes.get(self.text..end).unwrap_or_default()) {
                Some(size) if !is_for_people(bytes) => self.begin_literal(end, size)?,
                Some(_) | None => return Ok(Found::End(end)),
            }
        }
    }

    /// Bounds the text up to here.
    fn bound(&mut self, bytes: &[u8], end: usize) -> Result<(), LimitExceeded> {
        let text = self.before.saturating_add(size(end.saturating_sub(self.text)));
        if text > self.limits.passed_over {
            return Err(LimitExceeded::Line(self.limits.passed_over));
        }
        let limit = if is_search(bytes) { self.limits.search } else { self.limits.line };
        self.is_cut |= text > limit;
        Ok(())
    }

    fn begin_literal(&mut self, at: usize, announced: u64) -> Result<(), LimitExceeded> {
        let (limit, all) = match self.keep {
            Literals::Whole => (self.limits.literal, self.limits.literal.saturating_add(BESIDE)),
            Literals::UpTo(kept) => {
                let room = size(kept).saturating_sub(self.literals);
                if announced > room && !self.is_cut {
                    self.is_cut = true;
                    self.head = at.saturating_add(usize::try_from(room).unwrap_or(kept)).max(HEAD);
                }
                (self.limits.passed_over, self.limits.passed_over)
            }
        };
        let over = LimitExceeded::Literal { announced, limit };
        if announced > limit {
            return Err(over);
        }
        self.literals = self.literals.saturating_add(announced);
        if self.literals > all {
            return Err(LimitExceeded::Answer(all));
        }
        self.before = self.before.saturating_add(size(at.saturating_sub(self.text)));
        self.text = usize::try_from(announced).ok().and_then(|size| at.checked_add(size)).ok_or(over)?;
        self.seen = self.text;
        Ok(())
    }

    /// Which bytes of a response that is too long can be dropped, if it is worth it: they were looked at.
    pub(super) fn droppable(&mut self, length: usize) -> Option<std::ops::Range<usize>> {
        let end = self.seen.min(length).saturating_sub(TAIL);
        if !self.is_cut || end < self.head.saturating_add(SLACK) {
            return None;
        }
        let dropped = end - self.head;
        // of the text that is dropped the length is kept
        self.before = self.before.saturating_add(size(end.saturating_sub(self.text.max(self.head))));
        self.text = if self.text > end { self.text - dropped } else { self.text.min(self.head) };
        self.seen -= dropped;
        Some(self.head..end)
    }
}

fn size(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Where the line ends that `from` is in: behind LF, or behind a CR that no LF follows, as some servers end lines.
fn line_end(bytes: &[u8], mut from: usize) -> Option<usize> {
    loop {
        let place = from.checked_add(memchr::memchr2(b'\r', b'\n', bytes.get(from..)?)?)?;
        let next = place.checked_add(1)?;
        if bytes.get(place) == Some(&b'\n') {
            return Some(next);
        }
        match bytes.get(next)? {
            b'\n' => from = next,
            _ => return Some(next),
        }
    }
}

/// The size of the literal that this line announces at its end.
fn announced(line: &[u8]) -> Option<u64> {
    let line = line.strip_suffix(b"\n")?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = line.strip_suffix(b"}")?;
    let line = line.strip_suffix(b"+").unwrap_or(line);
    let brace = line.iter().rposition(|byte| !byte.is_ascii_digit())?;
    let digits = line.get(brace.checked_add(1)?..).filter(|digits| !digits.is_empty())?;
    if line.get(brace) != Some(&b'{') {
        return None;
    }
    let add =
        |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add(u64::from(digit.wrapping_sub(b'0')));
    Some(digits.iter().fold(0, add))
}

/// The second word of a response, if the first one is `*`.
fn untagged(bytes: &[u8]) -> &[u8] {
    let rest = bytes.strip_prefix(b"*").unwrap_or_default();
    word(rest)
}

/// The first word of these bytes, blanks before it apart.
fn word(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.get(..bytes.len().min(64)).unwrap_or_default();
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = bytes.iter().position(|byte| !is_blank(byte)).unwrap_or(bytes.len());
    let word = bytes.get(start..).unwrap_or_default();
    let end = word.iter().position(|byte| is_blank(byte) || matches!(byte, b'\r' | b'\n'));
    word.get(..end.unwrap_or(word.len())).unwrap_or_default()
}

fn is_search(bytes: &[u8]) -> bool {
    let word = untagged(bytes);
    word.eq_ignore_ascii_case(b"SEARCH") || word.eq_ignore_ascii_case(b"ESEARCH")
}

/// RFC 3501 §7.1: after these words comes text for people, and after `+`; a tagged answer is one of them.
fn is_for_people(bytes: &[u8]) -> bool {
    if !bytes.starts_with(b"*") {
        return true;
    }
    let is = |status: &&[u8]| untagged(bytes).eq_ignore_ascii_case(status);
    [&b"OK"[..], b"NO", b"BAD", b"BYE", b"PREAUTH"].iter().any(is)
}

#[cfg(test)]
#[path = "imap_framing_tests.rs"]
mod tests;
