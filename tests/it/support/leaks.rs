//! Looks for secrets in a log: plain, percent-encoded, and in base64 at any alignment, so that a SASL response
//! is found by the token or password in it. What it reports names places, never the secret.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::collections::{BTreeMap, BTreeSet};

/// How much of a secret's beginning and end is looked for.
const PIECE: usize = 24;
/// A shorter secret would be found in innocent words.
const SHORTEST: usize = 12;
const FILTER_BITS: u32 = 20;

pub struct Scanner {
    /// By their first four bytes.
    needles: BTreeMap<[u8; 4], Vec<Vec<u8>>>,
    filter: Vec<bool>,
}

impl Scanner {
    pub fn new<'s>(secrets: impl IntoIterator<Item = &'s str>) -> Self {
        let mut pieces = BTreeSet::new();
        for secret in secrets {
            assert!(secret.len() >= SHORTEST, "a secret of the world is too short to be looked for");
            let bytes = secret.as_bytes();
            let length = bytes.len().min(PIECE);
            for piece in [&bytes[..length], &bytes[bytes.len() - length..]] {
                pieces.insert(piece.to_vec());
                pieces.insert(url::form_urlencoded::byte_serialize(piece).collect::<String>().into_bytes());
                pieces.extend((0..3).map(|shift| in_base64(piece, shift)));
            }
        }
        let mut filter = vec![false; 1 << FILTER_BITS];
        let mut needles: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for piece in pieces {
            filter[slot(&piece)] = true;
            needles.entry(head(&piece)).or_default().push(piece);
        }
        Self { needles, filter }
    }

    /// `line number: module` of every line with a secret in it.
    pub fn leaks(&self, log: &[u8]) -> Vec<String> {
        let lines = log.split(|byte| *byte == b'\n').enumerate();
        let leaking = lines.filter(|(_, line)| self.is_in(line));
        leaking.map(|(number, line)| format!("line {}: {}", number + 1, module(line))).collect()
    }

    fn is_in(&self, line: &[u8]) -> bool {
        line.windows(4).enumerate().any(|(at, window)| {
            let likely = self.filter[slot(window)].then(|| self.needles.get(&head(window))).flatten();
            likely.is_some_and(|needles| needles.iter().any(|needle| line[at..].starts_with(needle)))
        })
    }
}

fn head(bytes: &[u8]) -> [u8; 4] {
    [bytes[0], bytes[1], bytes[2], bytes[3]]
}

fn slot(bytes: &[u8]) -> usize {
    (u32::from_le_bytes(head(bytes)).wrapping_mul(0x9E37_79B1) >> (32 - FILTER_BITS)) as usize
}

/// What stays the same of a secret in base64 when `shift` bytes precede it and anything follows.
fn in_base64(piece: &[u8], shift: usize) -> Vec<u8> {
    let padded = [&vec![0; shift], piece].concat();
    let text = STANDARD_NO_PAD.encode(&padded[..padded.len() / 3 * 3]);
    text.into_bytes().split_off(if shift == 0 { 0 } else { 4 })
}

/// The first word that looks like a module's path: `stafette::token::actor:`.
fn module(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let is_module = |word: &&str| {
        word.strip_suffix(':').is_some_and(|path| {
            path.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | ':'))
        })
    };
    text.split(' ').find(is_module).map_or_else(|| String::from("an unknown module"), String::from)
}

#[test]
fn a_secret_is_found_in_every_form_and_never_shown() {
    let (password, token) = ("correct-horse-battery", "1.AXyZ0123456789abcdefghijklmnopqrstuvwxyz~end");
    let scanner = Scanner::new([password, token]);
    let line =
        |text: &str| format!("2026-11-23T19:00:00Z TRACE imap{{mailbox=anna}}: stafette::imap: {text}");
    let plain = STANDARD_NO_PAD.encode(format!("\0anna@makler.test\0{password}"));
    let bearer = STANDARD_NO_PAD.encode(format!("user=anna@makler.test\x01auth=Bearer {token}\x01\x01"));
    let encoded: String = url::form_urlencoded::byte_serialize(token.as_bytes()).collect();
    for leak in [format!("LOGIN anna {password}"), plain, bearer, encoded, token[10..].to_owned()] {
        let log = [line("nothing"), line(&leak), line("nothing")].join("\n");
        let found = scanner.leaks(log.as_bytes());
        assert_eq!(found, ["line 2: stafette::imap:"], "{leak}");
    }
    assert!(scanner.leaks(line("the word correct-horse alone").as_bytes()).is_empty());
}
