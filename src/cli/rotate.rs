//! `stafette app rotate`: a new client secret, certificate or key file, and the outcome of its trial.

use super::args::AppRotate;
use super::client::{Client, segment};
use super::printer::{Printer, read_secret};
use super::{Failure, show};
use reqwest::Method;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// A trial takes seconds; a provider that is away is waited for no longer than this.
const LOOKS: u32 = 60;
const BETWEEN: Duration = Duration::from_secs(1);

/// Replaces the credential and waits for the end of its trial.
pub(super) fn rotate(client: &Client, printer: &Printer, order: AppRotate) -> Result<(), Failure> {
    let AppRotate { id, secret_stdin: _, certificate, service_account, expires_at } = order;
    let change = match (certificate, service_account) {
        (Some(file), _) => json!({"client_certificate": file_text(&file)?}),
        (None, Some(file)) => json!({"service_account": file_text(&file)?}),
        (None, None) => json!({"client_secret": read_secret()?, "secret_expires_at": expires_at}),
    };
    let path = format!("/v1/apps/{}", segment(&id));
    let mut app = client.send(Method::PATCH, &path, Some(&change))?;
    for _ in 0..LOOKS {
        if state(&app) != Some("trying") {
            break;
        }
        std::thread::sleep(BETWEEN);
        app = client.get(&path)?;
    }
    if printer.json {
        show::json(&app);
    }
    match state(&app) {
        Some("rolled_back") => Err(Failure::data(format!("{id} goes on with the one before: {}", why(&app)))),
        Some("trying") => {
            let message = format!("{id}: nobody could try it yet; it is tried until it is proven or refused");
            Err(Failure::temporary(message))
        }
        Some(_) if !printer.json => {
            show::text(&format!("{id}: the new one works, the one before is erased"));
            Ok(())
        }
        None if !printer.json => {
            show::text(&format!(
                "{id}: replaced; there was nothing to go back to. See `stafette app verify {id}`"
            ));
            Ok(())
        }
        Some(_) | None => Ok(()),
    }
}

/// A certificate and its key, or a key file.
pub(super) fn file_text(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file)
        .map_err(|error| Failure { code: 66, message: format!("{}: {error}", file.display()) })
}

fn state(app: &Value) -> Option<&str> {
    app.pointer("/rotation/state").and_then(Value::as_str)
}

fn why(app: &Value) -> String {
    let text = |at: &str| app.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
    format!("{} {}", text("/rotation/diagnosis/summary"), text("/rotation/diagnosis/remedy/text"))
}
