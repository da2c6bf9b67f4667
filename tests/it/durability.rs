//! Durability by order: the daemon under `strace` during a first sync and while it accepts submissions.

use crate::daemon::{Site, draft, password_mailbox, world_with};
use crate::trace::{Findings, check};
use crate::world::SeedOptions;

const ANNA: &str = "anna@makler.test";
const MESSAGES: usize = 60;
const SUBMISSIONS: usize = 5;
const CALLS: &str = "openat,read,recvfrom,write,writev,pwrite64,pwritev,fdatasync,fsync,syncfs,sendto";

/// What the daemon's calls show when it syncs some tens of messages and accepts some submissions.
fn traced(faults: &str) -> Findings {
    let world = world_with(&[ANNA]).without_postfix().start();
    world.seed(ANNA, &SeedOptions { messages: MESSAGES, ..SeedOptions::default() });
    let mut site = Site::new(&world);
    // nothing else is written while a submission is being accepted
    for name in ["STATUS_INTERVAL", "FLAG_SCAN", "LIST_INTERVAL"] {
        site.set(format!("STAFETTE_TIMING__{name}"), "1h");
    }
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let mut daemon = site.start_traced(CALLS, &trace, faults);
    let created = daemon.post("/v1/mailboxes", &password_mailbox(ANNA, world.imaps_port(), 1));
    assert_eq!(created.status, 201, "{}", created.json());
    daemon.until_live("anna");
    for number in 0..SUBMISSIONS {
        let mut message = draft("ben@makler.test", &format!("n{number}"));
        message["send_at"] = "2999-01-01T00:00:00Z".into();
        daemon.try_submit("anna", &format!("key-{number}"), &message).unwrap();
    }
    daemon.assert_in_step(&world, "anna", ANNA);
    assert!(daemon.terminate().success());
    check(&std::fs::read_to_string(trace).unwrap())
}

#[test]
fn packs_are_durable_before_sled_names_them_and_sled_before_anybody_is_told() {
    let found = traced("");
    println!("durability: {found:?}");
    assert_eq!(found.violations, Vec::<String>::new());
    assert_eq!(found.answers, SUBMISSIONS);
    // records that are committed together are written together
    assert!(found.pack_writes > SUBMISSIONS && found.syncs > 2 * SUBMISSIONS, "{found:?}");
}

#[test]
fn a_daemon_that_leaves_the_syncs_out_is_caught() {
    let found = traced("sync=skip");
    assert_eq!(found.answers, SUBMISSIONS);
    let answered = found.violations.iter().filter(|text| text.contains("Answered")).count();
    let named = found.violations.iter().filter(|text| text.contains("DbWritten")).count();
    assert!(answered >= SUBMISSIONS && named > 0, "{found:?}");
}
