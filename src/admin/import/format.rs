//! How the mailboxes of a file are written down.

use super::file::Table;
use super::{documents, table, text};
use crate::problem::Problem;

/// How the mailboxes are written down.
pub(super) enum Format {
    Csv { charset: Option<String> },
    Toml,
    Json,
}

impl Format {
    /// The format of a media type.
    pub(super) fn of(content_type: &str) -> Result<Self, Problem> {
        let (kind, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
        let charset = parameters.split(';').filter_map(|parameter| parameter.split_once('=')).find_map(
            |(name, value)| {
                let is_charset = name.trim().eq_ignore_ascii_case("charset");
                is_charset.then(|| String::from(value.trim().trim_matches('"')))
            },
        );
        match kind.trim().to_ascii_lowercase().as_str() {
            "text/csv" | "text/tab-separated-values" => Ok(Self::Csv { charset }),
            "application/toml" => Ok(Self::Toml),
            "application/json" => Ok(Self::Json),
            _ => {
                let detail = "send the file as text/csv, application/toml or application/json";
                Err(Problem::new(415, "unsupported_media_type", detail))
            }
        }
    }

    /// Reads a file.
    pub(super) fn read(&self, body: &[u8]) -> Result<Table, Problem> {
        let no_text =
            |cause| Problem::unprocessable("import_refused", format!("nothing is imported: {cause}"));
        Ok(match self {
            Self::Csv { charset } => table::read(&text::decoded(body, charset.as_deref()).map_err(no_text)?),
            Self::Toml => documents::toml(&text::decoded(body, Some("utf-8")).map_err(no_text)?),
            Self::Json => documents::json(body),
        })
    }
}
