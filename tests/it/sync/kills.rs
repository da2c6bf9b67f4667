//! SIGKILL while mail is being received: at a random byte of the first sync, over and over while mail keeps coming.
//! Every message is there once, with its bytes and flags, and was announced exactly once.

use crate::support::client::Gone;
use crate::support::daemon::{Daemon, Site, password_mailbox, world_with};
use crate::support::follow::present;
use crate::support::rounds::{randomness, rounds};
use crate::world::proxy::Direction;
use crate::world::{Kind, ProxyHandle, SeedOptions, Transport, World};
use rand::Rng;
use rand::rngs::StdRng;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const ANNA: &str = "anna@makler.test";
/// Bytes per second through the proxy.
const RATE: u64 = 6 << 20;

fn add_anna(daemon: &Daemon, proxy: &ProxyHandle) -> Result<(), Gone> {
    let posted = password_mailbox(ANNA, proxy.port, 1);
    let reply = daemon.try_post("/v1/mailboxes", &[], &posted)?;
    assert!(matches!(reply.status, 201 | 409), "{}", reply.json());
    Ok(())
}

/// At that very byte, or at any instant of what it leads to: bytes stop while a window is being committed.
fn kill_soon_after(proxy: &ProxyHandle, bytes: u64, daemon: &Daemon, rng: &mut StdRng) {
    let kill = daemon.killer();
    let later = Duration::from_micros(if rng.random() { 0 } else { rng.random_range(0..200_000) });
    proxy.after_bytes(bytes, Direction::ToClient, move || {
        if later.is_zero() {
            kill();
        } else {
            drop(std::thread::spawn(move || {
                std::thread::sleep(later);
                kill();
            }));
        }
    });
}

/// Inside a commit: its packs written, synced, its batch written.
const COMMIT_POINTS: [&str; 3] = ["commit.packs_written", "commit.before_batch", "commit.before_sync"];

/// Where the kills met the daemon, by how much of the mail was stored.
#[derive(Default)]
struct Met {
    nothing_stored: usize,
    some_stored: usize,
    all_stored: usize,
}

/// From an empty store: killed by the proxy at a random byte, started again, finished.
#[test]
fn a_first_sync_killed_at_any_byte_stores_and_announces_everything_once() {
    let mut rng = randomness("first sync");
    let world = world_with(&[ANNA]).without_postfix().start();
    let messages = 150;
    let seeded = SeedOptions {
        messages,
        inbox_percent: 60,
        largest: 200_000,
        median_size: 12_000.0,
        ..SeedOptions::default()
    };
    let report = world.seed(ANNA, &seeded);
    let theirs = present(&world, ANNA);
    let proxy = world.proxy(Kind::Imap, Transport::ImplicitTls);
    let whole = {
        let daemon = Site::new(&world).start();
        add_anna(&daemon, &proxy).unwrap();
        daemon.until_live("anna");
        daemon.assert_stored(&theirs, "anna");
        proxy.carried().0
    };
    assert!(whole > report.wire_bytes);
    proxy.rate_limit(Some(RATE));
    let (rounds, mut met) = (rounds(20), Met::default());
    for _ in 0..rounds {
        let site = Site::new(&world);
        let at = rng.random_range(1..whole / 100 * 99);
        let mut daemon = site.start();
        kill_soon_after(&proxy, at, &daemon, &mut rng);
        // the kill may come when all is done: the last bytes are those of IDLE
        add_anna(&daemon, &proxy).and_then(|()| daemon.try_until_live("anna", 1)).ok();
        daemon.killed();
        let daemon = site.start();
        add_anna(&daemon, &proxy).unwrap();
        let stored = daemon.get("/v1/mailboxes/anna")["sync"]["messages"].as_u64().unwrap();
        match usize::try_from(stored).unwrap() {
            0 => met.nothing_stored += 1,
            stored if stored < messages => met.some_stored += 1,
            _ => met.all_stored += 1,
        }
        daemon.until_live("anna");
        daemon.assert_stored(&theirs, "anna");
    }
    println!(
        "first sync: {rounds} runs of {messages} messages, {whole} bytes, each killed once at a random byte and finished: \
         all right; after the kill {} had stored nothing, {} a part, {} everything",
        met.nothing_stored, met.some_stored, met.all_stored
    );
}

/// Delivers and flags as long as it is let.
struct Deliverer {
    go: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<usize>,
}

impl Deliverer {
    fn start(world: &World) -> Self {
        let go = Arc::new(AtomicBool::new(true));
        let (mailboxes, going) = (world.mailboxes.clone(), Arc::clone(&go));
        let thread = std::thread::spawn(move || {
            let mut delivered = 0;
            while going.load(Ordering::Acquire) {
                let batch: Vec<Vec<u8>> = (delivered..delivered + 5).map(message).collect();
                mailboxes.deliver_all(ANNA, &batch);
                delivered += batch.len();
                let uid = u32::try_from(delivered).unwrap();
                mailboxes.set_flags(ANNA, "INBOX", uid - 1, "+FLAGS", "\\Flagged");
                mailboxes.set_flags(ANNA, "INBOX", uid / 2, "+FLAGS", "\\Seen \\Answered");
            }
            delivered
        });
        Self { go, thread }
    }

    fn end(self) -> usize {
        self.go.store(false, Ordering::Release);
        self.thread.join().unwrap()
    }
}

fn message(number: usize) -> Vec<u8> {
    let text = format!("line of message {number}\r\n").repeat(1 + number * 37 % 300);
    format!("From: b@kunde.test\r\nSubject: n{number}\r\nMessage-ID: <n{number}@kunde.test>\r\n\r\n{text}")
        .into_bytes()
}

/// One store, killed over and over: at any byte, and inside commits.
#[test]
fn a_store_killed_again_and_again_while_mail_keeps_coming_has_everything_once() {
    let mut rng = randomness("while mail comes");
    let world = world_with(&[ANNA]).without_postfix().start();
    let proxy = world.proxy(Kind::Imap, Transport::ImplicitTls);
    proxy.rate_limit(Some(RATE));
    let site = Site::new(&world);
    let deliverer = Deliverer::start(&world);
    add_anna(&site.start(), &proxy).unwrap();
    let rounds = rounds(50);
    let mut stored_mail = 0;
    for round in 0..rounds {
        let mut daemon = match COMMIT_POINTS.get(round % (2 * COMMIT_POINTS.len())) {
            Some(point) => site.start_with(&format!("{point}=kill@{}", rng.random_range(1..60))),
            None => {
                let daemon = site.start();
                kill_soon_after(&proxy, rng.random_range(1..300_000), &daemon, &mut rng);
                daemon
            }
        };
        daemon.killed();
        stored_mail += usize::from(daemon.log().iter().any(|line| line.contains("batch stored")));
    }
    let delivered = deliverer.end();
    let daemon = site.start();
    daemon.until_live("anna");
    let theirs = present(&world, ANNA);
    daemon.until("the last flags", || (daemon.snapshot("anna") == theirs).then_some(()));
    daemon.assert_stored(&theirs, "anna");
    assert_eq!(theirs["INBOX"].len(), delivered);
    assert!(stored_mail * 4 > rounds, "it lived long enough to store something: {stored_mail} of {rounds}");
    println!(
        "while mail comes: one store killed {rounds} times, {stored_mail} times after it had stored new mail, \
         {delivered} messages delivered meanwhile: all right"
    );
}
