//! Which lines mail carries. Pure.

use super::message::MimeError;

/// A line holds no more, its CRLF not counted (RFC 5322 §2.1.1, RFC 5321 §4.5.3.1.6).
pub(super) const LONGEST_LINE: usize = 998;

/// Refuses what servers cut, refuse or bounce at the next hop: a line that is too long, and NUL (RFC 5322 §4).
pub(super) fn can_be_carried(message: &[u8]) -> Result<(), MimeError> {
    let mut field = String::from("body");
    let mut is_header = true;
    for (at, line) in message.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if is_header && line.is_empty() {
            (is_header, field) = (false, String::from("body"));
        }
        if is_header && !line.starts_with(b" ") && !line.starts_with(b"\t") {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
            field = String::from_utf8_lossy(name).trim().chars().take(100).collect();
        }
        let (number, length) = (at + 1, line.len());
        if length > LONGEST_LINE {
            let advice = if is_header { "shorten or fold this field" } else { QUOTED_PRINTABLE };
            let problem = format!(
                "line {number} has {length} bytes, and mail carries at most {LONGEST_LINE}: {advice}"
            );
            return Err(MimeError::new(field, problem));
        }
        if line.contains(&0) {
            let advice = if is_header { "take it out" } else { QUOTED_PRINTABLE };
            return Err(MimeError::new(
                field,
                format!("line {number} holds a NUL byte, which mail does not carry: {advice}"),
            ));
        }
    }
    Ok(())
}

const QUOTED_PRINTABLE: &str = "encode this part as quoted-printable or base64";
