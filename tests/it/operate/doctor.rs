//! The doctor: every step against the world, and one thing wrong at a time.

use crate::api::frame::deaf;
use crate::support::api::{Api, names};
use crate::support::engine::{Running, bare_config, config, oauth_mailbox};
use crate::world::proxy::Answering;
use crate::world::{Kind, ProxyHandle, Transport, World};
use serde_json::{Value, json};
use stafette::domain::{Incarnation, SignedInAs};

const ANNA: &str = "anna@makler.test";
const STEPS: [&str; 18] = [
    "dns",
    "tcp",
    "tls",
    "clock",
    "capability",
    "token",
    "scopes",
    "identity",
    "authenticate",
    "list",
    "select",
    "idle",
    "smtp_dns",
    "smtp_tcp",
    "smtp_tls",
    "smtp_ehlo",
    "smtp_auth",
    "smtp_mail_from",
];

struct Scene {
    world: World,
    _data: tempfile::TempDir,
    running: Running,
    api: Api,
    anna: Incarnation,
    imap: ProxyHandle,
    smtp: ProxyHandle,
}

/// Anna's mailbox, signed in and live, with a proxy before either server.
fn scene() -> Scene {
    let world = World::builder().mailbox(ANNA).start();
    let imap = world.proxy(Kind::Imap, Transport::ImplicitTls);
    let smtp = world.proxy(Kind::Smtp, Transport::StartTls);
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&config(&world, data.path()));
    let (mut mailbox, mut grant) = oauth_mailbox(&world, &running, ANNA, imap.port);
    mailbox.smtp.as_mut().unwrap().port = smtp.port;
    let tid = Some(world.entra().tenant_id());
    grant.signed_in_as = Some(SignedInAs { name: ANNA.into(), oid: Some("oid".into()), tid });
    let anna = running.add(mailbox, &grant).incarnation;
    running.until_live(anna);
    Scene { world, _data: data, running, api, anna, imap, smtp }
}

fn examine(api: &Api, id: &str) -> Value {
    let report = api.get(&format!("/v1/mailboxes/{id}/diagnosis")).ok(200);
    assert_eq!(names(&report), ["at", "diagnosis", "mailbox", "result", "state", "steps"]);
    let steps: Vec<&str> =
        report["steps"].as_array().unwrap().iter().map(|step| step["name"].as_str().unwrap()).collect();
    assert_eq!(steps, STEPS);
    report
}

fn step(report: &Value, name: &str) -> Value {
    report["steps"].as_array().unwrap().iter().find(|step| step["name"] == name).unwrap().clone()
}

/// This step failed with this code, and the report says so.
#[track_caller]
fn assert_failed(report: &Value, name: &str, code: &str) -> Value {
    let failed = step(report, name);
    assert_eq!(
        (&failed["result"], &failed["diagnosis"]["code"]),
        (&json!("failed"), &json!(code)),
        "{report}"
    );
    assert_eq!((&report["result"], &report["diagnosis"]), (&json!("failed"), &failed["diagnosis"]));
    failed
}

#[track_caller]
fn assert_results(report: &Value, names: &[&str], result: &str) {
    for name in names {
        assert_eq!(step(report, name)["result"], result, "{name}: {report}");
    }
}

#[test]
fn a_good_mailbox_passes_every_step_and_nothing_changes() {
    let scene = scene();
    scene.world.deliver(ANNA, b"Subject: x\r\nMessage-ID: <x@kunde.test>\r\n\r\nHello\r\n");
    scene.running.until_event(stafette::events::EventType::MessageNew, "the mail", |_| true);
    let before = scene.running.events().len();
    let seen = scene.imap.commands().len();
    let report = examine(&scene.api, "anna");
    assert_results(&report, &STEPS, "ok");
    assert_eq!(
        (&report["result"], &report["state"], &report["diagnosis"], &report["mailbox"]),
        (&json!("ok"), &json!("live"), &Value::Null, &json!("anna"))
    );
    for (name, word) in [
        ("dns", "127.0.0.1"),
        ("tls", "Stafette test world"),
        ("clock", " s "),
        ("capability", "AUTH=XOAUTH2"),
        ("token", "valid until"),
        ("scopes", "SMTP.Send"),
        ("identity", ANNA),
        ("select", "INBOX, 1 messages"),
        ("smtp_tls", "Stafette test world"),
        ("smtp_ehlo", "XOAUTH2"),
    ] {
        let detail = step(&report, name)["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(word), "{name}: {detail}");
    }
    let commands = scene.imap.commands()[seen..].join("\n");
    assert!(commands.contains("EXAMINE") && !commands.contains("SELECT"), "{commands}");
    let spoken = scene.smtp.commands().join("\n");
    assert!(spoken.contains("MAIL FROM") && spoken.contains("RSET") && spoken.contains("QUIT"), "{spoken}");
    assert!(!spoken.contains("RCPT") && !spoken.contains("DATA"), "{spoken}");
    assert_eq!(scene.running.events().len(), before, "no event tells of an examination");
}

#[test]
fn a_certificate_of_an_unknown_authority_is_named_by_its_issuer() {
    let world = World::builder().mailbox(ANNA).start();
    let data = tempfile::tempdir().unwrap();
    // the world's authority is not named
    let (_running, api) = Running::serve(&bare_config(data.path()));
    let mut mailbox = deaf("anna");
    mailbox["imap"] = json!({"host": "localhost", "port": world.imaps_port(), "security": "tls"});
    mailbox["smtp"] = json!({"host": "localhost", "port": world.submission_port(), "security": "starttls"});
    api.post("/v1/mailboxes", &mailbox).ok(201);
    let report = examine(&api, "anna");
    let failed = assert_failed(&report, "tls", "tls_certificate");
    let summary = failed["diagnosis"]["summary"].as_str().unwrap();
    assert!(summary.contains("issued by \"CN=Stafette test world\""), "{summary}");
    assert_results(&report, &["dns", "tcp", "smtp_dns", "smtp_tcp"], "ok");
    let skipped =
        ["clock", "capability", "token", "scopes", "identity", "authenticate", "list", "select", "idle"];
    assert_results(&report, &skipped, "skipped");
    assert_eq!(step(&report, "list")["detail"], "the step tls failed");
    let smtp = step(&report, "smtp_tls");
    assert_eq!(smtp["diagnosis"]["code"], "tls_certificate");
    assert!(smtp["diagnosis"]["summary"].as_str().unwrap().contains("Stafette test world"), "{smtp}");
}

#[test]
fn a_host_that_is_unknown_and_one_that_refuses_are_told_apart() {
    let data = tempfile::tempdir().unwrap();
    let (_running, api) = Running::serve(&bare_config(data.path()));
    let mut mailbox = deaf("anna");
    mailbox["imap"]["host"] = json!("no-such-host.invalid");
    api.post("/v1/mailboxes", &mailbox).ok(201);
    let report = examine(&api, "anna");
    let failed = assert_failed(&report, "dns", "host_unknown");
    assert!(failed["diagnosis"]["remedy"]["commands"][0].as_str().unwrap().contains("no-such-host.invalid"));
    assert_eq!(step(&report, "smtp_tcp")["diagnosis"]["code"], "connection_refused");
    // a mailbox that only sends, and does not sign in for it
    let imap = json!({"imap": null, "smtp": {"auth": "none"}});
    api.patch("/v1/mailboxes/anna", &imap).ok(200);
    let report = examine(&api, "anna");
    assert_failed(&report, "smtp_tcp", "connection_refused");
    assert_results(&report, &STEPS[..12], "skipped");
    assert!(step(&report, "dns")["detail"].as_str().unwrap().contains("does not receive"), "{report}");
}

#[test]
fn smtp_auth_that_is_off_gets_its_four_remedies_and_receiving_is_good() {
    let scene = scene();
    let text = "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit \
                https://aka.ms/smtp_auth_disabled for more information. [SN2PR00CA0018.namprd00.prod.outlook.com]";
    scene.smtp.answer(Answering::new("AUTH*", text));
    let report = examine(&scene.api, "anna");
    let failed = assert_failed(&report, "smtp_auth", "smtp_auth_disabled_tenant");
    assert_results(&report, &STEPS[..16], "ok");
    assert_results(&report, &["smtp_mail_from"], "skipped");
    assert!(failed["detail"].as_str().unwrap().contains("disabled for the Tenant"), "{failed}");
    let commands = failed["diagnosis"]["remedy"]["commands"].to_string();
    assert!(commands.contains(&format!("Set-CASMailbox -Identity {ANNA}")), "{commands}");

    let (code, shown) = command_line(&scene.api);
    assert_eq!(code, Some(1), "{shown}");
    for line in
        ["smtp_auth       failed", "smtp_mail_from  skipped", "To be done by tenant admin:", "Set-CASMailbox"]
    {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    scene.smtp.clear();
    let (code, shown) = command_line(&scene.api);
    assert_eq!(code, Some(0), "{shown}");
    assert!(!shown.contains("failed"), "{shown}");
}

/// `stafette doctor anna`: its exit code, and what it prints.
fn command_line(api: &Api) -> (Option<i32>, String) {
    let ended = std::process::Command::new(env!("CARGO_BIN_EXE_stafette"))
        .args(["doctor", "anna", "--url", &api.base, "--key", crate::support::engine::KEY])
        .output()
        .unwrap();
    (ended.status.code(), String::from_utf8(ended.stdout).unwrap())
}

#[test]
fn a_refused_token_and_a_revoked_sign_in_fail_at_their_own_step() {
    let scene = scene();
    scene.imap.answer(Answering::new("AUTHENTICATE*", "$TAG NO AUTHENTICATE failed."));
    let report = examine(&scene.api, "anna");
    let failed = assert_failed(&report, "authenticate", "imap_login_refused");
    assert_eq!(failed["detail"], "AUTHENTICATE failed.");
    assert_results(&report, &["list", "select", "idle"], "skipped");
    assert_results(&report, &["token", "smtp_auth", "smtp_mail_from"], "ok");
    scene.imap.clear();

    scene.world.entra().revoke(ANNA);
    scene.api.post("/v1/mailboxes/anna/refresh-token", &json!({})).problem(409, "needs_sign_in");
    // the last token is still good, and there will be no other
    let report = examine(&scene.api, "anna");
    let failed = assert_failed(&report, "token", "sign_in_again");
    assert!(failed["detail"].as_str().unwrap().contains("valid until"), "{failed}");
    assert_eq!(step(&report, "authenticate")["detail"], "the step token failed");
}

#[test]
fn a_wrong_clock_a_lacking_scope_and_a_stranger_are_found() {
    let scene = scene();
    scene.world.entra().with_options(|options| options.clock_ahead_seconds = 3600);
    let stored = scene.running.stored("anna");
    let mut grant = scene.running.store.grant(scene.anna).unwrap().unwrap().value;
    grant.scopes.retain(|scope| !scope.contains("SMTP"));
    grant.signed_in_as = Some(SignedInAs {
        name: "eve@elsewhere.test".into(),
        oid: Some("x".into()),
        tid: Some("other".into()),
    });
    scene.running.replace_grant(&stored, &grant);
    let report = examine(&scene.api, "anna");
    let failed = assert_failed(&report, "clock", "clock_wrong");
    let summary = failed["diagnosis"]["summary"].as_str().unwrap();
    assert!(summary.contains("s behind"), "{summary}");
    let scopes = step(&report, "scopes");
    assert_eq!(scopes["diagnosis"]["code"], "scopes_missing");
    assert!(scopes["diagnosis"]["summary"].as_str().unwrap().contains("SMTP.Send"), "{scopes}");
    let identity = step(&report, "identity");
    assert_eq!(identity["diagnosis"]["code"], "wrong_account");
    assert!(identity["diagnosis"]["summary"].as_str().unwrap().contains("eve@elsewhere.test"), "{identity}");
}

#[test]
fn a_mailbox_is_examined_by_one_doctor_at_a_time_and_not_for_ever() {
    let data = tempfile::tempdir().unwrap();
    let mut config = bare_config(data.path());
    config.timing.doctor = std::time::Duration::from_millis(1500);
    let (_running, api) = Running::serve(&config);
    // takes connections and never speaks
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut mailbox = deaf("anna");
    mailbox["imap"] =
        json!({"host": "127.0.0.1", "port": silent.local_addr().unwrap().port(), "security": "none"});
    api.post("/v1/mailboxes", &mailbox).ok(201);
    let asked = [(); 2].map(|()| {
        let api = api.clone();
        std::thread::spawn(move || api.get("/v1/mailboxes/anna/diagnosis"))
    });
    let [one, other] = asked.map(|asked| asked.join().unwrap());
    let (done, refused) = if one.status == 200 { (one, other) } else { (other, one) };
    refused.problem(409, "doctor_running");
    let report = done.ok(200);
    assert_failed(&report, "capability", "doctor_timeout");
    assert_results(&report, &["smtp_dns"], "skipped");
    examine(&api, "anna");
    api.get("/v1/mailboxes/nobody/diagnosis").problem(404, "no_such_mailbox");
}
