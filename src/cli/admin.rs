//! Commands for administrators: importing mailboxes, giving them an app.

use super::Failure;
use super::client::Client;
use super::commands::Printer;
use serde_json::Value;
use std::path::Path;

const IMPORTED: [(&str, &str); 4] =
    [("LINE", "/line"), ("ID", "/id"), ("ADDRESS", "/address"), ("STATE", "/state")];

/// Sends a file of mailboxes; what it is is told by its name.
pub(super) fn import(client: &Client, printer: &Printer, file: &Path, dry_run: bool) -> Result<(), Failure> {
    let bytes = std::fs::read(file)
        .map_err(|error| Failure { code: 66, message: format!("{}: {error}", file.display()) })?;
    let extension = file.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    let content_type = match extension.as_deref() {
        Some("csv" | "tsv" | "txt") => "text/csv",
        Some("toml") => "application/toml",
        Some("json") => "application/json",
        _ => {
            let message = format!("{}: name the file .csv, .toml or .json", file.display());
            return Err(Failure::usage(message));
        }
    };
    let path = format!("/v1/mailboxes:import?dry_run={dry_run}");
    let answer = client.upload(&path, content_type, bytes)?;
    let count = answer.get("items").and_then(Value::as_array).map_or(0, Vec::len);
    if !printer.json {
        printer.list(&answer, &IMPORTED);
    }
    let done = if dry_run { "would be imported; nothing was changed" } else { "imported" };
    printer.done(&answer, &format!("{count} mailboxes {done}"));
    Ok(())
}
