//! The texts of mail: data files, compiled in, replaceable by files of the same name in a folder.

use crate::diagnosis::Language;
use std::path::Path;

/// A mail's texts, with `{names}` in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Template {
    /// A user is invited to sign in.
    Invite,
    /// A user is reminded.
    Remind,
    /// Administrators read of a cause.
    Alert,
}

const ALL: [Template; 3] = [Template::Invite, Template::Remind, Template::Alert];

impl Template {
    fn stem(self) -> &'static str {
        match self {
            Self::Invite => "invite",
            Self::Remind => "remind",
            Self::Alert => "alert",
        }
    }

    fn built_in(self, language: Language) -> &'static str {
        match (self, language) {
            (Self::Invite, Language::En) => include_str!("templates/invite.en.txt"),
            (Self::Invite, Language::De) => include_str!("templates/invite.de.txt"),
            (Self::Remind, Language::En) => include_str!("templates/remind.en.txt"),
            (Self::Remind, Language::De) => include_str!("templates/remind.de.txt"),
            (Self::Alert, Language::En) => include_str!("templates/alert.en.txt"),
            (Self::Alert, Language::De) => include_str!("templates/alert.de.txt"),
        }
    }
}

/// All texts.
#[derive(Clone, Debug)]
pub(super) struct Templates(Vec<(Template, Language, String)>);

impl Templates {
    /// Ours, and those of a folder instead where it has them.
    pub(super) fn read(folder: Option<&Path>) -> Self {
        let mut texts = Vec::new();
        for template in ALL {
            for (language, tag) in [(Language::En, "en"), (Language::De, "de")] {
                let path = folder.map(|folder| folder.join(format!("{}.{tag}.txt", template.stem())));
                let own = path.and_then(|path| match std::fs::read_to_string(&path) {
                    Ok(text) => Some(text),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
                    Err(error) => {
                        tracing::warn!(path = %path.display(), %error, "a text cannot be read, ours is used");
                        None
                    }
                });
                let text = own.unwrap_or_else(|| template.built_in(language).to_owned());
                texts.push((template, language, text));
            }
        }
        Self(texts)
    }

    /// Subject and text of a mail.
    pub(super) fn fill(
        &self,
        template: Template,
        language: Language,
        facts: &[(&str, &str)],
    ) -> (String, String) {
        let text = self.0.iter().find(|(of, in_language, _)| *of == template && *in_language == language);
        let text = text.map_or_else(|| template.built_in(language), |(_, _, text)| text);
        let filled = fill(text, facts);
        let (head, body) = filled.split_once("\n\n").unwrap_or(("", &filled));
        let subject = head.strip_prefix("Subject:").unwrap_or(head).trim();
        // a subject is one line, whatever was filled in
        (subject.split_whitespace().collect::<Vec<_>>().join(" "), body.to_owned())
    }
}

/// Fills in each name once: what was filled in is not looked at again.
fn fill(text: &str, facts: &[(&str, &str)]) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let known = after.split_once('}').and_then(|(name, behind)| {
            let fact = facts.iter().find(|(known, _)| *known == name)?;
            Some((fact.1, behind))
        });
        match known {
            Some((value, behind)) => {
                filled.push_str(value);
                rest = behind;
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_has_a_subject_and_its_names_are_filled() {
        let names =
            ["address", "name", "link", "until", "label", "count", "summary", "remedy", "steps", "code"];
        let facts: Vec<(&str, &str)> =
            names.into_iter().chain(["app", "mailboxes"]).map(|name| (name, "X")).collect();
        let templates = Templates::read(None);
        for template in ALL {
            for language in [Language::En, Language::De] {
                let (subject, text) = templates.fill(template, language, &facts);
                assert!(subject.len() > 10 && !subject.contains("Subject"), "{subject}");
                assert!(text.len() > 100 && !text.contains('{') && !subject.contains('{'), "{text}");
            }
        }
    }

    #[test]
    fn a_folder_s_text_replaces_ours_and_what_is_filled_in_is_no_template() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("invite.de.txt"), "Subject: Hallo {name}\n\n{link} {odd} {")
            .unwrap();
        let templates = Templates::read(Some(folder.path()));
        let facts = [("name", "{link}\r\nBcc: x"), ("link", "https://x")];
        let (subject, text) = templates.fill(Template::Invite, Language::De, &facts);
        assert_eq!((subject.as_str(), text.as_str()), ("Hallo {link} Bcc: x", "https://x {odd} {"));
        assert!(templates.fill(Template::Invite, Language::En, &facts).0.starts_with("Please"));
    }
}
