//! Ways to log in: STARTTLS, which fails closed, and OAUTHBEARER where XOAUTH2 is not offered.

use crate::support::engine::{Running, config, oauth_mailbox, password_mailbox};
use crate::world::proxy::{Answering, CAPABILITY_AFTER};
use crate::world::{Kind, Rotation, Transport, World};
use stafette::domain::{Diagnosis, Endpoint, Mailbox, Security};
use stafette::events::EventType;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

const ANNA: &str = "anna@makler.test";

struct Scene {
    world: World,
    _data: tempfile::TempDir,
    running: Running,
}

fn scene() -> Scene {
    let world = World::builder().mailbox(ANNA).without_postfix().start();
    world.deliver(ANNA, b"Message-ID: <first@kunde.test>\r\nSubject: first\r\n\r\nHello\r\n");
    let data = tempfile::tempdir().unwrap();
    let running = Running::start(&config(&world, data.path()));
    Scene { world, _data: data, running }
}

fn by_starttls(mailbox: Mailbox, port: u16) -> Mailbox {
    let imap = Endpoint { host: "localhost".into(), port, security: Security::Starttls };
    Mailbox { imap: Some(imap), smtp: None, ..mailbox }
}

impl Scene {
    fn diagnosis_by_starttls(&self, port: u16) -> Diagnosis {
        let (mailbox, grant) = password_mailbox(&self.world, ANNA, port);
        let anna = self.running.add(by_starttls(mailbox, port), &grant);
        let shown = self.running.until(anna.incarnation, "a diagnosis", |status| status.diagnosis.is_some());
        shown.diagnosis.unwrap()
    }

    fn until_arrived(&self, subject: &str) {
        let id = format!("<{subject}@kunde.test>");
        self.running.until_event(EventType::MessageNew, subject, |event| event.data["message_id"] == *id);
    }
}

#[test]
fn a_mailbox_is_synced_over_starttls() {
    let scene = scene();
    let (mailbox, grant) = password_mailbox(&scene.world, ANNA, 1);
    let anna = scene.running.add(by_starttls(mailbox, scene.world.imap_port()), &grant);
    scene.running.until_live(anna.incarnation);
    assert_eq!(scene.running.snapshot(anna.incarnation)["INBOX"], scene.world.list(ANNA, "INBOX"));
}

#[test]
fn a_server_that_refuses_starttls_is_told_no_password() {
    let scene = scene();
    let proxy = scene.world.proxy(Kind::Imap, Transport::Plain);
    proxy.capability("IMAP4rev1 AUTH=PLAIN", "IMAP4rev1");
    proxy.answer(Answering::new("STARTTLS*", "$TAG NO not today"));
    let found = scene.diagnosis_by_starttls(proxy.port);
    assert_eq!(found.code, "starttls_missing", "{found:?}");
    let said = proxy.commands();
    assert!(said.iter().any(|command| command.starts_with("STARTTLS")), "{said:?}");
    let allowed =
        |command: &String| ["STARTTLS", "LOGOUT", "CAPABILITY"].iter().any(|word| command.starts_with(word));
    assert!(said.iter().all(allowed), "{said:?}");
}

/// A server that says its STARTTLS is done, and in the same breath, unprotected, that a log-in is not needed; what it
/// hears afterwards.
fn injecting_server() -> (u16, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, heard) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.write_all(b"* OK ready\r\n").unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
                let (tag, command) = line.trim_end().split_once(' ').unwrap();
                if command == "STARTTLS" {
                    let injected =
                        format!("{tag} OK begin\r\n* PREAUTH come in\r\n* CAPABILITY IMAP4rev1\r\n");
                    stream.write_all(injected.as_bytes()).unwrap();
                    break;
                }
                stream
                    .write_all(format!("* CAPABILITY IMAP4rev1 STARTTLS\r\n{tag} OK\r\n").as_bytes())
                    .unwrap();
                line.clear();
            }
            let rest = lines.fill_buf().map(<[u8]>::to_vec).unwrap_or_default();
            if tell.send(rest).is_err() {
                return;
            }
        }
    });
    (port, heard)
}

#[test]
fn what_comes_unprotected_behind_starttls_is_not_believed() {
    let scene = scene();
    let (port, heard) = injecting_server();
    let found = scene.diagnosis_by_starttls(port);
    let after = heard.recv().unwrap();
    assert!(after.is_empty(), "no TLS is begun with whoever sent it: {after:?}");
    assert_eq!(found.code, "server_unreadable", "{found:?}");
    assert!(found.evidence.unwrap().contains("before TLS began"));
}

/// Dovecot without its XOAUTH2.
fn bearer_only(world: &World) -> crate::world::ProxyHandle {
    let proxy = world.proxy(Kind::Imap, Transport::ImplicitTls);
    proxy.capability("IMAP4rev1 SASL-IR AUTH=OAUTHBEARER", CAPABILITY_AFTER);
    proxy
}

#[test]
fn oauthbearer_is_used_where_xoauth2_is_not_offered() {
    let scene = scene();
    let proxy = bearer_only(&scene.world);
    scene.world.entra().set_rotation(Rotation::Strict);
    let (mailbox, grant) = oauth_mailbox(&scene.world, &scene.running, ANNA, proxy.port);
    let anna = scene.running.add(mailbox, &grant);
    scene.running.until_live(anna.incarnation);
    let logins =
        || proxy.commands().into_iter().filter(|said| said.starts_with("AUTHENTICATE")).collect::<Vec<_>>();
    assert!(logins().iter().all(|said| said.starts_with("AUTHENTICATE OAUTHBEARER")), "{:?}", logins());
    scene.until_arrived("first");

    // a token that is refused: the challenge is answered, the refusal read, a fresh one fetched
    let (tried, refreshed) = (logins().len(), scene.world.entra().count("token"));
    scene.world.entra().expire_access_tokens();
    scene.world.kick(ANNA);
    scene.world.deliver(ANNA, b"Message-ID: <second@kunde.test>\r\nSubject: second\r\n\r\nHello\r\n");
    scene.until_arrived("second");
    scene.running.until_live(anna.incarnation);
    assert!(logins().len() >= tried + 2, "one refused, one good: {:?}", logins());
    assert_eq!(scene.world.entra().count("token"), refreshed + 1);
}
