//! What a command reads from standard input and prints.

use super::{Failure, show};
use serde_json::Value;
use std::io::Read;

/// Prints answers, as JSON or for people.
pub(super) struct Printer {
    /// As JSON.
    pub(super) json: bool,
}

impl Printer {
    /// A list, in columns.
    pub(super) fn list(&self, list: &Value, columns: &[(&str, &str)]) {
        if self.json { show::json(list) } else { show::table(list, columns) }
    }

    /// One resource.
    pub(super) fn one(&self, value: &Value) {
        show::json(value);
    }

    /// An answer, of which people read `text`.
    pub(super) fn done(&self, value: &Value, text: &str) {
        if self.json { show::json(value) } else { show::text(text) }
    }
}

/// All of standard input.
pub(super) fn read_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| Failure::io(format!("standard input: {error}")))?;
    Ok(text)
}

/// A secret on standard input, without its line end.
pub(super) fn read_secret() -> Result<String, Failure> {
    Ok(read_stdin()?.trim_end_matches(['\r', '\n']).to_owned())
}
