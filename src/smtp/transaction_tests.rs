//! Transcripts of messages on their way: what is refused, cut off, or taken, and when the dot leaves.

use super::*;
use crate::smtp::protocol::{Outcome, SendResult, SmtpPhase};

/// Opens without AUTH and sends `message` to b@k.example (and more), by a script that follows the greeting.
async fn transact(offers: &[&str], to: &[&str], message: &[u8], rest: Vec<Step>) -> (Outcome, bool, Vec<u8>) {
    let mut script = greeting(offers);
    script.extend(rest);
    let (endpoint, server) = serve(script).await;
    let mut session = open(&endpoint, &SmtpCredentials::None).await.unwrap();
    let to: Vec<String> = to.iter().map(|to| String::from(*to)).collect();
    let outcome = session.send("a@m.example", &to, message, committed()).await;
    let broken = session.is_broken();
    drop(session);
    (outcome, broken, server.await.unwrap())
}

fn envelope() -> Vec<Step> {
    vec![
        c_("MAIL FROM:<a@m.example>"),
        s("250 2.1.0 ok"),
        c_("RCPT TO:<b@k.example>"),
        s("250 2.1.5 ok"),
        c_("DATA"),
        s("354 go on"),
    ]
}

const MESSAGE: &[u8] = b"Subject: x\r\n\r\nhello\r\n";

#[tokio::test]
async fn a_message_arrives_byte_for_byte_with_its_dots_stuffed() {
    let message = b".first\r\n..second\r\na.b\r\n.\r\n\r\nlast\r\n";
    let mut rest = envelope();
    rest.extend([Body, s("250 2.0.0 OK <new@x.prod.outlook.com> [Hostname=H]")]);
    let (outcome, broken, body) = transact(&[], &["b@k.example"], message, rest).await;
    assert_eq!(outcome.accepted, ["b@k.example"]);
    assert!(!broken);
    let SendResult::Sent { reply } = outcome.result else { panic!("{:?}", outcome.result) };
    assert!(reply.text.contains("<new@x.prod.outlook.com>"));
    assert_eq!(
        String::from_utf8(body).unwrap(),
        "..first\r\n...second\r\na.b\r\n..\r\n\r\nlast\r\n.\r\n",
        "unstuffed it is what was given"
    );
}

#[tokio::test]
async fn size_8bitmime_and_smtputf8_are_said_when_offered_and_needed() {
    let mut rest = vec![c_("MAIL FROM:<a@m.example> SIZE=7 BODY=8BITMIME SMTPUTF8"), s("250 ok")];
    rest.extend([c_("RCPT TO:<ü@k.example>"), s("250 ok"), c_("DATA"), s("354 go"), Body, s("250 ok")]);
    let offers = ["SIZE 1000", "8BITMIME", "SMTPUTF8"];
    let (outcome, ..) = transact(&offers, &["ü@k.example"], "\u{fc}\r\n\r\nx".as_bytes(), rest).await;
    assert!(matches!(outcome.result, SendResult::Sent { .. }), "{:?}", outcome.result);
}

#[tokio::test]
async fn what_the_server_cannot_take_is_not_offered_to_it() {
    let too_large = transact(&["SIZE 10"], &["b@k.example"], MESSAGE, vec![]).await.0;
    let bare = transact(&[], &["b@k.example"], b"a\n.\nb\r\n", vec![]).await.0;
    let utf8 = transact(&[], &["ü@k.example"], MESSAGE, vec![]).await.0;
    let forged = transact(&[], &["b@k.example>\r\nRSET"], MESSAGE, vec![]).await.0;
    for (outcome, expected) in [
        (too_large, "message_too_large"),
        (bare, "message_malformed"),
        (utf8, "smtputf8_missing"),
        (forged, "message_malformed"),
    ] {
        let SendResult::NotSent { cause: Cause::Unsendable { code, .. } } = outcome.result else { panic!() };
        assert_eq!(code, expected);
    }
}

#[tokio::test]
async fn each_phase_s_refusal_is_told_with_its_phase_and_the_session_goes_on() {
    let rset = || [c_("RSET"), s("250 ok")];
    for (code, permanent) in [("451 4.3.0 later", false), ("550 5.7.1 never", true)] {
        for phase in [SmtpPhase::Mail, SmtpPhase::Data, SmtpPhase::Message] {
            let all = envelope();
            let said = match phase {
                SmtpPhase::Session => 0,
                SmtpPhase::Mail => 1,
                SmtpPhase::Rcpt => 3,
                SmtpPhase::Data => 5,
                SmtpPhase::Message => 6,
            };
            let mut rest: Vec<Step> = all.into_iter().take(said).collect();
            if phase == SmtpPhase::Message {
                rest.extend([Body, s(code)]);
            } else {
                rest.push(s(code));
                rest.extend(rset());
            }
            let (outcome, broken, _) = transact(&[], &["b@k.example"], MESSAGE, rest).await;
            let got = match outcome.result {
                SendResult::Refused5xx { phase, .. } => (phase, true),
                SendResult::Deferred { phase, .. } => (phase, false),
                other @ (SendResult::Sent { .. }
                | SendResult::NoRecipient
                | SendResult::Unknown { .. }
                | SendResult::NotSent { .. }) => panic!("{other:?}"),
            };
            assert_eq!((got, broken), ((phase, permanent), false), "{code}");
        }
    }
}

#[tokio::test]
async fn recipients_are_refused_one_by_one() {
    let mut rest =
        vec![c_("MAIL FROM:<a@m.example>"), s("250 ok"), c_("RCPT TO:<b@k.example>"), s("550 5.1.1 no")];
    rest.extend([c_("RCPT TO:<c@k.example>"), s("250 ok"), c_("RCPT TO:<d@k.example>"), s("452 4.2.2 full")]);
    rest.extend([c_("DATA"), s("354 go"), Body, s("250 ok")]);
    let (outcome, ..) = transact(&[], &["b@k.example", "c@k.example", "d@k.example"], MESSAGE, rest).await;
    assert_eq!(outcome.accepted, ["c@k.example"]);
    let refused: Vec<(&str, u16)> =
        outcome.refused.iter().map(|(who, reply)| (who.as_str(), reply.code)).collect();
    assert_eq!(refused, [("b@k.example", 550), ("d@k.example", 452)]);
}

#[tokio::test]
async fn a_domain_beyond_ascii_goes_as_ascii_and_needs_no_extension() {
    for offers in [&[][..], &["SMTPUTF8"]] {
        let mut rest = vec![c_("MAIL FROM:<a@m.example>"), s("250 ok")];
        rest.extend([c_("RCPT TO:<b@xn--kln-sna.example>"), s("250 ok"), c_("DATA"), s("354 go"), Body]);
        rest.push(s("250 ok"));
        let (outcome, ..) = transact(offers, &["b@köln.example"], MESSAGE, rest).await;
        assert_eq!(outcome.accepted, ["b@köln.example"], "{:?}", outcome.result);
    }
}

#[tokio::test]
async fn commands_out_of_sequence_need_a_new_connection_and_the_others_get_the_message() {
    let mut rest = vec![c_("MAIL FROM:<a@m.example>"), s("250 ok"), c_("RCPT TO:<b@k.example>")];
    rest.extend([s("503 5.5.1 Error: need MAIL command"), c_("RCPT TO:<c@k.example>"), s("250 ok")]);
    rest.extend([c_("DATA"), s("354 go"), Body, s("250 ok")]);
    let (outcome, broken, _) = transact(&[], &["b@k.example", "c@k.example"], MESSAGE, rest).await;
    assert_eq!((outcome.accepted, broken), (vec![String::from("c@k.example")], true));
    let alone =
        vec![c_("MAIL FROM:<a@m.example>"), s("250 ok"), c_("RCPT TO:<b@k.example>"), s("503 5.5.1 no")];
    let (outcome, broken, _) = transact(&[], &["b@k.example"], MESSAGE, alone).await;
    assert_eq!((outcome.result, broken), (SendResult::NoRecipient, true));
    let at_mail = vec![c_("MAIL FROM:<a@m.example>"), s("503 5.5.1 say EHLO first")];
    let (outcome, broken, _) = transact(&[], &["b@k.example"], MESSAGE, at_mail).await;
    assert!(matches!(outcome.result, SendResult::Deferred { phase: SmtpPhase::Mail, .. }) && broken);
}

#[tokio::test]
async fn a_channel_that_closes_at_rcpt_names_the_recipient_it_closed_at() {
    let to = ["b@k.example", "c@k.example", "d@k.example"];
    let until_second = || {
        vec![
            c_("MAIL FROM:<a@m.example>"),
            s("250 ok"),
            c_("RCPT TO:<b@k.example>"),
            s("250 ok"),
            c_("RCPT TO:<c@k.example>"),
        ]
    };
    for said in [vec![s("421 4.7.0 domain rate limited"), Cut], vec![Cut]] {
        let rest = until_second().into_iter().chain(said).collect();
        let (outcome, broken, _) = transact(&[], &to, MESSAGE, rest).await;
        assert_eq!((outcome.ended_at.as_deref(), broken), (Some("c@k.example"), true));
        assert!(outcome.refused.is_empty(), "the others were not refused");
    }
}

#[tokio::test]
async fn a_421_at_mail_or_after_the_dot_defers_and_needs_a_new_connection() {
    let at_mail = vec![c_("MAIL FROM:<a@m.example>"), s("421 4.3.2 shutting down"), Cut];
    let (outcome, broken, _) = transact(&[], &["b@k.example"], MESSAGE, at_mail).await;
    assert!(matches!(outcome.result, SendResult::Deferred { phase: SmtpPhase::Mail, .. }) && broken);
    let mut at_dot = envelope();
    at_dot.extend([Body, s("421 4.3.2 shutting down"), Cut]);
    let (outcome, broken, _) = transact(&[], &["b@k.example"], MESSAGE, at_dot).await;
    assert!(matches!(outcome.result, SendResult::Deferred { phase: SmtpPhase::Message, .. }) && broken);
}

#[tokio::test]
async fn after_452_at_the_31st_of_90_recipients_thirty_have_it_and_sixty_wait() {
    let to: Vec<String> = (0..90).map(|number| format!("u{number}@k.example")).collect();
    let mut rest = vec![c_("MAIL FROM:<a@m.example>"), s("250 ok")];
    for (at, who) in to.iter().enumerate() {
        rest.push(c_(&format!("RCPT TO:<{who}>")));
        rest.push(s(if at < 30 { "250 ok" } else { "452 4.5.3 Too many recipients" }));
    }
    rest.extend([c_("DATA"), s("354 go"), Body, s("250 ok")]);
    let names: Vec<&str> = to.iter().map(String::as_str).collect();
    let (outcome, broken, _) = transact(&[], &names, MESSAGE, rest).await;
    assert_eq!((outcome.accepted.len(), outcome.refused.len(), broken), (30, 60, false));
    assert!(outcome.refused.iter().all(|(_, reply)| reply.code == 452));
}

#[tokio::test]
async fn replies_that_end_in_lf_alone_are_understood() {
    let lf = |text: &str| S(format!("{text}\n"));
    let script = vec![
        lf("220 old.example"),
        c_("EHLO me.example"),
        lf("250-old.example"),
        lf("250 SIZE 1000"),
        c_("MAIL FROM:<a@m.example> SIZE=21"),
        lf("250 ok"),
        c_("RCPT TO:<b@k.example>"),
        lf("250 ok"),
        c_("DATA"),
        lf("354 go"),
        Body,
        lf("250 taken"),
    ];
    let (endpoint, server) = serve(script).await;
    let mut session = open(&endpoint, &SmtpCredentials::None).await.unwrap();
    let outcome = session.send("a@m.example", &["b@k.example".into()], MESSAGE, committed()).await;
    assert!(matches!(outcome.result, SendResult::Sent { .. }), "{:?}", outcome.result);
    drop(session);
    server.await.unwrap();
}

#[tokio::test]
async fn without_a_recipient_nothing_is_sent() {
    let mut rest =
        vec![c_("MAIL FROM:<a@m.example>"), s("250 ok"), c_("RCPT TO:<b@k.example>"), s("550 5.1.1 no")];
    rest.extend([c_("RSET"), s("250 ok")]);
    let (outcome, broken, _) = transact(&[], &["b@k.example"], MESSAGE, rest).await;
    assert_eq!((outcome.result, broken), (SendResult::NoRecipient, false));
}

#[tokio::test]
async fn a_cut_before_the_dot_is_not_sent() {
    let mut rest = envelope();
    rest.pop();
    rest.push(Cut);
    let (outcome, broken, _) = transact(&[], &["b@k.example"], MESSAGE, rest).await;
    assert!(matches!(outcome.result, SendResult::NotSent { cause: Cause::Cut(_) }), "{:?}", outcome.result);
    assert!(broken);
}

#[tokio::test]
async fn a_cut_after_the_dot_is_unknown() {
    let mut rest = envelope();
    rest.extend([Body, Cut]);
    let (outcome, broken, body) = transact(&[], &["b@k.example"], MESSAGE, rest).await;
    assert!(matches!(outcome.result, SendResult::Unknown { cause: Cause::Cut(_) }), "{:?}", outcome.result);
    assert!(broken && body.ends_with(b"\r\n.\r\n"));
}

#[tokio::test]
async fn without_the_commit_the_dot_never_leaves() {
    let mut script = greeting(&[]);
    script.extend(envelope());
    script.push(c_("Subject: x"));
    script.extend([c_(""), c_("hello")]);
    let (endpoint, server) = serve(script).await;
    let mut session = open(&endpoint, &SmtpCredentials::None).await.unwrap();
    let full = async { Err::<(), _>("disk full") };
    let outcome = session.send("a@m.example", &["b@k.example".into()], MESSAGE, full).await;
    assert_eq!(outcome.result, SendResult::NotSent { cause: Cause::Commit("disk full".into()) });
    drop(session);
    server.await.unwrap();
}

#[tokio::test]
async fn the_commit_comes_before_the_dot() {
    let mut script = greeting(&[]);
    script.extend(envelope());
    script.extend([Body, s("250 ok")]);
    let (endpoint, server) = serve(script).await;
    let mut session = open(&endpoint, &SmtpCredentials::None).await.unwrap();
    let gate = session.gate.clone();
    let commit = async move {
        assert!(!gate.dot_left());
        Ok::<(), String>(())
    };
    let outcome = session.send("a@m.example", &["b@k.example".into()], MESSAGE, commit).await;
    assert!(matches!(outcome.result, SendResult::Sent { .. }));
    drop(session);
    server.await.unwrap();
}

#[tokio::test]
async fn after_starttls_the_dialogue_goes_on_inside_tls_from_a_new_ehlo() {
    let made = rcgen::generate_simple_self_signed(vec![String::from("localhost")]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let mut plain = BufReader::new(listener.accept().await.unwrap().0);
        let mut line = String::new();
        plain.write_all(b"220 hi\r\n").await.unwrap();
        plain.read_line(&mut line).await.unwrap();
        plain.write_all(b"250-hi\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n").await.unwrap();
        plain.read_line(&mut line).await.unwrap();
        plain.write_all(b"220 go\r\n").await.unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
        let mut tls = BufReader::new(acceptor.accept(plain.into_inner()).await.unwrap());
        for said in [
            "250-hi\r\n250 AUTH XOAUTH2\r\n",
            "334 \r\n",
            "235 ok\r\n",
            "250 ok\r\n",
            "250 ok\r\n",
            "354 go\r\n",
        ] {
            tls.read_line(&mut line).await.unwrap();
            tls.write_all(said.as_bytes()).await.unwrap();
        }
        while !line.ends_with("\r\n.\r\n") {
            tls.read_line(&mut line).await.unwrap();
        }
        tls.write_all(b"250 taken\r\n").await.unwrap();
        line
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), made.cert.pem()).unwrap();
    let dialer =
        Dialer::new(NetConfig { extra_ca: vec![file.path().into()], ..NetConfig::default() }).unwrap();
    let endpoint = SmtpEndpoint {
        host: "localhost".into(),
        port,
        security: Security::Starttls,
        auth: SmtpAuth::Inherit,
    };
    let (timing, progress) = (SmtpTiming::default(), Progress::default());
    let opened = SmtpSession::open(&dialer, &endpoint, "me.example", &token("t"), timing, &progress).await;
    let mut session = opened.unwrap();
    let outcome = session.send("a@m.example", &["b@k.example".into()], MESSAGE, committed()).await;
    assert!(matches!(outcome.result, SendResult::Sent { .. }), "{:?}", outcome.result);
    let heard = server.await.unwrap();
    let expected = format!(
        "EHLO me.example\r\nSTARTTLS\r\nEHLO me.example\r\nAUTH XOAUTH2\r\n{}\r\nMAIL FROM:<a@m.example>\r\n\
         RCPT TO:<b@k.example>\r\nDATA\r\nSubject: x\r\n\r\nhello\r\n.\r\n",
        xoauth2_line("t")
    );
    assert_eq!(heard, expected);
}
