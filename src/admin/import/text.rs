//! From the bytes of a file to its text: UTF-8 or UTF-16 by their marks, UTF-8 without one, else Windows-1252, which
//! is what Excel writes. Pure.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

/// The text of a file. `label` is the charset that the sender named, if any; a mark in the file outweighs it.
pub(super) fn decoded(bytes: &[u8], label: Option<&str>) -> Result<String, String> {
    let (encoding, marked) = match (Encoding::for_bom(bytes), label) {
        (Some((encoding, length)), _) => (encoding, bytes.get(length..).unwrap_or_default()),
        (None, Some(label)) => match Encoding::for_label(label.as_bytes()) {
            Some(encoding) => (encoding, bytes),
            None => return Err(format!("nobody knows the charset {label:?}: save the file as UTF-8")),
        },
        (None, None) if std::str::from_utf8(bytes).is_ok() => (UTF_8, bytes),
        (None, None) => (WINDOWS_1252, bytes),
    };
    let (text, has_errors) = encoding.decode_without_bom_handling(marked);
    if has_errors {
        return Err(format!("the file is not good {}: save it as CSV UTF-8", encoding.name()));
    }
    if text.contains('\0') {
        return Err(String::from(
            "the file holds NUL characters: it is UTF-16 without a mark, or no text; save it as CSV UTF-8",
        ));
    }
    Ok(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, mark: [u8; 2], bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        mark.into_iter().chain(text.encode_utf16().flat_map(bytes)).collect()
    }

    #[test]
    fn what_excel_and_others_write_is_read_alike() {
        let text = "id;display_name\nanna;Müller – „Köln“ €";
        let windows = WINDOWS_1252.encode(text).0.into_owned();
        assert!(std::str::from_utf8(&windows).is_err());
        for bytes in [
            text.as_bytes().to_vec(),
            [b"\xEF\xBB\xBF", text.as_bytes()].concat(),
            utf16(text, [0xFF, 0xFE], u16::to_le_bytes),
            utf16(text, [0xFE, 0xFF], u16::to_be_bytes),
            windows,
        ] {
            assert_eq!(decoded(&bytes, None).unwrap(), text);
        }
        let latin = decoded(b"M\xFCller", Some("iso-8859-1")).unwrap();
        assert_eq!(latin, "Müller");
    }

    #[test]
    fn what_is_no_text_is_refused_with_what_to_do() {
        let unmarked: Vec<u8> = "id".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (bytes, label) in [
            (unmarked.as_slice(), None),
            (b"\xFF\xFEa".as_slice(), None),
            (b"\xFF".as_slice(), Some("utf-8")),
            (b"a".as_slice(), Some("klingon")),
        ] {
            let refused = decoded(bytes, label).unwrap_err();
            assert!(refused.contains("UTF-8"), "{refused}");
        }
    }
}
