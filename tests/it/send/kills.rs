//! SIGKILL while sending: at the named points, and at any byte to or from the server. No submission is lost, none
//! reaches its recipient twice, and what nobody can know is shown as `unknown`.

use crate::support::daemon::{Daemon, Site, draft, password_mailbox, world_with};
use crate::support::rounds::{randomness, rounds};
use crate::world::process::wait_until;
use crate::world::proxy::Direction;
use crate::world::{Kind, ProxyHandle, Transport, World};
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

const ANNA: &str = "anna@makler.test";
const BEN: &str = "ben@makler.test";
/// New submissions in each life: every kill that is laid out for a life is met by sending these.
const PER_LIFE: usize = 2;

struct Scene {
    world: World,
    proxy: ProxyHandle,
    site: Site,
    rng: StdRng,
    /// Bytes of a life that sends [`PER_LIFE`] messages, to the server and from it.
    life: (u64, u64),
    accepted: usize,
}

impl Scene {
    fn new() -> Self {
        let rng = randomness("sending");
        let world = world_with(&[ANNA, BEN]).start();
        let proxy = world.proxy(Kind::Smtp, Transport::StartTls);
        let site = Site::new(&world);
        let mut scene = Self { world, proxy, site, rng, life: (0, 0), accepted: 0 };
        let daemon = scene.site.start();
        let mut anna = password_mailbox(ANNA, 1, scene.proxy.port);
        anna["imap"] = Value::Null;
        assert_eq!(daemon.post("/v1/mailboxes", &anna).status, 201);
        scene.submit(&daemon, PER_LIFE);
        until_settled(&daemon, PER_LIFE);
        drop(daemon);
        let (to_client, to_server) = scene.proxy.carried();
        scene.life = (to_server, to_client);
        scene
    }

    /// Hands over the next ones, as many as are wanted in all, until the daemon is gone.
    fn submit(&mut self, daemon: &Daemon, wanted: usize) {
        while self.accepted < wanted {
            let mut message = draft(BEN, &format!("n{}", self.accepted));
            message["text"] = "A line of text.\n".repeat(1 + self.accepted * 37 % 99).into();
            // one whose answer got lost is handed over again under its key
            if daemon.try_submit("anna", &format!("key-{}", self.accepted), &message).is_err() {
                return;
            }
            self.accepted += 1;
        }
    }

    /// Starts a daemon that will be killed while it sends.
    fn start_doomed(&mut self, kind: usize) -> Daemon {
        let pass = self.rng.random_range(1..=PER_LIFE);
        match kind {
            0 => self.site.start_with(&format!("smtp.sending:anna=kill@{pass}")),
            1 => self.site.start_with(&format!("smtp.answered:anna=kill@{pass}")),
            _ => {
                let (direction, most) = if kind == 2 {
                    (Direction::ToServer, self.life.0)
                } else {
                    (Direction::ToClient, self.life.1)
                };
                let daemon = self.site.start();
                self.proxy.after_bytes(self.rng.random_range(1..most / 2), direction, daemon.killer());
                daemon
            }
        }
    }

    /// How often each Message-ID is in the recipient's inbox, once Postfix has nothing left to deliver.
    fn received(&self) -> BTreeMap<String, usize> {
        let queue = self.world.dir().join("pfqueue");
        let folders = ["maildrop", "incoming", "active", "deferred"].map(|name| queue.join(name));
        assert!(wait_until(crate::support::daemon::PATIENCE, || folders
            .iter()
            .all(|folder| is_empty(folder))));
        let mut imap = self.world.imap(BEN);
        imap.command("EXAMINE INBOX").unwrap();
        let mut times = BTreeMap::new();
        for reply in imap.command("UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])").unwrap() {
            for header in reply.literals {
                let text = String::from_utf8(header).unwrap();
                let id = text.split_once(':').unwrap().1.trim().to_owned();
                *times.entry(id).or_default() += 1;
            }
        }
        times
    }
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().flatten().all(|entry| entry.path().is_dir() && is_empty(&entry.path()))
}

/// Waits until nothing is to be sent any more.
fn until_settled(daemon: &Daemon, accepted: usize) -> Vec<Value> {
    daemon.until("the end of all submissions", || {
        let page = daemon.get("/v1/mailboxes/anna/outbox?limit=1000");
        let items = page["items"].as_array().unwrap().clone();
        assert_eq!(items.len(), accepted, "every accepted submission once");
        let settled = |item: &Value| matches!(item["state"].as_str(), Some("sent" | "failed" | "unknown"));
        items.iter().all(settled).then_some(items)
    })
}

#[test]
fn kills_while_sending_lose_nothing_and_double_nothing() {
    let mut scene = Scene::new();
    let wanted = rounds(200).max(PER_LIFE);
    let mut kills = 0;
    while scene.accepted < wanted {
        let mut daemon = scene.start_doomed(kills % 4);
        let in_this_life = scene.accepted + PER_LIFE;
        scene.submit(&daemon, in_this_life);
        daemon.killed();
        kills += 1;
    }
    let daemon = scene.site.start();
    // the last life, too, may have stored one whose answer got lost
    let all = scene.accepted + 1;
    scene.submit(&daemon, all);
    let settled = until_settled(&daemon, scene.accepted);
    let received = scene.received();
    let told = |kind: &str| -> Vec<Value> {
        daemon.events(kind).iter().map(|event| event["data"]["submission"].clone()).collect()
    };
    let (sent_told, unknown_told) = (told("submission.sent"), told("submission.unknown"));
    let (mut sent, mut unknown, mut arrived) = (0, 0, 0);
    for item in &settled {
        let times = received.get(item["message_id"].as_str().unwrap()).copied().unwrap_or(0);
        let told = |events: &[Value]| events.iter().filter(|id| **id == item["id"]).count();
        match item["state"].as_str().unwrap() {
            "sent" => {
                assert_eq!((times, told(&sent_told)), (1, 1), "{item}");
                sent += 1;
            }
            "unknown" => {
                assert!(times <= 1 && told(&unknown_told) == 1 && told(&sent_told) == 0, "{times} {item}");
                unknown += 1;
                arrived += times;
            }
            other => panic!("{other}: {item}"),
        }
    }
    assert_eq!(received.values().sum::<usize>(), sent + arrived, "nothing else arrived");
    assert!(unknown <= kills, "a kill leaves at most one in doubt");
    println!(
        "sending: {} submissions, {kills} kills: {sent} sent, each received once; {unknown} unknown, \
         {arrived} of them received once, {} not at all; none lost, none doubled",
        settled.len(),
        unknown - arrived
    );
}
