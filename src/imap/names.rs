//! Folder names and what folders are for. Pure.

use crate::domain::FolderRole;

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
    String::from_utf16(&units).ok()
}

/// The path we show: decoded, `/` between levels, INBOX in capitals whatever the server writes.
#[must_use]
pub fn path(server_name: &str, separator: Option<&str>) -> String {
    let decoded = decode_utf7(server_name);
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

/// Whether a folder holds mail. Exchange shows calendars and the like as folders of pseudo mail
/// (protocol: "Hidden/odd folders"); a person may include them.
#[must_use]
pub fn holds_mail(path: &str) -> bool {
    let top = path.split('/').next().unwrap_or(path).to_lowercase();
    !matches!(
        top.as_str(),
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
        assert_eq!(path("Inbox", Some("/")), "INBOX");
        assert_eq!(path("INBOX.Archiv.2025", Some(".")), "INBOX/Archiv/2025");
        assert_eq!(path("a/b", Some(".")), "a\u{2215}b");
        assert_eq!(path("inboxes", Some("/")), "inboxes");
    }

    #[test]
    fn roles_by_attribute_then_by_name() {
        assert_eq!(role("Deleted", &[String::from("\\trash")]), Some(FolderRole::Trash));
        assert_eq!(role("Gesendete Elemente", &[]), Some(FolderRole::Sent));
        assert_eq!(role("Projekte/Sent", &[]), None);
        assert_eq!(role("INBOX", &[]), Some(FolderRole::Inbox));
    }
}
