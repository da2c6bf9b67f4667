//! Durability by order: the daemon under `strace` during a first sync and while it accepts submissions.

use crate::support::daemon::{Site, draft, password_mailbox, world_with};
use crate::support::trace::{Findings, check};
use crate::world::SeedOptions;

const ANNA: &str = "anna@makler.test";
const MESSAGES: usize = 60;
const SUBMISSIONS: usize = 5;
/// Of a start: what is written, made durable and listened at.
const START: &str = "write,writev,pwrite64,pwritev,fdatasync,fsync,rename,listen";
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

/// What a start on this site does until it listens.
fn start_of(site: &Site, faults: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let mut daemon = site.start_traced(START, &trace, faults);
    daemon.killer()();
    daemon.killed();
    let trace = std::fs::read_to_string(trace).unwrap();
    let (until, _) = trace.split_once("listen(").expect("it listened");
    until.lines().map(String::from).collect()
}

/// Whether the thread that writes the journal anew, and so has read all of the state, syncs sled's file after that: the
/// committer is another thread.
fn syncs_what_it_read(calls: &[String]) -> bool {
    let is_anew = |call: &String| call.contains("rename(") && call.contains("journal.new");
    let place = calls.iter().position(is_anew).expect("the journal is written anew at a start");
    let (opener, _) = calls[place].split_once(' ').unwrap();
    calls[place..].iter().any(|call| {
        call.starts_with(&format!("{opener} ")) && call.contains("fdatasync(") && call.contains("/state/db>")
    })
}

#[test]
fn a_start_makes_durable_what_it_made_and_what_it_read() {
    let world = world_with(&[ANNA]).without_postfix().start();
    let site = Site::new(&world);
    let made = start_of(&site, "");
    let last = made.iter().rfind(|call| call.contains("/state/conf>") && !call.contains("openat"));
    assert!(last.is_some_and(|call| call.contains("fsync(")), "{last:?}");
    // killed with its log in the page cache alone
    let mut daemon = site.start_with("commit.before_sync=kill");
    drop(daemon.try_post("/v1/mailboxes", &[], &password_mailbox(ANNA, 1, 1)));
    daemon.killed();
    assert!(syncs_what_it_read(&start_of(&site, "")));
    assert!(!syncs_what_it_read(&start_of(&site, "sync=skip")), "it would be noticed");
}
