//! `stafette doctor`: what the doctor found, for people.

use super::client::{Client, segment};
use super::{Failure, show};
use serde_json::{Value, json};

const STEPS: [(&str, &str); 4] =
    [("STEP", "/name"), ("RESULT", "/result"), ("MS", "/milliseconds"), ("DETAIL", "/detail")];

/// Examines a mailbox. What is not good is a failure.
pub(super) fn doctor(client: &Client, json: bool, mailbox: &str) -> Result<(), Failure> {
    let report = client.get(&format!("/v1/mailboxes/{}/diagnosis", segment(mailbox)))?;
    if json {
        show::json(&report);
    } else {
        print(&report);
    }
    match report.get("result").and_then(Value::as_str) {
        Some("ok") => Ok(()),
        _ => Err(Failure { code: 1, message: summary(&report) }),
    }
}

fn summary(report: &Value) -> String {
    let said = report.pointer("/diagnosis/summary").and_then(Value::as_str);
    said.unwrap_or("not every step is good").to_owned()
}

fn print(report: &Value) {
    show::table(&json!({"items": report.get("steps")}), &STEPS);
    let Some(found) = report.get("diagnosis").filter(|found| found.is_object()) else { return };
    let text = |pointer: &str| found.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    show::text("");
    show::text(&format!("{} ({})", text("/summary"), text("/code")));
    show::text(&format!("To be done by {}: {}", text("/who").replace('_', " "), text("/remedy/text")));
    for (title, pointer) in [("Clicks:", "/remedy/clicks"), ("Commands:", "/remedy/commands")] {
        let lines = found.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default();
        if !lines.is_empty() {
            show::text(title);
        }
        for line in lines.iter().filter_map(Value::as_str) {
            show::text(&format!("  {line}"));
        }
    }
}
