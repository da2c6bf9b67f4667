//! An Exim in the place of the world's Postfix: the same port, the same mailboxes behind it, passwords only (the light
//! daemon does not know XOAUTH2).

use std::path::{Path, PathBuf};

use super::config::Ports;
use super::process::{self, Process};

/// The user Exim is built to run as.
const USER: &str = "Debian-exim";

/// Exim changes its user, which makes the kernel forget its parent-death signal; so a shell keeps the signal and
/// passes it on.
const START: &str =
    "\"$1\" -C \"$2\" -bdf & child=$!; trap 'kill -TERM $child' TERM; wait $child; wait $child";

/// Where Exim is; the first call unpacks it.
pub fn program() -> std::io::Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exim.sh");
    Ok(PathBuf::from(process::run("bash", &[&script.to_string_lossy()])?.trim()))
}

/// Writes its configuration and makes its spool folder.
pub fn write(dir: &Path, program: &Path, ports: &Ports, domains: &[String]) -> std::io::Result<()> {
    super::stage::ensure_user(USER);
    let place = dir.to_string_lossy();
    let spool = format!("{place}/exim");
    process::run("install", &["-d", "-m", "750", "-o", USER, "-g", USER, &spool])?;
    let text = CONFIGURATION
        .replace("@DIR@", &place)
        .replace("@EXIM@", &program.to_string_lossy())
        .replace("@SUBMISSION@", &ports.submission.to_string())
        .replace("@LMTP@", &ports.lmtp.to_string())
        .replace("@DOMAINS@", &domains.join(" : "));
    std::fs::write(dir.join("exim.conf"), text)
}

/// Starts it. Must run on the backstage thread.
pub fn start(dir: &Path, program: &Path) -> std::io::Result<Process> {
    let (program, configuration) = (program.to_string_lossy(), dir.join("exim.conf"));
    let args = ["-c", START, "exim", &program, &configuration.to_string_lossy()];
    Process::start("sh", &args, &[], &dir.join("exim.out"))
}

// Without root it may still do all of this: the ports are high, and Dovecot takes what is delivered by LMTP.
const CONFIGURATION: &str = "\
exim_path = @EXIM@
primary_hostname = mail.makler.test
spool_directory = @DIR@/exim
log_file_path = @DIR@/exim/%slog
pid_file_path = @DIR@/exim/pid
deliver_drop_privilege = true
local_interfaces = 127.0.0.1
daemon_smtp_ports = @SUBMISSION@
tls_advertise_hosts = *
tls_certificate = @DIR@/cert.pem
tls_privatekey = @DIR@/key.pem
auth_advertise_hosts = ${if eq{$tls_in_cipher}{}{}{*}}
message_size_limit = 150M
smtp_accept_max = 200
smtp_accept_queue_per_connection = 0
host_lookup =
rfc1413_hosts =
acl_smtp_rcpt = recipient

begin acl
recipient:
  deny    local_parts   = unknown
          message       = 550 5.1.1 User unknown
  accept  authenticated = *
  deny    message       = 550 5.7.1 relay not permitted

begin routers
mailboxes:
  driver = manualroute
  domains = @DOMAINS@
  route_list = * 127.0.0.1
  self = send
  transport = lmtp

begin transports
lmtp:
  driver = smtp
  protocol = lmtp
  port = @LMTP@
  allow_localhost

begin retry
* * F,1h,2s

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if eq{$auth3}{pass}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${if eq{$auth2}{pass}}
  server_set_id = $auth1
";
