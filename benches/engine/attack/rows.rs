//! The attacks, one after the other: each connection of the hostile mailbox meets the next one.

use crate::hostile;
use crate::scripted::{Act, Mail, Mailbox, Rule, Server, State};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// An attack.
#[derive(Clone, Copy)]
pub struct Row {
    pub name: &'static str,
    /// What a connection of this number finds.
    prepare: fn(usize) -> Scene,
}

/// What a connection finds.
struct Scene {
    folders: Vec<Mailbox>,
    rules: Vec<(&'static str, usize, Act)>,
    /// Whether the folder's UIDs are others than before.
    begins_anew: bool,
}

/// What came of an attack.
#[derive(Clone, Copy, Default)]
struct Tally {
    connections: usize,
    applied: usize,
    bytes: u64,
    time: Duration,
}

pub const ROWS: [Row; 12] = [
    Row { name: "header", prepare: header },
    Row { name: "continuations", prepare: |n| mails(n, 4, hostile::slow) },
    Row { name: "list", prepare: |_| answered("LIST", hostile::one_name(208 << 20)) },
    Row { name: "folders", prepare: folders },
    Row { name: "lines", prepare: |_| answered("SELECT", hostile::long_lines(15)) },
    Row { name: "drip", prepare: |_| answered("SELECT", Act::Drip(hostile::dripping())) },
    Row { name: "idle", prepare: |_| answered("IDLE", hostile::idle_flood(1_000_000)) },
    Row { name: "changes", prepare: changes },
    Row { name: "parts", prepare: |n| mails(n, 3, |uid, name| hostile::parts(uid, name, 1_500_000)) },
    Row { name: "addresses", prepare: |n| mails(n, 3, |uid, name| hostile::addresses(uid, name, 5_000_000)) },
    Row { name: "fields", prepare: |n| mails(n, 3, |uid, name| hostile::fields(uid, name, 2_400_000)) },
    Row { name: "liar", prepare: |n| mails(n, 4, liar) },
];

pub fn names() -> String {
    ROWS.map(|row| row.name).join(", ")
}

fn inbox() -> Mailbox {
    Mailbox::new("INBOX", [Mail::new(1, "one")])
}

fn answered(command: &'static str, act: Act) -> Scene {
    Scene { folders: vec![inbox()], rules: vec![(command, usize::MAX, act)], begins_anew: false }
}

fn header(_: usize) -> Scene {
    Scene { begins_anew: true, ..answered(hostile::HEADERS, hostile::endless_parameters()) }
}

/// New names each time.
fn folders(connection: usize) -> Scene {
    let begin = format!("round{connection}-");
    let mut listed = String::from("* LIST () \"/\" INBOX\r\n");
    for number in 0..200_000 {
        listed.push_str(&format!("* LIST (\\Noselect) \"/\" \"{begin}{number}\"\r\n"));
    }
    listed.push_str("{tag} OK done\r\n");
    answered("LIST", Act::Answer(listed.into_bytes()))
}

/// IDLE that ends at once with a change, some hundred times.
fn changes(_: usize) -> Scene {
    let change = Act::Before(b"* 1 EXPUNGE\r\n* 1 EXISTS\r\n".to_vec());
    Scene { rules: vec![("IDLE", 300, change)], ..answered("IDLE", Act::Close) }
}

/// Messages that nobody has seen before.
fn mails(connection: usize, count: usize, mail: impl Fn(u32, &str) -> Mail) -> Scene {
    let first = u32::try_from(connection * 10).unwrap();
    let mails = (first..).take(count).map(|uid| mail(uid, &format!("evil{uid}")));
    Scene { folders: vec![Mailbox::new("INBOX", mails)], rules: Vec::new(), begins_anew: false }
}

/// A message that is said to be small and is nearly as large as a literal may be.
fn liar(uid: u32, name: &str) -> Mail {
    let mut mail = Mail::new(uid, name);
    mail.body.resize((16 << 20) - 1, b'x');
    mail.size = Some(String::from("100"));
    mail
}

pub struct Evil {
    server: Server,
    tallies: Arc<Mutex<BTreeMap<&'static str, Tally>>>,
}

impl Evil {
    pub fn start(rows: Vec<Row>) -> Self {
        let server = Server::start([inbox()]);
        let tallies: Arc<Mutex<BTreeMap<&'static str, Tally>>> = Arc::default();
        let counted = Arc::clone(&tallies);
        let mut before: Option<(&'static str, Instant, u64, usize)> = None;
        let arrival = move |state: &mut State| {
            let (now, sent) = (Instant::now(), state.sent.load(Ordering::Relaxed));
            let mut tallies = counted.lock().unwrap();
            if let Some((name, since, bytes, applied)) = before {
                let tally = tallies.entry(name).or_default();
                tally.connections += 1;
                tally.applied += state.applied - applied;
                tally.bytes += sent - bytes;
                tally.time += now - since;
            }
            let row = rows[(state.connections - 1) % rows.len()];
            set_up(state, (row.prepare)(state.connections));
            before = Some((row.name, now, sent, state.applied));
        };
        server.state().arrival = Some(Box::new(arrival));
        Self { server, tallies }
    }

    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// From here on the server says nothing.
    pub fn stop(&self) {
        let silent = |state: &mut State| {
            state.rules = vec![Rule { begins: "", times: usize::MAX, act: Act::Silence }];
        };
        {
            let mut state = self.server.state();
            silent(&mut state);
            state.arrival = Some(Box::new(silent));
        }
        self.server.hang_up();
    }

    /// How often each attack was met: a figure without is worth nothing.
    pub fn report(&self) {
        println!("{:<16} {:>12} {:>9} {:>9} {:>9}", "met", "connections", "answers", "MB sent", "seconds");
        for (name, tally) in self.tallies.lock().unwrap().iter() {
            println!(
                "{name:<16} {:>12} {:>9} {:>9.1} {:>9.1}",
                tally.connections,
                tally.applied,
                crate::mb(tally.bytes),
                tally.time.as_secs_f64()
            );
        }
        println!("{:<16} {:>32.1}", "all", crate::mb(self.server.state().sent.load(Ordering::Relaxed)));
    }
}

/// Who has got over the attack waits in IDLE: that ends the connection.
fn set_up(state: &mut State, scene: Scene) {
    let validity = state.folder("INBOX").uid_validity + u32::from(scene.begins_anew);
    state.commands.clear();
    state.folders = scene.folders;
    state.folder("INBOX").uid_validity = validity;
    let rules = scene.rules.into_iter().chain([("IDLE", usize::MAX, Act::Close)]);
    state.rules = rules.map(|(begins, times, act)| Rule { begins, times, act }).collect();
}
