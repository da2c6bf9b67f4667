//! SMTP servers that refuse, are slow, or answer what they were not asked.

use crate::api::Api;
use crate::bad_servers::{say, server};
use crate::engine::{Running, bare_config};
use crate::http::deaf;
use serde_json::{Value, json};
use stafette::domain::{SendState, Timestamp};
use stafette::events::EventType;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// A mailbox that sends through this server and receives nothing; its outbox.
fn sender(api: &Api, id: &str, port: u16, change: impl FnOnce(&mut Value)) -> String {
    let mut mailbox = deaf(id);
    mailbox["imap"] = Value::Null;
    mailbox["smtp"] = json!({"host": "127.0.0.1", "port": port, "security": "none", "auth": "none"});
    change(&mut mailbox);
    api.post("/v1/mailboxes", &mailbox).ok(201);
    format!("/v1/mailboxes/{id}/outbox")
}

fn to(names: &[&str]) -> Vec<Value> {
    names.iter().map(|name| json!({"address": format!("{name}@kunde.test")})).collect()
}

fn greets(line: &str, stream: &mut TcpStream) -> bool {
    match line.split([' ', ':']).next().unwrap_or_default() {
        "EHLO" | "MAIL" | "RSET" => say(stream, "250 ok\r\n"),
        "RCPT" if line.contains("nobody@") => say(stream, "550 5.1.1 no such user\r\n"),
        "RCPT" => say(stream, "250 ok\r\n"),
        "DATA" => say(stream, "354 go on\r\n"),
        "." => say(stream, "250 2.0.0 taken\r\n"),
        "QUIT" => false,
        _ => true,
    }
}

/// Answers the final dot twice.
fn talks_twice(line: &str, stream: &mut TcpStream) -> bool {
    if line == "." { say(stream, "250 2.0.0 taken\r\n250 2.0.0 really\r\n") } else { greets(line, stream) }
}

#[test]
fn an_answer_too_many_is_not_taken_for_the_next_one() {
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&bare_config(data.path()));
    let port = server(b"220 ready\r\n", talks_twice);
    let outbox = sender(&api, "anna", port, |anna| anna["active"] = json!(false));
    api.post(&outbox, &json!({"to": to(&["a"]), "text": "One"})).ok(202);
    let second = api.post(&outbox, &json!({"to": to(&["b", "nobody"]), "text": "Two"})).ok(202);
    // both at once, over one connection if it can be trusted
    api.post("/v1/mailboxes/anna/resume", &json!({})).ok(200);
    running.until_event(EventType::SubmissionSent, "the second", |event| {
        event.data["submission"] == second["id"]
    });
    let shown = api.get(&format!("{outbox}/{}", second["id"].as_str().unwrap())).ok(200);
    let states: Vec<_> = shown["recipients"].as_array().unwrap().iter().map(|who| &who["state"]).collect();
    assert_eq!(states, ["sent", "failed"], "{shown}");
}

#[test]
fn a_refused_password_is_not_tried_again_before_an_hour_has_gone() {
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&bare_config(data.path()));
    let refuses = server(b"220 ready\r\n", |line, stream| match line.split(' ').next().unwrap_or_default() {
        "EHLO" => say(stream, "250-hello\r\n250 AUTH PLAIN LOGIN\r\n"),
        "AUTH" => say(stream, "535 5.7.8 Error: authentication failed\r\n"),
        _ => false,
    });
    let by_password = json!({"host": "127.0.0.1", "port": refuses, "security": "none"});
    let outbox = sender(&api, "anna", refuses, |anna| anna["smtp"] = by_password);
    api.post(&outbox, &json!({"to": to(&["b"]), "text": "Hello"})).ok(202);
    let anna = running.stored("anna").incarnation;
    running.until(anna, "the refusal", |status| status.send_state == SendState::NeedsSignIn);
    let until: Timestamp =
        serde_json::from_value(api.get("/v1/mailboxes/anna").ok(200)["send"]["until"].clone()).unwrap();
    let wait = until.since(stafette::clock::now());
    assert!(wait > Duration::from_secs(50 * 60), "{wait:?}");
}

/// A server that takes a message as slowly as this.
fn slow() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let talk = |mut stream: TcpStream| {
        drop(stream.write_all(b"220 ready\r\n"));
        let mut lines = BufReader::with_capacity(512, stream.try_clone().unwrap());
        let mut line = String::new();
        while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
            let is_data = line.starts_with("DATA");
            drop(stream.write_all(if is_data { b"354 go on\r\n" } else { b"250 ok\r\n" }));
            let mut piece = [0; 512];
            while is_data && lines.read(&mut piece).is_ok_and(|read| read > 0) {
                std::thread::sleep(Duration::from_millis(500));
            }
            line.clear();
        }
    };
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || talk(stream.unwrap()));
        }
    });
    port
}

#[test]
fn large_messages_to_slow_servers_hold_nobody_up() {
    let data = tempfile::tempdir().unwrap();
    let mut config = bare_config(data.path());
    config.net.bytes_sending = 4 << 20;
    let (running, api) = Running::serve(&config);
    let (slow, quick) = (slow(), server(b"220 ready\r\n", greets));
    let large = json!({"to": to(&["b"]), "text": "a line as long as many others are\n".repeat(50_000)});
    for id in ["slow", "next"] {
        let outbox = sender(&api, id, slow, |_| {});
        let accepted = api.post(&outbox, &large).ok(202);
        if id == "slow" {
            let path = format!("{outbox}/{}", accepted["id"].as_str().unwrap());
            let is_sending = || (api.get(&path).ok(200)["state"] == "sending").then_some(());
            while is_sending().is_none() {
                std::thread::yield_now();
            }
        }
    }
    let outbox = sender(&api, "quick", quick, |_| {});
    let small = api.post(&outbox, &json!({"to": to(&["b"]), "text": "Hello"})).ok(202);
    running.until_event(EventType::SubmissionSent, "five bytes", |event| {
        event.data["submission"] == small["id"]
    });
}
