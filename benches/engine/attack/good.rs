//! The good mailboxes, one for each arbiter on Dovecot and one in memory, and the mail that comes for them.

use super::child::now_micros;
use crate::scripted::{Mail, Mailbox, Server};
use crate::world::World;
use std::time::{Duration, Instant};

pub struct Good {
    pub world: World,
    pub dovecot: Vec<String>,
    pub in_memory: Vec<(String, Server)>,
    /// Of the message that comes next: no number comes twice, in whatever phase.
    next: std::cell::Cell<usize>,
}

/// A message that was delivered.
pub struct Delivered {
    pub number: usize,
    pub mailbox: String,
    /// In microseconds after the epoch.
    pub at: u64,
}

impl Good {
    pub fn start() -> Self {
        let arbiters = std::thread::available_parallelism().map_or(1, usize::from);
        let dovecot: Vec<String> = (0..arbiters).map(|number| format!("dovecot{number}")).collect();
        let in_memory = (0..arbiters)
            .map(|number| (format!("memory{number}"), Server::start([Mailbox::new("INBOX", [])])));
        let world = World::builder().without_postfix().start();
        Self { world, dovecot, in_memory: in_memory.collect(), next: std::cell::Cell::new(1) }
    }

    /// A message every half second or so to each, not in step with anything.
    pub fn deliver(&self, length: Duration) -> Vec<Delivered> {
        let started = Instant::now();
        let mut delivered = Vec::new();
        while started.elapsed() < length {
            let number = self.next.replace(self.next.get() + 1);
            for id in &self.dovecot {
                let text = format!(
                    "Subject: new {number}\r\nMessage-ID: <new-{number}@kunde.test>\r\n\r\nHello\r\n"
                );
                self.world.deliver(&format!("{id}@makler.test"), text.as_bytes());
                delivered.push(Delivered { number, mailbox: id.clone(), at: now_micros() });
            }
            for (id, server) in &self.in_memory {
                // it is told before the call returns
                delivered.push(Delivered { number, mailbox: id.clone(), at: now_micros() });
                let mail = Mail::new(u32::try_from(number).unwrap(), &format!("new-{number}"));
                server.change(|state| state.folder("INBOX").mails.push(mail));
            }
            std::thread::sleep(Duration::from_millis(350 + (number as u64 * 137) % 300));
        }
        delivered
    }
}
