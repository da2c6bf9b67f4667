//! The engine in a process of its own, so that what it needs can be told apart.

use crate::world::World;
use crate::{CHILD, mailbox};
use stafette::app::Engine;
use stafette::config::Config;
use stafette::domain::{Grant, Mailbox};
use stafette::store::{NewMailbox, Store, StoredMailbox};
use stafette::supervisor::protocol::{GetLags, Reconcile};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What one run of the engine measured of itself.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub struct EngineRun {
    pub seconds: f64,
    pub cpu_seconds: f64,
    pub messages: u64,
    pub peak_rss_kb: u64,
    pub bytes_on_disk: u64,
}

/// Runs the engine in a process of its own, in a fresh data directory.
pub fn engine(world: &World, user: &str, messages: usize) -> EngineRun {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .arg(CHILD)
        .arg(dir.path())
        .arg(world.imaps_port().to_string())
        .arg(world.ca_pem())
        .arg(messages.to_string())
        .arg(user)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "the engine's process failed");
    let run: EngineRun = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(run.messages, messages as u64, "messages stored");
    run
}

/// The engine's own process: `data_dir port ca messages user`.
pub fn run_engine(arguments: &[String]) {
    let data_dir = Path::new(&arguments[0]);
    let port: u16 = arguments[1].parse().unwrap();
    let messages: u64 = arguments[3].parse().unwrap();
    let mut config = Config::default();
    config.data_dir.0 = data_dir.to_path_buf();
    config.tls.extra_ca = vec![Path::new(&arguments[2]).to_path_buf()];
    let run = actix::System::new().block_on(async {
        let engine = Engine::start(&config, None).await.unwrap();
        let (mailbox, grant) = mailbox(port, &arguments[4]);
        let stored = create(&engine.store, mailbox, grant).await;
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

pub fn peak_rss_kb() -> u64 {
    memory_kb("VmHWM:")
}

/// Resident now.
pub fn rss_kb() -> u64 {
    memory_kb("VmRSS:")
}

fn memory_kb(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The longest time that an arbiter let the watchdog wait, in milliseconds.
pub async fn longest_lag_ms(engine: &Engine) -> f64 {
    let lags = engine.supervisor.send(GetLags).await.unwrap();
    lags.into_iter().max().unwrap_or_default().as_secs_f64() * 1e3
}

/// User and system time of this process so far.
pub fn cpu_seconds() -> f64 {
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

/// A mailbox in the store, before the engine has heard of it.
pub async fn create(store: &Store, mailbox: Mailbox, grant: Grant) -> StoredMailbox {
    let new = NewMailbox::new(mailbox, Some(grant));
    let store = store.clone();
    let made = tokio::task::spawn_blocking(move || store.create_mailboxes_blocking(vec![new]));
    made.await.unwrap().unwrap().remove(0)
}
