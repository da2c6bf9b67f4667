//! Facts filled into a catalogue's text. A fact that is not known changes the sentence; its name is never shown. Pure.
//!
//! A text says so where it needs to: `[ of {tenant}]` is left out with a fact in it that is missing, and
//! `{detail|something}` says what stands there instead. An address and a host have words of their own. `{note}` is what the
//! host's provider wants of its users first, where its servers are in our table of providers.

use super::facts::Facts;
use super::language::Language;
use crate::config::Provider;

/// A text with its facts.
pub(super) fn fill(text: &str, facts: &Facts<'_>, language: Language) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, optional, after)) = between(rest, '[', ']') {
        filled = fill_plain(filled, before, facts, language).0;
        if let (whole, true) = fill_plain(filled.clone(), optional, facts, language) {
            filled = whole;
        }
        rest = after;
    }
    fill_plain(filled, rest, facts, language).0
}

/// A text parted at the first pair of brackets: before, inside, behind.
fn between(text: &str, open: char, close: char) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once(open)?;
    let (inside, after) = rest.split_once(close)?;
    Some((before, inside, after))
}

/// A command with its facts, unless one is missing: it could not be run.
pub(super) fn fill_command(command: &str, facts: &Facts<'_>) -> Option<String> {
    let (filled, is_whole) = fill_plain(String::new(), command, facts, Language::En);
    is_whole.then_some(filled)
}

/// A piece without optional parts, put after what stands before it, and whether all its facts are known.
fn fill_plain(before: String, piece: &str, facts: &Facts<'_>, language: Language) -> (String, bool) {
    let (mut filled, mut is_whole) = (before, true);
    let mut rest = piece;
    while let Some((text, fact, after)) = between(rest, '{', '}') {
        let (name, words) = fact.split_once('|').map_or((fact, None), |(name, words)| (name, Some(words)));
        filled.push_str(text);
        let known = value(name, facts, language);
        match known {
            Some(known) => filled.push_str(&known),
            None => {
                is_whole &= words.is_some();
                let instead = words.unwrap_or_else(|| in_place_of(name, &filled, language));
                let begins = filled.is_empty() || filled.ends_with(['.', ':']) || filled.ends_with(". ");
                filled.push_str(&if begins { capitalized(instead) } else { String::from(instead) });
            }
        }
        rest = after;
    }
    filled.push_str(rest);
    (filled, is_whole)
}

fn value(name: &str, facts: &Facts<'_>, language: Language) -> Option<String> {
    let text = match name {
        "address" => facts.address,
        "host" => facts.host,
        "tenant" => facts.tenant,
        "login" => facts.login,
        "client_id" => facts.client_id,
        "detail" => facts.detail,
        "note" => Provider::note_of_server(facts.host).map_or("", |note| match language {
            Language::En => &note.en,
            Language::De => &note.de,
        }),
        "port" => return facts.port.map(|port| port.to_string()),
        _ => "",
    };
    (!text.is_empty()).then(|| String::from(text))
}

/// What is said where an address or a host is not known: in German, in the case that the word before it asks for.
fn in_place_of(name: &str, before: &str, language: Language) -> &'static str {
    let word = before.trim_end().rsplit(' ').next().unwrap_or_default();
    let is_dative =
        matches!(word, "von" | "Von" | "mit" | "Mit" | "bei" | "Bei" | "zu" | "aus" | "Nach" | "nach");
    let is_accusative = matches!(word, "für" | "Für" | "durch" | "gegen" | "ohne");
    match (name, language) {
        ("address", Language::En) => "this mailbox",
        ("address", Language::De) if is_dative => "diesem Postfach",
        ("address", Language::De) => "dieses Postfach",
        ("host", Language::En) => "the server",
        ("host", Language::De) if is_dative => "dem Server",
        ("host", Language::De) if is_accusative => "den Server",
        ("host", Language::De) => "der Server",
        _ => "",
    }
}

fn capitalized(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::catalogue;

    const KNOWN: Facts<'_> = Facts {
        address: "a@b.example",
        host: "h.example",
        tenant: "t",
        login: "l",
        client_id: "c",
        detail: "d",
        port: Some(993),
    };

    #[test]
    fn what_is_missing_changes_the_sentence() {
        let text = "{host} knows no tenant[ {tenant}], says {address}: {detail|nothing}.";
        assert_eq!(fill(text, &KNOWN, Language::En), "h.example knows no tenant t, says a@b.example: d.");
        assert_eq!(
            fill(text, &Facts::default(), Language::En),
            "The server knows no tenant, says this mailbox: nothing."
        );
        let german = "Die Mail von {address} liegt bei {host}[ (Port {port})].";
        assert_eq!(
            fill(german, &Facts::default(), Language::De),
            "Die Mail von diesem Postfach liegt bei dem Server."
        );
        assert_eq!(fill_command("openssl {host}:{port}", &KNOWN).as_deref(), Some("openssl h.example:993"));
        assert_eq!(fill_command("openssl {host}:{port}", &Facts { port: None, ..KNOWN }), None);
    }

    #[test]
    fn a_refused_password_says_what_the_servers_provider_wants_first() {
        let remedy = |entry: &catalogue::Entry, host: &str, language| {
            fill(entry.remedy.get(language), &Facts { host, ..KNOWN }, language)
        };
        for entry in [&catalogue::PASSWORD_REFUSED, &catalogue::APP_PASSWORD] {
            assert!(
                remedy(entry, "imap.gmx.net", Language::En).contains("access by POP3 and IMAP was allowed")
            );
            assert!(
                remedy(entry, "mail.gmx.net", Language::De).contains("Zugriff über POP3 und IMAP erlaubt")
            );
            let other = remedy(entry, "mail.makler.example", Language::De);
            assert!(other.ends_with('.') && !other.contains("POP3"), "{other}");
        }
    }

    #[test]
    fn no_text_ever_shows_the_name_of_a_fact() {
        let facts = ["address", "host", "tenant", "login", "client_id", "detail", "port"];
        // each missing alone, and all of them
        let without = |missing: &str| Facts {
            address: if missing == "address" { "" } else { KNOWN.address },
            host: if missing == "host" { "" } else { KNOWN.host },
            tenant: if missing == "tenant" { "" } else { KNOWN.tenant },
            login: if missing == "login" { "" } else { KNOWN.login },
            client_id: if missing == "client_id" { "" } else { KNOWN.client_id },
            detail: if missing == "detail" { "" } else { KNOWN.detail },
            port: KNOWN.port.filter(|_| missing != "port"),
        };
        let noted = Facts { host: "imap.mail.me.com", ..KNOWN };
        let cases = facts.iter().map(|missing| without(missing)).chain([Facts::default(), KNOWN, noted]);
        for facts in cases {
            for entry in catalogue::all() {
                for language in [Language::En, Language::De] {
                    let texts = [entry.summary, entry.remedy];
                    let texts = texts.iter().chain(entry.clicks).chain(entry.user.iter());
                    for text in texts {
                        let shown = fill(text.get(language), &facts, language);
                        let is_plain = !shown.contains(['<', '{', '}', '[', ']', '|']);
                        let is_whole = !shown.contains("  ")
                            && !shown.contains(" .")
                            && !shown.contains(": .")
                            && !shown.contains("()")
                            && !shown.trim_end().ends_with(['>', ':']);
                        assert!(is_plain && is_whole, "{}: {shown}", entry.code);
                    }
                }
                for command in entry.commands {
                    let shown = fill_command(command, &facts).unwrap_or_default();
                    assert!(!shown.contains('<') || shown.contains("</dev/null"), "{}: {shown}", entry.code);
                }
            }
        }
    }
}
