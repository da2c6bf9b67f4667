//! Large messages from servers that answer in the order they like, send less than they are asked for, or are slow: each
//! is stored whole, and nobody else waits for it.

use crate::support::engine::{Running, bare_config, config, password_mailbox};
use crate::sync::bad_servers::{anna_at, imap, say};
use crate::world::{Kind, ProxyHandle, Transport, World};
use serde_json::json;
use std::cell::Cell;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const MIB: usize = 1 << 20;
/// Three pieces of a megabyte, and a short one.
const LENGTH: usize = 3 * MIB + 5;

fn message() -> Vec<u8> {
    let mut raw = b"Subject: in pieces\r\n\r\n".to_vec();
    raw.extend(
        (0_u32..).flat_map(|number| format!("{number:014}\r\n").into_bytes()).take(LENGTH - raw.len()),
    );
    raw
}

thread_local! {
    /// The command for a piece that this connection has not answered yet: its tag and its offset.
    static HELD: Cell<Option<(String, usize)>> = const { Cell::new(None) };
}

/// Answers nobody who asks for one piece at a time, and of two pieces the second one first.
fn by_twos(line: &str, stream: &mut TcpStream) -> bool {
    let (tag, command) = line.split_once(' ').unwrap_or((line, ""));
    let Some(offset) = offset_in(command) else { return one_large(line, stream) };
    match HELD.take() {
        None => {
            HELD.set(Some((tag.to_owned(), offset)));
            true
        }
        Some((first, before)) => {
            say_piece(stream, tag, offset, MIB) && say_piece(stream, &first, before, MIB)
        }
    }
}

/// Sends no more than 600,000 bytes at a time.
fn by_less(line: &str, stream: &mut TcpStream) -> bool {
    let (tag, command) = line.split_once(' ').unwrap_or((line, ""));
    match offset_in(command) {
        Some(offset) => say_piece(stream, tag, offset, 600_000),
        None => one_large(line, stream),
    }
}

/// Sends no more than that, and once refuses a piece in the middle.
fn once_refusing(line: &str, stream: &mut TcpStream) -> bool {
    static REFUSED: AtomicBool = AtomicBool::new(false);
    let (tag, command) = line.split_once(' ').unwrap_or((line, ""));
    if offset_in(command) == Some(1_200_000) && !REFUSED.swap(true, Ordering::SeqCst) {
        return say(stream, &format!("{tag} NO the message could not be read\r\n"));
    }
    by_less(line, stream)
}

/// Once it has nothing to say where a piece was asked for.
fn once_silent(line: &str, stream: &mut TcpStream) -> bool {
    static SILENT: AtomicBool = AtomicBool::new(false);
    let (tag, command) = line.split_once(' ').unwrap_or((line, ""));
    if offset_in(command) == Some(1_200_000) && !SILENT.swap(true, Ordering::SeqCst) {
        return say(stream, &format!("{tag} OK done\r\n"));
    }
    by_less(line, stream)
}

/// Refuses what is beyond the message's end, of whose length it tells too much.
fn exact(line: &str, stream: &mut TcpStream) -> bool {
    let (tag, command) = line.split_once(' ').unwrap_or((line, ""));
    match offset_in(command) {
        Some(offset) if offset >= LENGTH => say(stream, &format!("{tag} NO beyond the end\r\n")),
        Some(offset) => say_piece(stream, tag, offset, MIB),
        None if command.starts_with("UID FETCH 1:*") => say(
            stream,
            &format!("* 1 FETCH (UID 1 FLAGS () RFC822.SIZE {})\r\n{tag} OK done\r\n", LENGTH * 2),
        ),
        None => one_large(line, stream),
    }
}

/// A server with one message in its inbox.
fn one_large(line: &str, stream: &mut TcpStream) -> bool {
    let (tag, command) = line.split_once(' ').unwrap_or((line, ""));
    let done = |stream: &mut TcpStream, text: &str| say(stream, &format!("{text}{tag} OK done\r\n"));
    match command {
        "SELECT \"INBOX\"" => done(stream, "* 1 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 2] x\r\n"),
        _ if command.starts_with("UID FETCH 1:*") => {
            done(stream, &format!("* 1 FETCH (UID 1 FLAGS (\\Seen) RFC822.SIZE {LENGTH})\r\n"))
        }
        _ => imap(line, stream, |stream, _| done(stream, "* LIST () \"/\" INBOX\r\n")),
    }
}

fn offset_in(items: &str) -> Option<usize> {
    items.split_once("BODY.PEEK[]<")?.1.split_once('.')?.0.parse().ok()
}

fn say_piece(stream: &mut TcpStream, tag: &str, offset: usize, most: usize) -> bool {
    use std::io::Write;
    let raw = message();
    let piece = &raw[offset.min(LENGTH)..LENGTH.min(offset + most)];
    let date = "17-Jul-1996 02:44:25 -0700";
    let items = format!("UID 1 FLAGS (\\Seen) INTERNALDATE \"{date}\" BODY[]<{offset}> {{{}}}", piece.len());
    say(stream, &format!("* 1 FETCH ({items}\r\n"))
        && stream.write_all(piece).is_ok()
        && say(stream, &format!(")\r\n{tag} OK done\r\n"))
}

/// What is stored of the one message of a server that follows this script.
fn assert_stored_whole(script: fn(&str, &mut TcpStream) -> bool) {
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&bare_config(data.path()));
    let anna = anna_at(&running, &api, script);
    running.until(anna, "the first sync", |status| status.synced);
    let shown = api.get("/v1/mailboxes/anna/messages").ok(200);
    assert_eq!(shown["items"][0]["size"], json!(LENGTH));
    let path = format!("/v1/mailboxes/anna/messages/{}/raw", shown["items"][0]["id"].as_str().unwrap());
    assert!(api.get(&path).body == message());
}

#[test]
fn the_next_piece_is_asked_for_before_the_last_one_came() {
    assert_stored_whole(by_twos);
}

#[test]
fn a_message_in_shorter_pieces_than_were_asked_for_is_stored_whole() {
    assert_stored_whole(by_less);
}

#[test]
fn the_end_of_a_message_is_proved_before_it_is_believed() {
    assert_stored_whole(once_refusing);
    assert_stored_whole(once_silent);
    assert_stored_whole(exact);
}

/// A message of lines of text.
fn mail(subject: &str, length: usize) -> Vec<u8> {
    let head = format!("Message-ID: <{subject}@kunde.test>\r\nSubject: {subject}\r\n\r\n");
    let line = "a line of text that is as long as many others are in such a message\r\n";
    [head.into_bytes(), line.repeat(length / line.len()).into_bytes()].concat()
}

#[test]
fn a_message_in_pieces_on_a_slow_line_is_waited_for_while_bytes_come() {
    let world = World::builder().mailbox("anna@makler.test").without_postfix().start();
    world.append("anna@makler.test", "INBOX", "\\Seen", &mail("large", 3 * MIB));
    let data = tempfile::tempdir().unwrap();
    let mut config = config(&world, data.path());
    // a piece takes longer than any answer may, and the line is never silent
    (config.timing.fetch_silence, config.timing.command) = (Duration::from_secs(1), Duration::from_secs(1));
    let (running, _) = Running::serve(&config);
    let proxy = world.proxy(Kind::Imap, Transport::ImplicitTls);
    proxy.rate_limit(Some(500_000));
    let (mailbox, grant) = password_mailbox(&world, "anna@makler.test", proxy.port);
    let anna = running.add(mailbox, &grant).incarnation;
    running.until(anna, "the first sync", |status| status.synced);
    assert_eq!(running.snapshot(anna)["INBOX"].len(), 1);
    assert_eq!(proxy.accepted(), 1, "one connection brought it");
}

#[test]
fn large_messages_on_slow_lines_hold_nobody_up() {
    let names = ["anna@makler.test", "ben@makler.test", "clara@makler.test", "dora@makler.test"];
    let world =
        names.iter().fold(World::builder().without_postfix(), |world, name| world.mailbox(name)).start();
    for (name, length) in names.into_iter().zip([12 * MIB, 12 * MIB, 3 * MIB, 3000]) {
        world.append(name, "INBOX", "\\Seen", &mail("one", length));
    }
    let data = tempfile::tempdir().unwrap();
    let (running, _) = Running::serve(&config(&world, data.path()));
    let (slow, quick) =
        (world.proxy(Kind::Imap, Transport::ImplicitTls), world.proxy(Kind::Imap, Transport::ImplicitTls));
    slow.rate_limit(Some(100_000));
    let add = |name: &str, port: u16| {
        let (mailbox, grant) = password_mailbox(&world, name, port);
        running.add(mailbox, &grant).incarnation
    };
    let asked =
        |proxy: &ProxyHandle, what: &str| proxy.commands().iter().filter(|said| said.contains(what)).count();
    add(names[0], slow.port);
    add(names[1], slow.port);
    running.wait("both are being read", || (asked(&slow, "BODY.PEEK[]<0.") == 2).then_some(()));
    add(names[2], quick.port);
    running.wait("the third is next", || (asked(&quick, "RFC822.SIZE") > 0).then_some(()));
    let dora = add(names[3], world.imaps_port());
    running.until(dora, "three kilobytes on a quick line", |status| status.synced);
    assert_eq!(running.snapshot(dora)["INBOX"].len(), 1);
}

#[test]
fn what_came_before_a_slow_message_is_not_held_while_it_comes() {
    let names = ["anna@makler.test", "ben@makler.test"];
    let world = World::builder().without_postfix().mailbox(names[0]).mailbox(names[1]).start();
    world.append(names[0], "INBOX", "\\Seen", &mail("first", 900 << 10));
    world.append(names[0], "INBOX", "\\Seen", &mail("second", 1500 << 10));
    world.append(names[1], "INBOX", "\\Seen", &mail("quick", 1500 << 10));
    let data = tempfile::tempdir().unwrap();
    let mut config = config(&world, data.path());
    config.net.bytes_in_flight = 2 * MIB;
    let (running, _) = Running::serve(&config);
    let proxy = world.proxy(Kind::Imap, Transport::ImplicitTls);
    proxy.rate_limit(Some(400_000));
    let (mailbox, grant) = password_mailbox(&world, names[0], proxy.port);
    running.add(mailbox, &grant);
    running.wait("the first message", || (proxy.carried().0 > 1000 << 10).then_some(()));
    proxy.rate_limit(Some(20_000));
    let (mailbox, grant) = password_mailbox(&world, names[1], world.imaps_port());
    let ben = running.add(mailbox, &grant).incarnation;
    running.until(ben, "ben, on a quick line", |status| status.synced);
    assert_eq!(running.snapshot(ben)["INBOX"].len(), 1);
}
