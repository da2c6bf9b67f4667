//! The engine's own process: brings all mailboxes to live, waits a while, and says what it needed.

use super::{MESSAGES, user};
use crate::child::{cpu_seconds, longest_lag_ms, peak_rss_kb, rss_kb};
use crate::mailbox_of;
use stafette::app::Engine;
use stafette::config::Config;
use stafette::events::{Cursor, Event, EventType};
use stafette::store::NewMailbox;
use stafette::supervisor::protocol::Reconcile;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long all are idle before memory is looked at.
const SETTLED: Duration = Duration::from_secs(5);

/// What the engine is to do.
#[derive(serde::Serialize, serde::Deserialize)]
pub struct Orders {
    pub data_dir: PathBuf,
    pub ca: PathBuf,
    pub imaps_port: u16,
    pub mailboxes: usize,
    /// The last event of the run before; 0: there was none.
    pub cursor: u64,
}

/// What one run measured of itself.
#[derive(serde::Serialize, serde::Deserialize)]
pub struct Run {
    pub seconds: f64,
    pub cpu_seconds: f64,
    pub lag_ms: f64,
    pub peak_kb: u64,
    pub idle_kb: u64,
    pub cursor: u64,
}

pub fn run(arguments: &[String]) {
    let orders: Orders = serde_json::from_str(&arguments[0]).unwrap();
    let mut config = Config::default();
    config.data_dir.0.clone_from(&orders.data_dir);
    config.tls.extra_ca = vec![orders.ca.clone()];
    stafette::descriptors::raise();
    let run = actix::System::new().block_on(async {
        let mut started = Instant::now();
        let engine = Engine::start(&config, None).await.unwrap();
        if orders.cursor == 0 {
            create(&engine, &orders).await;
            started = Instant::now();
            engine.supervisor.send(Reconcile).await.unwrap();
        }
        let cursor = until_live(&engine, &orders).await;
        let (seconds, cpu_seconds) = (started.elapsed().as_secs_f64(), cpu_seconds());
        tokio::time::sleep(SETTLED).await;
        let (lag_ms, peak_kb, idle_kb) = (longest_lag_ms(&engine).await, peak_rss_kb(), rss_kb());
        engine.drain().await;
        Run { seconds, cpu_seconds, lag_ms, peak_kb, idle_kb, cursor }
    });
    println!("{}", serde_json::to_string(&run).unwrap());
}

async fn create(engine: &Engine, orders: &Orders) {
    let new = |number: usize| {
        let (mailbox, grant) = mailbox_of(&format!("m{number:04}"), orders.imaps_port, &user(number));
        NewMailbox::new(mailbox, Some(grant))
    };
    let all: Vec<NewMailbox> = (0..orders.mailboxes).map(new).collect();
    let store = engine.store.clone();
    tokio::task::spawn_blocking(move || {
        for some in all.chunks(100) {
            store.create_mailboxes_blocking(some.to_vec()).unwrap();
        }
    })
    .await
    .unwrap();
}

/// Waits until every mailbox said that it is live, and on a first sync every message was told; the last event's place.
async fn until_live(engine: &Engine, orders: &Orders) -> u64 {
    let mut durable = engine.store.watch_durable();
    let (mut cursor, mut live, mut messages) = (Cursor(orders.cursor), BTreeSet::new(), 0);
    let expected = if orders.cursor == 0 { orders.mailboxes * MESSAGES } else { 0 };
    while live.len() < orders.mailboxes || messages < expected {
        let (found, reached): (Vec<Event>, Cursor) =
            engine.store.events_after(cursor, usize::MAX, |_| true).unwrap();
        cursor = reached;
        for event in found {
            messages += usize::from(event.kind == EventType::MessageNew);
            if event.kind == EventType::MailboxStateChanged && event.data["state"] == "live" {
                live.extend(event.mailbox);
            }
        }
        if live.len() < orders.mailboxes || messages < expected {
            let next = tokio::time::timeout(Duration::from_secs(120), durable.changed()).await;
            next.unwrap_or_else(|_| panic!("{} live, {messages} messages", live.len())).unwrap();
        }
    }
    cursor.0
}
