//! Durability by order: the daemon under `strace` during a first sync and while it accepts submissions.

use crate::daemon::{Site, draft, password_mailbox, world_with};
use crate::trace::{Findings, check};
use crate::world::SeedOptions;

const ANNA: &str = "anna@makler.test";
const MESSAGES: usize = 60;
const SUBMISSIONS: usize = 5;
/// Of a start: what is written, made durable and listened at.
const START: &str = "write,writev,pwrite64,pwritev,fdatasync,fsync,listen";
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

/// What a start on this site does to a file of its state until it listens: `w` a write, `s` a sync of ours.
fn start_of(site: &Site, file: &str, faults: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let mut daemon = site.start_traced(START, &trace, faults);
    daemon.killer()();
    daemon.killed();
    let trace = std::fs::read_to_string(trace).unwrap();
    let (until, _) = trace.split_once("listen(").expect("it listened");
    let of_file = until.lines().filter(|line| line.contains(&format!("/state/{file}>")));
    of_file
        .filter_map(|line| match line {
            _ if line.contains("fdatasync(") || (line.contains("fsync(") && file == "conf") => Some('s'),
            _ if line.contains("write") => Some('w'),
            _ => None,
        })
        .collect()
}

#[test]
fn a_start_makes_durable_what_it_made_and_what_it_read() {
    let world = world_with(&[ANNA]).without_postfix().start();
    let site = Site::new(&world);
    let made = start_of(&site, "conf", "");
    assert!(made.contains('w') && made.ends_with('s'), "{made}");
    // killed with its log in the page cache alone
    let mut daemon = site.start_with("commit.before_sync=kill");
    drop(daemon.try_post("/v1/mailboxes", &[], &password_mailbox(ANNA, 1, 1)));
    daemon.killed();
    let read = start_of(&site, "db", "");
    assert!(read.ends_with('s'), "{read}");
    let skipped = start_of(&site, "db", "sync=skip");
    assert!(!skipped.contains('s'), "{skipped}");
}
