//! A server of one make or another, and an engine that is live on it.

use crate::support::engine::{Running, bare_config, password_grant, receiving_mailbox};
use crate::world::{Cyrus, Mailboxes, ProxyHandle, Seen, World};
use stafette::config::Config;
use stafette::domain::{Incarnation, MessageId};
use stafette::events::{Event, EventType};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

pub const ANNA: &str = "anna@makler.test";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    Dovecot,
    /// Dovecot behind the proxy that behaves like Exchange Online.
    Exchange,
    Cyrus,
}

/// A running server with Anna's mailbox.
pub struct Server {
    pub mailboxes: Mailboxes,
    pub imaps_port: u16,
    pub ca_pem: PathBuf,
    _parts: Parts,
}

/// What keeps it running.
enum Parts {
    Dovecot { _world: World },
    Exchange { _proxy: ProxyHandle, _world: World },
    Cyrus { _cyrus: Cyrus },
}

impl Server {
    pub fn start(make: Make) -> Self {
        let world = || World::builder().mailbox(ANNA).without_postfix().start();
        match make {
            Make::Dovecot => {
                let world = world();
                let (mailboxes, imaps_port, ca_pem) =
                    (world.mailboxes.clone(), world.imaps_port(), world.ca_pem());
                Self { mailboxes, imaps_port, ca_pem, _parts: Parts::Dovecot { _world: world } }
            }
            Make::Exchange => {
                let world = world();
                let proxy = world.exchange_imap();
                let (mailboxes, imaps_port, ca_pem) = (world.mailboxes.clone(), proxy.port, world.ca_pem());
                Self {
                    mailboxes,
                    imaps_port,
                    ca_pem,
                    _parts: Parts::Exchange { _proxy: proxy, _world: world },
                }
            }
            Make::Cyrus => {
                let cyrus = Cyrus::start(&[ANNA]);
                let (mailboxes, imaps_port, ca_pem) =
                    (cyrus.mailboxes.clone(), cyrus.imaps_port(), cyrus.ca_pem());
                Self { mailboxes, imaps_port, ca_pem, _parts: Parts::Cyrus { _cyrus: cyrus } }
            }
        }
    }
}

/// An engine in this process, and its server.
pub struct Place {
    running: RefCell<Option<Running>>,
    config: Config,
    pub mailboxes: Mailboxes,
    pub anna: Incarnation,
    _data: tempfile::TempDir,
    _server: Server,
}

impl Place {
    /// An empty mailbox, and an engine that is live on it.
    pub fn live(make: Make) -> Self {
        let server = Server::start(make);
        let data = tempfile::tempdir().unwrap();
        let mut config = bare_config(data.path());
        config.tls.extra_ca = vec![server.ca_pem.clone()];
        let running = Running::start(&config);
        let mailbox = receiving_mailbox(ANNA, server.imaps_port);
        let anna = running.add(mailbox, &password_grant(ANNA)).incarnation;
        running.until_live(anna);
        let mailboxes = server.mailboxes.clone();
        Self { running: RefCell::new(Some(running)), config, mailboxes, anna, _data: data, _server: server }
    }

    /// Speaks to the engine.
    pub fn engine<T>(&self, with: impl FnOnce(&Running) -> T) -> T {
        with(self.running.borrow().as_ref().expect("the engine runs"))
    }

    /// Ends the engine without ceremony, does something, and starts it again on the same data.
    pub fn restarted_after(&self, meanwhile: impl FnOnce()) {
        let before = self.events(EventType::MailboxStateChanged).len();
        drop(self.running.take());
        meanwhile();
        let running = Running::start(&self.config);
        running.wait("live again", || {
            let states = running.events_of(EventType::MailboxStateChanged).split_off(before);
            states.last().is_some_and(|event| event.data["state"] == "live").then_some(())
        });
        self.running.replace(Some(running));
    }

    /// Waits until the store is the server, byte for byte.
    pub fn in_step(&self) {
        let difference = || {
            let (ours, theirs) =
                (self.engine(|engine| engine.snapshot(self.anna)), self.mailboxes.snapshot(ANNA));
            let folders: BTreeSet<_> = ours.keys().chain(theirs.keys()).cloned().collect();
            let count = |side: &BTreeMap<String, Vec<Seen>>, path: &String| side.get(path).map(Vec::len);
            let differs = |path: &String| ours.get(path) != theirs.get(path);
            let line =
                |path: String| format!("{path}: {:?}/{:?}", count(&ours, &path), count(&theirs, &path));
            folders.into_iter().filter(differs).map(line).collect::<Vec<_>>()
        };
        self.engine(|engine| {
            engine.wait_or(
                "the store in step with the server",
                || difference().is_empty().then_some(()),
                || format!("folders that differ (stored/server): {:?}", difference()),
            );
        });
    }

    pub fn deliver(&self, subject: &str) {
        self.mailboxes.deliver(ANNA, &message(subject));
    }

    /// The event of a type about the message of this subject, waited for.
    pub fn until(&self, kind: EventType, subject: &str) -> Event {
        let id = format!("<{subject}@kunde.test>");
        let what = format!("{kind:?} of {subject}");
        self.engine(|engine| engine.until_event(kind, &what, |event| event.data["message_id"] == id.as_str()))
    }

    pub fn events(&self, kind: EventType) -> Vec<Event> {
        self.engine(|engine| engine.events_of(kind))
    }

    /// Where the server has the message of this subject.
    pub fn uid(&self, folder: &str, subject: &str) -> u32 {
        let mut imap = self.mailboxes.imap(ANNA);
        let name = crate::world::imap::quoted(&crate::world::imap::encode_utf7(folder));
        imap.command(&format!("EXAMINE {name}")).unwrap();
        let found = imap.command(&format!("UID SEARCH HEADER Message-ID <{subject}@kunde.test>")).unwrap();
        let line = found.iter().find_map(|reply| reply.text.strip_prefix("* SEARCH ")).expect("the message");
        line.split(' ').next_back().unwrap().parse().unwrap()
    }

    /// The ids of a folder's messages by UID.
    pub fn ids(&self, folder: &str) -> Vec<MessageId> {
        self.engine(|engine| {
            let folder = engine.folder(self.anna, folder);
            let entries = engine.store.uid_entries(self.anna, folder.id, folder.incarnation).unwrap();
            entries.iter().map(|entry| entry.message).collect()
        })
    }

    /// How often messages were announced, and that none was told as deleted.
    pub fn announced_and_kept(&self) -> usize {
        assert_eq!(self.events(EventType::MessageDeleted), [], "nothing is deleted");
        self.events(EventType::MessageNew).len()
    }
}

pub fn message(subject: &str) -> Vec<u8> {
    format!(
        "From: Ben <ben@kunde.test>\r\nTo: anna@makler.test\r\nSubject: {subject}\r\n\
         Message-ID: <{subject}@kunde.test>\r\nDate: Mon, 23 Nov 2026 19:00:00 +0000\r\n\r\nHello\r\n"
    )
    .into_bytes()
}
