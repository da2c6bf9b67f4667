//! Folder names and what folders are for. Pure.

use crate::domain::{FolderRole, WireName};
use std::collections::BTreeSet;

/// What a folder's wire name says, as well as it can be read: modified UTF-7 (RFC 3501 §5.1.3), else UTF-8, else the
/// letters of western Europe.
#[must_use]
pub fn decode(name: &WireName) -> String {
    match std::str::from_utf8(name.as_bytes()) {
        Ok(text) if text.is_ascii() => decode_utf7(text),
        Ok(text) => text.to_owned(),
        Err(_) => encoding_rs::WINDOWS_1252.decode_without_bom_handling(name.as_bytes()).0.into_owned(),
    }
}

/// A path that is not taken yet: two names of a server may be shown alike.
#[must_use]
pub fn unique(path: String, taken: &BTreeSet<String>) -> String {
    if !taken.contains(&path) {
        return path;
    }
    let mut numbered = (2_u32..).map(|number| format!("{path}~{number}"));
    numbered.find(|path| !taken.contains(path)).unwrap_or_default()
}

/// Decodes modified UTF-7 (RFC 3501 §5.1.3). What is not valid stays as it is: the name is ours to show,
/// the server's own spelling is kept beside it.
#[must_use]
pub fn decode_utf7(name: &str) -> String {
    let mut decoded = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((before, after)) = rest.split_once('&') {
        decoded.push_str(before);
        let Some((coded, behind)) = after.split_once('-') else {
            decoded.push('&');
            rest = after;
            continue;
        };
        match coded {
            "" => decoded.push('&'),
            coded => match decode_run(coded) {
                Some(text) => decoded.push_str(&text),
                None => {
                    decoded.push('&');
                    decoded.push_str(coded);
                    decoded.push('-');
                }
            },
        }
        rest = behind;
    }
    decoded.push_str(rest);
    decoded
}

fn decode_run(coded: &str) -> Option<String> {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD_NO_PAD;
    let bytes = STANDARD_NO_PAD.decode(coded.replace(',', "/")).ok()?;
    let units: Vec<u16> =
        bytes.chunks(2).map(|pair| pair.try_into().map(u16::from_be_bytes).ok()).collect::<Option<_>>()?;
    let is_shown = |text: &String| !text.is_empty() && !text.chars().any(char::is_control);
    String::from_utf16(&units).ok().filter(is_shown)
}

/// How a folder without a name is shown.
const UNNAMED: &str = "(no name)";

/// The path we show: decoded, `/` between levels, INBOX in capitals whatever the server writes.
#[must_use]
pub fn path(name: &WireName, separator: Option<&str>) -> String {
    let decoded = decode(name);
    if decoded.is_empty() {
        return String::from(UNNAMED);
    }
    let levels: Vec<String> = match separator {
        Some(separator) if !separator.is_empty() => {
            decoded.split(separator).map(|level| level.replace('/', "\u{2215}")).collect()
        }
        _ => vec![decoded.replace('/', "\u{2215}")],
    };
    let mut path = levels.join("/");
    let inbox_end = path.find('/').unwrap_or(path.len());
    if path.get(..inbox_end).is_some_and(|first| first.eq_ignore_ascii_case("inbox")) {
        path.replace_range(..inbox_end, "INBOX");
    }
    path
}

/// What a folder is for: by attribute (RFC 6154), else by its localized name at the top level.
#[must_use]
pub fn role(path: &str, attributes: &[String]) -> Option<FolderRole> {
    if path == "INBOX" {
        return Some(FolderRole::Inbox);
    }
    let by_attribute = attributes.iter().find_map(|attribute| match attribute.as_str() {
        "\\sent" => Some(FolderRole::Sent),
        "\\drafts" => Some(FolderRole::Drafts),
        "\\trash" => Some(FolderRole::Trash),
        "\\archive" => Some(FolderRole::Archive),
        "\\junk" => Some(FolderRole::Junk),
        "\\all" => Some(FolderRole::All),
        "\\flagged" => Some(FolderRole::Flagged),
        _ => None,
    });
    by_attribute.or_else(|| by_name(path))
}

fn by_name(path: &str) -> Option<FolderRole> {
    let name = path.strip_prefix("INBOX/").unwrap_or(path).to_lowercase();
    match name.as_str() {
        "sent"
        | "sent items"
        | "sent messages"
        | "gesendet"
        | "gesendete elemente"
        | "gesendete objekte"
        | "envoyés"
        | "éléments envoyés"
        | "enviados"
        | "posta inviata" => Some(FolderRole::Sent),
        "drafts" | "entwürfe" | "brouillons" | "borradores" | "bozze" => Some(FolderRole::Drafts),
        "trash"
        | "deleted"
        | "deleted items"
        | "deleted messages"
        | "papierkorb"
        | "gelöschte elemente"
        | "gelöschte objekte"
        | "corbeille"
        | "papelera"
        | "cestino" => Some(FolderRole::Trash),
        "archive" | "archiv" | "archives" | "archivo" => Some(FolderRole::Archive),
        "junk" | "junk email" | "junk-e-mail" | "spam" | "spamverdacht" | "courrier indésirable" => {
            Some(FolderRole::Junk)
        }
        _ => None,
    }
}

/// Whether this is one of the folders that Exchange shows as mail and that hold none: calendars and the like (protocol:
/// "Hidden/odd folders"). Anybody else's folder of such a name is a folder; a person may include it.
#[must_use]
pub fn is_pseudo_folder(path: &str) -> bool {
    let name = path.to_lowercase();
    matches!(
        name.as_str(),
        "calendar"
            | "kalender"
            | "contacts"
            | "kontakte"
            | "tasks"
            | "aufgaben"
            | "journal"
            | "notes"
            | "notizen"
            | "sync issues"
            | "synchronisierungsprobleme"
            | "conversation history"
            | "outbox"
            | "postausgang"
    )
}

/// In which order folders are synchronized: inbox, sent, the rest by path; trash and junk last.
#[must_use]
pub fn rank(role: Option<FolderRole>) -> u8 {
    match role {
        Some(FolderRole::Inbox) => 0,
        Some(FolderRole::Sent) => 1,
        Some(FolderRole::Drafts) => 2,
        None | Some(FolderRole::Archive | FolderRole::All | FolderRole::Flagged) => 3,
        Some(FolderRole::Trash) => 4,
        Some(FolderRole::Junk) => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modified_utf7_as_in_the_rfc_and_in_the_wild() {
        assert_eq!(decode_utf7("~peter/mail/&U,BTFw-/&ZeVnLIqe-"), "~peter/mail/台北/日本語");
        assert_eq!(decode_utf7("Entw&APw-rfe"), "Entwürfe");
        assert_eq!(decode_utf7("a&-b"), "a&b");
        assert_eq!(decode_utf7("broken & name"), "broken & name");
        assert_eq!(decode_utf7("&!!!-"), "&!!!-");
    }

    #[test]
    fn paths_use_slashes_and_one_inbox() {
        let path = |name: &str, separator| path(&WireName::from(name), separator);
        assert_eq!(path("Inbox", Some("/")), "INBOX");
        assert_eq!(path("INBOX.Archiv.2025", Some(".")), "INBOX/Archiv/2025");
        assert_eq!(path("a/b", Some(".")), "a\u{2215}b");
        assert_eq!(path("inboxes", Some("/")), "inboxes");
    }

    #[test]
    fn names_of_every_kind_are_shown_as_well_as_they_can_be_read() {
        let shown = |name: &[u8]| path(&WireName::from(name), Some("/"));
        assert_eq!(shown("Entw\u{fc}rfe".as_bytes()), "Entw\u{fc}rfe");
        assert_eq!(shown(b"caf\xe9"), "caf\u{e9}");
        for invalid in ["&AOk", "&AAAA-", "a\tb"] {
            assert_eq!(shown(invalid.as_bytes()), invalid);
        }
        assert_eq!(
            (shown(b"&-&").as_str(), shown(b" x ").as_str(), shown(b"").as_str()),
            ("&&", " x ", UNNAMED)
        );
    }

    #[test]
    fn paths_that_meet_are_numbered() {
        let taken = BTreeSet::from([String::from("a"), String::from("a~2")]);
        assert_eq!(unique("a".into(), &taken), "a~3");
        assert_eq!(unique("b".into(), &taken), "b");
    }

    #[test]
    fn only_the_pseudo_folders_themselves_hold_no_mail() {
        assert!(is_pseudo_folder("Kalender") && is_pseudo_folder("OUTBOX"));
        assert!(!is_pseudo_folder("Kalender/2026") && !is_pseudo_folder("Archiv/Notes"));
    }

    #[test]
    fn roles_by_attribute_then_by_name() {
        assert_eq!(role("Deleted", &[String::from("\\trash")]), Some(FolderRole::Trash));
        assert_eq!(role("Gesendete Elemente", &[]), Some(FolderRole::Sent));
        assert_eq!(role("Projekte/Sent", &[]), None);
        assert_eq!(role("INBOX", &[]), Some(FolderRole::Inbox));
    }
}
