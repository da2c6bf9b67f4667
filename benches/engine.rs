//! The whole engine beside its peers: one mailbox's initial sync from Dovecot over TLS, all in one run.
//!
//! `cargo bench --bench engine -- initial-sync [--messages N] [--runs N] [--quick]`
//!
//! The floor is a bare client that reads every message to nowhere. Each peer begins with nothing on disk; the
//! engine runs in a process of its own and counts as done when every message is durable.
//!
//! Where there are few processors, a floor's server has them almost for itself and the engine's has not. Floor and
//! engine are therefore measured a second time with the server on one processor and the client on another.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::string_slice, clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)]
#![allow(clippy::cast_precision_loss)]

#[path = "../tests/world/mod.rs"]
mod world;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use stafette::app::Engine;
use stafette::config::Config;
use stafette::domain::mailbox::Policy;
use stafette::domain::{
    Auth, Endpoint, Grant, GrantSecret, GrantWay, Mailbox, MailboxId, Secret, Security, Timestamp,
};
use stafette::supervisor::protocol::Reconcile;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use world::{SeedOptions, SeedReport, World};

const USER: &str = "anna@makler.test";

/// The hidden first argument of the process that runs the engine.
const CHILD: &str = "run-engine";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|text| text != "--bench").collect();
    match arguments.first().map(String::as_str) {
        Some(CHILD) => run_engine(&arguments[1..]),
        Some("initial-sync") => initial_sync(&Options::parse(&arguments[1..])),
        // `cargo test --benches` and a bare `cargo bench` measure nothing
        _ => {
            println!("usage: cargo bench --bench engine -- initial-sync [--messages N] [--runs N] [--quick]")
        }
    }
}

struct Options {
    messages: usize,
    runs: usize,
    /// Leave the slow peers out, for work on the engine itself.
    quick: bool,
}

impl Options {
    fn parse(arguments: &[String]) -> Self {
        let number = |name: &str, default| {
            let place = arguments.iter().position(|text| text == name);
            place.map_or(default, |place| arguments[place + 1].parse().expect("a number"))
        };
        let quick = arguments.iter().any(|text| text == "--quick");
        Self { messages: number("--messages", 20_000), runs: number("--runs", 3), quick }
    }
}

/// What one run of the engine measured of itself.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct EngineRun {
    seconds: f64,
    cpu_seconds: f64,
    messages: u64,
    peak_rss_kb: u64,
    bytes_on_disk: u64,
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

fn initial_sync(options: &Options) {
    let world = World::builder().mailbox(USER).without_postfix().start();
    // 2.6 % above the seeder's own median: 20,000 messages come to about 300 MB
    let seed = SeedOptions { median_size: 8_400.0, ..SeedOptions::messages(options.messages) };
    let corpus = world.seed(USER, &seed);
    eprintln!("{} messages, {:.1} MB on the wire", corpus.messages, mb(corpus.wire_bytes));
    let discarded = floor(&world, options.messages);
    eprintln!("floor, discarded: {discarded:.2} s");
    let mut times = Times::default();
    for run in 1..=options.runs {
        times.floor.push(floor(&world, options.messages));
        times.engine.push(engine(&world, options.messages));
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
            times.floor_apart.push(floor(&world, options.messages));
            times.engine_apart.push(engine(&world, options.messages));
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

/// Reads every message to nowhere over TLS.
fn floor(world: &World, messages: usize) -> f64 {
    let started = Instant::now();
    let tcp = std::net::TcpStream::connect(("127.0.0.1", world.imaps_port())).unwrap();
    tcp.set_nodelay(true).unwrap();
    let tls = rustls::ClientConnection::new(world.certs.client.clone(), world::certs::server_name()).unwrap();
    let mut stream = BufReader::with_capacity(1 << 18, rustls::StreamOwned::new(tls, tcp));
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line).unwrap();
    for command in [format!("a LOGIN {USER} pass"), String::from("b EXAMINE INBOX")] {
        let tag = &command[..2].to_owned();
        stream.get_mut().write_all(format!("{command}\r\n").as_bytes()).unwrap();
        read_to_tag(&mut stream, tag);
    }
    let fetch = b"c UID FETCH 1:* (UID FLAGS INTERNALDATE BODY.PEEK[])\r\n";
    stream.get_mut().write_all(fetch).unwrap();
    assert_eq!(read_to_tag(&mut stream, "c "), messages, "the floor missed messages");
    started.elapsed().as_secs_f64()
}

/// Skips replies and their literals up to the tagged one; how many literals there were.
fn read_to_tag(stream: &mut impl BufRead, tag: &str) -> usize {
    let mut literals = 0;
    let mut line = Vec::new();
    loop {
        line.clear();
        stream.read_until(b'\n', &mut line).unwrap();
        let text = std::str::from_utf8(&line).unwrap().trim_end();
        if let Some(result) = text.strip_prefix(tag) {
            assert!(result.starts_with("OK"), "{result}");
            return literals;
        }
        assert!(!line.is_empty(), "the connection ended");
        if let Some((_, length)) = world::imap::literal_length(text) {
            literals += 1;
            let copied = std::io::copy(&mut stream.take(length as u64), &mut std::io::sink()).unwrap();
            assert_eq!(copied, length as u64);
        }
    }
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

/// Runs the engine in a process of its own, in a fresh data directory.
fn engine(world: &World, messages: usize) -> EngineRun {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .arg(CHILD)
        .arg(dir.path())
        .arg(world.imaps_port().to_string())
        .arg(world.ca_pem())
        .arg(messages.to_string())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "the engine's process failed");
    let run: EngineRun = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(run.messages, messages as u64, "messages stored");
    run
}

/// The engine's own process: `data_dir port ca messages`.
fn run_engine(arguments: &[String]) {
    let data_dir = Path::new(&arguments[0]);
    let port: u16 = arguments[1].parse().unwrap();
    let messages: u64 = arguments[3].parse().unwrap();
    let mut config = Config::default();
    config.data_dir.0 = data_dir.to_path_buf();
    config.tls.extra_ca = vec![Path::new(&arguments[2]).to_path_buf()];
    let run = actix::System::new().block_on(async {
        let engine = Engine::start(&config, None).await.unwrap();
        let (mailbox, grant) = mailbox(port);
        let stored = engine.store.create_mailbox(mailbox, Some(&grant)).await.unwrap();
        let mailbox = stored.incarnation;
        let started = Instant::now();
        engine.supervisor.send(Reconcile).await.unwrap();
        loop {
            let status = engine.store.status(mailbox).unwrap().value;
            if status.synced && status.backlog == 0 && stored_messages(&engine, mailbox) == messages {
                break;
            }
            assert!(started.elapsed() < Duration::from_secs(600), "not done after 10 minutes: {status:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // a commit of nothing else is answered after all before it are durable
        engine.store.raise_epoch(mailbox, stafette::store::Role::Smtp).await.unwrap();
        let seconds = started.elapsed().as_secs_f64();
        let messages = stored_messages(&engine, mailbox);
        let (peak_rss_kb, cpu_seconds) = (peak_rss_kb(), cpu_seconds());
        engine.drain().await;
        EngineRun { seconds, cpu_seconds, messages, peak_rss_kb, bytes_on_disk: bytes_below(data_dir) }
    });
    println!("{}", serde_json::to_string(&run).unwrap());
}

fn stored_messages(engine: &Engine, mailbox: stafette::domain::Incarnation) -> u64 {
    let folders = engine.store.folders(mailbox).unwrap();
    folders.iter().map(|row| engine.store.folder_counts(mailbox, row.value.id).unwrap().messages).sum()
}

fn mailbox(port: u16) -> (Mailbox, Grant) {
    let mailbox = Mailbox {
        id: MailboxId::new("anna").unwrap(),
        address: USER.into(),
        display_name: None,
        provider: None,
        imap: Some(Endpoint { host: "127.0.0.1".into(), port, security: Security::Tls }),
        smtp: None,
        auth: Auth::Password { user: USER.into() },
        policy: Policy::default(),
        owner: None,
        reference: None,
        labels: BTreeMap::new(),
        active: true,
    };
    let grant = Grant::new(
        GrantWay::Password,
        GrantSecret::Password { user: USER.into(), password: Secret::new("pass") },
        Timestamp(0),
    );
    (mailbox, grant)
}

fn peak_rss_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// User and system time of this process so far.
fn cpu_seconds() -> f64 {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike;
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    (usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) as f64 / 1e6
}

/// Blocks in use, not lengths: that is what a disk pays.
fn bytes_below(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::symlink_metadata(path).unwrap();
    if !metadata.is_dir() {
        return metadata.blocks() * 512;
    }
    std::fs::read_dir(path).unwrap().map(|entry| bytes_below(&entry.unwrap().path())).sum()
}
