//! A fault proxy for IMAP and SMTP: TLS on both sides, bytes carried as they are until a rule says otherwise.
//! It follows lines and literals, so that a rule can speak of commands and answers.

mod connect;
mod dialog;
mod exchange;
mod follow;
mod pump;
mod rules;
mod tripwire;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::mpsc;

use super::backstage::Backstage;
use super::certs::Certificates;
pub use exchange::{CAPABILITY_AFTER, CAPABILITY_BEFORE, GREETING};
use tripwire::Tripwire;

pub use rules::{Answering, Cut, CutAt, Direction, Edit, Editing, Ending, Kind, Rules, Transport, When};

/// An order to the live connections.
#[derive(Debug, Clone)]
enum Order {
    /// Send this line to the client at the next line boundary.
    Inject(String),
    End(Ending),
}

struct Shared {
    kind: Kind,
    transport: Transport,
    upstream: u16,
    certs: Certificates,
    rules: Mutex<Rules>,
    /// Grows with every change, so that connections notice without taking the lock per byte.
    version: AtomicU64,
    accepted: AtomicUsize,
    live: Mutex<Vec<mpsc::UnboundedSender<Order>>>,
    /// Commands seen from clients, tags removed, credentials cut off.
    commands: Mutex<Vec<String>>,
    to_client: AtomicU64,
    to_server: AtomicU64,
    tripwires: Mutex<Vec<Tripwire>>,
}

impl Shared {
    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap()
    }

    fn live_count(&self) -> usize {
        let mut live = self.live.lock().unwrap();
        live.retain(|order| !order.is_closed());
        live.len()
    }
}

/// A running proxy; it stops listening and ends its connections when dropped.
pub struct ProxyHandle {
    shared: Arc<Shared>,
    pub port: u16,
    task: tokio::task::JoinHandle<()>,
    _backstage: Backstage,
}

impl ProxyHandle {
    /// Listens on a free port before `upstream`, a port of this machine.
    pub fn start(
        backstage: &Backstage,
        upstream: u16,
        kind: Kind,
        transport: Transport,
        certs: &Certificates,
    ) -> Self {
        let (listener, port) = backstage.listen();
        let shared = Arc::new(Shared {
            kind,
            transport,
            upstream,
            certs: certs.clone(),
            rules: Mutex::default(),
            version: AtomicU64::new(1),
            accepted: AtomicUsize::new(0),
            live: Mutex::default(),
            commands: Mutex::default(),
            to_client: AtomicU64::new(0),
            to_server: AtomicU64::new(0),
            tripwires: Mutex::default(),
        });
        let task = backstage.handle().spawn(connect::accept(listener, Arc::clone(&shared)));
        Self { shared, port, task, _backstage: backstage.clone() }
    }

    /// Changes the rules for live and coming connections.
    pub fn change(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut self.shared.rules());
        self.shared.version.fetch_add(1, Ordering::Release);
    }

    /// Back to plain copying; the Exchange profile goes too.
    pub fn clear(&self) {
        self.change(|rules| *rules = Rules::default());
    }

    pub fn exchange_manners(&self) {
        let profile = match self.shared.kind {
            Kind::Imap => exchange::imap(),
            Kind::Smtp => exchange::smtp(),
        };
        self.change(|rules| *rules = profile);
    }

    pub fn cut_after_bytes(&self, bytes: u64, direction: Direction, ending: Ending) {
        self.change(|rules| rules.cuts.push(Cut { direction, at: CutAt::Bytes(bytes), ending }));
    }

    pub fn cut_at(&self, pattern: &[u8], direction: Direction, occurrence: u32, ending: Ending) {
        let at = CutAt::Pattern(pattern.to_vec(), occurrence);
        self.change(|rules| rules.cuts.push(Cut { direction, at, ending }));
    }

    pub fn rate_limit(&self, bytes_per_second: Option<u64>) {
        self.change(|rules| rules.rate = bytes_per_second);
    }

    pub fn delay_ms(&self, delay: Option<u64>) {
        self.change(|rules| rules.delay_ms = delay);
    }

    /// Lets each command, or each group of commands sent at once, wait for so long on its way to the server.
    pub fn delay_commands_ms(&self, delay: Option<u64>) {
        self.change(|rules| rules.command_delay_ms = delay);
    }

    pub fn chunk(&self, size: Option<usize>) {
        self.change(|rules| rules.chunk = size);
    }

    pub fn refuse(&self, refuse: bool) {
        self.change(|rules| rules.refuse = refuse);
    }

    pub fn answer(&self, answering: Answering) {
        self.change(|rules| rules.answers.insert(0, answering));
    }

    pub fn edit(&self, editing: Editing) {
        self.change(|rules| rules.edits.insert(0, editing));
    }

    pub fn capability(&self, before: &str, after: &str) {
        self.change(|rules| rules.capability = Some((before.into(), after.into())));
    }

    pub fn size_factor(&self, factor: f64) {
        self.change(|rules| rules.size_factor = Some(factor));
    }

    // --- Exchange's misfortunes ---

    /// The next `times` commands matching `command` get `BAD Request is throttled.`
    pub fn throttle(&self, command: &str, hint: &str, times: u32) {
        let text = format!("$TAG BAD Request is throttled. Suggested Backoff Time: {hint} milliseconds");
        self.answer(Answering::new(command, &text).times(times));
    }

    /// Sign-in succeeds, the next command does not, and the connection ends.
    pub fn authenticated_but_not_connected(&self, times: u32) {
        let text = "$TAG BAD User is authenticated but not connected.\r\n* BYE Connection closed. 14";
        let rule = Answering::new("*", text).when(When::AfterLogin).times(times).ending(Ending::Fin);
        self.answer(rule);
    }

    /// BYE with AccessTokenExpired on every live connection.
    pub fn expire_sessions(&self) {
        self.inject_now("* BYE Session invalidated - AccessTokenExpired");
        self.end_connections(Ending::Fin);
    }

    /// The same, in the middle of the next literal sent to a client.
    pub fn expire_in_next_literal(&self) {
        let line = "* BYE Session invalidated - AccessTokenExpired".to_string();
        self.change(|rules| rules.break_next_literal = Some(line));
    }

    /// The line that is not IMAP, before the next answer to `command`.
    pub fn server_unavailable(&self, command: &str) {
        self.answer(Answering::new(command, "Server Unavailable. 15").times(1).ending(Ending::Fin));
    }

    /// Sends a line to every client at once.
    pub fn inject_now(&self, line: &str) {
        self.order(&Order::Inject(line.into()));
    }

    pub fn end_connections(&self, ending: Ending) {
        self.order(&Order::End(ending));
    }

    fn order(&self, order: &Order) {
        self.shared.live.lock().unwrap().retain(|live| live.send(order.clone()).is_ok());
    }

    // --- what was seen ---

    /// Connections accepted so far.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::Acquire)
    }

    /// Connections open now.
    pub fn live(&self) -> usize {
        self.shared.live_count()
    }

    /// The clients' commands so far, without tags and credentials.
    pub fn commands(&self) -> Vec<String> {
        self.shared.commands.lock().unwrap().clone()
    }

    /// Bytes carried to clients and to the server.
    pub fn carried(&self) -> (u64, u64) {
        (self.shared.to_client.load(Ordering::Acquire), self.shared.to_server.load(Ordering::Acquire))
    }
}

impl Drop for ProxyHandle {
    fn drop(&mut self) {
        self.task.abort();
        self.end_connections(Ending::Fin);
    }
}
