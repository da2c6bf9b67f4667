//! The whole engine against a real Dovecot over TLS, beside what the server itself needs, all in one run.
//!
//! - `cargo bench --bench engine -- initial-sync [--messages N] [--runs N] [--quick]`: one large folder, beside mbsync
//! - `cargo bench --bench engine -- many-folders [--folders N] [--runs N]`: many folders with a message each
//! - `cargo bench --bench engine -- inbox-latency [--folders N] [--seconds N] [--delay MS]`: new mail beside many folders
//! - `cargo bench --bench engine -- attack [--seconds N] [--row NAME] [--each]`: beside a hostile server
//! - `cargo bench --bench engine -- many [--mailboxes N] [--runs N]`: many mailboxes, first sync and restart
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::string_slice, clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)]
#![allow(clippy::cast_precision_loss)]

#[path = "../../tests/world/mod.rs"]
mod world;

#[path = "../../tests/it/support/scripted.rs"]
#[allow(dead_code)]
mod scripted;

#[path = "../../tests/it/support/hostile.rs"]
#[allow(dead_code)]
mod hostile;

mod attack;
mod child;
mod inbox_latency;
mod initial_sync;
mod many;
mod many_folders;
mod raw;

use child::EngineRun;
use stafette::domain::mailbox::Policy;
use stafette::domain::{
    Auth, Endpoint, Grant, GrantSecret, GrantWay, Mailbox, MailboxId, Secret, Security, Timestamp,
};
use std::collections::BTreeMap;
use std::process::Command;
use world::World;

const USER: &str = "anna@makler.test";

/// The hidden first argument of the process that runs the engine.
const CHILD: &str = "run-engine";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|text| text != "--bench").collect();
    match arguments.first().map(String::as_str) {
        Some(CHILD) => child::run_engine(&arguments[1..]),
        Some("initial-sync") => initial_sync::run(&arguments[1..]),
        Some("many-folders") => many_folders::run(&arguments[1..]),
        Some("inbox-latency") => inbox_latency::run(&arguments[1..]),
        Some("attack") => attack::run(&arguments[1..]),
        Some(attack::CHILD) => attack::child::run(&arguments[1..]),
        Some("many") => many::run(&arguments[1..]),
        Some(many::CHILD) => many::child::run(&arguments[1..]),
        // `cargo test --benches` and a bare `cargo bench` measure nothing
        _ => {
            println!(
                "usage: cargo bench --bench engine -- \
                 initial-sync|many-folders|inbox-latency|attack|many [OPTIONS]"
            );
        }
    }
}

/// A number given on the command line, or the usual one.
fn number<T: std::str::FromStr>(arguments: &[String], name: &str, usual: T) -> T {
    let place = arguments.iter().position(|text| text == name);
    let given = place.map(|place| arguments.get(place + 1).and_then(|text| text.parse().ok()));
    given.map_or(usual, |given| given.unwrap_or_else(|| panic!("{name} is a number")))
}

/// Makes Maildir folders of these names with one message each, for a mailbox that nobody has opened yet.
fn seed_folders(world: &World, user: &str, names: impl Iterator<Item = String>) {
    for (number, name) in names.enumerate() {
        let folder = world.maildir(user).join(format!(".{name}"));
        seed_folder(&folder, number..number + 1);
        std::fs::write(folder.join("maildirfolder"), "").unwrap();
    }
    world::stage::own_by_vmail(&world.dir().join("mail").join(user)).unwrap();
}

/// Writes messages of about two kilobytes into a Maildir folder.
fn seed_folder(folder: &std::path::Path, numbers: std::ops::Range<usize>) {
    for part in ["cur", "new", "tmp"] {
        std::fs::create_dir_all(folder.join(part)).unwrap();
    }
    for number in numbers {
        let line = format!("line of message {number}, as long as most people write them\n");
        let text = format!(
            "From: Ben <ben@kunde.test>\nTo: {USER}\nSubject: n{number}\nMessage-ID: <n{number}@kunde.test>\n\
             Date: Mon, 23 Nov 2026 19:00:00 +0000\n\n{}",
            line.repeat(30)
        );
        std::fs::write(folder.join(format!("cur/{}.M{number}.world:2,S", 1_700_000_000 + number)), text)
            .unwrap();
    }
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn seconds(runs: &[EngineRun]) -> Vec<f64> {
    runs.iter().map(|run| run.seconds).collect()
}

fn commit() -> String {
    let output = Command::new("git").args(["log", "-1", "--format=%h of %cs"]).output();
    output.map_or_else(|_| String::from("unknown"), |out| String::from_utf8_lossy(&out.stdout).trim().into())
}

/// A mailbox that signs in with its password and only receives.
fn mailbox(port: u16, user: &str) -> (Mailbox, Grant) {
    mailbox_of("anna", port, user)
}

/// A mailbox of this id.
fn mailbox_of(id: &str, port: u16, user: &str) -> (Mailbox, Grant) {
    let mailbox = Mailbox {
        id: MailboxId::new(id).unwrap(),
        address: user.into(),
        display_name: None,
        provider: None,
        imap: Some(Endpoint { host: "127.0.0.1".into(), port, security: Security::Tls }),
        smtp: None,
        auth: Auth::Password { user: user.into() },
        policy: Policy::default(),
        owner: None,
        reference: None,
        labels: BTreeMap::new(),
        active: true,
    };
    let grant = Grant::new(
        GrantWay::Password,
        GrantSecret::Password { user: user.into(), password: Secret::new("pass") },
        Timestamp(0),
    );
    (mailbox, grant)
}
