//! Cuts one direction of a stream into lines and, for IMAP, literals. A line that is not complete is held back.

pub enum Piece<'a> {
    /// With its line end.
    Line(Vec<u8>),
    Literal(&'a [u8]),
}

/// Beyond this a line is passed on unfinished, so that no stream can fill the memory.
const LONGEST_LINE: usize = 1024 * 1024;

#[derive(Default)]
pub struct Follow {
    held: Vec<u8>,
    pub literals: bool,
    /// Bytes of the current literal still to come.
    pub literal: u64,
    /// Size of the literal announced by the last line.
    pub announced: u64,
    /// The last line announced a literal: what follows it belongs to the same response or command.
    pub unfinished: bool,
}

impl Follow {
    pub fn new(literals: bool) -> Self {
        Self { literals, ..Self::default() }
    }

    /// True between two responses: where a line may be put in.
    pub fn at_boundary(&self) -> bool {
        self.literal == 0 && !self.unfinished
    }

    /// The next piece of `input`, which is advanced; None when all of it is used up.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Option<Piece<'a>> {
        if input.is_empty() {
            return None;
        }
        if self.literal > 0 {
            let length = usize::try_from(self.literal).unwrap_or(usize::MAX).min(input.len());
            let (piece, rest) = input.split_at(length);
            *input = rest;
            self.literal -= length as u64;
            return Some(Piece::Literal(piece));
        }
        let Some(end) = input.iter().position(|byte| *byte == b'\n') else {
            self.held.extend_from_slice(input);
            *input = &[];
            let overlong = self.held.len() > LONGEST_LINE;
            return overlong.then(|| Piece::Line(std::mem::take(&mut self.held)));
        };
        let (piece, rest) = input.split_at(end + 1);
        *input = rest;
        let mut line = std::mem::take(&mut self.held);
        line.extend_from_slice(piece);
        self.announced = if self.literals { announced(&line) } else { None }.unwrap_or(0);
        self.literal = self.announced;
        self.unfinished = self.literals && announced(&line).is_some();
        Some(Piece::Line(line))
    }

    /// What was held back, at the end of the stream.
    pub fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    /// The announced literal will not come.
    pub fn forget_literal(&mut self) {
        self.literal = 0;
        self.unfinished = false;
    }
}

fn announced(line: &[u8]) -> Option<u64> {
    let line = line.strip_suffix(b"\r\n")?.strip_suffix(b"}")?;
    let line = line.strip_suffix(b"+").unwrap_or(line);
    let open = line.iter().rposition(|byte| *byte == b'{')?;
    std::str::from_utf8(&line[open + 1..]).ok()?.parse().ok()
}
