//! Servers that are not there, refuse, or are hostile: each becomes a diagnosis at its mailbox that says what to do,
//! and costs nobody else anything.

use crate::api::frame::deaf;
use crate::support::api::Api;
use crate::support::engine::{Running, bare_config, config, create, password_mailbox};
use crate::world::World;
use serde_json::{Value, json};
use stafette::domain::Incarnation;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

/// What a scripted server does with a line; `false` ends the connection.
pub type Script = fn(&str, &mut TcpStream) -> bool;

/// A server without TLS on a free port; ends with the process.
pub fn server(
    greeting: &'static [u8],
    script: impl Fn(&str, &mut TcpStream) -> bool + Clone + Send + 'static,
) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let script = script.clone();
            std::thread::spawn(move || {
                drop(stream.write_all(greeting));
                let mut lines = BufReader::new(stream.try_clone().unwrap());
                let mut line = String::new();
                while lines.read_line(&mut line).is_ok_and(|read| read > 0)
                    && script(line.trim_end(), &mut stream)
                {
                    line.clear();
                }
            });
        }
    });
    port
}

pub fn say(stream: &mut TcpStream, text: &str) -> bool {
    stream.write_all(text.as_bytes()).is_ok()
}

/// Writes without end, until the other side hangs up.
fn say_for_ever(stream: &mut TcpStream, begin: &str) -> bool {
    let piece = [b'x'; 64 << 10];
    let mut writing = stream.write_all(begin.as_bytes());
    while writing.is_ok() {
        writing = stream.write_all(&piece);
    }
    false
}

/// An IMAP server that is polite until LIST.
pub fn imap(line: &str, stream: &mut TcpStream, at_list: impl FnOnce(&mut TcpStream, &str) -> bool) -> bool {
    let (tag, command) = line.split_once(' ').unwrap_or((line, ""));
    match command.split(' ').next().unwrap_or_default() {
        "CAPABILITY" => say(stream, &format!("* CAPABILITY IMAP4rev1\r\n{tag} OK done\r\n")),
        "LIST" => at_list(stream, tag),
        _ => say(stream, &format!("{tag} OK done\r\n")),
    }
}

const READY: &[u8] = b"* OK ready\r\n";

/// Anna's mailbox, at a server of its own that follows this script.
pub fn anna_at(running: &Running, api: &Api, script: Script) -> Incarnation {
    let mut mailbox = deaf("anna");
    mailbox["imap"] = plain(server(READY, script));
    api.post("/v1/mailboxes", &mailbox).ok(201);
    running.stored("anna").incarnation
}

/// A mailbox with this server, and what GET shows of it once it has a diagnosis.
fn diagnosed(running: &Running, api: &Api, id: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut mailbox = deaf(id);
    change(&mut mailbox);
    api.post("/v1/mailboxes", &mailbox).ok(201);
    let incarnation = running.stored(id).incarnation;
    running.until(incarnation, "a diagnosis", |status| status.diagnosis.is_some());
    api.get(&format!("/v1/mailboxes/{id}")).ok(200)
}

#[track_caller]
fn assert_diagnosis(shown: &Value, state: &str, code: &str, who: &str) {
    let found = &shown["diagnosis"];
    assert_eq!(
        (&shown["state"], &found["code"], &found["who"]),
        (&json!(state), &json!(code), &json!(who)),
        "{shown}"
    );
    for text in [&found["summary"], &found["remedy"]["text"]] {
        let text = text.as_str().unwrap();
        assert!(text.len() > 20 && !text.contains('<') && !text.contains('{'), "{text}");
    }
    assert!(found["evidence"].is_string() && found["since"].is_string(), "{found}");
}

fn plain(port: u16) -> Value {
    json!({"host": "127.0.0.1", "port": port, "security": "none"})
}

#[test]
fn a_server_that_is_not_there_is_told_apart_by_cause() {
    let data = tempfile::tempdir().unwrap();
    let mut config = bare_config(data.path());
    config.timing.greeting = std::time::Duration::from_millis(300);
    let (running, api) = Running::serve(&config);
    let at =
        |host: &str, port: u16, security: &str| json!({"host": host, "port": port, "security": security});
    let unknown =
        diagnosed(&running, &api, "unknown", |m| m["imap"] = at("no-such-host.invalid", 993, "tls"));
    assert_diagnosis(&unknown, "retrying", "host_unknown", "operator");
    assert!(unknown["diagnosis"]["summary"].as_str().unwrap().contains("no-such-host.invalid"));
    let free = { TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port() };
    let refused = diagnosed(&running, &api, "refused", |m| m["imap"] = at("127.0.0.1", free, "tls"));
    assert_diagnosis(&refused, "retrying", "connection_refused", "operator");
    let silent = server(b"", |_, _| true);
    let silent = diagnosed(&running, &api, "silent", |m| m["imap"] = plain(silent));
    assert_diagnosis(&silent, "retrying", "server_silent", "provider");
    let other = server(b"HTTP/1.1 400 Bad Request\r\n\r\n", |_, _| true);
    let no_tls = diagnosed(&running, &api, "notls", |m| m["imap"] = at("127.0.0.1", other, "tls"));
    assert_diagnosis(&no_tls, "retrying", "tls_failed", "operator");
    let no_imap = diagnosed(&running, &api, "noimap", |m| m["imap"] = plain(other));
    assert_diagnosis(&no_imap, "retrying", "server_unreadable", "provider");
    let hangs_up = server(READY, |_, _| false);
    let hangs_up = diagnosed(&running, &api, "hangsup", |m| m["imap"] = plain(hangs_up));
    assert_diagnosis(&hangs_up, "retrying", "connection_lost", "nobody");
    let no_starttls = server(READY, |line, stream| {
        let tag = line.split(' ').next().unwrap_or_default();
        say(stream, &format!("{tag} BAD what?\r\n"))
    });
    let stripped =
        diagnosed(&running, &api, "stripped", |m| m["imap"] = at("127.0.0.1", no_starttls, "starttls"));
    assert_diagnosis(&stripped, "retrying", "starttls_missing", "operator");
    let pre = server(b"* PREAUTH come in\r\n", |_, _| true);
    let pre = diagnosed(&running, &api, "preauth", |m| m["imap"] = plain(pre));
    assert_diagnosis(&pre, "needs_admin", "server_unsupported", "operator");
    assert_eq!(pre["attention"], true);
}

#[test]
fn a_certificate_that_does_not_verify_is_not_gone_around() {
    let world = World::builder().mailbox("anna@makler.test").without_postfix().start();
    let data = tempfile::tempdir().unwrap();
    // the world's authority is not named
    let (running, api) = Running::serve(&bare_config(data.path()));
    let tls = json!({"host": "localhost", "port": world.imaps_port(), "security": "tls"});
    let shown = diagnosed(&running, &api, "anna", |m| m["imap"] = tls);
    assert_diagnosis(&shown, "retrying", "tls_certificate", "operator");
    let remedy = shown["diagnosis"]["remedy"].to_string();
    assert!(remedy.contains("tls.extra_ca") && remedy.contains("openssl s_client"), "{remedy}");
}

#[test]
fn a_refused_password_is_the_users_and_is_not_tried_again_and_again() {
    let world = World::builder().mailbox("anna@makler.test").without_postfix().start();
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&config(&world, data.path()));
    let shown = diagnosed(&running, &api, "anna", |m| {
        m["imap"] = json!({"host": "localhost", "port": world.imaps_port(), "security": "tls"});
        m["auth"]["password"] = json!("wrong");
    });
    assert_diagnosis(&shown, "needs_sign_in", "password_refused", "user");
    assert_eq!(shown["attention"], true);
    assert!(!shown.to_string().contains("wrong"), "{shown}");
    api.patch("/v1/mailboxes/anna", &json!({"auth": {"password": "pass"}})).ok(200);
    running.until_live(running.stored("anna").incarnation);
    assert_eq!(api.get("/v1/mailboxes/anna").ok(200)["diagnosis"], Value::Null);
}

#[test]
fn what_is_wrong_stays_shown_while_it_is_tried_again() {
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&bare_config(data.path()));
    let port = server(READY, |_, _| false);
    diagnosed(&running, &api, "anna", |m| m["imap"] = plain(port));
    let next = api.get("/v1/events?after=latest").ok(200)["next"].as_str().unwrap().to_owned();
    let changes = api.get(&format!("/v1/events?after={next}&wait=1&type=mailbox.state_changed")).ok(200);
    assert_eq!(changes["items"], json!([]), "tries that fail alike are no news");
    let shown = api.get("/v1/mailboxes/anna").ok(200);
    assert_diagnosis(&shown, "retrying", "connection_lost", "nobody");
}

#[test]
fn hostile_servers_are_cut_off_by_name_and_the_others_do_not_notice() {
    let world = World::builder().mailbox("anna@makler.test").without_postfix().start();
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&config(&world, data.path()));
    let (mailbox, grant) = password_mailbox(&world, "anna@makler.test", world.imaps_port());
    let anna = running.add(mailbox, &grant);
    running.until_live(anna.incarnation);

    let deep: Script = |line, stream| {
        imap(line, stream, |stream, tag| {
            let nested = format!("{}{}", "(".repeat(100_000), ")".repeat(100_000));
            say(stream, &format!("* LIST {nested} \"/\" INBOX\r\n{tag} OK done\r\n"))
        })
    };
    let endless: Script =
        |line, stream| imap(line, stream, |stream, _| say_for_ever(stream, "* LIST () \"/\" "));
    let huge: Script = |line, stream| {
        imap(line, stream, |stream, _| {
            say(stream, "* LIST () \"/\" {99999999999}\r\n") && say_for_ever(stream, "")
        })
    };
    let mut mailbox = deaf("deep");
    mailbox["imap"] = plain(server(READY, deep));
    api.post("/v1/mailboxes", &mailbox).ok(201);
    running.until_live(running.stored("deep").incarnation); // a line that is not understood is passed over
    for (id, script, word) in [("endless", endless, "bytes outside literals"), ("huge", huge, "literal")] {
        let port = server(READY, script);
        let shown = diagnosed(&running, &api, id, |m| m["imap"] = plain(port));
        assert_diagnosis(&shown, "retrying", "server_limit_exceeded", "provider");
        assert!(shown["diagnosis"]["summary"].as_str().unwrap().contains(word), "{shown}");
    }
    let port = server(READY, |line, stream| {
        if line.contains("CAPABILITY") { say_for_ever(stream, "* CAPABILITY ") } else { false }
    });
    let shown = diagnosed(&running, &api, "early", |m| m["imap"] = plain(port));
    assert_diagnosis(&shown, "retrying", "server_limit_exceeded", "provider");

    world.deliver("anna@makler.test", b"Subject: x\r\nMessage-ID: <x@kunde.test>\r\n\r\nHello\r\n");
    running.until_event(stafette::events::EventType::MessageNew, "anna's mail", |event| {
        event.data["message_id"] == "<x@kunde.test>"
    });
    assert_eq!(api.get("/v1/mailboxes/anna").ok(200)["state"], "live");
    for id in ["anna", "deep", "endless", "huge", "early"] {
        let path = running.stored(id).incarnation;
        let restarts = running.restarts(path);
        assert_eq!(restarts, 0, "{id}: no actor died of it");
    }
}

/// A server of two messages that never sends the body of the second.
fn without_a_body(line: &str, stream: &mut TcpStream) -> bool {
    let (tag, command) = line.split_once(' ').unwrap_or((line, ""));
    let listed = |what: &str, one: &str, two: &str| {
        format!("* 1 FETCH (UID 1 {what} {one})\r\n* 2 FETCH (UID 2 {what} {two})\r\n")
    };
    let date = "INTERNALDATE \"07-Feb-2026 22:43:04 +0000\"";
    let data = match command {
        "CAPABILITY" => String::from("* CAPABILITY IMAP4rev1\r\n"),
        _ if command.starts_with("LIST") => String::from("* LIST () \"/\" INBOX\r\n"),
        _ if command.starts_with("SELECT") => {
            String::from("* 2 EXISTS\r\n* OK [UIDVALIDITY 7] fixed\r\n* OK [UIDNEXT 3] next\r\n")
        }
        _ if command.starts_with("STATUS") => {
            String::from("* STATUS INBOX (MESSAGES 2 UIDNEXT 3 UIDVALIDITY 7 UNSEEN 2)\r\n")
        }
        // it does not tell flags and sizes together
        _ if command.contains("FLAGS RFC822.SIZE") => {
            return say(stream, &format!("{tag} BAD no such thing\r\n"));
        }
        _ if command.contains("RFC822.SIZE") => listed("RFC822.SIZE", "14", "14"),
        _ if command.contains("BODY.PEEK[]") => {
            let one = format!("() {date} BODY[] {{14}}\r\nSubject: x\r\n\r\n");
            listed("FLAGS", &one, &format!("() {date} BODY[] NIL"))
        }
        _ if command.contains("FETCH") => listed("FLAGS", "()", "()"),
        _ => String::new(),
    };
    say(stream, &format!("{data}{tag} OK done\r\n"))
}

#[test]
fn a_message_whose_body_never_comes_is_set_apart_visibly() {
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&bare_config(data.path()));
    let anna = anna_at(&running, &api, without_a_body);
    running.until_live(anna);
    let folder = running.folder(anna, "INBOX");
    let apart = || running.store.quarantined(anna, folder.id, folder.incarnation).unwrap();
    running.wait("the quarantine", || (!apart().is_empty()).then_some(()));
    assert_eq!((apart()[0].uid, apart()[0].reason.contains("no body")), (2, true));
    let shown = api.get("/v1/mailboxes/anna/folders").ok(200);
    assert_eq!((&shown["items"][0]["quarantined"], &shown["items"][0]["synced"]), (&json!(1), &json!(1)));
}

#[test]
fn a_bad_smtp_server_holds_the_outbox_and_loses_nothing() {
    let data = tempfile::tempdir().unwrap();
    let mut config = bare_config(data.path());
    config.timing.hold_retry = std::time::Duration::from_secs(60);
    let (running, api) = Running::serve(&config);
    let free = { TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port() };
    let gibberish = server(b"* OK this is IMAP\r\n", |_, _| true);
    let long = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                std::thread::spawn(move || say_for_ever(&mut stream.unwrap(), "220 "));
            }
        });
        port
    };
    let refuses = server(b"220 ready\r\n", |line, stream| match line.split(' ').next().unwrap_or_default() {
        "EHLO" => say(stream, "250-hello\r\n250 AUTH PLAIN LOGIN\r\n"),
        "AUTH" => say(stream, "535 5.7.8 Error: authentication failed\r\n"),
        _ => say(stream, "221 bye\r\n"),
    });
    for (id, host, port, state) in [
        ("unknown", "no-such-host.invalid", 587, "held"),
        ("refused", "127.0.0.1", free, "held"),
        ("gibberish", "127.0.0.1", gibberish, "held"),
        ("long", "127.0.0.1", long, "held"),
        ("password", "127.0.0.1", refuses, "needs_sign_in"),
    ] {
        let mut mailbox = deaf(id);
        mailbox["imap"] = Value::Null;
        let security = if host == "127.0.0.1" { "none" } else { "tls" };
        mailbox["smtp"] = json!({"host": host, "port": port, "security": security});
        api.post("/v1/mailboxes", &mailbox).ok(201);
        let outbox = format!("/v1/mailboxes/{id}/outbox");
        let mail = json!({"to": [{"address": "b@kunde.test"}], "text": "Hello"});
        let accepted = api.post(&outbox, &mail).ok(202);
        let incarnation = running.stored(id).incarnation;
        running.until(incarnation, id, |status| status.send_diagnosis.is_some());
        let shown = api.get(&format!("/v1/mailboxes/{id}")).ok(200);
        assert_eq!(
            (&shown["send"]["state"], &shown["send"]["queued"]),
            (&json!(state), &json!(1)),
            "{shown}"
        );
        let found = &shown["send"]["diagnosis"];
        assert!(found["remedy"]["text"].as_str().unwrap().len() > 20, "{found}");
        assert!(!found["summary"].as_str().unwrap().contains('<'), "{found}");
        let held = api.get(&format!("{outbox}/{}", accepted["id"].as_str().unwrap())).ok(200);
        assert_eq!((&held["state"], &held["attempts"]), (&json!("queued"), &json!(0)), "{held}");
        assert_eq!(held["hold"], found["code"]);
        assert_eq!(running.restarts(incarnation), 0);
    }
}

#[test]
fn a_talkative_smtp_server_does_not_make_a_sent_message_unknown() {
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&bare_config(data.path()));
    let port = server(b"220 ready\r\n", |line, stream| {
        let talk = |code: u16| -> String {
            let lines = (0..60).map(|n| format!("{code}-{n} {}\r\n", format!("{n}-word ").repeat(100)));
            format!("{}{code} done\r\n", lines.collect::<String>())
        };
        match line.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => say(stream, "250 hello\r\n"),
            "MAIL" => say(stream, "250 ok\r\n"),
            "RCPT" if line.contains("7@") => say(stream, &talk(550)),
            "RCPT" => say(stream, "250 ok\r\n"),
            "DATA" => say(stream, "354 go on\r\n"),
            "." => say(stream, &talk(250)),
            "QUIT" => false,
            _ => true,
        }
    });
    let mut anna = deaf("anna");
    anna["imap"] = Value::Null;
    anna["smtp"] = json!({"host": "127.0.0.1", "port": port, "security": "none", "auth": "none"});
    api.post("/v1/mailboxes", &anna).ok(201);
    let to: Vec<Value> = (0..80).map(|n| json!({"address": format!("{n}@kunde.test")})).collect();
    let accepted = api.post("/v1/mailboxes/anna/outbox", &json!({"to": to, "text": "Hello"})).ok(202);
    running.until_event(stafette::events::EventType::SubmissionSent, "the end of it", |_| true);
    let path = format!("/v1/mailboxes/anna/outbox/{}", accepted["id"].as_str().unwrap());
    let sent = api.get(&path).ok(200);
    assert_eq!((&sent["state"], &sent["attempts"]), (&json!("sent"), &json!(1)), "{sent}");
    let failed =
        sent["recipients"].as_array().unwrap().iter().filter(|recipient| recipient["state"] == "failed");
    assert_eq!(failed.count(), 8);
    assert_eq!(running.restarts(running.stored("anna").incarnation), 0);
}

#[test]
fn a_mailbox_whose_maker_hung_up_before_telling_is_found() {
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&bare_config(data.path()));
    api.post("/v1/mailboxes", &deaf("anna")).ok(201);
    let mut ben = running.stored("anna").mailbox;
    ben.id = stafette::domain::MailboxId::new("ben").unwrap();
    // nobody tells the supervisor
    let ben = create(&running.store, ben, None);
    running.until(ben.incarnation, "ben's actors", |status| {
        status.diagnosis.is_some() || status.state != stafette::domain::MailboxState::Connecting
    });
}
