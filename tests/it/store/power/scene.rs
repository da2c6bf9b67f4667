//! A daemon that receives, sends and is configured while its calls are recorded, and what it acknowledged when.

use super::disk::Disk;
use crate::support::client::{Client, Gone};
use crate::support::daemon::{ADMIN_KEY, Daemon, PASSWORD, RECORDED, Site, draft, without_ours, world_with};
use crate::sync::bad_servers::{say, server};
use crate::world::{SeedOptions, World};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

pub const ANNA: &str = "anna@makler.test";

const SEEDED: usize = 25;

/// What somebody outside knows.
#[derive(Clone, Debug)]
pub enum Known {
    /// The mailbox was made, and signs in with its password.
    Mailbox,
    /// Its display name is this number, or a later one.
    Name(u32),
    /// This was accepted under a key.
    Accepted { id: String, key: String },
    /// The final dot of this Message-ID arrived: it is not to be sent once more.
    Dot(String),
    /// The other mailbox was deleted, the last time so often.
    Deleted(u32),
    /// An event as it was read.
    Event(Value),
}

/// By when it was known, in microseconds since 1970.
pub type Acknowledged = Vec<(u64, Known)>;

fn now() -> u64 {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    u64::try_from(now.as_micros()).unwrap()
}

/// The site, its servers, and what is known of it.
pub struct Scene {
    pub world: World,
    pub site: Site,
    pub known: Arc<Mutex<Acknowledged>>,
    smtp: u16,
    traces: tempfile::TempDir,
    accepted: u32,
    named: u32,
    deleted: u32,
}

impl Scene {
    pub fn new() -> Self {
        let world = world_with(&[ANNA]).without_postfix().start();
        world.seed(ANNA, &SeedOptions { messages: SEEDED, largest: 60_000, ..SeedOptions::default() });
        let mut site = Site::new(&world);
        site.set("STAFETTE_LOG__FILTER", "info");
        // packs that are full, dead and compacted soon
        site.set("STAFETTE_STORE__PACK_LIMIT", "20000");
        site.set("STAFETTE_TIMING__MASS_DELETE_CONFIRM", "200ms");
        let known: Arc<Mutex<Acknowledged>> = Arc::default();
        let smtp = sink(Arc::clone(&known));
        Self {
            world,
            site,
            known,
            smtp,
            traces: tempfile::tempdir().unwrap(),
            accepted: 0,
            named: 0,
            deleted: 0,
        }
    }

    pub fn know(&self, known: Known) {
        let at = now();
        self.known.lock().unwrap().push((at, known));
    }

    /// One life of a daemon on this directory, added to the record of its disk; it is over when `live` returns, or by a
    /// fault. When it began to listen.
    pub fn life(
        &mut self,
        (dir, disk): (&Path, &mut Disk),
        faults: &str,
        live: impl FnOnce(&mut Self, &Daemon),
    ) -> u64 {
        let trace = self.traces.path().join("trace");
        self.site.set("STAFETTE_DATA_DIR", dir.to_str().unwrap());
        let mut daemon = self.site.start_recorded(&trace, faults);
        assert!(daemon.is_serving(), "{}", daemon.tail());
        let serving = now();
        let reader = reader(&daemon, Arc::clone(&self.known));
        live(self, &daemon);
        daemon.killer()();
        daemon.killed();
        reader.join().unwrap();
        disk.replay(&std::fs::read_to_string(&trace).unwrap(), dir);
        disk.assert_is(dir);
        serving
    }

    /// A rebuild of this directory, added to the record of its disk.
    pub fn rebuild(&self, dir: &Path, disk: &mut Disk) {
        let trace = self.traces.path().join("trace");
        let rebuilt = without_ours(&mut Command::new("strace"))
            .args(RECORDED)
            .args(["-e", super::CALLS, "-o", trace.to_str().unwrap(), "--"])
            .args([env!("CARGO_BIN_EXE_stafette"), "fsck", "--rebuild"])
            .env("STAFETTE_DATA_DIR", dir)
            .output()
            .unwrap();
        assert!(rebuilt.status.success(), "{rebuilt:?}");
        disk.replay(&std::fs::read_to_string(&trace).unwrap(), dir);
        disk.assert_is(dir);
    }

    /// Makes the mailbox and waits until its mail is there.
    pub fn begin(&mut self, daemon: &Daemon) {
        let mailbox = json!({
            "id": "anna", "address": ANNA,
            "imap": {"host": "127.0.0.1", "port": self.world.imaps_port(), "security": "tls"},
            "smtp": {"host": "127.0.0.1", "port": self.smtp, "security": "none", "auth": "none"},
            "auth": {"kind": "password", "user": ANNA, "password": PASSWORD},
        });
        let made = daemon.post("/v1/mailboxes", &mailbox);
        assert_eq!(made.status, 201, "{}", made.json());
        self.know(Known::Mailbox);
        daemon.until_live("anna");
    }

    /// Receives, sends and is renamed so many times, or until the daemon is gone.
    pub fn work(&mut self, daemon: &Daemon, rounds: u32) {
        for _ in 0..rounds {
            if self.round(daemon).is_err() {
                return;
            }
        }
    }

    fn round(&mut self, daemon: &Daemon) -> Result<(), Gone> {
        let number = self.accepted;
        self.world.deliver(ANNA, format!("Subject: n{number}\r\n\r\n{}", "text ".repeat(200)).as_bytes());
        let key = format!("key-{number}");
        let mut message = draft("ben@kunde.test", &format!("n{number}"));
        message["text"] = "A line of text.\n".repeat(1 + number as usize * 37 % 99).into();
        if number % 4 == 3 {
            message["send_at"] = "2999-01-01T00:00:00Z".into();
        }
        // one whose answer got lost is handed over again under its key
        let id = daemon.try_submit("anna", &key, &message)?;
        self.know(Known::Accepted { id: id.clone(), key });
        self.accepted += 1;
        self.named += 1;
        let name = json!({"display_name": format!("{:06}", self.named)});
        if daemon.try_patch("/v1/mailboxes/anna", &name)?.status == 200 {
            self.know(Known::Name(self.named));
        }
        if number.is_multiple_of(2) {
            let wanted = number as usize + 1 + SEEDED;
            daemon.try_until("the delivered message", || {
                Ok((daemon.try_events("message.new")?.len() >= wanted).then_some(()))
            })?;
        }
        match number % 6 {
            1 | 3 => self.world.delete_message(ANNA, "INBOX", number + 1),
            2 => drop(daemon.try_post("/v1/master-key:rotate", &[], &Value::Null)?),
            4 => self.come_and_go(daemon)?,
            _ => {}
        }
        if number % 4 != 3 {
            let target = format!("/v1/mailboxes/anna/outbox/{id}");
            daemon
                .try_until("its end", || Ok((daemon.try_get(&target)?["state"] == "sent").then_some(())))?;
        }
        Ok(())
    }

    /// Another mailbox is made and deleted, with what it has on the disk.
    fn come_and_go(&mut self, daemon: &Daemon) -> Result<(), Gone> {
        let ben = json!({
            "id": "ben", "address": "ben@makler.test", "active": false,
            "display_name": format!("{:06}", self.deleted + 1),
            "imap": {"host": "127.0.0.1", "port": 1, "security": "tls"},
            "auth": {"kind": "password", "user": "ben", "password": PASSWORD},
        });
        let made = daemon.try_post("/v1/mailboxes", &[], &ben)?;
        assert!(matches!(made.status, 201 | 409), "{}", made.json());
        let deleted = daemon.try_delete("/v1/mailboxes/ben")?;
        assert!(matches!(deleted.status, 200 | 202 | 204), "{}", deleted.json());
        self.deleted += 1;
        self.know(Known::Deleted(self.deleted));
        Ok(())
    }
}

/// Reads events as they come, until the daemon is gone.
fn reader(daemon: &Daemon, known: Arc<Mutex<Acknowledged>>) -> JoinHandle<()> {
    let address = daemon.connect().peer_addr().unwrap();
    std::thread::spawn(move || {
        let (client, mut cursor) = (Client::new(address, ADMIN_KEY), String::from("earliest"));
        while let Ok(reply) = client.get(&format!("/v1/events?limit=1000&wait=1&after={cursor}")) {
            let (at, page) = (now(), reply.json());
            let Some(items) = page["items"].as_array() else { return };
            known.lock().unwrap().extend(items.iter().map(|event| (at, Known::Event(event.clone()))));
            page["next"].as_str().unwrap().clone_into(&mut cursor);
        }
    })
}

/// A server that takes every message and notes its final dot.
fn sink(known: Arc<Mutex<Acknowledged>>) -> u16 {
    let message_id = Arc::new(Mutex::new(String::new()));
    server(b"220 ready\r\n", move |line, stream| {
        if let Some(id) = line.strip_prefix("Message-ID: ") {
            id.clone_into(&mut message_id.lock().unwrap());
        }
        match line.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" | "MAIL" | "RSET" | "RCPT" => say(stream, "250 ok\r\n"),
            "DATA" => say(stream, "354 go on\r\n"),
            "." => {
                let dot = Known::Dot(message_id.lock().unwrap().clone());
                known.lock().unwrap().push((now(), dot));
                say(stream, "250 2.0.0 taken\r\n")
            }
            "QUIT" => false,
            _ => true,
        }
    })
}

/// What was known before a cut.
pub fn before(known: &Acknowledged, at: u64) -> Acknowledged {
    known.iter().filter(|(then, _)| *then < at).cloned().collect()
}

/// Copies a directory.
pub fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}
