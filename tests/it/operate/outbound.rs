//! Connections to the outside: by real proxies, and never to where nobody may go.

use crate::api::frame::deaf;
use crate::support::api::Api;
use crate::support::engine::{Running, bare_config, config, oauth_mailbox};
use crate::world::World;
use serde_json::{Value, json};
use stafette::events::EventType;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

const ANNA: &str = "anna@makler.test";

/// A proxy of Debian's, with a password, on a port of its own.
struct RunningProxy {
    child: Child,
    port: u16,
    said: Arc<Mutex<String>>,
    _files: tempfile::TempDir,
}

impl Drop for RunningProxy {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl RunningProxy {
    fn start(make: impl FnOnce(u16, &std::path::Path) -> Command) -> Self {
        let files = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = make(port, files.path());
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let said: Arc<Mutex<String>> = Arc::default();
        let outputs: [Box<dyn std::io::Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for output in outputs {
            let said = Arc::clone(&said);
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    said.lock().unwrap().push_str(&(line + "\n"));
                }
            });
        }
        let begun = stafette::clock::monotonic();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed().as_secs() < 20, "no proxy: {}", said.lock().unwrap());
            std::thread::yield_now();
        }
        Self { child, port, said, _files: files }
    }

    fn tinyproxy() -> Self {
        Self::start(|port, files| {
            let settings = files.join("tinyproxy.conf");
            let text = format!(
                "Port {port}\nListen 127.0.0.1\nTimeout 600\nLogLevel Connect\nMaxClients 50\nBasicAuth anna geheim\n"
            );
            std::fs::write(&settings, text).unwrap();
            let mut command = Command::new("tinyproxy");
            command.arg("-d").arg("-c").arg(settings);
            command
        })
    }

    fn microsocks() -> Self {
        Self::start(|port, _| {
            let mut command = Command::new("microsocks");
            command.args(["-i", "127.0.0.1", "-p", &port.to_string(), "-u", "anna", "-P", "geheim"]);
            command
        })
    }
}

fn step(api: &Api, name: &str) -> Value {
    let report = api.get("/v1/mailboxes/anna/diagnosis").ok(200);
    report["steps"].as_array().unwrap().iter().find(|step| step["name"] == name).unwrap().clone()
}

#[test]
fn receiving_sending_and_tokens_go_by_the_proxy() {
    let world = World::builder().mailbox(ANNA).start();
    for (scheme, proxy) in [("http", RunningProxy::tinyproxy()), ("socks5", RunningProxy::microsocks())] {
        let data = tempfile::tempdir().unwrap();
        let mut config = config(&world, data.path());
        let by = |password: &str| format!("{scheme}://anna:{password}@127.0.0.1:{}", proxy.port);
        config.net.proxy = Some(by("geheim").parse().unwrap());
        config.net.no_proxy.clear();
        let (running, api) = Running::serve(&config);
        let (mailbox, grant) = oauth_mailbox(&world, &running, ANNA, world.imaps_port());
        let smtp = mailbox.smtp.as_ref().unwrap().port;
        let anna = running.add(mailbox, &grant).incarnation;
        running.until_live(anna);
        let draft = json!({"to": [{"address": ANNA}], "subject": scheme, "text": "Hello\n"});
        api.post("/v1/mailboxes/anna/outbox", &draft).ok(202);
        running.until_event(EventType::SubmissionSent, "sent", |_| true);
        let tcp = step(&api, "tcp");
        assert_eq!(tcp["result"], "ok", "{tcp}");
        let detail = tcp["detail"].as_str().unwrap();
        assert!(
            detail.contains(&format!("through the proxy {scheme}://127.0.0.1:{}", proxy.port)),
            "{detail}"
        );
        assert!(!detail.contains("geheim"), "{detail}");
        let said = proxy.said.lock().unwrap().clone();
        let token = url::Url::parse(world.entra().authority_url()).unwrap().port().unwrap();
        for port in [world.imaps_port(), smtp, token] {
            assert!(said.contains(&format!(":{port}")), "{scheme} {port}: {said}");
        }
        drop((running, api));
        // a proxy that refuses is told as such
        config.net.proxy = Some(by("falsch").parse().unwrap());
        let (_running, api) = Running::serve(&config);
        let tcp = step(&api, "tcp");
        assert_eq!(
            (&tcp["result"], &tcp["diagnosis"]["code"]),
            (&json!("failed"), &json!("proxy_refused")),
            "{tcp}"
        );
    }
}

#[test]
fn addresses_that_are_denied_are_not_connected_to_however_they_are_written() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let data = tempfile::tempdir().unwrap();
    let mut config = bare_config(data.path());
    config.net.deny = vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
    let (running, api) = Running::serve(&config);
    let hosts = ["127.0.0.1", "::ffff:127.0.0.1", "127.1", "2130706433", "0x7f.1", "localhost"];
    for (number, host) in hosts.iter().enumerate() {
        let mut mailbox = deaf(&format!("m{number}"));
        mailbox["imap"] = json!({"host": host, "port": port, "security": "tls"});
        mailbox["smtp"] = Value::Null;
        api.post("/v1/mailboxes", &mailbox).ok(201);
        let mailbox = running.stored(&format!("m{number}")).incarnation;
        running.until(mailbox, host, |status| {
            status.diagnosis.as_ref().is_some_and(|found| found.code == "address_denied")
        });
    }
    let knocked = listener.accept().map(|_| ()).map_err(|error| error.kind());
    assert_eq!(knocked, Err(std::io::ErrorKind::WouldBlock), "nobody was connected to");
}
