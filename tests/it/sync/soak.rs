//! A random client beside the engine, and a model beside both. Twenty mailboxes get mail, lose it, move it between folders
//! that are made, renamed and deleted meanwhile, and the daemon is killed now and then. In the end everything is compared.
//!
//! `STAFETTE_SOAK_MINUTES` makes it longer, `STAFETTE_SOAK_SEED` repeats the commands of an earlier run. What a seed cannot
//! repeat is how the commands and the engine's rounds fall together.

mod check;
mod client;
mod model;
mod replay;
mod selftest;

use crate::support::daemon::{Daemon, Site, password_mailbox, world_with};
use crate::world::World;
use crate::world::mailbox::Snapshot;
use check::{Listed, Violation};
use client::Client;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use replay::Replay;
use serde_json::Value;
use stafette::clock;
use std::collections::BTreeMap;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const MAILBOXES: usize = 20;
/// What every run does that names no other seed.
const SEED: u64 = 20_261_129;
/// How long the engine may take to come in step when the client has ended.
const PATIENCE: Duration = Duration::from_secs(45);
/// How many violations are told with their story.
const REPORTED: usize = 60;

fn from_environment<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn a_random_client_and_the_engine_agree_in_the_end() {
    let seed = from_environment("STAFETTE_SOAK_SEED").unwrap_or(SEED);
    let minutes: f64 = from_environment("STAFETTE_SOAK_MINUTES").unwrap_or(2.5);
    println!("STAFETTE_SOAK_SEED={seed} STAFETTE_SOAK_MINUTES={minutes}");
    let users: Vec<String> = (0..MAILBOXES).map(|number| format!("m{number:02}@makler.test")).collect();
    let addresses: Vec<&str> = users.iter().map(String::as_str).collect();
    let world = world_with(&addresses).without_postfix().start();
    let mut site = Site::new(&world);
    site.set("STAFETTE_TIMING__MASS_DELETE_CONFIRM", "1s");
    site.set("STAFETTE_LOG__FILTER", "info");
    let mut daemon = site.start();
    for user in &users {
        let posted = password_mailbox(user, world.imaps_port(), 1);
        assert_eq!(daemon.post("/v1/mailboxes", &posted).status, 201);
    }
    users.iter().for_each(|user| daemon.until_live(user.split('@').next().unwrap()));
    let end = clock::monotonic() + Duration::from_secs_f64(minutes * 60.0);
    let clients: Vec<JoinHandle<Client>> =
        users.iter().enumerate().map(|(number, user)| client(&world, user, seed, number, end)).collect();
    let kills = kill_until(end, &site, &mut daemon, seed);
    let clients: Vec<Client> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    let commands: usize = clients.iter().map(|client| client.done).sum();
    let made: usize = clients.iter().map(|client| client.model.made.len()).sum();
    println!("{commands} operations, {made} messages, {kills} kills");
    let mut found = judge(&world, &daemon, &clients);
    found.sort_by_key(|(_, text)| text.len()); // the simplest stories first
    assert!(found.is_empty(), "violations with seed {seed}: {}", report(&found));
}

/// How many of each kind, and some with all that is known of them.
fn report(found: &[(&'static str, String)]) -> String {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for (kind, _) in found {
        *kinds.entry(kind).or_default() += 1;
    }
    let lines = found.iter().take(REPORTED).map(|(kind, text)| format!("\n{kind}: {text}"));
    format!("{kinds:?}{}", lines.collect::<String>())
}

/// A client of one mailbox, until `end`.
fn client(world: &World, user: &str, seed: u64, number: usize, end: Instant) -> JoinHandle<Client> {
    let rng = StdRng::seed_from_u64(seed.wrapping_mul(1_000).wrapping_add(number as u64));
    let mut client = Client::new(&world.mailboxes, user, rng);
    let act = move || {
        while clock::monotonic() < end {
            let rest = client.act();
            std::thread::sleep(rest); // the client's own pace
        }
        client
    };
    std::thread::Builder::new().name(user.to_owned()).spawn(act).unwrap()
}

/// SIGKILL every quarter of a minute or so, and a new daemon on the same data.
fn kill_until(end: Instant, site: &Site, daemon: &mut Daemon, seed: u64) -> usize {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut kills = 0;
    loop {
        let life = Duration::from_millis(rng.random_range(3_000..30_000));
        let left = end.saturating_duration_since(clock::monotonic());
        std::thread::sleep(life.min(left));
        if left <= life {
            return kills;
        }
        daemon.killer()();
        daemon.killed();
        *daemon = site.start();
        kills += 1;
    }
}

/// Waits until nothing is to be done any more, then compares everything; violations by kind.
fn judge(world: &World, daemon: &Daemon, clients: &[Client]) -> Vec<(&'static str, String)> {
    let servers: Vec<Snapshot> = clients.iter().map(|client| world.snapshot(&client.user)).collect();
    for (client, server) in clients.iter().zip(&servers) {
        check::assert_model_is_right(&client.model, server);
    }
    let mut logs = in_step(daemon, clients, &servers);
    let mut found = Vec::new();
    for (client, server) in clients.iter().zip(&servers) {
        let mailbox = &client.model.mailbox;
        let replay = Replay::of(&logs.remove(mailbox).unwrap_or_default());
        let listed = Listed::of(daemon, mailbox);
        let mut violations = check::differences(&listed, client, server);
        violations.extend(check::untold(&listed, &replay));
        violations.extend(check::announced(&client.model, &replay));
        violations.extend(check::wrong_bytes(daemon, mailbox, &listed, server));
        let texts = violations.iter().map(|violation| (violation.kind, explain(violation, client, &replay)));
        found.extend(texts);
    }
    found
}

/// Waits until every mailbox shows what the server has and told all of it; the log by mailbox.
fn in_step(daemon: &Daemon, clients: &[Client], servers: &[Snapshot]) -> BTreeMap<String, Vec<Value>> {
    let started = clock::monotonic();
    let mut log = Log::default();
    loop {
        log.read(daemon, 0);
        let behind = clients.iter().zip(servers).any(|(client, server)| {
            let listed = Listed::of(daemon, &client.model.mailbox);
            let replay = Replay::of(log.of(&client.model.mailbox));
            !check::differences(&listed, client, server).is_empty()
                || !check::untold(&listed, &replay).is_empty()
        });
        if !behind {
            println!("in step after {:.1} s", started.elapsed().as_secs_f64());
            return log.by_mailbox;
        }
        if started.elapsed() > PATIENCE {
            println!("not in step after {PATIENCE:?}");
            return log.by_mailbox;
        }
        log.read(daemon, 1);
    }
}

/// The events so far.
#[derive(Default)]
struct Log {
    by_mailbox: BTreeMap<String, Vec<Value>>,
    cursor: String,
}

impl Log {
    fn of(&self, mailbox: &str) -> &[Value] {
        self.by_mailbox.get(mailbox).map_or(&[], Vec::as_slice)
    }

    /// Reads to the end, and waits at most so many seconds for more.
    fn read(&mut self, daemon: &Daemon, wait: u64) {
        loop {
            let page = daemon.get(&format!("/v1/events?limit=1000&wait={wait}&after={}", self.cursor));
            page["next"].as_str().unwrap().clone_into(&mut self.cursor);
            let items = page["items"].as_array().unwrap();
            for event in items {
                let mailbox = event["mailbox"].as_str().unwrap_or_default().to_owned();
                self.by_mailbox.entry(mailbox).or_default().push(event.clone());
            }
            if items.len() < 1000 {
                return;
            }
        }
    }
}

/// A violation with what the client did to the message, and what the events tell of it.
fn explain(violation: &Violation, client: &Client, replay: &Replay) -> String {
    let Some(token) = &violation.token else {
        return format!("{}: {}", client.model.mailbox, violation.what);
    };
    let commands = client.model.made.get(token).into_iter().flat_map(|made| &made.commands);
    let events = replay.lines.get(token).into_iter().flatten();
    let lines: Vec<String> = commands
        .map(|line| format!("\n    client {line}"))
        .chain(events.map(|line| format!("\n    event  {line}")))
        .collect();
    format!("{token}: {}{}", violation.what, lines.concat())
}
