//! How much of a message the parser is given: a header of so many bytes, fields and bytes in a field, and of the parts so
//! many, so deep, with no more than what tells of the structure. What a parser makes of a message is then bounded,
//! whatever its sender wrote, and stays below what is in flight anyway. Each byte is looked at a fixed number of times. Pure.

use std::borrow::Cow;

/// Bytes of the message's own header.
const HEADER: usize = 256 << 10;
/// Fields of it.
const FIELDS: usize = 2000;
/// Bytes of one field.
const FIELD: usize = 64 << 10;
/// Bytes of a field that has parameters: RFC 2231 lets them be continued, and the parser's time is quadratic in that.
const STRUCTURED: usize = 8 << 10;
/// Parts of a message, and multiparts within each other.
const PARTS: usize = 1000;
const NESTING: usize = 20;
/// Bytes of a part's header.
const PART_HEADER: usize = 64 << 10;
/// Bytes that are kept of one part's header, and of everything that tells of the structure.
const PART_KEPT: usize = 16 << 10;
const KEPT: usize = 256 << 10;
/// So much of a boundary tells it from others: RFC 2046 §5.1.1 allows 70 bytes.
const BOUNDARY: usize = 200;

/// The header of a raw message; a copy only where a field has to be cut.
pub(in crate::imap) fn header(raw: &[u8]) -> Cow<'_, [u8]> {
    let block = block(raw);
    let is_within = |field: &[u8]| field.len() <= most(field);
    let mut count = 0;
    if fields(block).all(|field| {
        count += 1;
        is_within(field) && count <= FIELDS
    }) {
        return Cow::Borrowed(block);
    }
    let mut kept = Vec::new();
    for field in fields(block).take(FIELDS) {
        keep(field, most(field), &mut kept);
    }
    kept.extend_from_slice(b"\r\n");
    Cow::Owned(kept)
}

/// What tells of a message's structure: the fields about content of its header and of its parts' headers, and the
/// delimiters between them (RFC 2046 §5.1.1). No part has a body.
pub(super) fn structure(raw: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(2048);
    let own = block(raw);
    // the delimiters that may come, the innermost last
    let mut open = vec![keep_structure(own, &mut kept).unwrap_or_default()];
    let mut next = own.len().saturating_sub(1);
    for _ in 0..PARTS {
        let Some((line, level)) = next_delimiter(raw, next, &open) else { break };
        open.truncate(level.saturating_add(1));
        let text = raw.get(line.clone()).unwrap_or_default();
        kept.push(b'\n');
        keep(text, STRUCTURED, &mut kept);
        // the line's end may be that of an empty line, or that before the next delimiter
        next = line.end.saturating_sub(1);
        if is_last(text, open.last()) {
            open.pop();
            if open.is_empty() {
                break;
            }
            continue;
        }
        let end = next.saturating_add(blank_line(start(raw.get(next..), PART_HEADER)));
        let inner = keep_structure(raw.get(line.end..end).unwrap_or_default(), &mut kept);
        open.extend(inner.filter(|_| open.len() < NESTING));
        next = end.saturating_sub(1).max(next);
        if kept.len() > KEPT {
            break;
        }
    }
    kept
}

/// The header of a message, with the empty line that ends it.
fn block(raw: &[u8]) -> &[u8] {
    let window = start(Some(raw), HEADER);
    start(Some(window), blank_line(window))
}

fn start(bytes: Option<&[u8]>, length: usize) -> &[u8] {
    let bytes = bytes.unwrap_or_default();
    bytes.get(..length).unwrap_or(bytes)
}

/// Where the first empty line ends, or the text.
fn blank_line(text: &[u8]) -> usize {
    let mut before: Option<usize> = None;
    memchr::memchr_iter(b'\n', text)
        .find(|end| {
            let length = before.map_or(usize::MAX, |before| end - before);
            before = Some(*end);
            length == 1 || length == 2 && text.get(end - 1) == Some(&b'\r')
        })
        .map_or(text.len(), |end| end + 1)
}

/// The fields of a header, each with the lines that continue it. A line without a colon is no field: the parser takes what
/// follows it for one, even where it is indented.
fn fields(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = block;
    std::iter::from_fn(move || {
        let mut ends = memchr::memchr_iter(b'\n', rest).map(|end| end.saturating_add(1));
        let first = ends.next().unwrap_or(rest.len());
        let is_field = memchr::memchr(b':', rest.get(..first)?).is_some();
        let is_continued = |end: usize| matches!(rest.get(end), Some(b' ' | b'\t'));
        let end = match is_field && is_continued(first) {
            true => ends.find(|end| !is_continued(*end)).unwrap_or(rest.len()),
            false => first,
        };
        let (field, behind) = rest.split_at_checked(end).filter(|(field, _)| !field.is_empty())?;
        rest = behind;
        Some(field)
    })
}

/// Bytes that a field may have.
fn most(field: &[u8]) -> usize {
    if is_structured(field) { STRUCTURED } else { FIELD }
}

/// Whether a field is one about content (RFC 2045 §9), as the parser reads names: without the blanks in them.
fn is_structured(field: &[u8]) -> bool {
    let mut letters =
        field.iter().filter(|letter| !letter.is_ascii_whitespace()).skip_while(|letter| **letter == b':');
    b"content-".iter().all(|wanted| letters.next().is_some_and(|letter| letter.eq_ignore_ascii_case(wanted)))
}

/// Keeps so many bytes of a field or line, and ends it.
fn keep(field: &[u8], most: usize, kept: &mut Vec<u8>) {
    let cut = start(Some(field), most);
    kept.extend_from_slice(cut);
    if !cut.ends_with(b"\n") {
        kept.extend_from_slice(b"\r\n");
    }
}

/// Keeps a header's fields about content. The delimiter of its parts, if it is a multipart's.
fn keep_structure(block: &[u8], kept: &mut Vec<u8>) -> Option<Vec<u8>> {
    let most = kept.len().saturating_add(PART_KEPT);
    let mut found: Option<Vec<u8>> = None;
    for field in fields(block).take(FIELDS).filter(|field| is_structured(field)) {
        if kept.len() > most {
            break;
        }
        keep(field, STRUCTURED, kept);
        if let Some(boundary) = boundary(start(Some(field), STRUCTURED)) {
            // of two nobody knows which one counts
            found = Some(if found.is_none() { boundary } else { Vec::new() });
        }
    }
    kept.extend_from_slice(b"\r\n");
    found
}

/// The beginning of a multipart's delimiter, of which any delimiter of it begins with; empty where it is spelled in an
/// unusual way: then any line may be one.
fn boundary(field: &[u8]) -> Option<Vec<u8>> {
    let lower = field.to_ascii_lowercase();
    memchr::memmem::find(&lower, b"multipart")?;
    let is_parameter = |at: &usize| {
        let before = lower.get(..*at).unwrap_or_default().trim_ascii_end();
        before.ends_with(b";")
    };
    let Some(at) = memchr::memmem::find_iter(&lower, b"boundary").find(is_parameter) else {
        return Some(Vec::new());
    };
    let value = field.get(at.saturating_add(b"boundary".len())..).unwrap_or_default().trim_ascii_start();
    let Some(value) = value.strip_prefix(b"=").map(<[u8]>::trim_ascii_start) else {
        return Some(Vec::new()); // continued or encoded (RFC 2231)
    };
    let value = match value.strip_prefix(b"\"") {
        Some(quoted) => until(quoted, |byte| matches!(byte, b'"' | b'\\' | b'\r' | b'\n')),
        None => until(value, |byte| byte.is_ascii_whitespace() || matches!(byte, b';' | b'"' | b'(' | b'\\')),
    };
    Some(start(Some(value), BOUNDARY).to_vec())
}

fn until(bytes: &[u8], is_end: impl Fn(u8) -> bool) -> &[u8] {
    let length = bytes.iter().position(|byte| is_end(*byte)).unwrap_or(bytes.len());
    start(Some(bytes), length)
}

/// The next line that delimits parts, and whose: a place among the open ones.
fn next_delimiter(raw: &[u8], from: usize, open: &[Vec<u8>]) -> Option<(std::ops::Range<usize>, usize)> {
    let rest = raw.get(from..)?;
    memchr::memmem::find_iter(rest, b"\n--").find_map(|place| {
        let begin = from.checked_add(place)?.checked_add(1)?;
        let behind = raw.get(begin..)?;
        let text = behind.get(2..)?;
        let level = open.iter().rposition(|boundary| text.starts_with(boundary))?;
        let length = memchr::memchr(b'\n', behind).map_or(behind.len(), |end| end.saturating_add(1));
        Some((begin..begin.checked_add(length)?, level))
    })
}

/// Whether a delimiter is the last one of its multipart.
fn is_last(line: &[u8], boundary: Option<&Vec<u8>>) -> bool {
    let Some(boundary) = boundary.filter(|boundary| !boundary.is_empty()) else { return false };
    line.get(2..)
        .and_then(|text| text.strip_prefix(boundary.as_slice()))
        .is_some_and(|rest| rest.starts_with(b"--"))
}

#[cfg(test)]
#[path = "bounds_tests.rs"]
mod tests;
