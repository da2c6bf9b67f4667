//! Transcripts: what the server says and must hear, line by line.

use super::*;
use crate::domain::SmtpAuth;
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
    SmtpSession::open(&dialer, endpoint, "me.example", credentials, SmtpTiming::default()).await
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
