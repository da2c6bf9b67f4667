//! The configuration files of one world's Dovecot and Postfix.

use std::path::Path;

/// The ports one world occupies on loopback.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct Ports {
    pub imap: u16,
    pub imaps: u16,
    pub pop3: u16,
    pub pop3s: u16,
    pub lmtp: u16,
    pub sasl: u16,
    pub submission: u16,
    pub entra: u16,
}

impl Ports {
    /// Finds free ports for the child processes by binding them all at once and letting go; another process may
    /// still be quicker, so a start has to be repeated on a conflict. The stand-ins' ports are already bound.
    pub fn find(entra: u16) -> Self {
        let held: Vec<_> = (0..7).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let port = |at: usize| held[at].local_addr().unwrap().port();
        Self {
            imap: port(0),
            imaps: port(1),
            pop3: port(2),
            pop3s: port(3),
            lmtp: port(4),
            sasl: port(5),
            submission: port(6),
            entra,
        }
    }
}

/// Writes every file Dovecot and Postfix need into `dir`.
pub fn write(dir: &Path, ports: &Ports, domains: &[String], extra: &str) -> std::io::Result<()> {
    let place = dir.to_string_lossy();
    std::fs::create_dir_all(dir.join("mail"))?;
    std::fs::create_dir_all(dir.join("postfix"))?;
    queue_folders(&place)?;
    std::fs::write(dir.join("dovecot.conf"), dovecot(&place, ports, extra))?;
    std::fs::write(dir.join("oauth2.ext"), oauth2(ports))?;
    std::fs::write(dir.join("postfix/main.cf"), main_cf(&place, ports, domains))?;
    let services = MASTER_CF.replace("@SUBMISSION@", &ports.submission.to_string());
    std::fs::write(dir.join("postfix/master.cf"), services)?;
    // Postfix waits for two seconds while its configuration is younger than that.
    let earlier = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    for name in ["postfix/main.cf", "postfix/master.cf"] {
        std::fs::File::options().write(true).open(dir.join(name))?.set_modified(earlier)?;
    }
    Ok(())
}

/// What `postfix check` would create, which takes it seconds.
fn queue_folders(dir: &str) -> std::io::Result<()> {
    let queues = "active bounce corrupt defer deferred flush hold incoming private saved trace";
    let inside = |names: &str| -> Vec<String> {
        names.split(' ').map(|name| format!("{dir}/pfqueue/{name}")).collect()
    };
    let make = |owner: [&str; 6], names: Vec<String>| {
        let args: Vec<&str> = owner.into_iter().chain(names.iter().map(String::as_str)).collect();
        super::process::run("install", &[&["-d"], args.as_slice()].concat())
    };
    make(
        ["-m", "755", "-o", "root", "-g", "root"],
        vec![format!("{dir}/pfqueue"), format!("{dir}/pfqueue/pid")],
    )?;
    make(["-m", "700", "-o", "postfix", "-g", "root"], inside(queues))?;
    make(["-m", "700", "-o", "postfix", "-g", "postfix"], vec![format!("{dir}/pfdata")])?;
    make(["-m", "730", "-o", "postfix", "-g", "postdrop"], inside("maildrop"))?;
    make(["-m", "710", "-o", "postfix", "-g", "postdrop"], inside("public"))?;
    Ok(())
}

fn oauth2(ports: &Ports) -> String {
    format!(
        "introspection_mode = post\n\
         introspection_url = http://client:secret@127.0.0.1:{}/introspect\n\
         active_attribute = active\nactive_value = true\nusername_attribute = username\n\
         force_introspection = yes\n",
        ports.entra
    )
}

fn dovecot(dir: &str, ports: &Ports, extra: &str) -> String {
    let text = DOVECOT
        .replace("@DIR@", dir)
        .replace("@IMAP@", &ports.imap.to_string())
        .replace("@IMAPS@", &ports.imaps.to_string())
        .replace("@POP3@", &ports.pop3.to_string())
        .replace("@POP3S@", &ports.pop3s.to_string())
        .replace("@LMTP@", &ports.lmtp.to_string())
        .replace("@SASL@", &ports.sasl.to_string());
    format!("{text}{extra}\n")
}

fn main_cf(dir: &str, ports: &Ports, domains: &[String]) -> String {
    MAIN_CF
        .replace("@DIR@", dir)
        .replace("@LMTP@", &ports.lmtp.to_string())
        .replace("@SASL@", &ports.sasl.to_string())
        .replace("@DOMAINS@", &domains.join(", "))
}

// The order of the passdbs matters: introspection decides for a token's own user; the token files after it
// know delegates and app-only tokens, which introspection cannot express since it reports one user per token.
const DOVECOT: &str = "\
base_dir = @DIR@/run
instance_name = world
protocols = imap pop3 lmtp
listen = 127.0.0.1
log_path = @DIR@/dovecot.log
ssl = yes
ssl_cert = <@DIR@/cert.pem
ssl_key = <@DIR@/key.pem
disable_plaintext_auth = no
mail_location = maildir:@DIR@/mail/%u/Maildir
mail_uid = vmail
mail_gid = vmail
first_valid_uid = 100
mail_max_userip_connections = 0
login_trusted_networks =
auth_mechanisms = plain login xoauth2 oauthbearer
auth_failure_delay = 0
auth_username_format = %Lu
auth_cache_size = 0
default_process_limit = 1000
default_client_limit = 6000
passdb {
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = @DIR@/oauth2.ext
}
passdb {
  driver = passwd-file
  mechanisms = xoauth2 oauthbearer
  args = scheme=PLAIN username_format=%Lu @DIR@/tokens/%{sha256:password}
}
passdb {
  driver = static
  mechanisms = plain login
  args = password=pass
}
userdb {
  driver = static
  args = uid=vmail gid=vmail home=@DIR@/mail/%u allow_all_users=yes
}
namespace inbox {
  inbox = yes
  separator = /
  mailbox Sent {
    special_use = \\Sent
    auto = create
  }
  mailbox Drafts {
    special_use = \\Drafts
    auto = create
  }
  mailbox Trash {
    special_use = \\Trash
    auto = create
  }
}
service imap-login {
  inet_listener imap {
    port = @IMAP@
  }
  inet_listener imaps {
    port = @IMAPS@
    ssl = yes
  }
  service_count = 0
  client_limit = 2000
  process_min_avail = 1
  process_limit = 4
  vsz_limit = 4G
}
service pop3-login {
  inet_listener pop3 {
    port = @POP3@
  }
  inet_listener pop3s {
    port = @POP3S@
    ssl = yes
  }
}
service imap {
  process_limit = 4000
  vsz_limit = 4G
}
service anvil {
  client_limit = 20000
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service auth {
  client_limit = 20000
  inet_listener {
    address = 127.0.0.1
    port = @SASL@
  }
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = @LMTP@
  }
}
service stats {
  client_limit = 20000
}
";

const MAIN_CF: &str = "\
compatibility_level = 3.6
queue_directory = @DIR@/pfqueue
data_directory = @DIR@/pfdata
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.makler.test
mydestination =
mynetworks =
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = @DOMAINS@
virtual_transport = lmtp:inet:127.0.0.1:@LMTP@
default_transport = error:5.1.2 no such domain in this world
smtpd_tls_cert_file = @DIR@/cert.pem
smtpd_tls_key_file = @DIR@/key.pem
smtpd_tls_security_level = encrypt
smtpd_tls_auth_only = yes
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:@SASL@
smtpd_sasl_security_options = noanonymous
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = check_recipient_access inline:{{unknown@ = 550 5.1.1 User unknown}}, permit_sasl_authenticated, reject
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_delay_reject = yes
smtpd_error_sleep_time = 0
smtpd_soft_error_limit = 1000
smtpd_hard_error_limit = 1000
disable_dns_lookups = yes
smtp_host_lookup = native
lmtp_host_lookup = native
in_flow_delay = 0
minimal_backoff_time = 2s
maximal_backoff_time = 10s
queue_run_delay = 2s
lmtp_destination_concurrency_limit = 10
maillog_file = @DIR@/postfix.log
maillog_file_prefixes = @DIR@
message_size_limit = 157286400
mailbox_size_limit = 0
virtual_mailbox_limit = 0
";

const MASTER_CF: &str = "\
@SUBMISSION@ inet  n       -       n       -       200     smtpd
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
verify    unix  -       -       n       -       1       verify
proxymap  unix  -       -       n       -       -       proxymap
smtp      unix  -       -       n       -       -       smtp
lmtp      unix  -       -       n       -       -       lmtp
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
postlog   unix-dgram n  -       n       -       1       postlogd
";
