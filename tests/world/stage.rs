//! One world: builds its folder, starts its servers, and takes everything down again.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::backstage::Backstage;
use super::certs::Certificates;
use super::config::{self, Ports};
use super::entra::{Entra, EntraOptions};
use super::exim;
use super::mailbox::{Mailboxes, Seen};
use super::process::{self, Process};
use super::proxy::{Kind, ProxyHandle, Transport};
use super::seeder::{self, SeedOptions, SeedReport};

/// Postfix' master changes its user for a moment, which makes the kernel forget its parent-death signal; so a
/// shell keeps the signal and passes it on.
const POSTFIX: &str = "/usr/lib/postfix/sbin/master -d -c \"$1\" & child=$!; \
                       trap 'kill -TERM $child' TERM; wait $child; wait $child";

/// Who takes mail on the submission port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Submission {
    #[default]
    Postfix,
    Exim(PathBuf),
    Nobody,
}

pub struct World {
    dovecot: Option<Process>,
    submission: Option<Process>,
    pub ports: Ports,
    pub certs: Certificates,
    entra: Entra,
    pub mailboxes: Mailboxes,
    backstage: Backstage,
    dir: PathBuf,
    _temporary: Option<tempfile::TempDir>,
}

#[derive(Default)]
pub struct WorldBuilder {
    users: Vec<String>,
    delegates: Vec<(String, String)>,
    dir: Option<PathBuf>,
    entra: EntraOptions,
    dovecot_extra: String,
    submission: Submission,
}

impl WorldBuilder {
    /// Declares a user with a mailbox.
    pub fn mailbox(mut self, address: &str) -> Self {
        self.users.push(address.to_ascii_lowercase());
        self
    }

    /// Lets tokens of `user` open `mailbox` too; the mailbox itself need not be a user.
    pub fn delegate(mut self, user: &str, mailbox: &str) -> Self {
        self.delegates.push((user.into(), mailbox.into()));
        self
    }

    /// A folder of the caller's instead of a temporary one. It must be traversable by other users.
    pub fn dir(mut self, dir: &Path) -> Self {
        self.dir = Some(dir.to_path_buf());
        self
    }

    pub fn entra(mut self, change: impl FnOnce(&mut EntraOptions)) -> Self {
        change(&mut self.entra);
        self
    }

    /// Lines appended to `dovecot.conf`.
    pub fn dovecot(mut self, lines: &str) -> Self {
        self.dovecot_extra.push_str(lines);
        self.dovecot_extra.push('\n');
        self
    }

    pub fn without_postfix(mut self) -> Self {
        self.submission = Submission::Nobody;
        self
    }

    /// Exim in the place of Postfix. It knows passwords only.
    pub fn with_exim(mut self) -> Self {
        self.submission = Submission::Exim(exim::program().unwrap());
        self
    }

    /// Starts everything; tries again on other ports when one was taken meanwhile.
    pub fn start(mut self) -> World {
        process::raise_file_limit();
        ensure_vmail();
        for user in &self.users {
            self.entra.add_user(user);
        }
        for (user, mailbox) in &self.delegates {
            let set = self.entra.delegates.entry(user.to_ascii_lowercase()).or_default();
            set.insert(mailbox.to_ascii_lowercase());
        }
        let backstage = Backstage::new();
        let (dir, temporary) = self.folder();
        std::fs::create_dir_all(dir.join("tokens")).unwrap();
        self.entra.token_dir = Some(dir.join("tokens"));
        let entra = Entra::start(&backstage, self.entra.clone());
        let certs = Certificates::generate();
        certs.write(&dir).unwrap();
        let ports = Ports::find(entra.port);
        let mailboxes = Mailboxes::new(&dir, &ports);
        let mut world = World {
            dovecot: None,
            submission: None,
            ports,
            certs,
            entra,
            mailboxes,
            backstage,
            dir,
            _temporary: temporary,
        };
        for attempt in 1..=4 {
            match world.start_servers(&self) {
                Ok(()) => return world,
                Err(error) if attempt == 4 => panic!("the world does not start: {error}"),
                Err(_) => world.move_to_other_ports(),
            }
        }
        world
    }

    fn folder(&self) -> (PathBuf, Option<tempfile::TempDir>) {
        use std::os::unix::fs::PermissionsExt;
        let (dir, temporary) = match &self.dir {
            Some(dir) => {
                std::fs::create_dir_all(dir).unwrap();
                (dir.canonicalize().unwrap(), None)
            }
            None => {
                let temporary = tempfile::Builder::new().prefix("world-").tempdir().unwrap();
                (temporary.path().canonicalize().unwrap(), Some(temporary))
            }
        };
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
        (dir, temporary)
    }
}

impl World {
    pub fn builder() -> WorldBuilder {
        WorldBuilder::default()
    }

    fn start_servers(&mut self, options: &WorldBuilder) -> Result<(), String> {
        let domains: Vec<String> =
            options.entra.tenants.iter().flat_map(|tenant| tenant.domains.iter().cloned()).collect();
        config::write(&self.dir, &self.ports, &domains, &options.dovecot_extra)
            .map_err(|error| error.to_string())?;
        own_by_vmail(&self.dir.join("mail")).map_err(|error| error.to_string())?;
        self.dovecot = Some(self.start_dovecot()?);
        self.submission = match &options.submission {
            Submission::Postfix => Some(self.start_postfix()?),
            Submission::Exim(program) => Some(self.start_exim(program, &domains)?),
            Submission::Nobody => None,
        };
        self.await_greeting(self.ports.imap, "* OK")?;
        self.await_greeting(self.ports.lmtp, "220")?;
        if options.submission != Submission::Nobody {
            self.await_greeting(self.ports.submission, "220")?;
        }
        Ok(())
    }

    fn start_dovecot(&self) -> Result<Process, String> {
        let (conf, log) = (self.dir.join("dovecot.conf"), self.dir.join("dovecot.out"));
        let job = move || {
            let conf = conf.to_string_lossy().into_owned();
            Process::start("dovecot", &["-F", "-c", &conf], &[], &log)
        };
        self.backstage.run(job).map_err(|error| error.to_string())
    }

    fn start_postfix(&self) -> Result<Process, String> {
        let (conf, log) = (self.dir.join("postfix"), self.dir.join("postfix.out"));
        let job = move || {
            let conf = conf.to_string_lossy().into_owned();
            let env = [("MAIL_CONFIG", conf.as_str())];
            Process::start("sh", &["-c", POSTFIX, "postfix", &conf], &env, &log)
        };
        self.backstage.run(job).map_err(|error| error.to_string())
    }

    fn start_exim(&self, program: &Path, domains: &[String]) -> Result<Process, String> {
        exim::write(&self.dir, program, &self.ports, domains).map_err(|error| error.to_string())?;
        let (dir, program) = (self.dir.clone(), program.to_path_buf());
        self.backstage.run(move || exim::start(&dir, &program)).map_err(|error| error.to_string())
    }

    /// Waits until a port greets as expected; a child that ended or a stranger's greeting is a failure.
    fn await_greeting(&mut self, port: u16, expected: &str) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            if greeting(port).is_some_and(|line| line.starts_with(expected)) {
                return Ok(());
            }
            let ended =
                [&mut self.dovecot, &mut self.submission].into_iter().flatten().any(Process::has_ended);
            if ended {
                return Err(self.logs());
            }
            if Instant::now() > deadline {
                return Err(format!("port {port} does not greet: {}", self.logs()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn move_to_other_ports(&mut self) {
        self.stop_servers();
        self.ports = Ports::find(self.entra.port);
        self.mailboxes = Mailboxes::new(&self.dir, &self.ports);
    }

    fn stop_servers(&mut self) {
        for child in [&self.submission, &self.dovecot].into_iter().flatten() {
            child.ask_to_end();
        }
        self.submission.take();
        self.dovecot.take();
        process::sweep(&self.dir);
    }

    /// What Dovecot, Postfix and Exim wrote.
    pub fn logs(&self) -> String {
        let names = [
            "dovecot.out",
            "dovecot.log",
            "postfix.out",
            "postfix.log",
            "exim.out",
            "exim/mainlog",
            "exim/paniclog",
        ];
        names.map(|name| std::fs::read_to_string(self.dir.join(name)).unwrap_or_default()).join("\n")
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn imap_port(&self) -> u16 {
        self.ports.imap
    }

    pub fn imaps_port(&self) -> u16 {
        self.ports.imaps
    }

    pub fn submission_port(&self) -> u16 {
        self.ports.submission
    }

    pub fn lmtp_port(&self) -> u16 {
        self.ports.lmtp
    }

    pub fn ca_pem(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    pub fn entra(&self) -> &Entra {
        &self.entra
    }

    pub fn backstage(&self) -> &Backstage {
        &self.backstage
    }

    pub fn click_account(&self, authorize_url: &str, account: &str) -> Result<String, String> {
        self.entra.click_account(authorize_url, account)
    }

    /// A proxy before Dovecot's IMAPS (or plain IMAP) or before Postfix' submission port.
    pub fn proxy(&self, kind: Kind, transport: Transport) -> ProxyHandle {
        let port = match (kind, transport) {
            (Kind::Smtp, _) => self.ports.submission,
            (Kind::Imap, Transport::ImplicitTls) => self.ports.imaps,
            (Kind::Imap, _) => self.ports.imap,
        };
        ProxyHandle::start(&self.backstage, port, kind, transport, &self.certs)
    }

    /// The proxy that behaves like Exchange Online.
    pub fn exchange_imap(&self) -> ProxyHandle {
        let proxy = self.proxy(Kind::Imap, Transport::ImplicitTls);
        proxy.exchange_manners();
        proxy
    }

    pub fn exchange_smtp(&self) -> ProxyHandle {
        let proxy = self.proxy(Kind::Smtp, Transport::StartTls);
        proxy.exchange_manners();
        proxy
    }

    /// Fills a user's Maildir; meant for mailboxes nobody has opened yet.
    pub fn seed(&self, user: &str, options: &SeedOptions) -> SeedReport {
        let report = seeder::seed(&self.mailboxes.maildir(user), options).unwrap();
        own_by_vmail(&self.dir.join("mail").join(user)).unwrap();
        report
    }

    /// Stops Dovecot, as a crashed or restarting server would; `start_dovecot_again` brings it back.
    pub fn stop_dovecot(&mut self) {
        self.dovecot.take();
    }

    pub fn start_dovecot_again(&mut self) {
        self.dovecot = Some(self.start_dovecot().unwrap());
        self.await_greeting(self.ports.imap, "* OK").unwrap();
    }

    /// The ids of the world's child processes.
    pub fn inhabitants(&self) -> Vec<i32> {
        process::inhabitants(&self.dir)
    }
}

impl std::ops::Deref for World {
    type Target = Mailboxes;

    fn deref(&self) -> &Mailboxes {
        &self.mailboxes
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop_servers();
    }
}

pub(super) fn greeting(port: u16) -> Option<String> {
    use std::io::BufRead;
    let stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    let mut line = String::new();
    std::io::BufReader::new(stream).read_line(&mut line).ok()?;
    Some(line)
}

/// Creates the mail user where it is missing.
pub fn ensure_vmail() {
    ensure_user("vmail");
}

/// Creates a user for servers where it is missing; a race with another world is harmless.
pub fn ensure_user(name: &str) {
    if process::run("id", &["-u", name]).is_err() {
        let args = ["--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", name];
        let _ = process::run("useradd", &args);
    }
}

pub fn own_by_vmail(path: &Path) -> std::io::Result<()> {
    process::run("chown", &["-R", "vmail:vmail", &path.to_string_lossy()]).map(|_| ())
}
