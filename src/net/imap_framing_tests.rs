//! Tests of where responses end, however they arrive.

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
