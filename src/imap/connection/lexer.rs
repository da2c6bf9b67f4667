//! Words of a response: atoms, quoted strings, literals, lists (RFC 3501 §9), read as servers really write them: any number
//! of blanks, tabs, backslashes that escape nothing, 8-bit. It never recurses and looks at each byte once. Pure.

use bytes::Bytes;

/// A word of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// `(`
    Open,
    /// `)`
    Close,
    /// Anything up to a blank or a parenthesis.
    Atom(Bytes),
    /// A quoted string, what it escapes resolved.
    Quoted(Bytes),
    /// A literal.
    Literal(Bytes),
}

impl Word {
    /// What a string says; NIL is none.
    pub(in crate::imap) fn text(&self) -> Option<&Bytes> {
        match self {
            Self::Atom(text) if text.eq_ignore_ascii_case(b"NIL") => None,
            Self::Atom(text) | Self::Quoted(text) | Self::Literal(text) => Some(text),
            Self::Open | Self::Close => None,
        }
    }

    /// The number that an atom is.
    pub(in crate::imap) fn number<T: std::str::FromStr>(&self) -> Option<T> {
        let Self::Atom(digits) = self else { return None };
        let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
    }
}

/// A place in a response.
#[derive(Clone, Debug)]
pub(super) struct Lexer {
    bytes: Bytes,
    at: usize,
    /// A backslash in a quoted string escaped nothing: this server writes names as they are.
    pub(super) saw_bare_backslash: bool,
    /// Only the beginning of a literal is here.
    pub(super) saw_cut_literal: bool,
    /// Only the beginning of the response is here.
    is_cut: bool,
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

impl Lexer {
    pub(in crate::imap) fn new(bytes: Bytes) -> Self {
        Self { bytes, at: 0, saw_bare_backslash: false, saw_cut_literal: false, is_cut: false }
    }

    /// The beginning of a response, the rest of which was passed over.
    pub(super) fn of_beginning(bytes: Bytes) -> Self {
        Self { is_cut: true, ..Self::new(bytes) }
    }

    fn rest_slice(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn skip_blanks(&mut self) {
        let blanks = self.rest_slice().iter().take_while(|byte| is_blank(**byte)).count();
        self.at = self.at.saturating_add(blanks);
    }

    /// What has not been read yet, without blanks around it.
    pub(in crate::imap) fn rest(&self) -> Bytes {
        self.bytes.slice_ref(self.rest_slice().trim_ascii())
    }

    /// The next word; `None` at the end.
    pub(super) fn word(&mut self) -> Option<Word> {
        self.skip_blanks();
        match self.rest_slice().first()? {
            b'(' => self.single(Word::Open),
            b')' => self.single(Word::Close),
            b'"' => Some(self.quoted()),
            b'{' | b'~' => {
                Some(self.literal().unwrap_or_else(|| self.atom(|byte| matches!(byte, b'(' | b')'))))
            }
            _ => Some(self.atom(|byte| matches!(byte, b'(' | b')'))),
        }
    }

    /// The name of a data item of FETCH: what stands in brackets belongs to it, blanks and parentheses too.
    pub(super) fn item(&mut self) -> Option<Word> {
        self.skip_blanks();
        match self.rest_slice().first()? {
            b'(' => return self.single(Word::Open),
            b')' => return self.single(Word::Close),
            _ => {}
        }
        let mut depth = 0_usize;
        let is_end = move |byte: u8| {
            match byte {
                b'[' => depth += 1,
                b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            matches!(byte, b'\r' | b'\n') || depth == 0 && matches!(byte, b' ' | b'\t' | b'(' | b')')
        };
        Some(self.until(is_end))
    }

    /// Passes over a value, a list with all that is in it; `false`: it does not end.
    pub(super) fn skip_value(&mut self) -> bool {
        let mut depth = 0_usize;
        loop {
            match self.word() {
                Some(Word::Open) => depth += 1,
                Some(Word::Close) => match depth.checked_sub(1) {
                    Some(less) => depth = less,
                    None => {
                        // the end of the list that the value is missing in
                        self.at = self.at.saturating_sub(1);
                        return true;
                    }
                },
                Some(_) => {}
                None => return false,
            }
            if depth == 0 {
                return true;
            }
        }
    }

    fn single(&mut self, word: Word) -> Option<Word> {
        self.at = self.at.saturating_add(1);
        Some(word)
    }

    fn atom(&mut self, ends: fn(u8) -> bool) -> Word {
        self.until(|byte| is_blank(byte) || ends(byte))
    }

    fn until(&mut self, mut is_end: impl FnMut(u8) -> bool) -> Word {
        let rest = self.rest_slice();
        let length = rest.iter().position(|byte| is_end(*byte)).unwrap_or(rest.len());
        let end = self.at.saturating_add(length);
        let atom = self.bytes.slice(self.at..end);
        self.at = end;
        Word::Atom(atom)
    }

    /// `{n}`, `{n+}`, `~{n}` and a line end, and the bytes behind it; `None`: it is none.
    fn literal(&mut self) -> Option<Word> {
        let rest = self.rest_slice();
        let line = memchr::memchr(b'\n', rest)?;
        let head = rest.get(..line)?.trim_ascii_end();
        let digits = head.strip_prefix(b"~").unwrap_or(head).strip_prefix(b"{")?.strip_suffix(b"}")?;
        let digits = digits.strip_suffix(b"+").unwrap_or(digits);
        let size: usize = Word::Atom(Bytes::copy_from_slice(digits)).number()?;
        let begin = self.at.checked_add(line)?.checked_add(1)?;
        let announced = begin.checked_add(size)?;
        let end = if self.is_cut { announced.min(self.bytes.len()) } else { announced };
        if end > self.bytes.len() {
            return None;
        }
        self.saw_cut_literal |= end < announced;
        self.at = end;
        Some(Word::Literal(self.bytes.slice(begin..end)))
    }

    /// A quoted string ends with its quote, or with the line.
    fn quoted(&mut self) -> Word {
        let rest = self.rest_slice();
        let inner = rest.get(1..).unwrap_or_default();
        // a lone backslash between quotes, as the separator of a server that escapes nothing
        if inner.starts_with(b"\\\"") && inner.get(2).is_none_or(|byte| is_blank(*byte)) {
            let text = self.bytes.slice(self.at.saturating_add(1)..self.at.saturating_add(2));
            self.at = self.at.saturating_add(3);
            self.saw_bare_backslash = true;
            return Word::Quoted(text);
        }
        let special = |byte: &u8| matches!(byte, b'"' | b'\\' | b'\r' | b'\n');
        let plain = inner.iter().position(special).unwrap_or(inner.len());
        if inner.get(plain) == Some(&b'"') {
            let begin = self.at.saturating_add(1);
            let text = self.bytes.slice(begin..begin.saturating_add(plain));
            self.at = begin.saturating_add(plain).saturating_add(1);
            return Word::Quoted(text);
        }
        let (text, length, bare) = unescaped(inner);
        self.saw_bare_backslash |= bare;
        self.at = self.at.saturating_add(1).saturating_add(length);
        Word::Quoted(Bytes::from(text))
    }
}

/// What a quoted string says whose opening quote was read, how long it is with its closing one, and whether a backslash
/// in it escaped nothing.
fn unescaped(inner: &[u8]) -> (Vec<u8>, usize, bool) {
    let (mut text, mut bare) = (Vec::new(), false);
    let mut bytes = inner.iter().copied().enumerate().peekable();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return (text, at.saturating_add(1), bare),
            b'\r' | b'\n' => return (text, at, bare),
            b'\\' => match bytes.next_if(|(_, next)| matches!(next, b'"' | b'\\')) {
                Some((_, escaped)) => text.push(escaped),
                None => {
                    bare = true;
                    text.push(byte);
                }
            },
            byte => text.push(byte),
        }
    }
    (text, inner.len(), bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &[u8]) -> Vec<Word> {
        let mut lexer = Lexer::new(Bytes::copy_from_slice(text));
        std::iter::from_fn(|| lexer.word()).collect()
    }

    fn atom(text: &'static str) -> Word {
        Word::Atom(Bytes::from(text))
    }

    fn quoted(text: &'static [u8]) -> Word {
        Word::Quoted(Bytes::from(text))
    }

    #[test]
    fn words_as_servers_write_them() {
        for (text, expected) in [
            (
                &b"( \\Seen\t\\Answered )"[..],
                vec![Word::Open, atom("\\Seen"), atom("\\Answered"), Word::Close],
            ),
            (b"\"a \\\"b\\\" c\" x\r\n", vec![quoted(b"a \"b\" c"), atom("x")]),
            (b"\"\\\\\" \"a\\\\b\"", vec![quoted(b"\\"), quoted(b"a\\b")]),
            (b"\"\\\" \"a\\b\"", vec![quoted(b"\\"), quoted(b"a\\b")]),
            (b"\"caf\xe9\" \"open\r\n", vec![quoted(b"caf\xe9"), quoted(b"open")]),
            (
                b"{3}\r\na b ~{1}\n) {9}\r\nx",
                vec![
                    Word::Literal(Bytes::from("a b")),
                    Word::Literal(Bytes::from(")")),
                    atom("{9}"),
                    atom("x"),
                ],
            ),
            (b"\"\" a[b] {x}", vec![quoted(b""), atom("a[b]"), atom("{x}")]),
        ] {
            assert_eq!(words(text), expected, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn items_keep_what_stands_in_their_brackets() {
        let mut lexer = Lexer::new(Bytes::from("BODY[HEADER.FIELDS (DATE FROM)]<0> NIL FLAGS()"));
        assert_eq!(lexer.item(), Some(atom("BODY[HEADER.FIELDS (DATE FROM)]<0>")));
        assert_eq!(lexer.word(), Some(atom("NIL")));
        assert_eq!(
            (lexer.item(), lexer.item(), lexer.item()),
            (Some(atom("FLAGS")), Some(Word::Open), Some(Word::Close))
        );
    }

    #[test]
    fn values_of_any_depth_are_passed_over() {
        let deep = format!("{}{} UID", "(".repeat(30_000), ")".repeat(30_000));
        let mut lexer = Lexer::new(Bytes::from(deep));
        assert!(lexer.skip_value());
        assert_eq!(lexer.word(), Some(atom("UID")));
        assert!(!Lexer::new(Bytes::from("((a)")).skip_value());
        let mut missing = Lexer::new(Bytes::from(")"));
        assert!(missing.skip_value() && missing.word() == Some(Word::Close));
    }
}
