//! Large messages from a server that is slow to answer, in the order it likes: the next piece is asked for before
//! the last one came.

use crate::bad_servers::{READY, imap, plain, say, server};
use crate::engine::{Running, bare_config};
use crate::http::deaf;
use serde_json::json;
use std::cell::Cell;
use std::net::TcpStream;

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
    let done = |stream: &mut TcpStream, text: &str| say(stream, &format!("{text}{tag} OK done\r\n"));
    if let Some(offset) = command.strip_prefix("UID FETCH 1 ").and_then(offset_in) {
        return match HELD.take() {
            None => {
                HELD.set(Some((tag.to_owned(), offset)));
                true
            }
            Some((first, before)) => say_piece(stream, tag, offset) && say_piece(stream, &first, before),
        };
    }
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

fn say_piece(stream: &mut TcpStream, tag: &str, offset: usize) -> bool {
    use std::io::Write;
    let raw = message();
    let piece = &raw[offset..LENGTH.min(offset + MIB)];
    let date = "17-Jul-1996 02:44:25 -0700";
    let items = format!("UID 1 FLAGS (\\Seen) INTERNALDATE \"{date}\" BODY[]<{offset}> {{{}}}", piece.len());
    say(stream, &format!("* 1 FETCH ({items}\r\n"))
        && stream.write_all(piece).is_ok()
        && say(stream, &format!(")\r\n{tag} OK done\r\n"))
}

#[test]
fn the_next_piece_is_asked_for_before_the_last_one_came() {
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&bare_config(data.path()));
    let mut mailbox = deaf("anna");
    mailbox["imap"] = plain(server(READY, by_twos));
    api.post("/v1/mailboxes", &mailbox).ok(201);
    running.until(running.stored("anna").incarnation, "the first sync", |status| status.synced);
    let shown = api.get("/v1/mailboxes/anna/messages").ok(200);
    assert_eq!(shown["items"][0]["size"], json!(LENGTH));
    let path = format!("/v1/mailboxes/anna/messages/{}/raw", shown["items"][0]["id"].as_str().unwrap());
    assert!(api.get(&path).body == message());
}
