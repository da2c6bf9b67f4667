//! The engine in this process: an actix system on a thread of its own, spoken to through its store.

use crate::support::api::Api;
use crate::support::overheard;
use crate::world::{Seen, World};
use stafette::app::Engine;
use stafette::config::Config;
use stafette::domain::app::AppCredentials;
use stafette::domain::mailbox::Policy;
use stafette::domain::{App, AppId, ProviderKind};
use stafette::domain::{
    Auth, Endpoint, Folder, Grant, GrantSecret, GrantWay, Incarnation, Mailbox, MailboxId, MailboxState,
    Secret, Security, SmtpAuth, SmtpEndpoint, Timestamp,
};
use stafette::events::{Cursor, Event, EventType};
use stafette::store::{Commit, MailboxStatus, NewMailbox, Store, StoredMailbox};
use stafette::supervisor::Supervisor;
use stafette::supervisor::protocol::{GetActors, GetLags, Reconcile, Wake, WakeReason};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

/// How long anything may take before a test fails; nothing is timed by it.
const PATIENCE: Duration = Duration::from_secs(20);

/// The key of every API that a test serves.
pub const KEY: &str = "the-key-of-a-test-that-nobody-guesses";

pub struct Running {
    pub store: Store,
    supervisor: actix::Addr<Supervisor>,
    server: Option<(stafette::http::ServersHandle, SocketAddr)>,
    system: actix::System,
    thread: Option<std::thread::JoinHandle<()>>,
    runtime: tokio::runtime::Runtime,
}

/// A configuration whose intervals are short enough for a test.
pub fn config(world: &World, data_dir: &Path) -> Config {
    let mut config = bare_config(data_dir);
    config.tls.extra_ca = vec![world.ca_pem()];
    overheard::watch(world);
    config
}

/// The same without a world.
pub fn bare_config(data_dir: &Path) -> Config {
    let mut config = Config::default();
    config.data_dir.0 = data_dir.to_path_buf();
    config.http.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    // nobody answers there: no test asks a real name server, or a real domain for its servers
    config.net.nameserver = Some(SocketAddr::from(([127, 0, 0, 1], 9)));
    config.net.discovery = false;
    config.timing.status_interval = Duration::from_millis(300);
    config.timing.flag_scan = Duration::from_millis(600);
    config.timing.list_interval = Duration::from_millis(300);
    config.timing.mass_delete_confirm = Duration::from_millis(500);
    config.timing.retry_first = Duration::from_millis(50);
    config.timing.retry_cap = Duration::from_secs(1);
    config.timing.defer_first = Duration::from_millis(200);
    config.timing.hold_retry = Duration::from_millis(500);
    config
}

impl Running {
    pub fn start(config: &Config) -> Self {
        Self::launch(config, false)
    }

    /// With its HTTP server, on a free port.
    pub fn serve(config: &Config) -> (Self, Api) {
        let running = Self::launch(config, true);
        let (_, address) = running.server.as_ref().unwrap();
        let api = Api::at(*address, KEY);
        (running, api)
    }

    fn launch(config: &Config, serves: bool) -> Self {
        until_released(&config.data_dir.0);
        overheard::listen();
        let (sender, receiver) = mpsc::channel();
        let config = config.clone();
        let thread = std::thread::spawn(move || {
            let system = actix::System::new();
            let parts = system.block_on(async {
                let engine = Engine::start(&config, None).await.unwrap();
                let server = serves.then(|| {
                    let bound = engine.listen(&config, Some(Secret::new(KEY))).unwrap();
                    let (server, address) = (bound.server, bound.address);
                    let handle = server.handle();
                    let server = server.run();
                    actix::spawn(server);
                    (handle, address)
                });
                let Engine { store, supervisor, .. } = engine;
                (store, supervisor, server)
            });
            sender.send((parts, actix::System::current())).unwrap();
            system.run().unwrap();
        });
        let ((store, supervisor, server), system) = receiver.recv().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { store, supervisor, server, system, thread: Some(thread), runtime }
    }

    /// A mailbox that was made over the API.
    pub fn stored(&self, id: &str) -> StoredMailbox {
        self.store.mailbox(&MailboxId::new(id).unwrap()).unwrap().unwrap()
    }

    /// Work of the store that has to be awaited.
    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    pub fn add(&self, mailbox: Mailbox, grant: &Grant) -> StoredMailbox {
        let stored = create(&self.store, mailbox, Some(grant));
        self.runtime.block_on(self.supervisor.send(Reconcile)).unwrap();
        stored
    }

    /// What a change over the API does.
    pub fn change(&self, stored: &StoredMailbox, change: impl FnOnce(&mut Mailbox)) {
        let mut changed = self.stored(stored.mailbox.id.as_str());
        change(&mut changed.mailbox);
        let mut commit = Commit::of_mailbox(changed.incarnation);
        self.store.put_mailbox(&mut commit, &changed).unwrap();
        self.store.commit_blocking(commit).unwrap();
        self.runtime.block_on(self.supervisor.send(Reconcile)).unwrap();
    }

    pub fn put_app(&self, credentials: &AppCredentials) {
        if self.store.app(&credentials.app.id).unwrap().is_none() {
            self.runtime.block_on(self.store.put_app(credentials, 0)).unwrap();
        }
    }

    /// What a finished sign-in does.
    pub fn replace_grant(&self, stored: &StoredMailbox, grant: &Grant) {
        let generation = self.store.grant(stored.incarnation).unwrap().map_or(0, |row| row.generation);
        let mut commit = Commit::of_mailbox(stored.incarnation);
        self.store.put_grant(&mut commit, stored.incarnation, generation, grant).unwrap();
        self.store.commit_blocking(commit).unwrap();
    }

    pub fn wake(&self, mailbox: Incarnation, reason: WakeReason) {
        self.runtime.block_on(self.supervisor.send(Wake { mailbox, reason })).unwrap();
    }

    /// How often a mailbox's actors died.
    pub fn restarts(&self, mailbox: Incarnation) -> u32 {
        self.runtime.block_on(self.supervisor.send(GetActors { mailbox })).unwrap().restarts
    }

    /// How long each arbiter was kept from answering at most.
    pub fn lags(&self) -> Vec<Duration> {
        self.runtime.block_on(self.supervisor.send(GetLags)).unwrap()
    }

    /// Waits until the status fulfils a condition, woken by commits.
    pub fn until(
        &self,
        mailbox: Incarnation,
        what: &str,
        condition: impl Fn(&MailboxStatus) -> bool,
    ) -> MailboxStatus {
        self.wait(what, || {
            let status = self.store.status(mailbox).unwrap().value;
            condition(&status).then_some(status)
        })
    }

    /// Waits until the mailbox is live and that was told: rows are readable a moment before they are durable.
    pub fn until_live(&self, mailbox: Incarnation) -> MailboxStatus {
        self.until(mailbox, "live", |status| {
            let told = self.events_of(EventType::MailboxStateChanged);
            let is_live = status.state == MailboxState::Live && status.synced;
            is_live && told.last().is_some_and(|event| event.data["state"] == "live")
        })
    }

    /// Waits for something in the store, looked for after every commit.
    pub fn wait<T>(&self, what: &str, look: impl Fn() -> Option<T>) -> T {
        self.wait_or(what, look, || self.story())
    }

    /// The events in a line each, for a test that failed.
    fn story(&self) -> String {
        let line = |event: &Event| {
            let data = &event.data;
            format!("{:?} {} {} {}", event.kind, data["folder"], data["uid"], data["state"])
        };
        let events = self.events().iter().rev().take(30).rev().map(line).collect::<Vec<_>>().join("\n");
        format!("{events}\n{}", overheard::tail())
    }

    /// [`Running::wait`] with words of its own for the failure.
    pub fn wait_or<T>(&self, what: &str, look: impl Fn() -> Option<T>, explain: impl Fn() -> String) -> T {
        let mut durable = self.store.watch_durable();
        self.runtime.block_on(async {
            let search = async {
                loop {
                    if let Some(found) = look() {
                        return found;
                    }
                    // commits without events wake nobody: look again now and then
                    drop(tokio::time::timeout(Duration::from_millis(100), durable.changed()).await);
                }
            };
            match tokio::time::timeout(PATIENCE, search).await {
                Ok(found) => found,
                Err(_) => panic!("waited in vain for {what}: {}", explain()),
            }
        })
    }

    pub fn events(&self) -> Vec<Event> {
        self.store.events_after(Cursor(0), usize::MAX, |_| true).unwrap().0
    }

    pub fn events_of(&self, kind: EventType) -> Vec<Event> {
        self.events().into_iter().filter(|event| event.kind == kind).collect()
    }

    pub fn until_event(&self, kind: EventType, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        self.wait(what, || self.events_of(kind).into_iter().find(&wanted))
    }

    pub fn folder(&self, mailbox: Incarnation, path: &str) -> Folder {
        let rows = self.store.folders(mailbox).unwrap();
        rows.into_iter().map(|row| row.value).find(|folder| folder.path == path).unwrap()
    }

    /// What is stored, in the shape of the world's own view.
    pub fn snapshot(&self, mailbox: Incarnation) -> BTreeMap<String, Vec<Seen>> {
        let mut snapshot = BTreeMap::new();
        let folders = self.store.folders(mailbox).unwrap().into_iter().map(|row| row.value);
        for folder in folders.filter(|folder| folder.selectable) {
            let entries = self.store.uid_entries(mailbox, folder.id, folder.incarnation).unwrap();
            let seen = entries.iter().filter_map(|entry| {
                // removed since the index was read: the next look sees neither
                let message = self.store.message(mailbox, entry.message).unwrap()?;
                let raw = self.store.read_body(mailbox, message.body.unwrap()).unwrap();
                assert_eq!(raw.len() as u64, message.size);
                Some(Seen {
                    uid: entry.uid,
                    sha256: sha256(&raw),
                    flags: message.flags.iter().map(String::from).collect(),
                })
            });
            snapshot.insert(folder.path, seen.collect());
        }
        snapshot
    }
}

/// An earlier engine's last thread may outlive its system by a moment.
pub fn until_released(data_dir: &Path) {
    if let Ok(lock) = std::fs::File::options().read(true).write(true).open(data_dir.join("lock")) {
        lock.lock().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some((server, _)) = self.server.take() {
            self.runtime.block_on(server.stop(false));
        }
        self.system.stop();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
        if !std::thread::panicking() {
            overheard::assert_kept_secret();
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A mailbox of the world that signs in with its password.
pub fn password_mailbox(world: &World, address: &str, imap_port: u16) -> (Mailbox, Grant) {
    let smtp = SmtpEndpoint {
        host: "localhost".into(),
        port: world.submission_port(),
        security: Security::Starttls,
        auth: SmtpAuth::Inherit,
    };
    let mailbox = Mailbox { smtp: Some(smtp), ..receiving_mailbox(address, imap_port) };
    (mailbox, password_grant(address))
}

/// A mailbox that only receives.
pub fn receiving_mailbox(address: &str, imap_port: u16) -> Mailbox {
    Mailbox {
        id: MailboxId::new(address.split('@').next().unwrap()).unwrap(),
        address: address.into(),
        display_name: None,
        provider: None,
        imap: Some(Endpoint { host: "127.0.0.1".into(), port: imap_port, security: Security::Tls }),
        smtp: None,
        auth: Auth::Password { user: address.into() },
        policy: Policy::default(),
        owner: None,
        reference: None,
        labels: BTreeMap::new(),
        active: true,
    }
}

/// The world's password.
pub fn password_grant(address: &str) -> Grant {
    let secret = GrantSecret::Password { user: address.into(), password: Secret::new("pass") };
    Grant::new(GrantWay::Password, secret, Timestamp(0))
}

/// The stand-in's web app, as it is stored.
pub fn web_app(world: &World) -> AppCredentials {
    let entra = world.entra();
    let web = entra.web_app();
    let id = AppId::new("o365").unwrap();
    AppCredentials {
        app: App {
            id,
            provider: ProviderKind::Office365,
            tenant: Some(entra.tenant_id()),
            client_id: web.client_id.clone(),
            authority: Some(entra.authority_url().to_owned()),
            scopes: None,
            domains: vec![],
            secret_expires_at: None,
        },
        client_secret: Some(Secret::new(web.secret())),
        certificate: None,
        service_account: None,
    }
}

/// A mailbox of the world that signed in through the stand-in's web app.
pub fn oauth_mailbox(world: &World, running: &Running, address: &str, imap_port: u16) -> (Mailbox, Grant) {
    let (app, mailbox, grant) = oauth_parts(world, address, imap_port);
    running.put_app(&app);
    (mailbox, grant)
}

/// The app, the mailbox and its grant.
pub fn oauth_parts(world: &World, address: &str, imap_port: u16) -> (AppCredentials, Mailbox, Grant) {
    let entra = world.entra();
    let app = web_app(world);
    let (mut mailbox, mut grant) = password_mailbox(world, address, imap_port);
    mailbox.auth =
        Auth::Oauth { app: Some(app.app.id.clone()), login: None, aliases: vec![], delegates: vec![] };
    let tokens = entra.sign_in(address);
    grant.way = GrantWay::Redirect;
    grant.secret = GrantSecret::Refresh { refresh_token: Secret::new(tokens.refresh_token.unwrap()) };
    grant.send_client_secret = true;
    (app, mailbox, grant)
}

/// A mailbox in a store, while nobody else has heard of it.
pub fn create(store: &Store, mailbox: Mailbox, grant: Option<&Grant>) -> StoredMailbox {
    let new = NewMailbox::new(mailbox, grant.cloned());
    store.create_mailboxes_blocking(vec![new]).unwrap().remove(0)
}
