//! JSON for people: tables of the columns that matter.

use serde_json::Value;
use std::io::{ErrorKind, Write};

/// Prints a line. Whoever reads may have had enough, as `head` has: then there is nothing more to do.
fn print(text: &str) {
    if let Err(error) = writeln!(std::io::stdout().lock(), "{text}") {
        std::process::exit(if error.kind() == ErrorKind::BrokenPipe { 0 } else { 74 });
    }
}

/// Prints a value as JSON.
pub(super) fn json(value: &Value) {
    print(&serde_json::to_string_pretty(value).unwrap_or_default());
}

/// Prints one line of JSON.
pub(super) fn line(value: &Value) {
    print(&value.to_string());
}

/// Prints a line.
pub(super) fn text(text: &str) {
    print(text);
}

/// Prints the items of a list as a table; a column is a JSON pointer.
pub(super) fn table(list: &Value, columns: &[(&str, &str)]) {
    let items = list.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    let head: Vec<String> = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut rows = vec![head];
    rows.extend(items.iter().map(|item| columns.iter().map(|(_, pointer)| cell(item, pointer)).collect()));
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    for row in &rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        print(cells.join("  ").trim_end());
    }
}

fn cell(item: &Value, pointer: &str) -> String {
    match item.pointer(pointer) {
        // what is to be done is in its last words
        Some(Value::String(text)) if pointer == "/detail" => text.clone(),
        Some(Value::String(text)) => text.chars().take(60).collect(),
        Some(Value::Null) | None => String::from("-"),
        Some(other) => other.to_string(),
    }
}
