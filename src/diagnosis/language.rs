//! Which language a reader wants.

use serde::Deserialize;

/// A language of our texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// German.
    De,
}

impl Language {
    /// The language of a BCP 47 tag, if we have it.
    #[must_use]
    pub fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default().trim();
        match primary.to_ascii_lowercase().as_str() {
            "de" => Some(Self::De),
            "en" => Some(Self::En),
            _ => None,
        }
    }

    /// What an Accept-Language field likes best of what we have (RFC 9110 §12.5.4); English if it names neither.
    #[must_use]
    pub fn of_header(field: &str) -> Self {
        let mut best: Option<(f32, Self)> = None;
        for range in field.split(',') {
            let mut parts = range.split(';');
            let Some(language) = parts.next().and_then(Self::of_tag) else { continue };
            let weight = parts.find_map(|part| part.trim().strip_prefix("q="));
            let weight = weight.map_or(1.0, |weight| weight.trim().parse().unwrap_or(0.0));
            let is_better = best.is_none_or(|(so_far, _)| weight > so_far);
            if weight > 0.0 && is_better {
                best = Some((weight, language));
            }
        }
        best.map(|(_, language)| language).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_liked_language_that_we_have_is_taken() {
        for (field, wanted) in [
            ("de", Language::De),
            ("de-AT, en;q=0.5", Language::De),
            ("en-GB,en;q=0.9,de;q=0.8", Language::En),
            ("fr, de;q=0.7, en;q=0.6", Language::De),
            ("fr;q=0.9", Language::En),
            ("de;q=0, en;q=0.1", Language::En),
            ("DE_de", Language::De),
            ("", Language::En),
            (";;q=,de;q=x", Language::En),
        ] {
            assert_eq!(Language::of_header(field), wanted, "{field:?}");
        }
    }
}
