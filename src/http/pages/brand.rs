//! Whose pages these are, as they show it.

use super::words::Words;
use crate::config::BrandSection;
use crate::domain::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, PreEscaped, html};
use std::path::Path;

/// What the logo may take: it is in every page.
const LARGEST_LOGO: usize = 64 << 10;

const ENVELOPE: &str = "<svg viewBox=\"0 0 28 28\" aria-hidden=\"true\"><rect width=\"28\" height=\"28\" rx=\"7\" \
    fill=\"currentColor\" opacity=\".12\"/><path d=\"M5 9l9 6 9-6M5 9v11h18V9z\" fill=\"none\" stroke=\"currentColor\" \
    stroke-width=\"2\" stroke-linejoin=\"round\"/></svg>";

/// Whose pages these are.
pub(in crate::http) struct Brand {
    pub(super) name: String,
    pub(super) application: Option<String>,
    contact: Option<String>,
    /// The logo as an address that holds it.
    logo: Option<String>,
}

impl Brand {
    /// Reads what the configuration names. A logo that cannot be used is left out, and the log says why.
    pub(in crate::http) fn new(section: &BrandSection) -> Self {
        let logo = section.logo.as_deref().and_then(|path| {
            data_url(path)
                .inspect_err(|why| tracing::warn!(path = %path.display(), why, "brand.logo is not shown"))
                .ok()
        });
        let BrandSection { name, application, contact, .. } = section.clone();
        Self { name, application, contact, logo }
    }

    /// The logo, or an envelope.
    pub(super) fn mark(&self) -> Markup {
        match &self.logo {
            Some(logo) => html! { img src=(logo) alt=""; },
            None => PreEscaped(String::from(ENVELOPE)),
        }
    }

    /// The last line of a page: whom to ask, and how long its link is valid.
    pub(super) fn foot(&self, language: &str, until: Option<Timestamp>) -> Markup {
        const ASK: Words = Words { en: "Questions?", de: "Fragen?" };
        const VALID: Words = Words { en: "The link is valid until", de: "Der Link gilt bis" };
        let day = until.map(|until| day(until, language));
        if self.contact.is_none() && day.is_none() {
            return html! {};
        }
        html! {
            p.foot {
                @if let Some(contact) = &self.contact { (ASK.in_language(language)) " " (contact) ". " }
                @if let Some(day) = day { (VALID.in_language(language)) " " (day) "." }
            }
        }
    }
}

/// A day as people write it.
fn day(time: Timestamp, language: &str) -> String {
    let form = if language == "de" { "%-d.%-m.%Y" } else { "%-d %B %Y" };
    let found = chrono::DateTime::from_timestamp_millis(time.0);
    found.map_or_else(String::new, |found| found.format(form).to_string())
}

fn data_url(path: &Path) -> Result<String, String> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    let kind = match ending.as_str() {
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        _ => return Err(String::from("it is no .svg, .png or .jpg file")),
    };
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    if bytes.len() > LARGEST_LOGO {
        return Err(format!("it has {} bytes, and {LARGEST_LOGO} are the most", bytes.len()));
    }
    Ok(format!("data:{kind};base64,{}", STANDARD.encode(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logo_is_shown_and_one_that_cannot_be_used_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let logo = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            Brand::new(&BrandSection { logo: Some(path), ..BrandSection::default() }).mark().into_string()
        };
        assert!(logo("a.svg", b"<svg/>").contains("data:image/svg+xml;base64,PHN2Zy8+"));
        assert!(logo("a.PNG", b"x").contains("data:image/png;base64,eA=="));
        for (name, bytes) in [("a.gif", &b"x"[..]), ("b.png", &[0; LARGEST_LOGO + 1][..])] {
            assert_eq!(logo(name, bytes), ENVELOPE, "{name}");
        }
        let none = BrandSection { logo: Some(dir.path().join("none.svg")), ..BrandSection::default() };
        assert_eq!(Brand::new(&none).mark().into_string(), ENVELOPE);
    }

    #[test]
    fn nothing_of_a_text_is_markup() {
        let section =
            BrandSection { contact: Some(String::from("<b>\"IT\"</b> & 'co'")), ..BrandSection::default() };
        let foot = Brand::new(&section).foot("de", None).into_string();
        assert!(foot.contains("&lt;b&gt;&quot;IT&quot;&lt;/b&gt; &amp; 'co'"), "{foot}");
    }
}
