//! A Cyrus IMAP server of one's own, in a temporary folder on free ports: a server of another make than Dovecot, with
//! the same [`Mailboxes`] to arrange and to read back.
//!
//! Debian's `cyrus-imapd` and `dovecot-imapd` exclude each other as packages, so that `tests/run.sh` installs what they
//! have in common, `cyrus-common`, and unpacks `cyrus-imapd` into [`UNPACKED`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::backstage::Backstage;
use super::certs::Certificates;
use super::config::Ports;
use super::mailbox::Mailboxes;
use super::process::{self, Process};
use super::proxy::{Kind, ProxyHandle, Transport};
use super::stage::greeting;

/// Where `tests/run.sh` unpacks the package.
pub const UNPACKED: &str = "/opt/cyrus-imapd";

/// The master ends by a signal to its whole process group, so it gets one of its own. It becomes the user `cyrus`, which
/// makes the kernel forget its parent-death signal; so a shell keeps the signal and passes it on. Its working directory
/// is where it is found by.
const MASTER: &str = "cd \"$1\" || exit 1; \
                      setsid /usr/lib/cyrus/bin/master -C imapd.conf -M cyrus.conf -p \"$1/master.pid\" & \
                      child=$!; trap 'kill -TERM $child' TERM; wait $child; wait $child";

pub struct Cyrus {
    master: Option<Process>,
    pub ports: Ports,
    pub certs: Certificates,
    pub mailboxes: Mailboxes,
    backstage: Backstage,
    dir: PathBuf,
    _temporary: tempfile::TempDir,
}

impl Cyrus {
    /// Starts a server with these mailboxes; each opens with the world's password. Tries again on other ports when
    /// one was taken meanwhile.
    pub fn start(users: &[&str]) -> Self {
        let temporary = tempfile::Builder::new().prefix("cyrus-").tempdir().unwrap();
        let dir = temporary.path().canonicalize().unwrap();
        let (backstage, certs, ports) = (Backstage::new(), Certificates::generate(), Ports::find(0));
        certs.write(&dir).unwrap();
        let mailboxes = Mailboxes::new(&dir, &ports);
        let mut cyrus = Self { master: None, ports, certs, mailboxes, backstage, dir, _temporary: temporary };
        cyrus.prepare(users).expect("Cyrus (cyrus-common and sasl2-bin; tests/run.sh installs them)");
        for attempt in 1..=4 {
            match cyrus.start_master() {
                Ok(()) => break,
                Err(error) if attempt == 4 => panic!("Cyrus does not start: {error}"),
                Err(_) => cyrus.move_to_other_ports(),
            }
        }
        cyrus
    }

    /// Folders, passwords, and all of it Cyrus' own: its programs refuse to be root.
    fn prepare(&self, users: &[&str]) -> std::io::Result<()> {
        for folder in ["conf", "spool"] {
            std::fs::create_dir(self.dir.join(folder))?;
        }
        let passwords = self.dir.join("sasldb");
        for user in users {
            let (name, domain) = user.split_once('@').expect("an address");
            let give = "printf pass | saslpasswd2 -p -c -f \"$1\" -u \"$2\" \"$3\"";
            process::run("sh", &["-c", give, "sh", &passwords.to_string_lossy(), domain, name])?;
        }
        self.write_configuration()?;
        process::run("chown", &["-R", "cyrus:mail", &self.dir.to_string_lossy()]).map(|_| ())
    }

    fn write_configuration(&self) -> std::io::Result<()> {
        let fill = |text: &str| {
            text.replace("@DIR@", &self.dir.to_string_lossy())
                .replace("@BIN@", &format!("{UNPACKED}/usr/lib/cyrus/bin"))
                .replace("@IMAP@", &self.ports.imap.to_string())
                .replace("@IMAPS@", &self.ports.imaps.to_string())
                .replace("@LMTP@", &self.ports.lmtp.to_string())
        };
        std::fs::write(self.dir.join("imapd.conf"), fill(IMAPD_CONF))?;
        std::fs::write(self.dir.join("cyrus.conf"), fill(CYRUS_CONF))
    }

    fn start_master(&mut self) -> Result<(), String> {
        let (dir, log) = (self.dir.to_string_lossy().into_owned(), self.dir.join("master.out"));
        let job = move || Process::start("sh", &["-c", MASTER, "sh", &dir], &[], &log);
        self.master = Some(self.backstage.run(job).map_err(|error| error.to_string())?);
        for (port, expected) in [(self.ports.imap, "* OK"), (self.ports.lmtp, "220")] {
            let greets = process::wait_until(Duration::from_secs(20), || {
                greeting(port).is_some_and(|line| line.starts_with(expected) && line.contains("Cyrus"))
            });
            if !greets {
                return Err(format!("port {port} does not greet: {}", self.log()));
            }
        }
        Ok(())
    }

    fn move_to_other_ports(&mut self) {
        self.stop();
        self.ports = Ports::find(0);
        self.mailboxes = Mailboxes::new(&self.dir, &self.ports);
        self.write_configuration().unwrap();
    }

    fn stop(&mut self) {
        self.master.take();
        process::sweep(&self.dir);
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("master.out")).unwrap_or_default()
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn imaps_port(&self) -> u16 {
        self.ports.imaps
    }

    pub fn ca_pem(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    /// A proxy before its IMAPS port.
    pub fn proxy(&self) -> ProxyHandle {
        ProxyHandle::start(&self.backstage, self.ports.imaps, Kind::Imap, Transport::ImplicitTls, &self.certs)
    }
}

impl std::ops::Deref for Cyrus {
    type Target = Mailboxes;

    fn deref(&self) -> &Mailboxes {
        &self.mailboxes
    }
}

impl Drop for Cyrus {
    fn drop(&mut self) {
        self.stop();
    }
}

const IMAPD_CONF: &str = "\
configdirectory: @DIR@/conf
defaultpartition: default
partition-default: @DIR@/spool
cyrus_user: cyrus
admins: cyrus
servername: localhost
virtdomains: userid
unixhierarchysep: yes
altnamespace: yes
allowplaintext: yes
sasl_mech_list: PLAIN
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: @DIR@/sasldb
autocreate_users: anyone
autocreate_quota: 0
autocreate_post: yes
autocreate_inbox_folders: Sent|Drafts|Trash
xlist-sent: Sent
xlist-drafts: Drafts
xlist-trash: Trash
tls_server_cert: @DIR@/cert.pem
tls_server_key: @DIR@/key.pem
duplicatesuppression: no
delete_mode: immediate
expunge_mode: immediate
imapidlepoll: 1
";

const CYRUS_CONF: &str = "\
START {
  recover cmd=\"ctl_cyrusdb -r -C @DIR@/imapd.conf\"
}
SERVICES {
  imap cmd=\"@BIN@/imapd -C @DIR@/imapd.conf\" listen=\"127.0.0.1:@IMAP@\" prefork=1
  imaps cmd=\"@BIN@/imapd -s -C @DIR@/imapd.conf\" listen=\"127.0.0.1:@IMAPS@\" prefork=1
  lmtp cmd=\"lmtpd -a -C @DIR@/imapd.conf\" listen=\"127.0.0.1:@LMTP@\" prefork=1
}
EVENTS {
}
DAEMON {
  idled cmd=\"@BIN@/idled -f -C @DIR@/imapd.conf\"
}
";
