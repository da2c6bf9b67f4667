//! More mailboxes than the usual limit of open files has room for.

use crate::support::daemon::{Daemon, Site};
use crate::support::scripted::{Mail, Mailbox, Server};
use crate::world::certs::Certificates;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};

/// A server, a daemon under these limits, and so many mailboxes there.
struct Crowd {
    _server: Server,
    _site: Site,
    daemon: Daemon,
}

impl Crowd {
    fn gather(mailboxes: usize, soft: u32, hard: u32) -> Self {
        let (_, all) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, all, all).unwrap();
        let server = Server::start([Mailbox::new("INBOX", [Mail::new(1, "in")])]);
        let files = tempfile::tempdir().unwrap();
        Certificates::generate().write(files.path()).unwrap();
        let mut site = Site::trusting(&files.path().join("ca.pem"));
        site.set("STAFETTE_LOG__FILTER", "info");
        site.set("STAFETTE_TIMING__STATUS_INTERVAL", "1h");
        site.set("STAFETTE_TIMING__LIST_INTERVAL", "1h");
        let daemon = site.start_limited(soft, hard);
        let endpoint = server.endpoint();
        let one = |number: usize| {
            json!({"id": format!("m{number:04}"), "address": format!("m{number}@makler.test"),
                "imap": endpoint, "smtp": null, "auth": {"kind": "password", "password": "pass"}})
        };
        let all: Vec<Value> = (0..mailboxes).map(one).collect();
        for some in all.chunks(500) {
            let reply = daemon.post("/v1/mailboxes:import", &json!({"mailboxes": some}));
            assert_eq!(reply.status, 201, "{}", reply.json());
        }
        Self { _server: server, _site: site, daemon }
    }

    fn live(&self) -> u64 {
        self.daemon.get("/v1/mailboxes:summary")["states"]["live"].as_u64().unwrap_or(0)
    }
}

#[test]
fn under_the_usual_soft_limit_all_of_3000_mailboxes_are_live() {
    let crowd = Crowd::gather(3000, 1024, 20_000);
    // each step has a wait of its own
    for part in [500, 1000, 1500, 2000, 2500, 3000] {
        crowd.daemon.until(&format!("{part} of them"), || (crowd.live() >= part).then_some(()));
    }
}

#[test]
fn under_a_hard_limit_as_many_as_fit_are_live_and_the_others_say_why_they_wait() {
    let crowd = Crowd::gather(700, 1024, 1024);
    let room = u64::try_from(stafette::descriptors::Shares::of(1024).receiving).unwrap();
    crowd.daemon.until("as many as fit", || (crowd.live() == room).then_some(()));
    crowd.daemon.until("the others", || {
        let page = crowd.daemon.get("/v1/mailboxes?state=retrying&limit=1000");
        let waiting = page["items"].as_array().unwrap();
        let says_why = |mailbox: &&Value| {
            mailbox["attention"] == true
                && mailbox["diagnosis"]["code"] == "descriptors"
                && mailbox["diagnosis"]["summary"].as_str().unwrap().contains("1024")
        };
        (waiting.iter().filter(says_why).count() as u64 == 700 - room).then_some(())
    });
    assert_eq!(crowd.live(), room);
}
