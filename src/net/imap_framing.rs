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
    Unasked(u32),
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn holding(limits: Limits) -> Framing {
        let mut framing = Framing::new(limits);
        framing.keep(Literals::Whole);
        framing
    }

    fn small() -> Limits {
        Limits { line: 60, search: 200, passed_over: 100_000, literal: 100 }
    }

    /// The responses in a text, whole ones.
    fn responses(text: &[u8]) -> Result<Vec<String>, LimitExceeded> {
        let (mut framing, mut rest, mut found) = (holding(small()), text, Vec::new());
        while let Found::End(end) = framing.look(rest)? {
            found.push(String::from_utf8_lossy(&rest[..end]).into_owned());
            framing.begin();
            rest = &rest[end..];
        }
        Ok(found)
    }

    #[test]
    fn responses_end_with_their_line_over_literals() {
        for (text, expected) in [
            (&b"* OK x\r\n* 1 EXISTS\r\n* 2 "[..], vec!["* OK x\r\n", "* 1 EXISTS\r\n"]),
            (
                b"* OK [X] see {5}\r\n* BYE {7}\r\nA1 NO {9}\r\n",
                vec!["* OK [X] see {5}\r\n", "* BYE {7}\r\n", "A1 NO {9}\r\n"],
            ),
            (
                b"* 1 FETCH (BODY[] {4}\r\na\r\nb X {2+}\r\n\r\n)\r\n",
                vec!["* 1 FETCH (BODY[] {4}\r\na\r\nb X {2+}\r\n\r\n)\r\n"],
            ),
            (b"* LIST () \"/\" {3}\nabc\n", vec!["* LIST () \"/\" {3}\nabc\n"]),
            (b"* X ~{1}\r\n\n\r\n", vec!["* X ~{1}\r\n\n\r\n"]),
            (b"* LIST () \"/\" \"{3}\"\r\n", vec!["* LIST () \"/\" \"{3}\"\r\n"]),
            (b"* X {a3}\r\n* Y {}\r\n", vec!["* X {a3}\r\n", "* Y {}\r\n"]),
            (b"* 3 EXISTS\r* 1 RECENT\n", vec!["* 3 EXISTS\r", "* 1 RECENT\n"]),
        ] {
            assert_eq!(responses(text).unwrap(), expected, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn a_literal_is_bounded_and_its_size_known_before_it_comes() {
        let over = |announced| Err(LimitExceeded::Literal { announced, limit: 100 });
        assert_eq!(responses(b"* 1 FETCH (A {101}\r\n"), over(101));
        assert_eq!(responses(b"* X {99999999999999999999999999}\r\n"), over(u64::MAX));
        let mut framing = holding(small());
        assert_eq!(framing.look(b"* 1 FETCH (A {90}\r\nabc"), Ok(Found::More(87)));
    }

    #[test]
    fn the_literals_of_one_response_are_bounded_together() {
        let mut framing = holding(Limits { literal: BESIDE, line: 1 << 20, ..small() });
        let piece = [format!(" A {{{BESIDE}}}\r\n").into_bytes(), vec![b'x'; 1 << 20]].concat();
        let text = [&b"* 1 FETCH ("[..], &piece.repeat(3)].concat();
        assert_eq!(framing.look(&text), Err(LimitExceeded::Answer(2 * BESIDE)));
    }

    #[test]
    fn a_long_response_is_cut_and_an_endless_one_is_none() {
        let cut = |text: &[u8]| {
            let mut framing = holding(small());
            framing.look(text).map(|_| framing.is_cut())
        };
        assert_eq!(cut(&[&b"* LIST () \"/\" "[..], &[b'x'; 40]].concat()), Ok(false));
        assert_eq!(cut(&[&b"* LIST () \"/\" "[..], &[b'x'; 60]].concat()), Ok(true));
        assert_eq!(cut(&[&b"* SEARCH "[..], &[b'1'; 100]].concat()), Ok(false));
        assert_eq!(cut(&[b'x'; 100_001]), Err(LimitExceeded::Line(100_000)));
        let pieces =
            [&b"* 1 FETCH (A {30}\r\n"[..], &[b'l'; 30], b" B {30}\r\n", &[b'l'; 30], &[b'x'; 30]].concat();
        assert_eq!(cut(&pieces), Ok(false), "literals do not count");
    }

    proptest! {
        /// Any cut of the stream, and what is dropped of long responses, leads to the same beginnings in the same order.
        #[test]
        fn the_responses_are_the_same_for_any_chunking(
            pieces in proptest::collection::vec(prop_oneof![
                Just("* 1 FETCH (UID 5 ".to_owned()), Just("* OK ".to_owned()), Just("A0001 BAD ".to_owned()),
                Just("\r\n".to_owned()), Just("{3}\r\n".to_owned()), Just("{7+}\r\n".to_owned()), Just("\n".to_owned()),
                Just("\r".to_owned()), Just("abc".to_owned()), Just("x".repeat(30_000)),
            ], 0..40),
            cuts in proptest::collection::vec(1_usize..9000, 0..200),
        ) {
            let text = pieces.concat().into_bytes();
            let whole = responses(&text);
            let (mut framing, mut buffer, mut found) = (holding(small()), Vec::new(), Vec::new());
            let (mut rest, mut cuts) = (&text[..], cuts.into_iter());
            let pieced = loop {
                match framing.look(&buffer) {
                    Ok(Found::End(end)) => {
                        let head = &buffer[..end.min(HEAD)];
                        found.push(String::from_utf8_lossy(head).into_owned());
                        framing.begin();
                        buffer.drain(..end);
                    }
                    Ok(Found::More(_)) if rest.is_empty() => break Ok(()),
                    Ok(Found::More(_)) => {
                        if let Some(dropped) = framing.droppable(buffer.len()) {
                            buffer.drain(dropped);
                        }
                        let (head, tail) = rest.split_at(cuts.next().unwrap_or(5000).min(rest.len()));
                        buffer.extend_from_slice(head);
                        rest = tail;
                    }
                    Err(error) => break Err(error),
                }
            };
            let begin = |response: &String| response.chars().take(HEAD).collect::<String>();
            let long = |response: &&String| response.len() <= HEAD;
            match (whole, pieced) {
                (Ok(whole), Ok(())) => {
                    prop_assert_eq!(whole.len(), found.len());
                    prop_assert_eq!(
                        whole.iter().filter(long).collect::<Vec<_>>(), found.iter().filter(|it| it.len() < HEAD).collect::<Vec<_>>()
                    );
                    for (one, other) in whole.iter().zip(&found) {
                        let start: String = other.chars().take(100).collect();
                        prop_assert!(begin(one).starts_with(&start));
                    }
                }
                (Err(one), Err(other)) => prop_assert_eq!(one, other),
                (one, other) => prop_assert!(false, "{one:?} {other:?}"),
            }
        }
    }
}
