//! Tests of what a parser is given.

use crate::imap::fetch::bounds::*;

/// The fields and parts that a parser is given; as much as the parser allocates grows with these.
fn given(raw: &[u8]) -> (usize, usize) {
    (header(raw).len(), structure(raw).len())
}

#[test]
fn a_usual_header_is_given_as_it_is_and_not_copied() {
    let raw = b"From: a@b\r\nSubject: x\r\n folded\r\nContent-Type: text/plain\r\n\r\nbody\r\n\r\nmore";
    let Cow::Borrowed(block) = header(raw) else { panic!("copied") };
    assert_eq!(block, &raw[..raw.len() - 12]);
    assert_eq!(&*header(b"From: a@b"), b"From: a@b");
    assert_eq!(&*header(b""), b"");
}

#[test]
fn long_fields_are_cut_each_by_its_kind_and_those_behind_stay() {
    let long = "x".repeat(70 << 10);
    let raw = format!(
        "To: {long}\r\nC ontent-Type: a/b;\r\n {long}\r\nno field\r\n content-ID: {long}\r\nA: b\r\n\r\nbody"
    );
    let kept = header(raw.as_bytes());
    let lines: Vec<usize> = kept.split(|byte| *byte == b'\n').map(<[u8]>::len).collect();
    let all = fields(&kept).map(|field| (field.len(), is_structured(field))).collect::<Vec<_>>();
    assert_eq!(
        all,
        [
            (FIELD + 2, false),
            (STRUCTURED + 2, true),
            (10, false),
            (STRUCTURED + 2, true),
            (6, false),
            (2, false),
            (2, false)
        ],
        "{lines:?}"
    );
    assert!(kept.ends_with(b"A: b\r\n\r\n\r\n"));
}

#[test]
fn what_floods_bring_is_bounded() {
    let multipart = "Content-Type: multipart/mixed; boundary=x\r\n\r\n";
    let parts = format!("{multipart}{}", "\r\n--x\r\n\r\n".repeat(1_000_000));
    let structure_of_parts = structure(parts.as_bytes());
    assert_eq!(memchr::memmem::find_iter(&structure_of_parts, b"\n--x").count(), PARTS);
    let addresses = format!("To: {}\r\n\r\n", "a,".repeat(4_000_000));
    assert!(given(addresses.as_bytes()).0 <= FIELD + 4);
    let many = format!("{}\r\n", "a:\r\n".repeat(2_400_000));
    assert_eq!(fields(&header(many.as_bytes())).count(), FIELDS + 1);
    let parameters: String = (0..900_000).map(|number| format!(";a*{number}=b")).collect();
    let parameters = format!("Content-Type: multipart/mixed{parameters}\r\n\r\n");
    assert!(given(parameters.as_bytes()).0 <= STRUCTURED + 4);
    assert!(given(parameters.as_bytes()).1 <= STRUCTURED + 4);
    let wide = format!("\r\n--x\r\nContent-Type: a/b{}\r\n\r\n", ";a*=b".repeat(20_000));
    let wide = format!("{multipart}{}", wide.repeat(200));
    assert!(given(wide.as_bytes()).1 <= KEPT + PART_KEPT + 2 * STRUCTURED);
    let endless = format!("Subject: {}", "x".repeat(1 << 20));
    assert!(given(endless.as_bytes()).0 <= FIELD + 4);
}

#[test]
fn multiparts_within_each_other_are_seen_to_a_depth() {
    let nested: String = (0..100)
        .map(|depth| {
            format!("\r\n--b{depth}=\r\nContent-Type: multipart/mixed; boundary=\"b{}=\"\r\n\r\n", depth + 1)
        })
        .collect();
    let raw = format!("Content-Type: multipart/mixed; boundary=b0=\r\n\r\n{nested}");
    let kept = structure(raw.as_bytes());
    assert_eq!(memchr::memmem::find_iter(&kept, b"\n--b").count(), NESTING);
}

#[test]
fn the_structure_has_every_delimiter_and_no_body() {
    let raw = "Content-Type: multipart/mixed; BOUNDARY = \"x\"\nA: b\n\n--x\nC: d\nContent-ID: e\n\nbody\n-- \nAnna\n\n--x\n\
        Content-Type: multipart/alternative;\n boundary=y\n\n--y\n\ninner\n--y--\n\n--x--\nepilogue\n--x\n\n";
    let expected = "Content-Type: multipart/mixed; BOUNDARY = \"x\"\n\r\n\n--x\nContent-ID: e\n\r\n\n--x\n\
        Content-Type: multipart/alternative;\n boundary=y\n\r\n\n--y\n\r\n\n--y--\n\n--x--\n";
    assert_eq!(String::from_utf8_lossy(&structure(raw.as_bytes())), expected);
    for text in [raw, "", "\n", "--", "\n--", "no line", "a:b\n\n--", "content-type:multipart/x\n\n--\n--"] {
        let bytes = text.replace('\n', "\r\n");
        assert!(structure(bytes.as_bytes()).len() <= 2 * bytes.len() + 4);
    }
}

#[test]
fn delimiters_in_unusual_spelling_are_any_line_that_may_be_one() {
    for field in [
        "multipart/mixed; boundary*=utf-8''x%3d",
        "multipart/mixed; boundary*0=x; boundary*1=y",
        "multipart/mixed",
        "multipart/mixed; boundary=x\r\nContent-Type: multipart/mixed; boundary=z",
    ] {
        let raw = format!("Content-Type: {field}\r\n\r\n--x=\r\n\r\n--z\r\n\r\n");
        let kept = structure(raw.as_bytes());
        assert_eq!(memchr::memmem::find_iter(&kept, b"\n--").count(), 2, "{field}");
    }
    assert_eq!(
        boundary(b"content-type: multipart/mixed; name=\"boundary=no\"; boundary=yes;x"),
        Some(b"yes".to_vec())
    );
    assert_eq!(boundary(b"Content-Type: text/plain; boundary=no"), None);
}
