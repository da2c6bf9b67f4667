//! Commands for administrators: importing mailboxes, giving them an app.

use super::args::Distribute;
use super::client::{Client, segment};
use super::printer::Printer;
use super::{Failure, invite, show};
use reqwest::Method;
use serde_json::{Value, json};
use std::path::Path;

const IMPORTED: [(&str, &str); 4] =
    [("LINE", "/line"), ("ID", "/id"), ("ADDRESS", "/address"), ("STATE", "/state")];

/// Sends a file of mailboxes; its format follows from its name.
pub(super) fn import(client: &Client, printer: &Printer, file: &Path, dry_run: bool) -> Result<(), Failure> {
    let bytes = std::fs::read(file).map_err(|error| Failure {
        code: 66,
        message: format!("{}: {error}: name a file that can be read", file.display()),
    })?;
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
    let tried = match answer.get("to_be_tried").and_then(Value::as_u64).unwrap_or_default() {
        0 => String::new(),
        tried => format!("; {tried} of them with a refresh token, which is tried before it counts"),
    };
    printer.done(&answer, &format!("{count} mailboxes {done}{tried}"));
    Ok(())
}

const DISTRIBUTED: [(&str, &str); 4] =
    [("GROUP", "/group"), ("ID", "/id"), ("ADDRESS", "/address"), ("APP", "/app")];

/// Gives an app to mailboxes, or says to which.
pub(super) fn distribute(client: &Client, printer: &Printer, order: &Distribute) -> Result<(), Failure> {
    let invite = if order.links.is_some() { Some("link") } else { order.invite.then_some("mail") };
    let body = json!({"server": order.server, "from": order.from, "apply": order.apply,
        "expect": order.expect, "invite": invite});
    let path = format!("/v1/apps/{}/distribute", segment(&order.app));
    let answer = client.send(Method::POST, &path, Some(&body))?;
    if let Some(file) = &order.links {
        // first of all: they are shown once
        let links = answer.get("links").and_then(Value::as_array);
        links.into_iter().flatten().try_for_each(|link| invite::keep_link(file, link))?;
    }
    if printer.json {
        printer.one(&answer);
        return Ok(());
    }
    let (mut rows, mut counts) = (Vec::new(), Vec::new());
    for (name, group) in answer.get("groups").and_then(Value::as_object).into_iter().flatten() {
        counts.push(format!("{name}: {}", group.get("count").unwrap_or(&Value::Null)));
        for item in group.get("items").and_then(Value::as_array).into_iter().flatten() {
            let mut row = item.clone();
            if let Some(fields) = row.as_object_mut() {
                fields.insert(String::from("group"), Value::from(name.as_str()));
            }
            rows.push(row);
        }
    }
    printer.list(&json!({"items": rows}), &DISTRIBUTED);
    let changed = answer.get("changed").and_then(Value::as_u64).unwrap_or_default();
    let invited = answer.get("invited").and_then(Value::as_u64).unwrap_or_default();
    let done = if order.apply {
        format!("{changed} mailboxes changed, {invited} users invited")
    } else {
        String::from("nothing was changed")
    };
    printer.done(&answer, &format!("{}\n{done}", counts.join("  ")));
    Ok(())
}

const CHECKS: [(&str, &str); 3] = [("CHECK", "/name"), ("RESULT", "/result"), ("DETAIL", "/detail")];

/// Proves what can be proved of an app.
pub(super) fn verify(client: &Client, printer: &Printer, id: &str, sign_in: bool) -> Result<(), Failure> {
    let path = format!("/v1/apps/{}/verify", segment(id));
    let answer = client.send(Method::POST, &path, Some(&json!({"sign_in": sign_in})))?;
    let checks = answer.get("checks").and_then(Value::as_array).cloned().unwrap_or_default();
    if printer.json {
        printer.one(&answer);
    } else {
        printer.list(&json!({"items": checks}), &CHECKS);
        if let Some(url) = answer.pointer("/sign_in/url").and_then(Value::as_str) {
            show::text(&format!("sign in here with any account of the tenant, then verify again: {url}"));
        }
    }
    let failed: Vec<String> = checks
        .iter()
        .filter(|check| check.get("result").is_some_and(|result| result == "failed"))
        .map(|check| {
            let text = |pointer: &str| check.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            format!("{}: {} {}", text("/name"), text("/detail"), text("/diagnosis/remedy/text"))
        })
        .collect();
    if failed.is_empty() { Ok(()) } else { Err(Failure::data(failed.join("; "))) }
}

/// Prints how an app is registered.
pub(super) fn guide(
    client: &Client,
    printer: &Printer,
    id: &str,
    way: Option<&str>,
    language: &str,
) -> Result<(), Failure> {
    let format = if printer.json { "json" } else { "markdown" };
    let path = format!(
        "/v1/apps/{}/guide?format={format}{}&language={}",
        segment(id),
        way.map_or_else(String::new, |way| format!("&way={}", segment(&way.replace('-', "_")))),
        segment(language)
    );
    if printer.json {
        printer.one(&client.get(&path)?);
    } else {
        let text = client.request(Method::GET, &path, None, &[])?;
        show::text(&String::from_utf8_lossy(&text));
    }
    Ok(())
}

/// Puts another master key in place.
pub(super) fn rotate_master_key(
    client: &Client,
    printer: &Printer,
    given: Option<String>,
) -> Result<(), Failure> {
    let answer = client.send(Method::POST, "/v1/master-key:rotate", Some(&json!({"master_key": given})))?;
    let said = |name: &str| answer.get(name).and_then(Value::as_str).map(String::from);
    let kept = said("kept_in").map(|file| format!("rotated; keep a copy of {file} apart from the data"));
    let todo = said("todo").map(|todo| format!("rotated; {todo}"));
    printer.done(&answer, &kept.or(todo).unwrap_or_default());
    Ok(())
}
