//! `stafette mailbox invite`: by mail, or as a line of a CSV file that somebody else delivers.

use super::client::{Client, segment};
use super::{Failure, show};
use reqwest::Method;
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

/// Asks a mailbox's user to sign in.
pub(super) fn invite(
    client: &Client,
    json: bool,
    mailbox: &str,
    links: Option<&Path>,
) -> Result<(), Failure> {
    let path = format!("/v1/mailboxes/{}/invite", segment(mailbox));
    let deliver = if links.is_some() { "link" } else { "mail" };
    let answer = client.send(Method::POST, &path, Some(&json!({"deliver": deliver})))?;
    let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let Some(file) = links else {
        if json {
            show::json(&answer)
        } else {
            show::text(&format!("sent to {}", text("sent_to")))
        }
        return Ok(());
    };
    let known = client.get(&format!("/v1/mailboxes/{}", segment(mailbox)))?;
    let mut link = answer.clone();
    if let (Some(link), Some(address)) = (link.as_object_mut(), known.get("address")) {
        link.insert(String::from("address"), address.clone());
    }
    keep_link(file, &link)?;
    if json {
        show::json(&answer)
    } else {
        show::text(&format!("link written to {}", file.display()))
    }
    Ok(())
}

/// A line of the file of links: mailbox, address, link and its end.
pub(super) fn keep_link(file: &Path, link: &Value) -> Result<(), Failure> {
    let text = |name: &str| quoted(link.get(name).and_then(Value::as_str).unwrap_or_default());
    let line = ["mailbox", "address", "url", "expires_at"].map(text).join(",");
    append(file, &line).map_err(|error| Failure::io(format!("{}: {error}", file.display())))
}

/// The links are secrets: the file is its maker's alone.
fn append(file: &Path, line: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut opened = OpenOptions::new().create(true).append(true).mode(0o600).open(file)?;
    let head = if opened.metadata()?.len() == 0 { "mailbox,address,url,expires_at\r\n" } else { "" };
    opened.write_all(format!("{head}{line}\r\n").as_bytes())
}

/// A field of RFC 4180.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}
