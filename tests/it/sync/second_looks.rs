//! A connection to a server that lost sight of a folder: what it shows is believed when another connection shows it, too.

use crate::support::engine::{Running, bare_config};
use crate::sync::bad_servers::{anna_at, imap, say};
use stafette::events::EventType;
use std::cell::Cell;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How many messages the server has.
const MESSAGES: u32 = 100;
/// The next connection is blind.
static FAILS: AtomicBool = AtomicBool::new(false);
/// How often a blind connection was asked what is there.
static BLIND_LOOKS: AtomicUsize = AtomicUsize::new(0);
/// How often another one was, after that.
static LOOKS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static IS_BLIND: Cell<Option<bool>> = const { Cell::new(None) };
    static IN_INBOX: Cell<bool> = const { Cell::new(false) };
}

/// A server with an inbox and an empty folder. To a blind connection the inbox is empty, and of this UIDVALIDITY.
fn blind(line: &str, stream: &mut TcpStream, blind_validity: u32) -> bool {
    let (tag, command) = line.split_once(' ').unwrap_or((line, ""));
    let done = |stream: &mut TcpStream, text: &str| say(stream, &format!("{text}{tag} OK done\r\n"));
    let selected = |exists: u32, validity: u32| {
        format!(
            "* {exists} EXISTS\r\n* OK [UIDVALIDITY {validity}] x\r\n* OK [UIDNEXT {}] x\r\n",
            MESSAGES + 1
        )
    };
    let each = |items: &dyn Fn(u32) -> String| -> String {
        (1..=MESSAGES).map(|uid| format!("* {uid} FETCH (UID {uid} FLAGS () {})\r\n", items(uid))).collect()
    };
    let is_blind = IS_BLIND.get() == Some(true);
    match command {
        // whoever sees is sent away, so that the next one comes
        "NOOP" if !is_blind && FAILS.load(Ordering::SeqCst) => false,
        "SELECT \"INBOX\"" => {
            IN_INBOX.set(true);
            let is_blind = IS_BLIND.get().unwrap_or_else(|| FAILS.swap(false, Ordering::SeqCst));
            IS_BLIND.set(Some(is_blind));
            done(stream, &if is_blind { selected(0, blind_validity) } else { selected(MESSAGES, 7) })
        }
        _ if command.starts_with("SELECT") => {
            IN_INBOX.set(false);
            done(stream, &selected(0, 9))
        }
        _ if command.contains("FETCH") && !IN_INBOX.get() => done(stream, ""),
        _ if command.contains("FETCH") && is_blind => {
            BLIND_LOOKS.fetch_add(1, Ordering::SeqCst);
            say(stream, &format!("{tag} BAD there is nothing\r\n"))
        }
        _ if command.contains("BODY.PEEK[") => {
            let all = each(&|uid| {
                let text = format!("Subject: {uid}\r\nMessage-ID: <{uid}@x>\r\n\r\n");
                format!("INTERNALDATE \"07-Feb-2026 22:43:04 +0000\" BODY[] {{{}}}\r\n{text}", text.len())
            });
            done(stream, &all)
        }
        _ if command.contains("FETCH") => {
            if BLIND_LOOKS.load(Ordering::SeqCst) > 0 {
                LOOKS.fetch_add(1, Ordering::SeqCst);
            }
            done(stream, &each(&|_| String::from("RFC822.SIZE 14")))
        }
        _ => imap(line, stream, |stream, _| done(stream, "* LIST () \"/\" INBOX\r\n* LIST () \"/\" Alt\r\n")),
    }
}

fn assert_nothing_is_deleted(script: fn(&str, &mut TcpStream) -> bool) {
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&bare_config(data.path()));
    let anna = anna_at(&running, &api, script);
    running.until(anna, "the first sync", |status| status.synced);
    FAILS.store(true, Ordering::SeqCst);
    running.wait("a look by one that sees", || (LOOKS.load(Ordering::SeqCst) > 1).then_some(()));
    assert_eq!(running.events_of(EventType::MessageDeleted).len(), 0);
    running.wait("all of it", || {
        (running.snapshot(anna).get("INBOX")?.len() == MESSAGES as usize).then_some(())
    });
}

#[test]
fn a_connection_that_lost_sight_of_a_folder_does_not_confirm_itself() {
    assert_nothing_is_deleted(|line, stream| blind(line, stream, 7));
}

#[test]
fn a_folder_that_is_empty_under_another_validity_is_looked_at_again() {
    assert_nothing_is_deleted(|line, stream| blind(line, stream, 8));
}
