//! One run of the engine, with the hostile mailbox or without, and what was seen of it.

use super::CHILD;
use super::child::{EngineReport, Line, Orders};
use super::good::{Delivered, Good};
use super::rows::Evil;
use crate::child::cpu_seconds;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// For what the engine has to do at last; nothing is timed by it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits of messages, in milliseconds, sorted.
pub struct Seen(Vec<f64>);

impl Seen {
    pub fn percentile(&self, share: usize) -> f64 {
        self.0[(self.0.len() * share / 100).min(self.0.len() - 1)]
    }
}

pub struct Phase {
    pub engine: EngineReport,
    pub own_cpu_seconds: f64,
    dovecot: Seen,
    in_memory: Seen,
}

impl Phase {
    pub fn dovecot(&self) -> &Seen {
        &self.dovecot
    }

    pub fn in_memory(&self) -> &Seen {
        &self.in_memory
    }
}

/// The engine's process; it does not outlive this.
struct Engine {
    child: Child,
    input: ChildStdin,
    lines: Receiver<Line>,
}

impl Drop for Engine {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Engine {
    fn start(orders: &Orders) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg(CHILD)
            .arg(serde_json::to_string(orders).unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                drop(sender.send(serde_json::from_str(&line).unwrap()));
            }
        });
        Self { child, input, lines }
    }

    fn next(&self) -> Line {
        self.lines.recv_timeout(PATIENCE).expect("the engine's process says something")
    }
}

/// Delivers for so long and waits until all was told.
pub fn measure(good: &Good, evil: Option<&Evil>, length: Duration) -> Phase {
    let data = tempfile::tempdir().unwrap();
    let mut engine = Engine::start(&Orders {
        data_dir: data.path().to_path_buf(),
        ca: good.world.ca_pem(),
        imaps_port: good.world.imaps_port(),
        dovecot: good.dovecot.clone(),
        in_memory: good.in_memory.iter().map(|(id, server)| (id.clone(), server.port())).collect(),
        evil_port: evil.map(Evil::port),
    });
    assert!(matches!(engine.next(), Line::Live), "the good mailboxes are live first");
    let cpu = cpu_seconds();
    let delivered = good.deliver(length);
    let told = until_told(&engine, &delivered);
    let own_cpu_seconds = cpu_seconds() - cpu;
    if let Some(evil) = evil {
        evil.stop();
    }
    engine.input.write_all(b"over\n").unwrap();
    let report = loop {
        if let Line::Report(report) = engine.next() {
            break report;
        }
    };
    let waits = |is_wanted: &dyn Fn(&str) -> bool| {
        let wanted = delivered.iter().filter(|delivered| is_wanted(&delivered.mailbox));
        let wait = |delivered: &Delivered| {
            let told = told[&(delivered.mailbox.clone(), delivered.number)];
            told.saturating_sub(delivered.at) as f64 / 1e3
        };
        let mut waits: Vec<f64> = wanted.map(wait).collect();
        waits.sort_by(f64::total_cmp);
        Seen(waits)
    };
    let is_dovecot = |id: &str| good.dovecot.iter().any(|dovecot| dovecot == id);
    Phase {
        dovecot: waits(&is_dovecot),
        in_memory: waits(&|id| !is_dovecot(id)),
        engine: report,
        own_cpu_seconds,
    }
}

/// When each message was told first.
fn until_told(engine: &Engine, delivered: &[Delivered]) -> BTreeMap<(String, usize), u64> {
    let mut told = BTreeMap::new();
    let is_missing = |told: &BTreeMap<(String, usize), u64>| {
        delivered.iter().any(|one| !told.contains_key(&(one.mailbox.clone(), one.number)))
    };
    while is_missing(&told) {
        if let Line::New { number, mailbox, at } = engine.next() {
            told.entry((mailbox, number)).or_insert(at);
        }
    }
    told
}
