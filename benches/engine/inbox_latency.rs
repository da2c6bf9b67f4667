//! How long new mail in the inbox waits for its event while the engine also looks after many other folders, on a server
//! that is some milliseconds away.
//!
//! Dovecot holds IDLE's notifications back for up to half a second, so that a bare client waits in IDLE on the same
//! mailbox, without the distance: its time is the floor.

use crate::child::create;
use crate::raw::Session;
use crate::world::{Kind, Transport, World};
use crate::{USER, commit, mailbox, number, seed_folders};
use stafette::app::Engine;
use stafette::config::Config;
use stafette::events::{Cursor, EventType};
use stafette::supervisor::protocol::Reconcile;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// When something was seen: which message, and the time.
type Sighting = (usize, Instant);

pub fn run(arguments: &[String]) {
    let folders: usize = number(arguments, "--folders", 400);
    let length = Duration::from_secs(number(arguments, "--seconds", 70));
    let delay: u64 = number(arguments, "--delay", 25);
    let world = World::builder().mailbox(USER).without_postfix().start();
    seed_folders(&world, USER, (0..folders).map(|number| format!("F{number:04}")));
    let proxy = world.proxy(Kind::Imap, Transport::ImplicitTls);
    proxy.delay_commands_ms(Some(delay));
    let started = Instant::now();
    let (events, seen) = mpsc::channel();
    let (live, is_live) = mpsc::channel();
    let port = proxy.port;
    let (ca, data) = (world.ca_pem(), tempfile::tempdir().unwrap());
    let data_dir = data.path().to_path_buf();
    std::thread::spawn(move || engine(port, ca, data_dir, &live, &events));
    is_live.recv().unwrap();
    eprintln!("{folders} folders in step after {:.1} s", started.elapsed().as_secs_f64());
    let bare = bare_client(&world);
    let delivered = deliver(&world, length);
    let told = collect(&seen, delivered.len());
    let noticed = collect(&bare, delivered.len());
    println!(
        "{} messages into an inbox beside {folders} folders, {delay} ms for each command; {}",
        delivered.len(),
        commit()
    );
    println!();
    println!("{:<44} {:>8} {:>8} {:>8}", "from delivery, in milliseconds", "p50", "p90", "p99");
    report("bare client in IDLE, no distance: EXISTS", &delivered, &noticed);
    report("stafette: event (durable)", &delivered, &told);
    drop((proxy, world, data));
    std::process::exit(0); // the engine's thread has no other end
}

fn report(name: &str, delivered: &[Instant], seen: &BTreeMap<usize, Instant>) {
    let mut waits: Vec<f64> = delivered
        .iter()
        .enumerate()
        .map(|(number, at)| seen[&number].saturating_duration_since(*at).as_secs_f64() * 1e3)
        .collect();
    waits.sort_by(f64::total_cmp);
    let at = |share: usize| waits[(waits.len() * share / 100).min(waits.len() - 1)];
    println!("{name:<44} {:>8.0} {:>8.0} {:>8.0}", at(50), at(90), at(99));
}

/// A message every second or so, not in step with anything; when each was accepted.
fn deliver(world: &World, length: Duration) -> Vec<Instant> {
    let started = Instant::now();
    let mut delivered = Vec::new();
    while started.elapsed() < length {
        let number = delivered.len();
        let text = format!("Subject: new {number}\r\nMessage-ID: <new-{number}@kunde.test>\r\n\r\nHello\r\n");
        world.deliver(USER, text.as_bytes());
        delivered.push(Instant::now());
        std::thread::sleep(Duration::from_millis(800 + (number as u64 * 137) % 400));
    }
    delivered
}

/// The first sighting of each message.
fn collect(seen: &mpsc::Receiver<Sighting>, count: usize) -> BTreeMap<usize, Instant> {
    let mut first = BTreeMap::new();
    while first.len() < count {
        let (number, at) = seen.recv_timeout(Duration::from_secs(120)).expect("every message is seen");
        first.entry(number).or_insert(at);
    }
    first
}

/// Waits in IDLE beside the engine: the n-th EXISTS tells of the n-th message.
fn bare_client(world: &World) -> mpsc::Receiver<Sighting> {
    let (sender, seen) = mpsc::channel();
    let mut session = Session::open(world, USER);
    session.say("SELECT INBOX");
    session.begin("b IDLE");
    assert!(session.line().unwrap().starts_with('+'));
    std::thread::spawn(move || {
        let mut known = 0;
        while let Ok(line) = session.line() {
            let exists = line.trim_end().strip_suffix(" EXISTS").and_then(|line| line.strip_prefix("* "));
            let Some(exists) = exists.and_then(|text| text.parse::<usize>().ok()) else { continue };
            for number in known..exists {
                let _ = sender.send((number, Instant::now()));
            }
            known = known.max(exists);
        }
    });
    seen
}

/// The engine with its usual intervals; says when it is live, then when each message was told.
fn engine(
    port: u16,
    ca: PathBuf,
    data_dir: PathBuf,
    live: &mpsc::Sender<()>,
    events: &mpsc::Sender<Sighting>,
) {
    let mut config = Config::default();
    config.data_dir.0 = data_dir;
    config.tls.extra_ca = vec![ca];
    actix::System::new().block_on(async {
        let engine = Engine::start(&config, None).await.unwrap();
        let (mailbox, grant) = mailbox(port, USER);
        create(&engine.store, mailbox, grant).await;
        let mut durable = engine.store.watch_durable();
        engine.supervisor.send(Reconcile).await.unwrap();
        let mut cursor = Cursor(0);
        loop {
            let (found, reached) = engine.store.events_after(cursor, usize::MAX, |_| true).unwrap();
            let now = Instant::now();
            cursor = reached;
            for event in found {
                if event.kind == EventType::MailboxStateChanged && event.data["state"] == "live" {
                    let _ = live.send(());
                }
                if let Some(number) = message_number(&event) {
                    let _ = events.send((number, now));
                }
            }
            durable.changed().await.unwrap();
        }
    });
}

/// Which of the delivered messages an event announces.
fn message_number(event: &stafette::events::Event) -> Option<usize> {
    if event.kind != EventType::MessageNew {
        return None;
    }
    let id = event.data["message_id"].as_str()?;
    id.strip_prefix("<new-")?.split('@').next()?.parse().ok()
}
