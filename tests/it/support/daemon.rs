//! The daemon as it is shipped, in a process of its own: started, spoken to over HTTP, killed, started again on
//! the same data. Whatever it logs, at `trace`, is kept and searched for secrets when it has ended.

use crate::support::client::{Client, Gone, Reply};
use crate::support::engine::{create, oauth_parts};
use crate::support::leaks::Scanner;
use crate::world::World;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use stafette::clock;
use stafette::domain::{Incarnation, Mailbox, Timestamp};
use stafette::store::{Store, StoreConfig};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long anything may take before a test fails; nothing is timed by it.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The password of every mailbox here: the world's usual one is too short to be looked for in a log.
pub const PASSWORD: &str = "Sesam-7f3c9a51-oeffne-dich";
const SERVING: &str = ": serving address=";
pub const ADMIN_KEY: &str = "admin-key-5b0c6b1e-of-all-the-tests";

/// How `strace` records every byte and when it was written.
pub const RECORDED: [&str; 7] = ["-f", "--seccomp-bpf", "-y", "-ttt", "-xx", "-s", "16777216"];

/// A world whose mailboxes also open with [`PASSWORD`].
pub fn world_with(addresses: &[&str]) -> crate::world::WorldBuilder {
    let passdb =
        format!("passdb {{\n  driver = static\n  mechanisms = plain login\n  args = password={PASSWORD}\n}}");
    addresses.iter().fold(World::builder().dovecot(&passdb), |world, address| world.mailbox(address))
}

/// What outlives a daemon: its data, its settings, its logs.
pub struct Site {
    data: Rc<tempfile::TempDir>,
    logs: Rc<tempfile::TempDir>,
    settings: BTreeMap<String, String>,
    /// Its secrets are looked for in the logs.
    entra: Option<crate::world::Entra>,
    starts: Cell<u32>,
}

/// A running daemon; killed when dropped.
pub struct Daemon {
    child: Child,
    /// `None`: it ended before it listened.
    client: Option<Client>,
    pub started_at: Timestamp,
    log: Arc<Log>,
    reader: Option<JoinHandle<()>>,
    log_path: PathBuf,
    entra: Option<crate::world::Entra>,
    _folders: [Rc<tempfile::TempDir>; 2],
}

/// The lines so far, and whether there will be more.
#[derive(Default)]
struct Log {
    lines: Mutex<(Vec<String>, bool)>,
    grown: Condvar,
}

impl Site {
    pub fn new(world: &World) -> Self {
        Self { entra: Some(world.entra().clone()), ..Self::trusting(&world.ca_pem()) }
    }

    /// For servers whose certificates come from this authority.
    pub fn trusting(ca_pem: &Path) -> Self {
        let brief = [
            ("STAFETTE_TIMING__STATUS_INTERVAL", "1s"),
            ("STAFETTE_TIMING__FLAG_SCAN", "2s"),
            ("STAFETTE_TIMING__LIST_INTERVAL", "2s"),
            ("STAFETTE_TIMING__RETRY_FIRST", "50ms"),
            ("STAFETTE_TIMING__RETRY_CAP", "1s"),
            ("STAFETTE_TIMING__DEFER_FIRST", "200ms"),
            ("STAFETTE_TIMING__HOLD_RETRY", "500ms"),
            ("STAFETTE_HTTP__LISTEN", "127.0.0.1:0"),
            ("STAFETTE_LOG__FILTER", "trace"),
            ("STAFETTE_ADMIN_KEY", ADMIN_KEY),
        ];
        let mut settings: BTreeMap<_, _> =
            brief.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let [data, logs] = [(); 2].map(|()| Rc::new(tempfile::tempdir().unwrap()));
        settings.insert("STAFETTE_DATA_DIR".into(), data.path().display().to_string());
        settings.insert("STAFETTE_TLS__EXTRA_CA".into(), format!("[{:?}]", ca_pem.display().to_string()));
        Self { data, logs, settings, entra: None, starts: Cell::new(0) }
    }

    pub fn unset(&mut self, name: &str) {
        self.settings.remove(name);
    }

    pub fn set(&mut self, name: impl Into<String>, value: &str) {
        self.settings.insert(name.into(), value.to_owned());
    }

    pub fn data_dir(&self) -> &Path {
        self.data.path()
    }

    /// Opens the store while no daemon runs.
    pub fn store<T>(&self, work: impl AsyncFnOnce(&Store) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let store = Store::open(&StoreConfig::at(self.data.path())).unwrap();
        runtime.block_on(work(&store))
    }

    /// Puts a mailbox that has signed in by OAuth into the store, while no daemon runs.
    pub fn add_signed_in(
        &self,
        world: &World,
        address: &str,
        change: impl FnOnce(&mut Mailbox),
    ) -> Incarnation {
        let (app, mut mailbox, grant) = oauth_parts(world, address, world.imaps_port());
        change(&mut mailbox);
        self.store(async |store| store.put_app(&app, 0).await.unwrap());
        let store = Store::open(&StoreConfig::at(self.data.path())).unwrap();
        create(&store, mailbox, Some(&grant)).incarnation
    }

    pub fn start(&self) -> Daemon {
        let daemon = self.start_with("");
        assert!(daemon.client.is_some(), "the daemon ended:\n{}", daemon.tail());
        daemon
    }

    /// With faults: it may have ended by one of them already.
    pub fn start_with(&self, faults: &str) -> Daemon {
        self.launch(&[], faults)
    }

    /// Under `strace`, which writes to `trace` until the daemon has ended.
    pub fn start_traced(&self, calls: &str, trace: &Path, faults: &str) -> Daemon {
        let (calls, trace) = (format!("trace={calls}"), trace.display().to_string());
        self.launch(&["strace", "-D", "-f", "-y", "-s", "48", "-e", &calls, "-o", &trace, "--"], faults)
    }

    /// With so many open files at most, soft and hard.
    pub fn start_limited(&self, soft: u32, hard: u32) -> Daemon {
        let daemon = self.launch(&["prlimit", &format!("--nofile={soft}:{hard}"), "--"], "");
        assert!(daemon.client.is_some(), "the daemon ended:\n{}", daemon.tail());
        daemon
    }

    /// Under `strace`, which writes all that changes files to `trace`, every byte of it.
    pub fn start_recorded(&self, trace: &Path, faults: &str) -> Daemon {
        let trace = trace.display().to_string();
        let mut wrapper = vec!["strace", "-D"];
        wrapper.extend(RECORDED);
        wrapper.extend(["-e", crate::store::power::CALLS, "-o", &trace, "--"]);
        self.launch(&wrapper, faults)
    }

    fn launch(&self, wrapper: &[&str], faults: &str) -> Daemon {
        let number = self.starts.replace(self.starts.get() + 1);
        let log_path = self.logs.path().join(format!("{number}.log"));
        let started_at = clock::now();
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .args(wrapper)
            .args([env!("CARGO_BIN_EXE_stafette"), "serve"]);
        without_ours(&mut command)
            .envs(&self.settings)
            .env("STAFETTE_FAULTS", faults)
            .env("RUST_BACKTRACE", "0");
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Log::default());
        let stderr = child.stderr.take().unwrap();
        let reader = std::thread::spawn({
            let (log, path) = (Arc::clone(&log), log_path.clone());
            move || keep_log(stderr, &path, &log)
        });
        let serving = log.find(|line| line.contains(SERVING));
        let client = serving.map(|line| {
            let address = line.split("address=").nth(1).unwrap().split(' ').next().unwrap();
            Client::new(address.parse().unwrap(), ADMIN_KEY)
        });
        Daemon {
            child,
            client,
            started_at,
            log,
            reader: Some(reader),
            log_path,
            entra: self.entra.clone(),
            _folders: [Rc::clone(&self.data), Rc::clone(&self.logs)],
        }
    }
}

/// Leaves out what the environment says to the tests: the daemon would take it for its configuration.
pub fn without_ours(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("STAFETTE_")) {
        command.env_remove(name);
    }
    command
}

fn keep_log(stderr: ChildStderr, path: &Path, log: &Log) {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    for line in BufReader::new(stderr).split(b'\n') {
        let line = line.unwrap();
        file.write_all(&line).unwrap();
        file.write_all(b"\n").unwrap();
        log.lines.lock().unwrap().0.push(String::from_utf8_lossy(&line).into_owned());
        log.grown.notify_all();
    }
    file.flush().unwrap();
    log.lines.lock().unwrap().1 = true;
    log.grown.notify_all();
}

impl Log {
    /// The first such line, waited for; `None`: the daemon ended without.
    fn find(&self, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let mut lines = self.lines.lock().unwrap();
        let mut looked_at = 0;
        loop {
            if let Some(found) = lines.0[looked_at..].iter().find(|line| wanted(line)) {
                return Some(found.clone());
            }
            if lines.1 {
                return None;
            }
            looked_at = lines.0.len();
            let (woken, late) = self.grown.wait_timeout(lines, PATIENCE).unwrap();
            lines = woken;
            assert!(!late.timed_out(), "the daemon does not say what it should:\n{}", tail(&lines.0));
        }
    }
}

/// The last lines that say something of ours.
fn tail(lines: &[String]) -> String {
    let ours: Vec<&str> =
        lines.iter().filter(|line| !line.contains("TRACE actix_")).map(String::as_str).collect();
    ours[ours.len().saturating_sub(25)..].join("\n")
}

impl Daemon {
    /// Something to kill this daemon with from another thread.
    pub fn killer(&self) -> impl Fn() + Send + 'static + use<> {
        self.signaller(Signal::SIGKILL)
    }

    /// Something to ask this daemon to end with from another thread.
    pub fn terminator(&self) -> impl Fn() + Send + 'static + use<> {
        self.signaller(Signal::SIGTERM)
    }

    fn signaller(&self, signal: Signal) -> impl Fn() + Send + 'static + use<> {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        move || {
            let _ = kill(pid, signal);
        }
    }

    /// Waits for its end, and the end of whatever it left behind on its standard error.
    pub fn ended(&mut self) -> ExitStatus {
        let status = self.child.wait().unwrap();
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        status
    }

    /// Waits for its end by SIGKILL.
    pub fn killed(&mut self) {
        let status = self.ended();
        assert_eq!(status.signal(), Some(9), "{status}:\n{}", self.tail());
    }

    /// SIGTERM, and what it ends with.
    pub fn terminate(&mut self) -> ExitStatus {
        self.terminator()();
        self.ended()
    }

    /// The first line of the log that is so, waited for.
    pub fn until_log(&self, wanted: impl Fn(&str) -> bool) -> String {
        self.log.find(wanted).unwrap_or_else(|| panic!("the daemon ended:\n{}", self.tail()))
    }

    /// The lines of the log so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lines.lock().unwrap().0.clone()
    }

    pub fn tail(&self) -> String {
        tail(&self.log())
    }

    fn client(&self) -> Result<&Client, Gone> {
        self.client.as_ref().ok_or(Gone)
    }

    pub fn try_get(&self, target: &str) -> Result<Value, Gone> {
        let reply = self.client()?.get(target)?;
        assert_eq!(reply.status, 200, "{target}: {}", reply.json());
        Ok(reply.json())
    }

    pub fn get(&self, target: &str) -> Value {
        self.try_get(target).unwrap_or_else(|_| panic!("the daemon is gone:\n{}", self.tail()))
    }

    pub fn raw(&self, target: &str) -> Vec<u8> {
        let reply = self.client().and_then(|client| client.get(target)).unwrap();
        assert_eq!(reply.status, 200);
        reply.body
    }

    pub fn try_post(&self, target: &str, headers: &[(&str, &str)], body: &Value) -> Result<Reply, Gone> {
        self.client()?.post(target, headers, body)
    }

    pub fn try_patch(&self, target: &str, body: &Value) -> Result<Reply, Gone> {
        self.client()?.patch(target, body)
    }

    pub fn try_delete(&self, target: &str) -> Result<Reply, Gone> {
        self.client()?.delete(target)
    }

    pub fn post(&self, target: &str, body: &Value) -> Reply {
        self.try_post(target, &[], body).unwrap_or_else(|_| panic!("the daemon is gone:\n{}", self.tail()))
    }

    /// What the system says of it: a line of `/proc/<pid>/status`, in KiB.
    pub fn memory(&self, what: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
        line.trim_matches([':', ' ', '\t']).split(' ').next().unwrap().parse().unwrap()
    }

    /// The environment it was started with.
    pub fn environment(&self) -> Vec<u8> {
        std::fs::read(format!("/proc/{}/environ", self.child.id())).unwrap()
    }

    /// Whether it listens, or did.
    pub fn is_serving(&self) -> bool {
        self.client.is_some()
    }

    /// A connection to its API.
    pub fn connect(&self) -> std::net::TcpStream {
        std::net::TcpStream::connect(self.client().unwrap().address()).unwrap()
    }

    /// Something to post there from another thread; it returns when the daemon has answered.
    pub fn poster(&self, target: &'static str) -> impl FnOnce() + Send + 'static + use<> {
        let address = self.client().unwrap().address();
        move || {
            let reply = Client::new(address, ADMIN_KEY).post(target, &[], &Value::Null).unwrap();
            assert_eq!(reply.status, 200, "{target}: {}", reply.json());
        }
    }

    /// Hands a message over for sending; the answer's `id`.
    pub fn try_submit(&self, mailbox: &str, key: &str, message: &Value) -> Result<String, Gone> {
        let target = format!("/v1/mailboxes/{mailbox}/outbox");
        let reply = self.try_post(&target, &[("Idempotency-Key", key)], message)?;
        assert!(matches!(reply.status, 200 | 202), "{}", reply.json());
        Ok(reply.json()["id"].as_str().unwrap().to_owned())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if let Some(reader) = self.reader.take() {
            drop(reader.join());
        }
        if std::thread::panicking() {
            return;
        }
        let mut secrets = self.entra.as_ref().map(crate::world::Entra::secrets).unwrap_or_default();
        secrets.extend([PASSWORD, ADMIN_KEY].map(String::from));
        let log = std::fs::read(&self.log_path).unwrap();
        let is_kept = String::from_utf8_lossy(&log).contains(SERVING);
        assert!(self.client.is_none() || is_kept, "the file holds what the daemon said");
        let leaks = Scanner::new(secrets.iter().map(String::as_str)).leaks(&log);
        assert!(leaks.is_empty(), "secrets in the log: {leaks:#?}");
    }
}

/// A mailbox of the world that signs in with its password, as it is posted.
pub fn password_mailbox(address: &str, imap_port: u16, smtp_port: u16) -> Value {
    json!({
        "id": address.split('@').next(), "address": address,
        "imap": {"host": "127.0.0.1", "port": imap_port, "security": "tls"},
        "smtp": {"host": "localhost", "port": smtp_port, "security": "starttls"},
        "auth": {"kind": "password", "user": address, "password": PASSWORD},
    })
}

/// A message to hand over.
pub fn draft(to: &str, subject: &str) -> Value {
    json!({"to": [{"address": to}], "subject": subject, "text": "Hello\n"})
}
