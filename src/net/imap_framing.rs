//! Follows an IMAP server's bytes just closely enough to bound them: where responses end, which bytes are literal
//! payload, how deep parentheses nest (RFC 3501 §4, §9; RFC 7888 for `{n+}`; RFC 3516 for `~{n}`).
//!
//! It is incremental over any cut of the stream. Literal payload costs nothing per byte.

/// What an IMAP server may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one response outside its literals. The parser above reads a response again from its start with each
    /// piece that arrives: an endless one would cost quadratic time.
    pub line: u64,
    /// Depth of parentheses. The parser above recurses: a hostile BODYSTRUCTURE would overflow the stack, which
    /// ends the process.
    pub nesting: u32,
    /// Bytes of one literal.
    pub literal: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { line: 1 << 20, nesting: 64, literal: 16 << 20 }
    }
}

/// A server sent more than [`Limits`] allow. Recovered from the `io::Error` by downcasting its inner error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitExceeded {
    /// A response without end.
    #[error("a response of more than {0} bytes outside literals")]
    Line(u64),
    /// Parentheses in parentheses.
    #[error("parentheses nested deeper than {0}")]
    Nesting(u32),
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

/// Where in a line we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the first word: `*`, `+` or a tag.
    FirstWord,
    /// In the second word, its first letters kept in lower case; `OK` and the like make the rest human text.
    SecondWord { letters: [u8; 8], length: usize },
    /// In structured text.
    Data,
    /// In a quoted string.
    Quoted,
    /// After a backslash in a quoted string.
    Escaped,
    /// After `{`, reading digits.
    Announcing { size: u64, digits: bool },
    /// After the `+` of `{n+}`.
    AnnouncedPlus { size: u64 },
    /// After `}`: a literal if the line ends here.
    Announced { size: u64 },
    /// After the CR that follows `}`.
    AnnouncedCr { size: u64 },
    /// In human text: quotes and parentheses mean nothing, and no literal can follow.
    Human,
}

/// The follower.
#[derive(Clone, Debug)]
pub(super) struct Framing {
    limits: Limits,
    place: Place,
    line: u64,
    depth: u32,
    literal_left: u64,
}

impl Framing {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, place: Place::FirstWord, line: 0, depth: 0, literal_left: 0 }
    }

    /// Takes the next bytes of the stream. Control characters where IMAP allows none become `_`: Exchange lists a
    /// folder with a TAB in its name unquoted, and the parser above would read no folder at all. Such a folder cannot
    /// be selected by that name; all others can.
    pub(super) fn feed(&mut self, mut bytes: &mut [u8]) -> Result<(), LimitExceeded> {
        while !bytes.is_empty() {
            bytes = if self.literal_left > 0 { self.skip_literal(bytes) } else { self.step(bytes)? };
        }
        Ok(())
    }

    fn skip_literal<'a>(&mut self, bytes: &'a mut [u8]) -> &'a mut [u8] {
        let available = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let skipped = available.min(self.literal_left);
        self.literal_left -= skipped;
        usize::try_from(skipped).ok().and_then(|skipped| bytes.get_mut(skipped..)).unwrap_or_default()
    }

    /// Skips what means nothing where we are, then takes one byte that does.
    fn step<'a>(&mut self, bytes: &'a mut [u8]) -> Result<&'a mut [u8], LimitExceeded> {
        let dull = match self.place {
            Place::Human => bytes.iter().position(|b| *b == b'\n'),
            Place::Quoted => bytes.iter().position(|b| matches!(b, b'"' | b'\\' | b'\r' | b'\n')),
            Place::Data => {
                bytes.iter().position(|b| matches!(b, b'"' | b'(' | b')' | b'{') || b.is_ascii_control())
            }
            Place::FirstWord
            | Place::SecondWord { .. }
            | Place::Escaped
            | Place::Announcing { .. }
            | Place::AnnouncedPlus { .. }
            | Place::Announced { .. }
            | Place::AnnouncedCr { .. } => Some(0),
        };
        let dull = dull.unwrap_or(bytes.len());
        let rest = bytes.get_mut(dull..).unwrap_or_default();
        self.count(dull)?;
        match rest.split_first_mut() {
            None => Ok(Default::default()),
            Some((byte, rest)) => {
                self.count(1)?;
                if self.place == Place::Data && byte.is_ascii_control() && !matches!(byte, b'\r' | b'\n') {
                    *byte = b'_';
                }
                self.take(*byte)?;
                Ok(rest)
            }
        }
    }

    fn count(&mut self, bytes: usize) -> Result<(), LimitExceeded> {
        self.line = self.line.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        if self.line > self.limits.line { Err(LimitExceeded::Line(self.limits.line)) } else { Ok(()) }
    }

    fn take(&mut self, byte: u8) -> Result<(), LimitExceeded> {
        self.place = match (self.place, byte) {
            (Place::AnnouncedCr { size } | Place::Announced { size }, b'\n') => {
                return self.begin_literal(size);
            }
            (_, b'\n') => {
                self.end_response();
                Place::FirstWord
            }
            (Place::Human, _) => Place::Human,
            (Place::FirstWord, b'+') if self.line == 1 => Place::Human,
            (Place::FirstWord, b' ') => Place::SecondWord { letters: [0; 8], length: 0 },
            (Place::SecondWord { letters, length }, b' ' | b'\r') => after_second_word(letters, length),
            (Place::SecondWord { letters, length }, letter) if letter.is_ascii_alphabetic() => {
                collect(letters, length, letter)
            }
            (Place::Quoted, b'\\') => Place::Escaped,
            // a quoted string cannot hold a line end; what follows is counted, not believed
            (Place::Quoted, b'"' | b'\r') => Place::Data,
            (Place::Quoted | Place::Escaped, _) => Place::Quoted,
            (Place::Announcing { size, .. }, digit @ b'0'..=b'9') => {
                let size = size.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
                Place::Announcing { size, digits: true }
            }
            (Place::Announcing { size, digits: true }, b'+') => Place::AnnouncedPlus { size },
            (Place::Announcing { size, digits: true } | Place::AnnouncedPlus { size }, b'}') => {
                Place::Announced { size }
            }
            (Place::Announced { size }, b'\r') => Place::AnnouncedCr { size },
            (_, b'"') => Place::Quoted,
            (_, b'{') => Place::Announcing { size: 0, digits: false },
            (_, b'(') => self.open()?,
            (_, b')') => {
                self.depth = self.depth.saturating_sub(1);
                Place::Data
            }
            (Place::FirstWord, _) => Place::FirstWord,
            (
                Place::Data
                | Place::SecondWord { .. }
                | Place::Announcing { .. }
                | Place::AnnouncedPlus { .. }
                | Place::Announced { .. }
                | Place::AnnouncedCr { .. },
                _,
            ) => Place::Data,
        };
        Ok(())
    }

    fn open(&mut self) -> Result<Place, LimitExceeded> {
        self.depth += 1;
        if self.depth > self.limits.nesting {
            return Err(LimitExceeded::Nesting(self.limits.nesting));
        }
        Ok(Place::Data)
    }

    fn begin_literal(&mut self, size: u64) -> Result<(), LimitExceeded> {
        if size > self.limits.literal {
            return Err(LimitExceeded::Literal { announced: size, limit: self.limits.literal });
        }
        self.literal_left = size;
        self.place = Place::Data;
        Ok(())
    }

    fn end_response(&mut self) {
        self.line = 0;
        self.depth = 0;
    }
}

fn collect(mut letters: [u8; 8], length: usize, letter: u8) -> Place {
    match letters.get_mut(length) {
        Some(slot) => {
            *slot = letter.to_ascii_lowercase();
            Place::SecondWord { letters, length: length + 1 }
        }
        None => Place::Data,
    }
}

/// RFC 3501 §7.1: after these words comes text for people.
fn after_second_word(letters: [u8; 8], length: usize) -> Place {
    match letters.get(..length).unwrap_or_default() {
        b"ok" | b"no" | b"bad" | b"bye" | b"preauth" => Place::Human,
        _ => Place::Data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn verdict(limits: Limits, text: &[u8]) -> Result<(), LimitExceeded> {
        Framing::new(limits).feed(&mut text.to_vec())
    }

    fn small() -> Limits {
        Limits { line: 60, nesting: 3, literal: 100 }
    }

    #[test]
    fn ordinary_responses_pass() {
        for text in [
            &b"* OK [CAPABILITY IMAP4rev1] ((((((( it's \"open\r\n* OK x\r\n"[..],
            b"A0001 NO text {999999}\r\n* BYE ((((((\r\n",
            b"+ idling ((((((\r\n",
            b"* LIST (\\HasNoChildren) \"/\" \"a ((((( \\\" (((\"\r\n",
            b"* 1 FETCH (UID 1 BODY[] {70}\r\n((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((()\r\n",
        ] {
            assert_eq!(verdict(small(), text), Ok(()), "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn control_characters_are_neutralised_where_imap_allows_none() {
        for (sent, read) in [
            ("* LIST () \"/\" a\tb\x7f\r\n", "* LIST () \"/\" a_b_\r\n"),
            ("* LIST () \"/\" \"a\tb\"\r\n", "* LIST () \"/\" \"a\tb\"\r\n"),
            ("* LIST () \"/\" {3}\r\na\tb c\td\r\n", "* LIST () \"/\" {3}\r\na\tb c_d\r\n"),
            ("* OK a\tb\r\n* NO a\tb\r\n", "* OK a\tb\r\n* NO a\tb\r\n"),
        ] {
            let mut bytes = sent.as_bytes().to_vec();
            Framing::new(Limits::default()).feed(&mut bytes).unwrap();
            assert_eq!(String::from_utf8(bytes).unwrap(), read);
        }
    }

    #[test]
    fn a_line_is_bounded_over_its_literals() {
        let text = [&b"* 1 FETCH (A {3}\r\nabc B {3}\r\nabc C "[..], &[b'x'; 60]].concat();
        assert_eq!(verdict(small(), &text), Err(LimitExceeded::Line(60)));
        assert_eq!(verdict(small(), &[b'a'; 61]), Err(LimitExceeded::Line(60)));
        assert_eq!(verdict(small(), &[b"* OK x\r\n".repeat(100)].concat()), Ok(()));
    }

    #[test]
    fn nesting_is_bounded_outside_quotes_and_literals() {
        assert_eq!(verdict(small(), b"* 1 FETCH ((((("), Err(LimitExceeded::Nesting(3)));
        assert_eq!(verdict(small(), b"* 1 FETCH (a{2}\r\n((((("), Err(LimitExceeded::Nesting(3)));
        assert_eq!(verdict(small(), b"((((("), Err(LimitExceeded::Nesting(3)));
        assert_eq!(verdict(small(), b"* (((("), Err(LimitExceeded::Nesting(3)));
        assert_eq!(verdict(small(), b"* OKx (((("), Err(LimitExceeded::Nesting(3)));
        assert_eq!(verdict(small(), b"* 1 FETCH (\"a\r(((("), Err(LimitExceeded::Nesting(3)));
    }

    #[test]
    fn literals_are_bounded_in_every_spelling() {
        let over = Err(LimitExceeded::Literal { announced: 101, limit: 100 });
        assert_eq!(verdict(small(), b"* 1 FETCH (A {101}\r\n"), over);
        assert_eq!(verdict(small(), b"* 1 FETCH (A {101+}\r\n"), over);
        assert_eq!(verdict(small(), b"* 1 FETCH (A ~{101}\r\n"), over);
        assert_eq!(verdict(small(), b"* 1 FETCH (A {101} B\r\n"), Ok(()));
        assert_eq!(verdict(small(), b"* 1 FETCH (A \"{101}\r\n"), Ok(()));
        let huge = verdict(small(), b"* X {99999999999999999999999999}\r\n");
        assert_eq!(huge, Err(LimitExceeded::Literal { announced: u64::MAX, limit: 100 }));
    }

    #[test]
    #[ignore = "a measurement: run it by name in a release build"]
    fn throughput() {
        for (name, text) in [
            ("literals", [&b"* 1 FETCH (BODY[] {16000}\r\n"[..], &[b'x'; 16000], b")\r\n"].concat()),
            ("flags", b"* 12345 FETCH (UID 123456 FLAGS (\\Seen $Label1) RFC822.SIZE 12345)\r\n".repeat(200)),
        ] {
            let (mut framing, begun) = (Framing::new(Limits::default()), crate::clock::monotonic());
            let rounds = 200_000_000 / text.len();
            for _ in 0..rounds {
                text.chunks(8192).for_each(|chunk| framing.feed(&mut chunk.to_vec()).unwrap());
            }
            let megabytes = (rounds * text.len()) as f64 / 1e6;
            println!("{name}: {:.0} MB/s", megabytes / begun.elapsed().as_secs_f64());
        }
    }

    proptest! {
        #[test]
        fn the_verdict_is_the_same_for_any_chunking(
            pieces in proptest::collection::vec(prop_oneof![
                Just("* 1 FETCH (UID 5 "), Just("* OK "), Just("A0001 BAD "), Just("+ "), Just("((("), Just(")"),
                Just("\""), Just("\\"), Just("\r\n"), Just("{3}\r\n"), Just("{7+}\r\n"), Just("{200}\r\n"), Just("~{2}\r\n"),
                Just("{"), Just("abc"), Just("\n"), Just("\r"),
            ], 0..40),
            cuts in proptest::collection::vec(1_usize..9, 0..200),
        ) {
            let text = pieces.concat();
            let whole = verdict(small(), text.as_bytes());
            let mut framing = Framing::new(small());
            let (mut rest, mut cuts) = (text.as_bytes(), cuts.into_iter());
            let mut pieced = Ok(());
            while !rest.is_empty() && pieced.is_ok() {
                let (head, tail) = rest.split_at(cuts.next().unwrap_or(1).min(rest.len()));
                pieced = framing.feed(&mut head.to_vec());
                rest = tail;
            }
            prop_assert_eq!(whole, pieced);
        }
    }
}
