//! The engine's own process: says when the good mailboxes are live, when each message was told, and at the end what it
//! needed.

use crate::child::{cpu_seconds, create, longest_lag_ms, peak_rss_kb, rss_kb};
use crate::mailbox_of;
use stafette::app::Engine;
use stafette::config::Config;
use stafette::domain::{Endpoint, MailboxState, Security};
use stafette::events::{Cursor, Event, EventType};
use stafette::store::StoredMailbox;
use stafette::supervisor::protocol::Reconcile;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long after the end what is still held is looked at.
const SETTLED: Duration = Duration::from_secs(10);

/// What the engine is to do.
#[derive(serde::Serialize, serde::Deserialize)]
pub struct Orders {
    pub data_dir: PathBuf,
    pub ca: PathBuf,
    pub imaps_port: u16,
    /// Mailboxes on Dovecot, which are their users' names, too.
    pub dovecot: Vec<String>,
    /// Mailboxes on servers in memory, and their ports.
    pub in_memory: Vec<(String, u16)>,
    pub evil_port: Option<u16>,
}

/// What one run measured of itself.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub struct EngineReport {
    pub live_kb: u64,
    pub peak_kb: u64,
    pub settled_kb: u64,
    pub lag_ms: f64,
    pub cpu_seconds: f64,
}

/// What the process says, a line each.
#[derive(serde::Serialize, serde::Deserialize)]
pub enum Line {
    Live,
    /// A message of this number in this mailbox was told, so many microseconds after the epoch.
    New {
        number: usize,
        mailbox: String,
        at: u64,
    },
    Report(EngineReport),
}

impl EngineReport {
    pub fn live_mb(&self) -> f64 {
        self.live_kb as f64 * 1024.0 / 1e6
    }

    pub fn peak_over_live_mb(&self) -> f64 {
        self.peak_kb.saturating_sub(self.live_kb) as f64 * 1024.0 / 1e6
    }

    pub fn kept_mb(&self) -> f64 {
        (self.settled_kb as f64 - self.live_kb as f64) * 1024.0 / 1e6
    }
}

pub fn now_micros() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap()
}

fn say(line: &Line) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(line).unwrap()).unwrap();
    out.flush().unwrap();
}

/// Runs until its standard input says that it is over.
pub fn run(arguments: &[String]) {
    let orders: Orders = serde_json::from_str(&arguments[0]).unwrap();
    actix::System::new().block_on(async {
        let engine = Engine::start(&config(&orders), None).await.unwrap();
        let mut good = Vec::new();
        for id in &orders.dovecot {
            good.push(add(&engine, id, orders.imaps_port, Security::Tls).await);
        }
        for (id, port) in &orders.in_memory {
            good.push(add(&engine, id, *port, Security::None).await);
        }
        engine.supervisor.send(Reconcile).await.unwrap();
        until_live(&engine, &good).await;
        let (live_kb, cpu) = (rss_kb(), cpu_seconds());
        say(&Line::Live);
        if let Some(port) = orders.evil_port {
            add(&engine, "evil", port, Security::None).await;
            engine.supervisor.send(Reconcile).await.unwrap();
        }
        tell_messages(&engine).await;
        let (peak_kb, cpu_seconds, lag_ms) =
            (peak_rss_kb(), cpu_seconds() - cpu, longest_lag_ms(&engine).await);
        tokio::time::sleep(SETTLED).await;
        say(&Line::Report(EngineReport { live_kb, peak_kb, settled_kb: rss_kb(), lag_ms, cpu_seconds }));
    });
    std::process::exit(0); // a hostile connection may be in the middle of something
}

/// The usual intervals, but for those that give a hostile server rest.
fn config(orders: &Orders) -> Config {
    let mut config = Config::default();
    config.data_dir.0.clone_from(&orders.data_dir);
    config.tls.extra_ca = vec![orders.ca.clone()];
    config.timing.retry_first = Duration::from_millis(20);
    config.timing.retry_cap = Duration::from_millis(20);
    config.timing.idle_again = Duration::from_millis(1);
    config
}

async fn add(engine: &Engine, id: &str, port: u16, security: Security) -> StoredMailbox {
    let (mut mailbox, grant) = mailbox_of(id, port, &format!("{id}@makler.test"));
    mailbox.imap = Some(Endpoint { host: "127.0.0.1".into(), port, security });
    create(&engine.store, mailbox, grant).await
}

async fn until_live(engine: &Engine, good: &[StoredMailbox]) {
    let mut durable = engine.store.watch_durable();
    let is_live = |stored: &StoredMailbox| {
        engine.store.status(stored.incarnation).unwrap().value.state == MailboxState::Live
    };
    while !good.iter().all(is_live) {
        durable.changed().await.unwrap();
    }
}

/// Says of each new message when it was durable, until the standard input has a line or ends.
async fn tell_messages(engine: &Engine) {
    let (tell, mut over) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_line(&mut String::new());
        let _ = tell.send(());
    });
    let mut durable = engine.store.watch_durable();
    let mut cursor = Cursor(0);
    loop {
        let is_new = |event: &Event| event.kind == EventType::MessageNew;
        let (found, reached) = engine.store.events_after(cursor, usize::MAX, is_new).unwrap();
        let at = now_micros();
        cursor = reached;
        for event in found {
            let id = event.data["message_id"].as_str().unwrap_or_default();
            let number = id.strip_prefix("<new-").and_then(|rest| rest.split('@').next()?.parse().ok());
            if let (Some(number), Some(mailbox)) = (number, &event.mailbox) {
                say(&Line::New { number, mailbox: mailbox.to_string(), at });
            }
        }
        tokio::select! {
            _ = &mut over => return,
            changed = durable.changed() => changed.unwrap(),
        }
    }
}
