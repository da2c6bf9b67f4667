//! Servers that fail for a moment, or tell what is not so: no mail is lost by it, and none is taken for other mail.

use crate::support::engine::{Running, bare_config, config, password_mailbox};
use crate::sync::bad_servers::{anna_at, imap, say};
use crate::world::proxy::{Answering, Ending};
use crate::world::{Kind, ProxyHandle, Transport, World};
use stafette::domain::{Incarnation, MailboxState};
use stafette::events::EventType;
use std::collections::BTreeSet;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const ANNA: &str = "anna@makler.test";

fn mail(subject: &str) -> Vec<u8> {
    format!("Message-ID: <{subject}@kunde.test>\r\nSubject: {subject}\r\n\r\nHello\r\n").into_bytes()
}

/// A mailbox with one message, behind a proxy.
struct Scene {
    world: World,
    proxy: ProxyHandle,
    data: tempfile::TempDir,
}

fn scene(folder: &str) -> Scene {
    let world = World::builder().mailbox(ANNA).without_postfix().start();
    world.append(ANNA, folder, "\\Seen", &mail("one"));
    let proxy = world.proxy(Kind::Imap, Transport::ImplicitTls);
    Scene { world, proxy, data: tempfile::tempdir().unwrap() }
}

impl Scene {
    fn serve(&self, change: impl FnOnce(&mut stafette::config::Config)) -> (Running, Incarnation) {
        let mut config = config(&self.world, self.data.path());
        change(&mut config);
        let (running, _) = Running::serve(&config);
        let (mailbox, grant) = password_mailbox(&self.world, ANNA, self.proxy.port);
        let anna = running.add(mailbox, &grant).incarnation;
        (running, anna)
    }
}

#[test]
fn a_server_that_asks_for_patience_is_not_asked_for_less_at_once() {
    let scene = scene("INBOX");
    scene.proxy.throttle("UID FETCH 1:\\* *", "1500", 1);
    let (running, anna) = scene.serve(|_| {});
    running.until(anna, "patience", |status| status.state == MailboxState::Throttled);
    running.until(anna, "the first sync", |status| status.synced);
    let listings = scene.proxy.commands().into_iter().filter(|said| said.contains("UID FETCH 1:*"));
    assert_eq!(listings.filter(|said| said.ends_with("(UID FLAGS)")).count(), 0);
}

#[test]
fn a_server_that_hangs_up_for_a_while_costs_no_message() {
    let scene = scene("INBOX");
    let hangs_up = Answering::new("*FETCH * (* BODY.PEEK[]*", "* OK one moment").times(3).ending(Ending::Fin);
    scene.proxy.answer(hangs_up);
    let (running, anna) = scene.serve(|config| config.timing.quarantine_retry = Duration::from_secs(1));
    running.until(anna, "the first sync", |status| status.synced);
    running.wait("the message", || {
        running.snapshot(anna).get("INBOX").is_some_and(|inbox| inbox.len() == 1).then_some(())
    });
    let folder = running.folder(anna, "INBOX");
    assert_eq!(running.store.quarantined(anna, folder.id, folder.incarnation).unwrap(), []);
}

#[test]
fn a_folder_that_could_not_be_selected_is_looked_at_again_before_anything_is_called_in_step() {
    let scene = scene("Sent");
    scene.proxy.answer(Answering::new("SELECT \"Sent\"", "$TAG NO cannot be opened right now").times(1));
    let (running, anna) = scene.serve(|config| config.timing.flag_scan = Duration::from_secs(600));
    running.until(anna, "the first sync", |status| status.synced);
    assert_eq!(running.snapshot(anna)["Sent"].len(), 1);
}

#[test]
fn a_folder_that_stays_closed_keeps_nobody_waiting() {
    let scene = scene("INBOX");
    scene.world.append(ANNA, "Sent", "", &mail("two"));
    scene.proxy.answer(Answering::new("SELECT \"Sent\"", "$TAG NO you may not").times(u32::MAX));
    let (running, anna) = scene.serve(|_| {});
    running.until(anna, "the first sync", |status| status.synced);
    assert_eq!(running.snapshot(anna)["INBOX"].len(), 1);
}

#[test]
fn a_mass_deletion_during_the_first_sync_is_believed_at_the_second_look() {
    let world = World::builder().mailbox(ANNA).without_postfix().start();
    let mails: Vec<Vec<u8>> =
        (0..300).map(|number| [mail(&number.to_string()), vec![b'x'; 2000]].concat()).collect();
    world.deliver_all(ANNA, &mails);
    let proxy = world.proxy(Kind::Imap, Transport::ImplicitTls);
    proxy.rate_limit(Some(80_000));
    let scene = Scene { world, proxy, data: tempfile::tempdir().unwrap() };
    let (running, anna) = scene.serve(|_| {});
    let stored = || running.snapshot(anna).get("INBOX").map_or(0, Vec::len);
    // early enough that what is on its way when the connection ends is not all of the rest
    running.wait("half of it", || (stored() >= 150).then_some(()));
    scene.proxy.refuse(true);
    scene.proxy.end_connections(Ending::Fin);
    // more are left than the first look takes
    (1..=240).for_each(|uid| scene.world.delete_message(ANNA, "INBOX", uid));
    scene.proxy.rate_limit(None);
    scene.proxy.refuse(false);
    running.until(anna, "the first sync", |status| status.synced);
    assert_eq!(stored(), 60);
}

/// What a server with five messages does when it is told to fail.
static FAILS: AtomicBool = AtomicBool::new(false);
/// Complete listings since then.
static LISTED: AtomicUsize = AtomicUsize::new(0);

/// Once it says that its inbox is empty, and refuses to list it; the connection before that it ends.
fn forgetful(line: &str, stream: &mut TcpStream) -> bool {
    let (tag, command) = line.split_once(' ').unwrap_or((line, ""));
    let done = |stream: &mut TcpStream, text: &str| say(stream, &format!("{text}{tag} OK done\r\n"));
    let each = |items: &dyn Fn(u32) -> String| -> String {
        (1..=5).map(|uid| format!("* {uid} FETCH (UID {uid} FLAGS () {})\r\n", items(uid))).collect()
    };
    let fails = FAILS.load(Ordering::SeqCst);
    thread_local! { static KNOWS_NOTHING: std::cell::Cell<bool> = const { std::cell::Cell::new(false) }; }
    match command {
        "NOOP" if fails => false,
        "SELECT \"INBOX\"" => {
            KNOWS_NOTHING.set(fails);
            let exists = if fails { 0 } else { 5 };
            done(stream, &format!("* {exists} EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 6] x\r\n"))
        }
        _ if command.starts_with("STATUS") => {
            done(stream, "* STATUS INBOX (MESSAGES 5 UIDNEXT 6 UIDVALIDITY 7 UNSEEN 5)\r\n")
        }
        _ if command.contains("BODY.PEEK[]") => {
            let date = "INTERNALDATE \"07-Feb-2026 22:43:04 +0000\"";
            let all = each(&|uid| {
                let text = format!("Subject: {uid}\r\n\r\n");
                format!("{date} BODY[] {{{}}}\r\n{text}", text.len())
            });
            done(stream, &all)
        }
        _ if command.contains("FETCH") && KNOWS_NOTHING.get() => {
            FAILS.store(false, Ordering::SeqCst);
            LISTED.store(0, Ordering::SeqCst);
            say(stream, &format!("{tag} BAD there is nothing\r\n"))
        }
        _ if command.contains("FETCH") => {
            LISTED.fetch_add(1, Ordering::SeqCst);
            done(stream, &each(&|_| String::from("RFC822.SIZE 14")))
        }
        _ => imap(line, stream, |stream, _| done(stream, "* LIST () \"/\" INBOX\r\n")),
    }
}

#[test]
fn a_listing_that_was_refused_once_deletes_nothing() {
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&bare_config(data.path()));
    let anna = anna_at(&running, &api, forgetful);
    running.until(anna, "the first sync", |status| status.synced);
    FAILS.store(true, Ordering::SeqCst);
    let has_recovered = || !FAILS.load(Ordering::SeqCst) && LISTED.load(Ordering::SeqCst) > 1;
    running.wait("another look", || has_recovered().then_some(()));
    assert_eq!(running.events_of(EventType::MessageDeleted).len(), 0);
    assert_eq!(running.snapshot(anna)["INBOX"].len(), 5);
}

/// Lists its only message over and over; it says that there is none.
fn repetitive(line: &str, stream: &mut TcpStream) -> bool {
    let (tag, command) = line.split_once(' ').unwrap_or((line, ""));
    let done = |stream: &mut TcpStream, text: &str| say(stream, &format!("{text}{tag} OK done\r\n"));
    match command {
        "SELECT \"INBOX\"" => done(stream, "* 0 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 2] x\r\n"),
        _ if command.contains("BODY.PEEK[]") => {
            let date = "INTERNALDATE \"07-Feb-2026 22:43:04 +0000\"";
            done(
                stream,
                &format!("* 1 FETCH (UID 1 FLAGS () {date} BODY[] {{14}}\r\nSubject: x\r\n\r\n)\r\n"),
            )
        }
        _ if command.contains("FETCH") => {
            done(stream, &"* 1 FETCH (UID 1 FLAGS (a b c) RFC822.SIZE 14)\r\n".repeat(5000))
        }
        _ => imap(line, stream, |stream, _| done(stream, "* LIST () \"/\" INBOX\r\n")),
    }
}

#[test]
fn what_is_listed_again_and_again_is_one_message_whatever_the_server_counts() {
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&bare_config(data.path()));
    let anna = anna_at(&running, &api, repetitive);
    running.until(anna, "the first sync", |status| status.synced);
    assert_eq!(running.snapshot(anna)["INBOX"].len(), 1);
}

static RENAMED: AtomicBool = AtomicBool::new(false);

/// Gives every folder the UIDVALIDITY 1. In place of one of them there is suddenly another, with other mail.
fn one_validity(line: &str, stream: &mut TcpStream) -> bool {
    let (tag, command) = line.split_once(' ').unwrap_or((line, ""));
    let done = |stream: &mut TcpStream, text: &str| say(stream, &format!("{text}{tag} OK done\r\n"));
    let name = if RENAMED.load(Ordering::SeqCst) { "Neu" } else { "Alt" };
    thread_local! { static IN_INBOX: std::cell::Cell<bool> = const { std::cell::Cell::new(true) }; }
    let each = |items: &dyn Fn(u32) -> String| -> String {
        let uids = if IN_INBOX.get() { 1..1 } else { 1..3 };
        uids.map(|uid| format!("* {uid} FETCH (UID {uid} FLAGS () {})\r\n", items(uid))).collect()
    };
    match command {
        _ if command.starts_with("SELECT") => {
            if !command.contains("INBOX") && !command.contains(name) {
                return say(stream, &format!("{tag} NO no such folder\r\n"));
            }
            IN_INBOX.set(command.contains("INBOX"));
            let exists = if IN_INBOX.get() { 0 } else { 2 };
            done(stream, &format!("* {exists} EXISTS\r\n* OK [UIDVALIDITY 1] x\r\n* OK [UIDNEXT 3] x\r\n"))
        }
        _ if command.contains("BODY.PEEK[") => {
            let date = "INTERNALDATE \"07-Feb-2026 22:43:04 +0000\"";
            let all = each(&|uid| {
                let text = format!("Subject: {name} {uid}\r\nMessage-ID: <{name}{uid}@x>\r\n\r\n");
                format!("{date} BODY[] {{{}}}\r\n{text}", text.len())
            });
            done(stream, &all)
        }
        _ if command.contains("FETCH") => done(stream, &each(&|_| String::from("RFC822.SIZE 14"))),
        _ => imap(line, stream, |stream, _| {
            done(stream, &format!("* LIST () \"/\" INBOX\r\n* LIST () \"/\" {name}\r\n"))
        }),
    }
}

#[test]
fn a_new_folder_with_other_mail_is_not_an_old_one_renamed() {
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&bare_config(data.path()));
    let anna = anna_at(&running, &api, one_validity);
    running.until(anna, "the first sync", |status| status.synced);
    RENAMED.store(true, Ordering::SeqCst);
    running.until_event(EventType::FolderDeleted, "the end of the old one", |_| true);
    running.wait("its mail", || (running.snapshot(anna).get("Neu")?.len() == 2).then_some(()));
    running.wait("the end of the old mail", || {
        (running.events_of(EventType::MessageDeleted).len() == 2).then_some(())
    });
    let listed = api.get("/v1/mailboxes/anna/messages").ok(200);
    let items = listed["items"].as_array().unwrap().iter();
    let found: BTreeSet<_> = items.map(|item| (item["folder"].as_str(), item["subject"].as_str())).collect();
    assert_eq!(found, BTreeSet::from([(Some("Neu"), Some("Neu 1")), (Some("Neu"), Some("Neu 2"))]));
}
