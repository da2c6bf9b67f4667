//! Transcripts: what the server says and must hear, line by line.

use super::*;
use crate::domain::{SendState, SmtpAuth};
use crate::net::NetConfig;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

#[path = "transaction_tests.rs"]
mod transactions;

/// A line of a transcript.
enum Step {
    /// The server says this.
    S(String),
    /// The server must hear this line.
    C(String),
    /// The server reads up to and with `\r\n.\r\n`; what it read becomes the result.
    Body,
    /// The server closes the connection.
    Cut,
}
use Step::{Body, C, Cut, S};

fn s(text: &str) -> Step {
    S(format!("{text}\r\n"))
}

fn c_(text: &str) -> Step {
    C(String::from(text))
}

async fn serve(script: Vec<Step>) -> (SmtpEndpoint, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let endpoint =
        SmtpEndpoint { host: "127.0.0.1".into(), port, security: Security::None, auth: SmtpAuth::Inherit };
    let server = tokio::spawn(async move {
        let mut stream = BufReader::new(listener.accept().await.unwrap().0);
        let mut body = Vec::new();
        for step in script {
            match step {
                S(text) => stream.write_all(text.as_bytes()).await.unwrap(),
                C(expected) => {
                    let mut line = String::new();
                    stream.read_line(&mut line).await.unwrap();
                    assert_eq!(line.trim_end_matches("\r\n"), expected);
                    assert!(line.len() <= 512 || expected.len() > 510, "command over 512 octets");
                }
                Body => {
                    while !body.ends_with(b"\r\n.\r\n") {
                        body.push(stream.read_u8().await.unwrap());
                    }
                }
                Cut => return body,
            }
        }
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.ok();
        assert_eq!(String::from_utf8_lossy(&rest), "", "nothing more was expected");
        body
    });
    (endpoint, server)
}

fn greeting(offers: &[&str]) -> Vec<Step> {
    let mut script = vec![s("220 mail.example ESMTP"), c_("EHLO me.example"), s("250-mail.example")];
    script.extend(offers.iter().map(|offer| s(&format!("250-{offer}"))));
    script.push(s("250 ENHANCEDSTATUSCODES"));
    script
}

async fn open(endpoint: &SmtpEndpoint, credentials: &SmtpCredentials) -> Result<SmtpSession, SmtpError> {
    let dialer = Dialer::new(NetConfig::default()).unwrap();
    let (timing, progress) = (SmtpTiming::default(), Progress::default());
    SmtpSession::open(&dialer, endpoint, "me.example", credentials, timing, &progress).await
}

async fn open_failing(
    endpoint: &SmtpEndpoint,
    credentials: &SmtpCredentials,
) -> (String, Disposition, String) {
    match open(endpoint, credentials).await.unwrap_err() {
        SmtpError::Hold { diagnosis, retry } => {
            (diagnosis.code, retry, diagnosis.evidence.unwrap_or_default())
        }
        other @ (SmtpError::Refused(_) | SmtpError::Deferred(_) | SmtpError::Unknown(_)) => panic!("{other}"),
    }
}

fn token(text: &str) -> SmtpCredentials {
    SmtpCredentials::Xoauth2 { user: "anna@makler.example".into(), token: Secret::new(text) }
}

fn xoauth2_line(text: &str) -> String {
    STANDARD.encode(format!("user=anna@makler.example\u{1}auth=Bearer {text}\u{1}\u{1}"))
}

fn committed() -> std::future::Ready<Result<(), String>> {
    std::future::ready(Ok(()))
}

#[tokio::test]
async fn a_5000_character_token_is_sent_on_a_line_of_its_own() {
    let long = "t".repeat(5000);
    let mut script = greeting(&["AUTH LOGIN XOAUTH2"]);
    script.extend([
        c_("AUTH XOAUTH2"),
        s("334 "),
        c_(&xoauth2_line(&long)),
        s("235 2.7.0 ok"),
        c_("QUIT"),
        s("221 bye"),
    ]);
    let (endpoint, server) = serve(script).await;
    open(&endpoint, &token(&long)).await.unwrap().quit().await;
    server.await.unwrap();
}

#[tokio::test]
async fn a_bare_334_is_understood() {
    let mut script = greeting(&["AUTH XOAUTH2"]);
    script.extend([c_("AUTH XOAUTH2"), s("334"), c_(&xoauth2_line("t")), s("235 ok")]);
    let (endpoint, server) = serve(script).await;
    drop(open(&endpoint, &token("t")).await.unwrap());
    server.await.unwrap();
}

#[tokio::test]
async fn a_refusal_by_json_is_finished_with_an_empty_line_so_that_the_535_is_read() {
    let mut script = greeting(&["AUTH XOAUTH2"]);
    script.extend([
        c_("AUTH XOAUTH2"),
        s("334 "),
        c_(&xoauth2_line("t")),
        s("334 eyJzdGF0dXMiOiI0MDEi"),
        c_(""),
    ]);
    script.extend([s("535-5.7.8 Username and Password not accepted."), s("535 5.7.8 see help - gsmtp")]);
    let (endpoint, server) = serve(script).await;
    let (code, retry, evidence) = open_failing(&endpoint, &token("t")).await;
    assert_eq!((code.as_str(), retry), ("smtp_login_refused", Disposition::FreshToken));
    assert!(evidence.contains("Username and Password not accepted"), "{evidence}");
    server.await.unwrap();
}

#[tokio::test]
async fn smtp_auth_disabled_for_the_tenant_names_the_cmdlet() {
    let mut script = greeting(&["AUTH XOAUTH2"]);
    script.extend([c_("AUTH XOAUTH2"), s("334 "), c_(&xoauth2_line("t"))]);
    script.push(s(
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.",
    ));
    let (endpoint, server) = serve(script).await;
    let error = open(&endpoint, &token("t")).await.unwrap_err();
    assert_eq!(error.disposition(), Disposition::NeedsAdmin);
    let commands = error.diagnosis().unwrap().remedy.commands.join("\n");
    assert!(commands.contains("Set-CASMailbox -Identity anna@makler.example"), "{commands}");
    server.await.unwrap();
}

#[tokio::test]
async fn a_password_goes_by_plain_else_by_login() {
    let credentials = SmtpCredentials::Plain { user: "u".into(), password: Secret::new("p") };
    for (offer, lines) in [
        ("AUTH PLAIN LOGIN", vec![c_("AUTH PLAIN"), s("334 "), c_("AHUAcA=="), s("235 ok")]),
        (
            "AUTH=LOGIN",
            vec![c_("AUTH LOGIN"), s("334 VXNlcg=="), c_("dQ=="), s("334 UGFzcw=="), c_("cA=="), s("235 ok")],
        ),
    ] {
        let mut script = greeting(&[offer]);
        script.extend(lines);
        let (endpoint, server) = serve(script).await;
        drop(open(&endpoint, &credentials).await.unwrap());
        server.await.unwrap();
    }
}

#[tokio::test]
async fn a_mechanism_that_is_offered_and_unknown_gives_way_to_the_next_one_once() {
    let credentials = SmtpCredentials::Plain { user: "u".into(), password: Secret::new("p") };
    let login = || [c_("AUTH LOGIN"), s("334 VXNlcg=="), c_("dQ=="), s("334 UGFzcw=="), c_("cA==")];
    for code in [504, 502] {
        let mut script = greeting(&["AUTH PLAIN LOGIN"]);
        script.extend([c_("AUTH PLAIN"), s(&format!("{code} 5.5.4 unrecognized authentication type"))]);
        script.extend(login());
        script.push(s("235 ok"));
        let (endpoint, server) = serve(script).await;
        drop(open(&endpoint, &credentials).await.unwrap());
        server.await.unwrap();
    }
    // after the credentials, too
    let mut script = greeting(&["AUTH PLAIN LOGIN"]);
    script.extend([c_("AUTH PLAIN"), s("334 "), c_("AHUAcA=="), s("504 5.7.4 no")]);
    script.extend([c_("AUTH LOGIN"), s("504 5.7.4 no")]);
    let (endpoint, server) = serve(script).await;
    let (code, retry, evidence) = open_failing(&endpoint, &credentials).await;
    assert_eq!((code.as_str(), retry), ("smtp_auth_not_offered", Disposition::NeedsAdmin));
    assert!(evidence.contains("504"), "{evidence}");
    server.await.unwrap();
}

#[tokio::test]
async fn a_refused_password_is_not_tried_by_the_next_mechanism() {
    let credentials = SmtpCredentials::Plain { user: "u".into(), password: Secret::new("p") };
    let mut script = greeting(&["AUTH PLAIN LOGIN"]);
    script.extend([c_("AUTH PLAIN"), s("334 "), c_("AHUAcA=="), s("535 5.7.8 Error: authentication failed")]);
    let (endpoint, server) = serve(script).await;
    assert_eq!(open_failing(&endpoint, &credentials).await.0, "password_refused");
    server.await.unwrap();
}

#[tokio::test]
async fn a_wrong_password_asks_for_a_sign_in() {
    let mut script = greeting(&["AUTH PLAIN"]);
    script.extend([c_("AUTH PLAIN"), s("334 "), c_("AHUAcA=="), s("535 5.7.8 Error: authentication failed")]);
    let (endpoint, server) = serve(script).await;
    let credentials = SmtpCredentials::Plain { user: "u".into(), password: Secret::new("p") };
    let (code, retry, _) = open_failing(&endpoint, &credentials).await;
    assert_eq!((code.as_str(), retry), ("password_refused", Disposition::SignIn));
    server.await.unwrap();
}

#[tokio::test]
async fn a_mechanism_that_is_not_offered_is_never_tried() {
    let (endpoint, server) = serve(greeting(&["AUTH LOGIN"])).await;
    assert_eq!(open_failing(&endpoint, &token("t")).await.0, "smtp_auth_not_offered");
    server.await.unwrap();
}

#[tokio::test]
async fn starttls_that_is_not_offered_sends_nothing() {
    let (mut endpoint, server) = serve(greeting(&["AUTH XOAUTH2"])).await;
    endpoint.security = Security::Starttls;
    assert_eq!(open_failing(&endpoint, &token("t")).await.0, "starttls_missing");
    server.await.unwrap();
}

#[tokio::test]
async fn plaintext_after_the_starttls_answer_ends_the_connection() {
    let mut script = greeting(&["STARTTLS"]);
    script.extend([c_("STARTTLS"), S("220 go\r\n250 injected\r\n".into())]);
    let (mut endpoint, server) = serve(script).await;
    endpoint.security = Security::Starttls;
    assert_eq!(open_failing(&endpoint, &token("t")).await.0, "starttls_injection");
    server.await.unwrap();
}

/// Opens against a script, and what the outbox is told to wait for.
async fn held(script: Vec<Step>, security: Security) -> (String, SendState) {
    let (mut endpoint, server) = serve(script).await;
    endpoint.security = security;
    let dialer = Dialer::new(NetConfig::default()).unwrap();
    // the server answers no QUIT
    let timing = SmtpTiming { quit: Duration::from_millis(100), ..SmtpTiming::default() };
    let (progress, anybody) = (Progress::default(), SmtpCredentials::None);
    let opening = SmtpSession::open(&dialer, &endpoint, "me.example", &anybody, timing, &progress).await;
    let error = opening.unwrap_err();
    drop(server);
    (error.diagnosis().unwrap().code.clone(), error.send_state())
}

#[tokio::test]
async fn a_refusal_before_mail_holds_and_only_a_limit_throttles() {
    let plain = Security::None;
    let greeted = || vec![s("220 mail.example ESMTP"), c_("EHLO me.example")];
    let ehlo = |said: &str| greeted().into_iter().chain([s(said), c_("QUIT")]).collect::<Vec<_>>();
    let starttls = |said: &str| {
        let mut script = greeting(&["STARTTLS"]);
        script.extend([c_("STARTTLS"), s(said)]);
        script
    };
    let (held_, throttled) = (SendState::Held, SendState::Throttled);
    for (script, security, code, state) in [
        (vec![s("554 5.7.1 go away")], plain, "smtp_session_refused", held_),
        (vec![s("421 4.3.2 busy")], plain, "server_unavailable", held_),
        (ehlo("502 5.5.1 what?"), plain, "smtp_session_refused", held_),
        (ehlo("550 5.7.1 by policy"), plain, "smtp_session_refused", held_),
        (starttls("454 4.7.0 TLS not available"), Security::Starttls, "starttls_refused", held_),
        (starttls("502 5.5.1 what?"), Security::Starttls, "starttls_refused", held_),
        (vec![s("421 4.4.2 submission rate exceeded")], plain, "throttled", throttled),
        (
            vec![s("432 4.3.2 Concurrent connections limit exceeded")],
            plain,
            "too_many_connections",
            throttled,
        ),
    ] {
        assert_eq!(held(script, security).await, (String::from(code), state));
    }
}

#[tokio::test]
async fn multi_line_greetings_of_twenty_are_read() {
    let lines = (1..20).map(|line| s(&format!("220-line {line} of the house rules")));
    let mut script: Vec<Step> = lines.collect();
    script.extend(greeting(&["AUTH PLAIN", "SIZE 1000"]));
    let (endpoint, server) = serve(script).await;
    let session = open(&endpoint, &SmtpCredentials::None).await.unwrap();
    assert_eq!(session.offers.size, Some(1000));
    drop(session);
    server.await.unwrap();
}

#[tokio::test]
async fn a_deadline_that_passes_names_what_was_waited_for() {
    let credentials = SmtpCredentials::Plain { user: "u".into(), password: Secret::new("p") };
    let mut silent_auth = greeting(&["AUTH PLAIN"]);
    silent_auth.extend([c_("AUTH PLAIN"), s("334 "), c_("AHUAcA==")]);
    let short = Duration::from_millis(300);
    for (script, code, word) in [
        (vec![], "waiting_for_greeting", "greeting"),
        (vec![s("220 hi"), c_("EHLO me.example")], "waiting_for_answer", "EHLO"),
        (silent_auth, "waiting_for_sign_in", "AUTH PLAIN"),
    ] {
        let (endpoint, server) = serve(script).await;
        let dialer = Dialer::new(NetConfig::default()).unwrap();
        let timing = SmtpTiming { greeting: short, command: short, ..SmtpTiming::default() };
        let opening =
            SmtpSession::open(&dialer, &endpoint, "me.example", &credentials, timing, &Progress::default())
                .await;
        let found = opening.unwrap_err().diagnosis().unwrap().clone();
        assert_eq!(found.code, code);
        assert!(found.summary.contains(word), "{}", found.summary);
        server.await.unwrap();
    }
}

#[tokio::test]
async fn a_refusing_greeting_holds_the_outbox() {
    for (line, code) in
        [("554 5.7.1 go away", "smtp_session_refused"), ("421 4.3.2 busy", "server_unavailable")]
    {
        let (endpoint, server) = serve(vec![s(line)]).await;
        let hold = open_failing(&endpoint, &SmtpCredentials::None).await;
        assert_eq!(hold.0, code);
        drop(server);
    }
}
