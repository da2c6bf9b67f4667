//! What each command requests of the daemon.

use super::args::{AppAdd, MailboxAdd};
use super::args::{AppCommand, Arguments, Command, MailboxCommand, MessageCommand, OutboxCommand, Send};
use super::client::{Client, segment};
use super::printer::{Printer, read_secret, read_stdin};
use super::{Failure, admin, doctor, fsck, invite, rotate, serve, show};
use crate::config::Config;
use base64::Engine;
use reqwest::Method;
use serde_json::{Value, json};
use std::io::Write;

pub(super) fn dispatch(arguments: Arguments) -> Result<(), Failure> {
    let config = Config::load(arguments.config.as_deref(), std::env::vars())
        .map_err(|error| Failure::config(error.to_string()))?;
    if matches!(arguments.command, Command::Serve) {
        return serve::serve(&config);
    }
    if let Command::Fsck { rebuild } = arguments.command {
        return fsck::fsck(&config, rebuild, arguments.json);
    }
    let client = Client::new(&arguments, &config)?;
    let printer = Printer { json: arguments.json };
    match arguments.command {
        Command::Serve | Command::Fsck { .. } => Ok(()),
        Command::Status => status(&client, &printer),
        Command::Doctor { mailbox } => doctor::doctor(&client, printer.json, &mailbox),
        Command::RotateMasterKey { key_stdin } => {
            let given = if key_stdin { Some(read_secret()?) } else { None };
            admin::rotate_master_key(&client, &printer, given)
        }
        Command::App(command) => app(&client, &printer, command),
        Command::Mailbox(command) => mailbox(&client, &printer, command),
        Command::Folder { mailbox } => {
            let list = client.all(&format!("/v1/mailboxes/{}/folders", segment(&mailbox)))?;
            printer.list(&list, &FOLDERS);
            Ok(())
        }
        Command::Message(command) => message(&client, &printer, command),
        Command::Send(send) => submit(&client, &printer, &send),
        Command::Outbox(command) => outbox(&client, &printer, command),
        Command::Events { after, follow, mailbox } => events(&client, &after, follow, mailbox.as_deref()),
    }
}

const MAILBOXES: [(&str, &str); 6] = [
    ("ID", "/id"),
    ("ADDRESS", "/address"),
    ("STATE", "/state"),
    ("SEND", "/send/state"),
    ("MESSAGES", "/sync/messages"),
    ("BACKLOG", "/sync/backlog"),
];
const FOLDERS: [(&str, &str); 5] = [
    ("PATH", "/path"),
    ("ROLE", "/role"),
    ("MESSAGES", "/messages"),
    ("UNSEEN", "/unseen"),
    ("INCLUDED", "/included"),
];
const MESSAGES: [(&str, &str); 5] = [
    ("ID", "/id"),
    ("DATE", "/internal_date"),
    ("FROM", "/from/0/address"),
    ("SIZE", "/size"),
    ("SUBJECT", "/subject"),
];
const SUBMISSIONS: [(&str, &str); 5] = [
    ("ID", "/id"),
    ("STATE", "/state"),
    ("ATTEMPTS", "/attempts"),
    ("TO", "/recipients/0/address"),
    ("REPLY", "/last_reply"),
];
const APPS: [(&str, &str); 5] = [
    ("ID", "/id"),
    ("PROVIDER", "/provider"),
    ("TENANT", "/tenant"),
    ("CLIENT ID", "/client_id"),
    ("SECRET ENDS", "/secret_expires_at"),
];

fn status(client: &Client, printer: &Printer) -> Result<(), Failure> {
    let list = client.all("/v1/mailboxes")?;
    printer.list(&list, &MAILBOXES);
    Ok(())
}

fn app(client: &Client, printer: &Printer, command: AppCommand) -> Result<(), Failure> {
    match command {
        AppCommand::List => printer.list(&client.all("/v1/apps")?, &APPS),
        AppCommand::Show { id } => printer.one(&client.get(&format!("/v1/apps/{}", segment(&id)))?),
        AppCommand::Guide { id, way, language } => {
            return admin::guide(client, printer, &id, way.as_deref(), &language);
        }
        AppCommand::Verify { id, sign_in } => return admin::verify(client, printer, &id, sign_in),
        AppCommand::Rotate(order) => return rotate::rotate(client, printer, order),
        AppCommand::Distribute(order) => return admin::distribute(client, printer, &order),
        AppCommand::Remove { id } => {
            let answer = client.send(Method::DELETE, &format!("/v1/apps/{}", segment(&id)), None)?;
            printer.done(&answer, "removed");
        }
        AppCommand::Add(add) => {
            let AppAdd { id, provider, tenant, client_id, secret_stdin, authority, domains, .. } = &add;
            let certificate = add.certificate.as_deref().map(rotate::file_text).transpose()?;
            let account = add.service_account.as_deref().map(rotate::file_text).transpose()?;
            let secret = if *secret_stdin { Some(read_secret()?) } else { None };
            let body = json!({
                "id": id, "provider": provider, "tenant": tenant, "client_id": client_id,
                "client_secret": secret, "client_certificate": certificate,
                "service_account": account, "authority": authority, "domains": domains,
                "secret_expires_at": add.expires_at,
            });
            let answer = client.send(Method::POST, "/v1/apps", Some(&body))?;
            printer.done(&answer, &format!("app {id} added"));
        }
    }
    Ok(())
}

fn mailbox(client: &Client, printer: &Printer, command: MailboxCommand) -> Result<(), Failure> {
    let act = |id: &str, action: &str| {
        let path = format!("/v1/mailboxes/{}/{action}", segment(id));
        client.send(Method::POST, &path, Some(&json!({})))
    };
    match command {
        MailboxCommand::Add(add) => {
            let answer = client.send(Method::POST, "/v1/mailboxes", Some(&new_mailbox(add)?))?;
            let id = answer.get("id").and_then(Value::as_str).unwrap_or_default();
            printer.done(&answer, &format!("mailbox {id} added"));
        }
        MailboxCommand::Import { file, dry_run } => return admin::import(client, printer, &file, dry_run),
        MailboxCommand::List => return status(client, printer),
        MailboxCommand::Show { id } => printer.one(&client.get(&format!("/v1/mailboxes/{}", segment(&id)))?),
        MailboxCommand::Remove { id } => {
            let path = format!("/v1/mailboxes/{}", segment(&id));
            printer.done(&client.send(Method::DELETE, &path, None)?, "removed");
        }
        MailboxCommand::Pause { id } => printer.done(&act(&id, "pause")?, "paused"),
        MailboxCommand::Resume { id } => printer.done(&act(&id, "resume")?, "resumed"),
        MailboxCommand::Sync { id } => printer.done(&act(&id, "sync")?, "woken"),
        MailboxCommand::Invite { id, links } => {
            return invite::invite(client, printer.json, &id, links.as_deref());
        }
        MailboxCommand::SignIn { id } => {
            let answer = act(&id, "sign-in")?;
            let link = answer.get("url").and_then(Value::as_str).unwrap_or_default().to_owned();
            printer.done(&answer, &link);
        }
    }
    Ok(())
}

fn new_mailbox(add: MailboxAdd) -> Result<Value, Failure> {
    let MailboxAdd { address, id, app, password_stdin, user, imap, smtp } = add;
    let auth = if password_stdin {
        json!({"kind": "password", "user": user, "password": read_secret()?})
    } else {
        json!({"kind": "oauth", "app": app, "login": user})
    };
    let mut body = json!({"address": address, "auth": auth});
    let fields = [
        ("id", id.map(Value::from)),
        ("imap", imap.as_deref().map(endpoint).transpose()?),
        ("smtp", smtp.as_deref().map(endpoint).transpose()?),
    ];
    if let Some(object) = body.as_object_mut() {
        for (name, value) in fields {
            if let Some(value) = value {
                object.insert(name.to_owned(), value);
            }
        }
    }
    Ok(body)
}

/// `host:port:security`.
fn endpoint(text: &str) -> Result<Value, Failure> {
    let wrong =
        || Failure::usage(format!("{text:?} is not host:port:security, e.g. imap.example.org:993:tls"));
    let (rest, security) = text.rsplit_once(':').ok_or_else(wrong)?;
    let (host, port) = rest.rsplit_once(':').ok_or_else(wrong)?;
    let port: u16 = port.parse().map_err(|_| wrong())?;
    Ok(json!({"host": host, "port": port, "security": security}))
}

fn message(client: &Client, printer: &Printer, command: MessageCommand) -> Result<(), Failure> {
    match command {
        MessageCommand::List { mailbox, folder, limit } => {
            let folder = folder.map_or_else(String::new, |folder| format!("&folder={}", segment(&folder)));
            let path = format!("/v1/mailboxes/{}/messages?limit={limit}{folder}", segment(&mailbox));
            printer.list(&client.get(&path)?, &MESSAGES);
        }
        MessageCommand::Show { mailbox, id } => {
            let path = format!("/v1/mailboxes/{}/messages/{}", segment(&mailbox), segment(&id));
            printer.one(&client.get(&path)?);
        }
        MessageCommand::Raw { mailbox, id } => {
            let path = format!("/v1/mailboxes/{}/messages/{}/raw", segment(&mailbox), segment(&id));
            let raw = client.request(Method::GET, &path, None, &[])?;
            let written = std::io::stdout().write_all(&raw);
            written.map_err(|error| Failure::io(format!("cannot write: {error}")))?;
        }
    }
    Ok(())
}

fn submit(client: &Client, printer: &Printer, send: &Send) -> Result<(), Failure> {
    let text = match &send.text {
        Some(text) => text.clone(),
        None => read_stdin()?,
    };
    let mut attachments = Vec::new();
    for path in &send.attach {
        let bytes = std::fs::read(path)
            .map_err(|error| Failure { code: 66, message: format!("{}: {error}", path.display()) })?;
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let content = base64::engine::general_purpose::STANDARD.encode(bytes);
        attachments.push(json!({"name": name, "type": "application/octet-stream", "content": content}));
    }
    let to: Vec<Value> = send.to.iter().map(|address| json!({"address": address})).collect();
    let body = json!({"to": to, "subject": send.subject, "text": text, "attachments": attachments});
    let headers: Vec<(&'static str, &str)> =
        send.idempotency_key.iter().map(|key| ("Idempotency-Key", key.as_str())).collect();
    let path = format!("/v1/mailboxes/{}/outbox", segment(&send.mailbox));
    let answer = client.json(Method::POST, &path, Some(&body), &headers)?;
    let id = answer.get("id").and_then(Value::as_str).unwrap_or_default();
    printer.done(&answer, &format!("accepted as {id}"));
    Ok(())
}

fn outbox(client: &Client, printer: &Printer, command: OutboxCommand) -> Result<(), Failure> {
    match command {
        OutboxCommand::List { mailbox } => {
            let path = format!("/v1/mailboxes/{}/outbox", segment(&mailbox));
            printer.list(&client.all(&path)?, &SUBMISSIONS);
        }
        OutboxCommand::Show { mailbox, id } => {
            let path = format!("/v1/mailboxes/{}/outbox/{}", segment(&mailbox), segment(&id));
            printer.one(&client.get(&path)?);
        }
        OutboxCommand::Cancel { mailbox, id } => {
            let path = format!("/v1/mailboxes/{}/outbox/{}/cancel", segment(&mailbox), segment(&id));
            printer.done(&client.send(Method::POST, &path, Some(&json!({})))?, "cancelled");
        }
    }
    Ok(())
}

fn events(client: &Client, after: &str, follow: bool, mailbox: Option<&str>) -> Result<(), Failure> {
    let mut after = after.to_owned();
    let of = mailbox.map_or_else(String::new, |mailbox| format!("&mailbox={}", segment(mailbox)));
    loop {
        let wait = if follow { 60 } else { 0 };
        let path = format!("/v1/events?limit=1000&wait={wait}&after={}{of}", segment(&after));
        let page = client.get(&path)?;
        let items = page.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        items.iter().for_each(show::line);
        if items.is_empty() && !follow {
            return Ok(());
        }
        page.get("next").and_then(Value::as_str).unwrap_or(&after).to_owned().clone_into(&mut after);
    }
}
