//! SMTP servers that refuse, are slow, or answer what they were not asked.

use crate::api::frame::deaf;
use crate::support::api::Api;
use crate::support::engine::{Running, bare_config};
use crate::sync::bad_servers::{say, server};
use serde_json::{Value, json};
use stafette::domain::{RecipientState, SendState, Timestamp};
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

/// The address in `MAIL FROM:<a>` or `RCPT TO:<a>`.
fn address_in(line: &str) -> &str {
    line.split(['<', '>']).nth(1).unwrap_or_default()
}

/// Answers the RCPT of `name@` with the reply its local part stands for; takes everybody else.
fn says_by_name(line: &str, stream: &mut TcpStream) -> bool {
    let reply = match address_in(line).split('@').next().unwrap_or_default() {
        _ if !line.starts_with("RCPT") => return greets(line, stream),
        "full" => "552 5.2.2 Mailbox is full",
        "stored" => "554 5.2.2 mailbox full",
        "blocked" => "550 5.1.8 Sender address rejected: Domain not found",
        "stranger" => "530 5.7.1 Authentication required",
        "unknown" => "535 5.7.8 Error: authentication failed",
        "rate" => "451 4.7.1 submission rate for this recipient exceeded",
        "dialogue" => "503 5.5.1 Error: need MAIL command",
        "closing" => {
            say(stream, "421 4.7.0 recipient domain rate limited\r\n");
            return false;
        }
        "cut" => return false,
        _ => return greets(line, stream),
    };
    say(stream, &format!("{reply}\r\n"))
}

const MISLEADING: [(&str, &str); 9] = [
    ("full", "failed"),
    ("stored", "failed"),
    ("blocked", "failed"),
    ("stranger", "deferred"),
    ("unknown", "deferred"),
    ("rate", "deferred"),
    ("dialogue", "deferred"),
    ("closing", "deferred"),
    ("cut", "deferred"),
];

#[test]
fn one_recipient_s_answer_stops_nobody_else_whatever_it_says() {
    let data = tempfile::tempdir().unwrap();
    let mut config = bare_config(data.path());
    config.timing.defer_first = Duration::from_secs(3600);
    let (running, api) = Running::serve(&config);
    let port = server(b"220 ready\r\n", says_by_name);
    let outbox = sender(&api, "anna", port, |anna| anna["active"] = json!(false));
    let post = |name: &str| api.post(&outbox, &json!({"to": to(&[name]), "text": "Hello"})).ok(202);
    // the refused ones are older than the last, which nobody refuses
    let refused: Vec<Value> = MISLEADING.iter().map(|(name, _)| post(name)).collect();
    let last = post("ben");
    api.post("/v1/mailboxes/anna/resume", &json!({})).ok(200);
    running.until_event(EventType::SubmissionSent, "the last one", |event| {
        event.data["submission"] == last["id"]
    });
    for (accepted, (name, expected)) in refused.iter().zip(MISLEADING) {
        let shown = api.get(&format!("{outbox}/{}", accepted["id"].as_str().unwrap())).ok(200);
        assert_eq!(shown["recipients"][0]["state"], expected, "{name}: {shown}");
        let hold = match name {
            "stranger" => json!("smtp_auth_not_offered"),
            "unknown" => json!("smtp_login_refused"),
            _ => Value::Null,
        };
        assert_eq!(shown["hold"], hold, "{name}");
    }
    assert_eq!(api.get("/v1/mailboxes/anna").ok(200)["send"]["state"], "ready");
}

#[test]
fn the_others_of_a_message_get_it_whatever_one_recipient_is_answered() {
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&bare_config(data.path()));
    let port = server(b"220 ready\r\n", says_by_name);
    let outbox = sender(&api, "anna", port, |_| {});
    let anna = running.stored("anna").incarnation;
    for (name, _) in MISLEADING {
        let accepted = api.post(&outbox, &json!({"to": to(&["b", name, "d"]), "text": "Hello"})).ok(202);
        let id = accepted["id"].as_str().unwrap().parse().unwrap();
        running.wait(name, || {
            let recipients = running.store.submission(anna, id).unwrap().unwrap().value.recipients;
            let [first, _, third] = recipients.as_slice() else { panic!("{recipients:?}") };
            let are_sent = [first, third].iter().all(|who| who.state == RecipientState::Sent);
            are_sent.then_some(())
        });
    }
    assert_eq!(api.get("/v1/mailboxes/anna").ok(200)["send"]["state"], "ready");
}

#[test]
fn a_cause_that_one_submission_alone_waits_for_is_shown_until_a_recipient_is_taken() {
    let data = tempfile::tempdir().unwrap();
    let mut config = bare_config(data.path());
    config.timing.defer_first = Duration::from_secs(3600);
    let (running, api) = Running::serve(&config);
    let port = server(b"220 ready\r\n", says_by_name);
    let outbox = sender(&api, "anna", port, |_| {});
    api.post(&outbox, &json!({"to": to(&["stranger"]), "text": "Hello"})).ok(202);
    let anna = running.stored("anna").incarnation;
    let shown = running.until(anna, "the cause", |status| status.send_diagnosis.is_some());
    assert_eq!(shown.send_state, SendState::Ready);
    assert_eq!(shown.send_diagnosis.unwrap().code, "smtp_auth_not_offered");
    api.post(&outbox, &json!({"to": to(&["ben"]), "text": "Hello"})).ok(202);
    running.until(anna, "the end of it", |status| status.send_diagnosis.is_none());
}

/// Refuses every message from `blocked@` after its dot, in words that speak of the sender.
fn blocks(line: &str, stream: &mut TcpStream) -> bool {
    if line == "." {
        say(stream, "550 5.1.8 Access denied, bad outbound sender\r\n")
    } else {
        greets(line, stream)
    }
}

#[test]
fn a_hold_shows_its_diagnosis_and_a_second_submission_has_confirmed_it() {
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&bare_config(data.path()));
    let port = server(b"220 ready\r\n", blocks);
    let outbox = sender(&api, "anna", port, |anna| anna["active"] = json!(false));
    let post = |name: &str| api.post(&outbox, &json!({"to": to(&[name]), "text": "Hello"})).ok(202);
    let [one, two, three] = ["one", "two", "three"].map(post);
    api.post("/v1/mailboxes/anna/resume", &json!({})).ok(200);
    let anna = running.stored("anna").incarnation;
    let shown = running.until(anna, "the hold", |status| status.send_state == SendState::Held);
    let diagnosis = shown.send_diagnosis.expect("every hold shows its diagnosis");
    assert_eq!(diagnosis.code, "sender_blocked");
    assert!(diagnosis.summary.contains("anna@makler.test"), "{}", diagnosis.summary);
    let of = |accepted: &Value| api.get(&format!("{outbox}/{}", accepted["id"].as_str().unwrap())).ok(200);
    for (accepted, hold, attempts) in
        [(&one, "sender_blocked", 1), (&two, "sender_blocked", 1), (&three, "", 0)]
    {
        let shown = of(accepted);
        assert_eq!(
            (shown["hold"].as_str().unwrap_or_default(), &shown["attempts"]),
            (hold, &json!(attempts)),
            "{shown}"
        );
    }
}

/// Refuses after the dot what is for `poison@`; takes everything else.
fn poisoned() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let talk = |mut stream: TcpStream| {
        drop(stream.write_all(b"220 ready\r\n"));
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let mut is_poison = false;
        for line in lines.map_while(Result::ok) {
            is_poison = if line.starts_with("RCPT") { line.contains("poison@") } else { is_poison };
            let said = match line.as_str() {
                "." if is_poison => say(&mut stream, "554 5.2.2 mailbox full; STOREDRV; QuotaExceeded\r\n"),
                other => greets(other, &mut stream),
            };
            if !said {
                return;
            }
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
fn a_message_that_is_refused_as_if_it_were_the_mailbox_starves_nobody() {
    let data = tempfile::tempdir().unwrap();
    let mut config = bare_config(data.path());
    config.timing.defer_cap = Duration::from_secs(3600);
    let (running, api) = Running::serve(&config);
    let outbox = sender(&api, "anna", poisoned(), |anna| anna["active"] = json!(false));
    let post = |name: &str| api.post(&outbox, &json!({"to": to(&[name]), "text": "Hello"})).ok(202);
    let poison = post("poison");
    let good = [post("b"), post("c")];
    api.post("/v1/mailboxes/anna/resume", &json!({})).ok(200);
    for accepted in good {
        running.until_event(EventType::SubmissionSent, "the others", |event| {
            event.data["submission"] == accepted["id"]
        });
    }
    let shown = api.get(&format!("{outbox}/{}", poison["id"].as_str().unwrap())).ok(200);
    assert_eq!((&shown["state"], &shown["hold"]), (&json!("deferred"), &json!("mailbox_full")), "{shown}");
    // with nobody else to ask it is shown as the mailbox' own, and still keeps nobody who comes later
    post("poison");
    let anna = running.stored("anna").incarnation;
    running.until(anna, "the hold", |status| status.send_state == SendState::Held);
    let late = post("d");
    running.until_event(EventType::SubmissionSent, "the late one", |event| {
        event.data["submission"] == late["id"]
    });
    running.until(anna, "the end of the hold", |status| status.send_state == SendState::Ready);
}

#[test]
fn a_silent_server_is_shown_with_what_is_waited_for_before_any_deadline_passes() {
    let data = tempfile::tempdir().unwrap();
    let mut config = bare_config(data.path());
    config.timing.smtp_silence = Duration::from_millis(200);
    let (running, api) = Running::serve(&config);
    let silent = server(b"", |_, _| true);
    let no_ehlo = server(b"220 ready\r\n", |_, _| true);
    let no_auth = server(b"220 ready\r\n", |line, stream| match line.split(' ').next().unwrap_or_default() {
        "EHLO" => say(stream, "250-hello\r\n250 AUTH PLAIN\r\n"),
        "AUTH" => say(stream, "334 \r\n"),
        _ => true,
    });
    for (id, port, security, code, words) in [
        ("tls", silent, "starttls", "waiting_for_greeting", "security"),
        ("ehlo", no_ehlo, "none", "waiting_for_answer", "EHLO"),
        ("auth", no_auth, "none", "waiting_for_sign_in", "AUTH PLAIN"),
    ] {
        let outbox = sender(&api, id, port, |mailbox| {
            mailbox["smtp"] = json!({"host": "127.0.0.1", "port": port, "security": security});
        });
        api.post(&outbox, &json!({"to": to(&["b"]), "text": "Hello"})).ok(202);
        let incarnation = running.stored(id).incarnation;
        running.until(incarnation, id, |status| status.send_state == SendState::Held);
        let shown = api.get(&format!("/v1/mailboxes/{id}")).ok(200);
        let found = &shown["send"]["diagnosis"];
        assert_eq!(found["code"], code, "{shown}");
        assert!(
            found["summary"].as_str().unwrap().contains(words)
                || found["remedy"]["text"].as_str().unwrap().contains(words),
            "{found}"
        );
    }
}

#[test]
fn a_server_that_speaks_at_last_is_used_and_no_longer_shown_as_silent() {
    let data = tempfile::tempdir().unwrap();
    let mut config = bare_config(data.path());
    config.timing.smtp_silence = Duration::from_millis(100);
    let (running, api) = Running::serve(&config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let outbox = sender(&api, "anna", port, |_| {});
    api.post(&outbox, &json!({"to": to(&["b"]), "text": "Hello"})).ok(202);
    let (mut stream, _) = listener.accept().unwrap();
    let anna = running.stored("anna").incarnation;
    running.until(anna, "the silence", |status| status.send_state == SendState::Held);
    say(&mut stream, "220 ready\r\n");
    let lines = BufReader::new(stream.try_clone().unwrap()).lines();
    std::thread::spawn(move || lines.map_while(Result::ok).all(|line| greets(&line, &mut stream)));
    running.until_event(EventType::SubmissionSent, "the message", |_| true);
    let shown = running.until(anna, "ready", |status| status.send_state == SendState::Ready);
    assert_eq!(shown.send_diagnosis, None);
}

#[test]
fn a_refusal_before_mail_is_held_and_not_throttled() {
    let data = tempfile::tempdir().unwrap();
    let mut config = bare_config(data.path());
    config.timing.smtp_quit = Duration::from_millis(100);
    let (running, api) = Running::serve(&config);
    let greeting = server(b"554 5.7.1 go away\r\n", |_, _| true);
    let ehlo = server(b"220 ready\r\n", |line, stream| {
        !line.starts_with("EHLO") || say(stream, "502 5.5.1 not implemented\r\n")
    });
    let starttls = server(b"220 ready\r\n", |line, stream| match line {
        "STARTTLS" => say(stream, "454 4.7.0 TLS not available due to temporary reason\r\n"),
        _ => say(stream, "250-hello\r\n250 STARTTLS\r\n"),
    });
    for (id, port, security, code) in [
        ("greeting", greeting, "none", "smtp_session_refused"),
        ("ehlo", ehlo, "none", "smtp_session_refused"),
        ("starttls", starttls, "starttls", "starttls_refused"),
    ] {
        let outbox = sender(&api, id, port, |mailbox| mailbox["smtp"]["security"] = json!(security));
        let accepted = api.post(&outbox, &json!({"to": to(&["b"]), "text": "Hello"})).ok(202);
        let incarnation = running.stored(id).incarnation;
        running.until(incarnation, id, |status| status.send_diagnosis.is_some());
        let shown = api.get(&format!("/v1/mailboxes/{id}")).ok(200);
        let send = &shown["send"];
        assert_eq!((&send["state"], &send["diagnosis"]["code"]), (&json!("held"), &json!(code)), "{shown}");
        let held = api.get(&format!("{outbox}/{}", accepted["id"].as_str().unwrap())).ok(200);
        assert_eq!((&held["hold"], &held["attempts"]), (&json!(code), &json!(0)));
    }
}

#[test]
fn what_mail_does_not_carry_is_refused_at_acceptance_with_a_way_out() {
    let data = tempfile::tempdir().unwrap();
    let (_running, api) = Running::serve(&bare_config(data.path()));
    let outbox = sender(&api, "anna", 9, |_| {});
    for (body, words) in [("x".repeat(999), "line 4 has 999 bytes"), (String::from("a\0b"), "NUL")] {
        let raw = format!("From: anna@makler.test\r\nTo: b@kunde.test\r\n\r\n{body}\r\n");
        let request = api.request("POST", &outbox).header("content-type", "message/rfc822").body(raw);
        let problem = api.send(request).problem(422, "invalid_message");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(words) && detail.contains("quoted-printable"), "{detail}");
    }
    assert_eq!(api.get(&outbox).ok(200)["items"], json!([]));
}

#[test]
fn a_message_to_a_domain_beyond_ascii_is_sent_by_any_server() {
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&bare_config(data.path()));
    let port = server(b"220 ready\r\n", |line, stream| {
        if line.is_ascii() { greets(line, stream) } else { say(stream, "501 5.1.3 Bad address syntax\r\n") }
    });
    let outbox = sender(&api, "anna", port, |_| {});
    let mail = json!({"to": [{"address": "b@köln.example"}], "text": "Hello"});
    let accepted = api.post(&outbox, &mail).ok(202);
    assert_eq!(accepted["recipients"][0]["address"], "b@köln.example");
    running.until_event(EventType::SubmissionSent, "the message", |event| {
        event.data["submission"] == accepted["id"]
    });
    let beyond = json!({"to": [{"address": "bü@köln.example"}], "text": "Hello"});
    api.post(&outbox, &beyond).ok(202);
    let failed = running.until_event(EventType::SubmissionFailed, "the other", |_| true);
    assert!(failed.data["last_reply"].as_str().unwrap().contains("SMTPUTF8"), "{:?}", failed.data);
}
