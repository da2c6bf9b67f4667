//! Mailboxes in a TOML or JSON document: `[[mailboxes]]`, or `{"mailboxes": […]}`. Pure.

use super::file::{Line, Table};
use crate::problem::LineError;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<T> {
    mailboxes: Vec<T>,
}

/// Reads a JSON document; a mailbox's line is its place in the list, from 1.
pub(super) fn json(bytes: &[u8]) -> Table {
    match serde_json::from_slice::<Document<Value>>(bytes) {
        Ok(Document { mailboxes }) => {
            let lines = (1..).zip(mailboxes).map(|(line, value)| Line { line, value }).collect();
            Table { lines, errors: Vec::new() }
        }
        Err(error) => broken(error.line() as u64, error.to_string()),
    }
}

/// Reads a TOML document; a mailbox's line is where it begins.
pub(super) fn toml(text: &str) -> Table {
    let line_of = |offset: usize| {
        let before = text.get(..offset).unwrap_or_default();
        (before.matches('\n').count() as u64).saturating_add(1)
    };
    match toml::from_str::<Document<toml::Spanned<toml::Table>>>(text) {
        Ok(Document { mailboxes }) => {
            let mut table = Table::default();
            for mailbox in mailboxes {
                let line = line_of(mailbox.span().start);
                match serde_json::to_value(plain(toml::Value::Table(mailbox.into_inner()))) {
                    Ok(value) => table.lines.push(Line { line, value }),
                    Err(error) => table.errors.push(LineError::new(line, None, error.to_string())),
                }
            }
            table
        }
        Err(error) => {
            let line = error.span().map_or(1, |span| line_of(span.start));
            broken(line, error.message().to_owned())
        }
    }
}

/// TOML has dates of its own; here they are texts as in JSON.
fn plain(value: toml::Value) -> toml::Value {
    match value {
        toml::Value::Datetime(at) => toml::Value::String(at.to_string()),
        toml::Value::Array(items) => toml::Value::Array(items.into_iter().map(plain).collect()),
        toml::Value::Table(fields) => {
            toml::Value::Table(fields.into_iter().map(|(name, value)| (name, plain(value))).collect())
        }
        other @ (toml::Value::String(_)
        | toml::Value::Integer(_)
        | toml::Value::Float(_)
        | toml::Value::Boolean(_)) => other,
    }
}

fn broken(line: u64, message: String) -> Table {
    Table { lines: Vec::new(), errors: vec![LineError::new(line, None, message)] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_toml_document_keeps_its_lines() {
        let text = "# people\n[[mailboxes]]\naddress = \"a@x.test\"\nauth = { kind = \"oauth\" }\n\n\
                    [[mailboxes]]\naddress = \"b@x.test\"\n[mailboxes.policy]\nsince = 2026-01-01T00:00:00Z\n";
        let table = toml(text);
        assert!(table.errors.is_empty(), "{:?}", table.errors);
        let lines: Vec<u64> = table.lines.iter().map(|line| line.line).collect();
        assert_eq!(lines, [2, 6]);
        assert_eq!(table.lines[0].value, json!({"address": "a@x.test", "auth": {"kind": "oauth"}}));
        assert_eq!(table.lines[1].value["policy"]["since"], "2026-01-01T00:00:00Z");
    }

    #[test]
    fn a_document_that_is_none_names_the_line() {
        assert_eq!(toml("\n\nmailboxes = [").errors[0].line, 3);
        assert!(toml("colour = 1").errors[0].message.contains("colour"));
        assert_eq!(json(b"{\n\"mailboxes\": [}").errors[0].line, 2);
        assert_eq!(json(b"[]").errors.len(), 1);
        assert_eq!(json(br#"{"mailboxes": [{}, {"address": "a"}]}"#).lines[1].line, 2);
    }
}
