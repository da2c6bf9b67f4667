//! What is kept of a mailbox by its policy.

use crate::support::engine::{Running, config, password_mailbox};
use crate::world::{Kind, Transport, World};
use serde_json::{Value, json};
use stafette::clock;
use stafette::domain::{MailboxId, Timestamp};
use stafette::events::EventType;
use std::time::Duration;

const ANNA: &str = "anna@makler.test";
const MIB: usize = 1 << 20;

fn mail(subject: &str, length: usize) -> Vec<u8> {
    let head =
        format!("From: b@kunde.test\r\nMessage-ID: <{subject}@kunde.test>\r\nSubject: {subject}\r\n\r\n");
    let line = "a line of text that is as long as many others are in such a message\r\n";
    [head.into_bytes(), line.repeat(length / line.len()).into_bytes()].concat()
}

#[test]
fn messages_over_the_limit_are_kept_as_headers_whatever_size_the_server_tells() {
    let world = World::builder().mailbox(ANNA).without_postfix().start();
    for (subject, length) in [("small", 3000), ("large", 3 * MIB), ("oversize", 10 * MIB)] {
        world.append(ANNA, "INBOX", "\\Seen", &mail(subject, length));
    }
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&config(&world, data.path()));
    // told as it is: only the header is fetched; as a third: found out in the pieces; as a tenth: when it is whole
    for (number, factor) in [1.0, 0.3, 0.1].into_iter().enumerate() {
        let proxy = world.proxy(Kind::Imap, Transport::ImplicitTls);
        proxy.size_factor(factor);
        let id = format!("case-{number}");
        let (mut mailbox, grant) = password_mailbox(&world, ANNA, proxy.port);
        mailbox.id = MailboxId::new(id.as_str()).unwrap();
        mailbox.policy.max_message = 4 * MIB as u64;
        let added = running.add(mailbox, &grant).incarnation;
        running.until_live(added);
        let listed = api.get(&format!("/v1/mailboxes/{id}/messages")).ok(200);
        let shown = |subject: &str| {
            let items = listed["items"].as_array().unwrap();
            items.iter().find(|item| item["subject"] == subject).cloned().unwrap_or(Value::Null)
        };
        let raw = |subject: &str| {
            format!("/v1/mailboxes/{id}/messages/{}/raw", shown(subject)["id"].as_str().unwrap())
        };
        assert_eq!(listed["items"].as_array().unwrap().len(), 3);
        assert_eq!(
            (&shown("small")["state"], &shown("large")["state"]),
            (&json!("stored"), &json!("stored"))
        );
        assert_eq!(api.get(&raw("large")).body.len(), mail("large", 3 * MIB).len());
        let oversize = shown("oversize");
        assert_eq!(
            (&oversize["state"], &oversize["flags"]),
            (&json!("headers"), &json!(["\\Seen"])),
            "{factor}"
        );
        assert!(oversize["size"].as_u64().unwrap() > 4 * MIB as u64, "{oversize}");
        api.get(&raw("oversize")).problem(404, "no_body");
        let whole = proxy.commands().iter().any(|said| said.contains("[HEADER]"));
        assert_eq!(whole, factor > 0.9, "{factor}");
    }
    assert_eq!(running.events_of(EventType::MessageNew).len(), 9);
}

#[test]
fn what_came_before_the_chosen_day_is_not_fetched() {
    let world = World::builder().mailbox(ANNA).without_postfix().start();
    world.deliver_all(ANNA, &[mail("one", 500), mail("two", 500)]);
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&config(&world, data.path()));
    let proxy = world.proxy(Kind::Imap, Transport::ImplicitTls);
    // the inbox is looked at again and again
    proxy.capability("IMAP4rev1 AUTH=PLAIN", "IMAP4rev1 IDLE");
    let (mailbox, grant) = password_mailbox(&world, ANNA, proxy.port);
    let anna = running.add(mailbox.clone(), &grant);
    running.until_live(anna.incarnation);
    assert_eq!(running.snapshot(anna.incarnation)["INBOX"].len(), 2);
    let now = clock::now();
    let bodies = || proxy.commands().iter().filter(|said| said.contains("BODY.PEEK")).count();
    let scans = || proxy.commands().iter().filter(|said| said.contains("UID SEARCH")).count();
    // of the same day and later by the hour; of a day far away
    for (number, hours) in [1, 24 * 40].into_iter().enumerate() {
        let mut later = mailbox.clone();
        later.id = MailboxId::new(format!("later-{number}")).unwrap();
        later.policy.since = Some(now.plus(Duration::from_secs(hours * 3600)));
        let (fetched, before) = (bodies(), scans());
        let later = running.add(later, &grant);
        running.until_live(later.incarnation);
        // and neither later nor set apart
        running.wait("three looks", || (scans() >= before + 3).then_some(()));
        assert_eq!((running.snapshot(later.incarnation)["INBOX"].len(), bodies() - fetched), (0, 0));
        let folder = running.folder(later.incarnation, "INBOX");
        assert!(
            running.store.quarantined(later.incarnation, folder.id, folder.incarnation).unwrap().is_empty()
        );
        let shown = api.get(&format!("/v1/mailboxes/later-{number}")).ok(200);
        assert_eq!((&shown["state"], &shown["sync"]["backlog"]), (&json!("live"), &json!(0)));
    }
    let all = json!({"policy": {"since": Timestamp(0)}});
    api.patch("/v1/mailboxes/later-0", &all).ok(200);
    let later = running.stored("later-0").incarnation;
    running.wait("all of it", || (running.snapshot(later)["INBOX"].len() == 2).then_some(()));
}

#[test]
fn a_large_message_on_a_slow_line_is_waited_for_while_bytes_come() {
    let world = World::builder().mailbox(ANNA).without_postfix().start();
    world.append(ANNA, "INBOX", "\\Seen", &mail("large", 3 * MIB / 2));
    let data = tempfile::tempdir().unwrap();
    let mut config = config(&world, data.path());
    // it takes longer than any silence may last, and the line is never silent
    config.timing.fetch_silence = Duration::from_secs(1);
    let (running, _) = Running::serve(&config);
    let proxy = world.proxy(Kind::Imap, Transport::ImplicitTls);
    proxy.rate_limit(Some(500_000));
    let (mailbox, grant) = password_mailbox(&world, ANNA, proxy.port);
    let anna = running.add(mailbox, &grant).incarnation;
    running.until_live(anna);
    assert_eq!(running.snapshot(anna)["INBOX"].len(), 1);
    let logins = proxy.commands().iter().filter(|said| said.contains("AUTHENTICATE")).count();
    assert_eq!(logins, 1, "one connection brought it");
}
