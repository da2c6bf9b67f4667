//! One mailbox's initial sync from Dovecot over TLS, beside its peers.
//!
//! The floor is a bare client that reads every message to nowhere. Each peer begins with nothing on disk; the
//! engine runs in a process of its own and counts as done when every message is durable.
//!
//! Where there are few processors, a floor's server has them almost for itself and the engine's has not. Floor and
//! engine are therefore measured a second time with the server on one processor and the client on another.

use crate::child::{EngineRun, engine};
use crate::raw::floor;
use crate::world::{self, SeedOptions, SeedReport, World};
use crate::{USER, commit, mb, median, number, seconds};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::process::Command;
use std::time::Instant;

struct Options {
    messages: usize,
    runs: usize,
    /// Leave the slow peers out, for work on the engine itself.
    quick: bool,
}

impl Options {
    fn parse(arguments: &[String]) -> Self {
        let quick = arguments.iter().any(|text| text == "--quick");
        let messages = number(arguments, "--messages", 20_000);
        Self { messages, runs: number(arguments, "--runs", 3), quick }
    }
}

#[derive(Default)]
struct Times {
    floor: Vec<f64>,
    mbsync_fsync: Vec<f64>,
    mbsync_nofsync: Vec<f64>,
    engine: Vec<EngineRun>,
    /// With a processor for the server and one for the client.
    floor_apart: Vec<f64>,
    engine_apart: Vec<EngineRun>,
}

pub fn run(arguments: &[String]) {
    let options = &Options::parse(arguments);
    let world = World::builder().mailbox(USER).without_postfix().start();
    // 2.6 % above the seeder's own median: 20,000 messages come to about 300 MB
    let seed = SeedOptions { median_size: 8_400.0, ..SeedOptions::messages(options.messages) };
    let corpus = world.seed(USER, &seed);
    eprintln!("{} messages, {:.1} MB on the wire", corpus.messages, mb(corpus.wire_bytes));
    let discarded = floor(&world, USER, options.messages);
    eprintln!("floor, discarded: {discarded:.2} s");
    let mut times = Times::default();
    for run in 1..=options.runs {
        times.floor.push(floor(&world, USER, options.messages));
        times.engine.push(engine(&world, USER, options.messages));
        for (fsync, times) in [(true, &mut times.mbsync_fsync), (false, &mut times.mbsync_nofsync)] {
            times.push(if options.quick { f64::NAN } else { mbsync(&world, options.messages, fsync) });
        }
        eprintln!(
            "run {run}: floor {:.2} s, stafette {:.2} s ({:.2} s CPU), mbsync {:.2} s, without fsync {:.2} s",
            times.floor[run - 1],
            times.engine[run - 1].seconds,
            times.engine[run - 1].cpu_seconds,
            times.mbsync_fsync[run - 1],
            times.mbsync_nofsync[run - 1],
        );
    }
    let cores = processors();
    if let [servers, clients, ..] = *cores {
        set_apart(&world, servers, clients);
        for _ in 0..options.runs {
            times.floor_apart.push(floor(&world, USER, options.messages));
            times.engine_apart.push(engine(&world, USER, options.messages));
        }
    }
    report(&corpus, &times, cores.len());
}

/// The processors that this process may use.
fn processors() -> Vec<usize> {
    let allowed = sched_getaffinity(Pid::from_raw(0)).unwrap();
    (0..CpuSet::count()).filter(|number| allowed.is_set(*number).unwrap()).collect()
}

/// Leaves one processor to the server, and takes another for this thread and what it starts.
fn set_apart(world: &World, servers: usize, clients: usize) {
    let only = |number| {
        let mut set = CpuSet::new();
        set.set(number).unwrap();
        set
    };
    for process in world::process::inhabitants(world.dir()) {
        sched_setaffinity(Pid::from_raw(process), &only(servers)).unwrap();
    }
    sched_setaffinity(Pid::from_raw(0), &only(clients)).unwrap();
}

fn report(corpus: &SeedReport, times: &Times, cores: usize) {
    let floor = median(&times.floor);
    let (fsync, nofsync) = (median(&times.mbsync_fsync), median(&times.mbsync_nofsync));
    let stafette = median(&seconds(&times.engine));
    let rss = times.engine.iter().map(|run| run.peak_rss_kb).max().unwrap_or(0);
    let disk = times.engine.last().map_or(0, |run| run.bytes_on_disk);
    let zstd = corpus.wire_bytes as f64 / corpus.zstd3_ratio / 1e6;
    println!("initial sync, {} messages, {:.1} MB", corpus.messages, mb(corpus.wire_bytes));
    println!("{}, {cores} cores, median of {}", commit(), times.engine.len());
    println!();
    println!("{:<28} {:>8} {:>8} {:>10}", "", "seconds", "MB/s", "x floor");
    for (name, time) in [
        ("floor (read to nowhere)", floor),
        ("stafette (durable)", stafette),
        ("mbsync, FSync yes", fsync),
        ("mbsync, FSync no", nofsync),
    ] {
        println!("{name:<28} {time:>8.2} {:>8.1} {:>10.2}", mb(corpus.wire_bytes) / time, time / floor);
    }
    println!();
    println!("stafette / floor             {:>8.2}   (target: at most 1.6)", stafette / floor);
    println!("mbsync with fsync / stafette {:>8.2}   (target: at least 4)", fsync / stafette);
    println!("mbsync without / stafette    {:>8.2}", nofsync / stafette);
    if !times.engine_apart.is_empty() {
        let (floor, stafette) = (median(&times.floor_apart), median(&seconds(&times.engine_apart)));
        println!(
            "a processor each: stafette / floor {:>2.2} ({stafette:.2} s, {floor:.2} s)",
            stafette / floor
        );
    }
    let cpu: Vec<f64> = times.engine.iter().map(|run| run.cpu_seconds).collect();
    println!("CPU seconds of stafette      {:>8.2}", median(&cpu));
    println!("peak RSS, MB                 {:>8.1}   (target: at most 120)", rss as f64 * 1024.0 / 1e6);
    println!(
        "on disk, MB                  {:>8.1}   (corpus {:.1}, at zstd -3 {zstd:.1})",
        mb(disk),
        mb(corpus.wire_bytes)
    );
}

fn mbsync(world: &World, messages: usize, fsync: bool) -> f64 {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().display();
    let config = format!(
        "FSync {}\n\
         IMAPAccount a\nHost localhost\nPort {}\nUser {USER}\nPass pass\nSSLType IMAPS\n\
         CertificateFile {}\n\n\
         IMAPStore far\nAccount a\n\n\
         MaildirStore near\nPath {place}/mail/\nInbox {place}/mail/INBOX\n\n\
         Channel c\nFar :far:INBOX\nNear :near:INBOX\nSync Pull\nCreate Near\nSyncState {place}/state/\n",
        if fsync { "yes" } else { "no" },
        world.imaps_port(),
        world.ca_pem().display(),
    );
    for folder in ["mail", "state"] {
        std::fs::create_dir(dir.path().join(folder)).unwrap();
    }
    let path = dir.path().join("mbsyncrc");
    std::fs::write(&path, config).unwrap();
    let started = Instant::now();
    let output = Command::new("mbsync").arg("-c").arg(&path).arg("c").output().expect("mbsync (isync)");
    let seconds = started.elapsed().as_secs_f64();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let count = |sub: &str| std::fs::read_dir(dir.path().join("mail/INBOX").join(sub)).unwrap().count();
    assert_eq!(count("cur") + count("new"), messages, "mbsync missed messages");
    seconds
}
