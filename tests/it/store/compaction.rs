//! Compaction in the daemon as it is shipped: killed at each step of it, nothing is lost and the space comes back.

use crate::support::daemon::{Site, password_mailbox, world_with};
use crate::support::follow::present;
use stafette::store::StoreConfig;
use std::path::Path;

const ANNA: &str = "anna@makler.test";

fn message(number: usize) -> Vec<u8> {
    let mut seed = number as u64;
    let mut noise = String::new();
    for _ in 0..400 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        noise.push_str(&format!("{seed:016x}\r\n"));
    }
    format!("From: b@kunde.test\r\nMessage-ID: <n{number}@kunde.test>\r\nSubject: n{number}\r\n\r\n{noise}")
        .into_bytes()
}

fn bytes_below(path: &Path) -> u64 {
    let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| {
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() { bytes_below(&entry.path()) } else { metadata.len() }
        })
        .sum()
}

#[test]
fn a_compaction_that_is_killed_at_any_step_loses_nothing_and_is_finished_later() {
    let world = world_with(&[ANNA]).without_postfix().start();
    let mails: Vec<Vec<u8>> = (0..80).map(message).collect();
    world.deliver_all(ANNA, &mails);
    let mut site = Site::new(&world);
    site.set("STAFETTE_STORE__PACK_LIMIT", "30000");
    site.set("STAFETTE_TIMING__MASS_DELETE_CONFIRM", "200ms");
    let packs = site.data_dir().join("packs");
    {
        let daemon = site.start();
        assert_eq!(daemon.post("/v1/mailboxes", &password_mailbox(ANNA, world.imaps_port(), 1)).status, 201);
        daemon.until_live("anna");
        for uid in (1..=80).filter(|uid| uid % 3 != 0) {
            world.delete_message(ANNA, "INBOX", uid);
        }
        daemon.until("the deletions", || {
            (daemon.get("/v1/mailboxes/anna")["sync"]["messages"] == 26).then_some(())
        });
    }
    let before = bytes_below(&packs);
    for point in ["compact.moved", "compact.moved", "compact.before_unlink", "compact.before_unlink"] {
        site.start_with(&format!("{point}=kill")).killed();
    }
    let daemon = site.start();
    daemon.until_log(|line| line.contains("packs compacted"));
    daemon.until_live("anna");
    assert!(daemon.snapshot("anna") == present(&world, ANNA));
    assert!(bytes_below(&packs) * 2 < before, "{} of {before}", bytes_below(&packs));
    drop(daemon);
    let found = stafette::store::fsck::check(&StoreConfig::at(site.data_dir())).unwrap();
    assert_eq!(found.problems, Vec::<String>::new());
}
