//! Servers that send what is not asked for, or is not IMAP (rows 8 to 12, 14 and 15 of the list of tests): nothing is lost
//! or doubled, and nothing goes round in circles.

use crate::support::engine::{Running, config, password_mailbox};
use crate::world::proxy::{Answering, CAPABILITY_AFTER, Edit, Editing};
use crate::world::{Kind, ProxyHandle, Seen, Transport, World};
use stafette::domain::MailboxId;
use stafette::events::EventType;
use std::collections::BTreeMap;

const ANNA: &str = "anna@makler.test";

type Manners = fn(&ProxyHandle);

/// Connections a mailbox may need to come in step although the server sent garbage once.
const CONNECTIONS: usize = 3;

fn before(proxy: &ProxyHandle, line: &str, garbage: &str) {
    proxy.edit(Editing::new(line, Edit::Before(garbage.into())).times(1));
}

const CASES: &[(&str, Manners)] = &[
    ("a line without a star in a listing", |proxy| before(proxy, "\\* 3 FETCH *", "Server Unavailable. 15")),
    ("an untagged line that is no response", |proxy| {
        before(proxy, "\\* 3 FETCH *", "* Server Unavailable. 15")
    }),
    ("a COPYUID of nothing", |proxy| before(proxy, "\\* 2 FETCH *", "* OK [COPYUID 5  ] done")),
    ("a COPYUID nobody asked for", |proxy| before(proxy, "\\* 2 FETCH *", "* OK [COPYUID 55 31 6] done")),
    ("a stray plus", |proxy| before(proxy, "\\* 2 FETCH *", "+")),
    ("a stray plus with a blank", |proxy| before(proxy, "\\* 2 FETCH *", "+ ")),
    ("an empty line", |proxy| before(proxy, "\\* 2 FETCH *", "")),
    ("a folder with a tab, each time", |proxy| {
        let garbage = Edit::Before("* LIST (\\HasNoChildren) \"/\" a\tb".into());
        proxy.edit(Editing::new("\\* LIST *INBOX*", garbage));
    }),
    ("flags of others", |proxy| before(proxy, "\\* 2 FETCH *", "* 1 FETCH (FLAGS (\\Seen))")),
    ("an empty ESEARCH", |proxy| before(proxy, "\\* 2 FETCH *", "* ESEARCH (TAG \"x\") UID")),
    ("sizes three times too large", |proxy| proxy.size_factor(3.0)),
    ("sizes of a third", |proxy| proxy.size_factor(0.33)),
    ("HIGHESTMODSEQ without CONDSTORE", |proxy| {
        proxy.capability("IMAP4rev1 AUTH=PLAIN", CAPABILITY_AFTER);
        before(proxy, "\\* OK \\[UIDVALIDITY*", "* OK [HIGHESTMODSEQ 4711] modified");
    }),
    ("IMAP4rev2 advertised", |proxy| {
        proxy.capability("IMAP4rev1 IMAP4rev2 AUTH=PLAIN", "IMAP4rev1 IMAP4rev2 IDLE ENABLE")
    }),
    ("no UIDNEXT", |proxy| {
        proxy.edit(Editing::new("\\* OK \\[UIDNEXT*", Edit::Remove));
    }),
    ("a server that is unavailable in the middle", |proxy| {
        proxy.answer(
            Answering::new("*FETCH *BODY*", "* BYE Server Unavailable. 15")
                .times(1)
                .ending(crate::world::proxy::Ending::Fin),
        );
    }),
];

fn mail(number: usize) -> Vec<u8> {
    format!("From: b@kunde.test\r\nMessage-ID: <n{number}@kunde.test>\r\nSubject: {number}\r\n\r\nHello {number}\r\n").into_bytes()
}

fn differences(stored: &BTreeMap<String, Vec<Seen>>, server: &BTreeMap<String, Vec<Seen>>) -> Vec<String> {
    server
        .iter()
        .filter(|(path, seen)| stored.get(*path) != Some(*seen))
        .map(|(path, _)| path.clone())
        .collect()
}

#[test]
fn what_is_not_asked_for_or_not_imap_costs_no_mail() {
    let world = World::builder().mailbox(ANNA).without_postfix().start();
    world.deliver_all(ANNA, &(0..5).map(mail).collect::<Vec<_>>());
    let data = tempfile::tempdir().unwrap();
    let running = Running::start(&config(&world, data.path()));
    let server = world.snapshot(ANNA);
    let mut complaints = Vec::new();
    for (number, (what, manners)) in CASES.iter().enumerate() {
        let proxy = world.proxy(Kind::Imap, Transport::ImplicitTls);
        manners(&proxy);
        let (mut mailbox, grant) = password_mailbox(&world, ANNA, proxy.port);
        mailbox.id = MailboxId::new(format!("case-{number}")).unwrap();
        mailbox.smtp = None;
        let added = running.add(mailbox, &grant).incarnation;
        let is_live = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            running.until(added, what, |status| status.synced && status.backlog == 0);
        }));
        let differing = differences(&running.snapshot(added), &server);
        let new = running.events_of(EventType::MessageNew);
        let told = new
            .iter()
            .filter(|event| event.mailbox.as_ref().is_some_and(|id| id.as_str() == format!("case-{number}")))
            .count();
        let used = proxy.accepted();
        let sent = proxy.commands();
        let unasked = sent.iter().any(|said| said.contains("CHANGEDSINCE") || said.starts_with("ENABLE"));
        if is_live.is_err() || !differing.is_empty() || told != 5 || used > CONNECTIONS || unasked {
            complaints.push(format!("{what}: in step {}, differing {differing:?}, told {told}, connections {used}, unasked {unasked}", is_live.is_ok()));
        }
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
}
