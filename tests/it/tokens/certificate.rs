//! An app that proves itself by a certificate: nothing secret is sent, and what is wrong with it is named.

use crate::signin::link::{ANNA, Scene, scene};
use crate::support::api::Api;
use crate::support::engine::{Running, config, web_app};
use crate::world::World;
use crate::world::entra::assertion::KeyPair;
use crate::world::entra::{self, LogEntry};
use serde_json::{Value, json};
use stafette::domain::{MailboxState, RotationState};
use std::sync::OnceLock;

/// Two of them: making one takes a while.
fn pairs() -> &'static [KeyPair; 2] {
    static PAIRS: OnceLock<[KeyPair; 2]> = OnceLock::new();
    PAIRS.get_or_init(|| [KeyPair::make("Stafette one", 2099), KeyPair::make("Stafette two", 2098)])
}

/// The registration knows this certificate, and no secret.
fn upload(world: &World, client_id: &str, pair: &KeyPair) {
    let mut app = world.entra().app(client_id);
    app.secrets.clear();
    app.certificates = vec![pair.uploaded.clone()];
    world.entra().put_app(app);
}

fn asked(world: &World, grant_type: &str) -> Vec<LogEntry> {
    let log = world.entra().log();
    log.into_iter().filter(|entry| entry.grant_type.as_deref() == Some(grant_type)).collect()
}

/// A sign-in of anna's at an app that has a certificate.
fn with_certificate() -> Scene {
    let scene = scene();
    upload(&scene.world, &scene.world.entra().web_app().client_id, &pairs()[0]);
    let shown = scene.api.patch("/v1/apps/o365", &json!({"client_certificate": pairs()[0].pem})).ok(200);
    assert_eq!((&shown["client_secret_set"], &shown["rotation"]), (&json!(false), &Value::Null));
    scene
}

#[test]
fn a_user_signs_in_and_stays_live_by_assertions() {
    let scene = with_certificate();
    let link = scene.link();
    assert_eq!(scene.come_back(&scene.choose(&link, ANNA)).status, 200);
    scene.until_live();
    scene.api.post("/v1/mailboxes/anna/refresh-token", &Value::Null).ok(200);
    scene.api.post("/v1/mailboxes/anna/refresh-token", &Value::Null).ok(200);
    for (grant_type, least) in [("authorization_code", 1), ("refresh_token", 2)] {
        let asked = asked(&scene.world, grant_type);
        assert!(asked.len() >= least, "{grant_type}: {asked:?}");
        for entry in asked {
            assert!(entry.sent_assertion && !entry.sent_secret && entry.result == "ok", "{entry:?}");
        }
    }
    let verified = scene.api.post("/v1/apps/o365/verify", &json!({})).ok(200);
    let check = |name: &str| {
        let checks = verified["checks"].as_array().unwrap();
        checks.iter().find(|check| check["name"] == name).map(|check| check["result"].clone())
    };
    assert_eq!(
        (check("client_certificate"), check("client_secret")),
        (Some(json!("ok")), None),
        "{verified}"
    );
}

#[test]
fn a_device_code_s_grant_carries_no_assertion() {
    let scene = with_certificate();
    let app = scene.world.entra().web_app();
    scene.world.entra().put_app(entra::App { public_client_flows: true, ..app });
    let made = scene.api.post("/v1/mailboxes/anna/sign-in", &json!({"ways": ["device"]})).ok(201);
    let begun = scene.api.send(scene.api.bare("POST", made["url"].as_str().unwrap()));
    assert_eq!(begun.status, 303, "{}", begun.text());
    let path = format!("/v1/sign-ins/{}", made["id"].as_str().unwrap());
    let code = scene.api.get(&path).ok(200)["device"]["user_code"].as_str().unwrap().to_owned();
    assert!(scene.world.entra().approve_device(&code, ANNA));
    scene.until_live();
    scene.api.post("/v1/mailboxes/anna/refresh-token", &Value::Null).ok(200);
    let refreshes = asked(&scene.world, "refresh_token");
    assert!(refreshes.iter().any(|entry| entry.result == "ok"));
    assert!(refreshes.iter().all(|entry| !entry.sent_assertion), "{refreshes:?}");
}

struct Fleet {
    world: World,
    _data: tempfile::TempDir,
    running: Running,
    api: Api,
}

/// An app-only mailbox, whose app proves itself by this certificate.
fn app_only(certificate: &KeyPair, uploaded: &KeyPair) -> Fleet {
    let world = World::builder().mailbox(ANNA).without_postfix().start();
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&config(&world, data.path()));
    let daemon = world.entra().daemon_app();
    upload(&world, &daemon.client_id, uploaded);
    let mut app = serde_json::to_value(&web_app(&world).app).unwrap();
    app["client_id"] = json!(daemon.client_id);
    app["client_certificate"] = json!(certificate.pem);
    let shown = api.post("/v1/apps", &app).ok(201);
    assert_eq!(shown["client_certificate"]["not_after"], shown["secret_expires_at"]);
    let anna = json!({"id": "anna", "address": ANNA, "auth": {"kind": "app_only", "app": "o365"},
        "imap": {"host": "localhost", "port": world.imaps_port(), "security": "tls"}, "smtp": null});
    api.post("/v1/mailboxes", &anna).ok(201);
    Fleet { world, _data: data, running, api }
}

impl Fleet {
    fn until(&self, state: MailboxState) -> Option<String> {
        let anna = self.running.stored("anna");
        let status = self.running.until(anna.incarnation, "the state", |status| status.state == state);
        status.diagnosis.map(|diagnosis| diagnosis.code)
    }

    fn until_rotation(&self, state: RotationState) -> Value {
        let id = stafette::domain::AppId::new("o365").unwrap();
        self.running.wait("the end of the trial", || {
            let rotation = self.running.store.rotation(&id).unwrap()?.value;
            (rotation.state == state).then_some(())
        });
        self.api.get("/v1/apps/o365").ok(200)
    }
}

#[test]
fn app_only_mailboxes_live_by_assertions_and_certificates_are_rotated_like_secrets() {
    let fleet = app_only(&pairs()[0], &pairs()[0]);
    fleet.until(MailboxState::Live);
    let tokens = asked(&fleet.world, "client_credentials");
    assert!(tokens.iter().all(|entry| entry.sent_assertion && entry.result == "ok"), "{tokens:?}");
    // one that nobody uploaded
    let unknown = json!({"client_certificate": pairs()[1].pem});
    fleet.api.patch("/v1/apps/o365", &unknown).ok(200);
    let shown = fleet.until_rotation(RotationState::RolledBack);
    assert_eq!(shown["rotation"]["diagnosis"]["code"], "app_certificate_wrong");
    assert_eq!(shown["client_certificate"]["subject"], "CN=Stafette one");
    // uploaded after all
    let mut app = fleet.world.entra().daemon_app();
    app.certificates.push(pairs()[1].uploaded.clone());
    fleet.world.entra().put_app(app);
    fleet.api.patch("/v1/apps/o365", &unknown).ok(200);
    let shown = fleet.until_rotation(RotationState::Proven);
    assert_eq!(shown["client_certificate"]["subject"], "CN=Stafette two");
    assert_eq!(shown["secret_expires_at"], "2098-01-01T00:00:00Z");
    fleet.until(MailboxState::Live);
    // and back to a secret, whose end is unknown
    let mut app = fleet.world.entra().daemon_app();
    app.secrets.push(crate::world::entra::Secret { value: "s3cret~of~the~daemon".into(), expired: false });
    fleet.world.entra().put_app(app);
    fleet.api.patch("/v1/apps/o365", &json!({"client_secret": "s3cret~of~the~daemon"})).ok(200);
    let shown = fleet.until_rotation(RotationState::Proven);
    assert_eq!(
        (&shown["client_certificate"], &shown["client_secret_set"], &shown["secret_expires_at"]),
        (&Value::Null, &json!(true), &Value::Null)
    );
}

#[test]
fn an_unknown_or_expired_certificate_is_diagnosed() {
    let fleet = app_only(&pairs()[1], &pairs()[0]);
    assert_eq!(fleet.until(MailboxState::AppBroken).as_deref(), Some("app_certificate_wrong"));
    let verified = fleet.api.post("/v1/apps/o365/verify", &json!({})).ok(200);
    let checks = verified["checks"].as_array().unwrap();
    let wrong: Vec<&Value> = checks.iter().filter(|check| check["result"] == "failed").collect();
    assert_eq!((wrong.len(), &wrong[0]["name"]), (1, &json!("client_certificate")), "{verified}");
    // the right one mends it
    fleet.api.patch("/v1/apps/o365", &json!({"client_certificate": pairs()[0].pem})).ok(200);
    fleet.until(MailboxState::Live);
    drop(fleet);
    // one that has ended, by the provider's clock
    let mut ended = pairs()[0].clone();
    ended.uploaded.expired = true;
    let fleet = app_only(&pairs()[0], &ended);
    assert_eq!(fleet.until(MailboxState::AppBroken).as_deref(), Some("app_certificate_wrong"));
    let shown = fleet.api.get("/v1/mailboxes/anna").ok(200);
    assert!(shown["diagnosis"]["evidence"].as_str().unwrap().contains("expired"), "{shown}");
}

#[test]
fn a_certificate_goes_in_and_what_is_wrong_with_it_is_named() {
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&crate::support::engine::bare_config(data.path()));
    let [one, two] = pairs();
    let app = json!({"id": "o365", "provider": "office365", "tenant": "t.example", "client_id": "c",
        "client_certificate": one.pem});
    let shown = api.post("/v1/apps", &app).ok(201);
    assert_eq!(shown["client_certificate"]["subject"], "CN=Stafette one");
    assert_eq!(shown["client_certificate"]["thumbprint"].as_str().unwrap().len(), 40);
    assert_eq!(shown["secret_expires_at"], "2099-01-01T00:00:00Z");
    assert!(!shown.to_string().contains("PRIVATE"), "{shown}");
    // what was shown may be put back as it is
    assert_eq!(api.put("/v1/apps/o365", &shown).ok(200), shown);
    let wrong = |certificate: &str, word: &str| {
        let problem = api.patch("/v1/apps/o365", &json!({"client_certificate": certificate}));
        let problem = problem.problem(422, "invalid_field");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with("client_certificate: ") && detail.contains(word), "{detail}");
    };
    let (public, key) = one.pem.split_once("-----BEGIN PRIVATE").unwrap();
    let (_, other) = two.pem.split_once("-----BEGIN PRIVATE").unwrap();
    wrong(public, "no private key");
    wrong(&format!("-----BEGIN PRIVATE{key}"), "no certificate");
    wrong(&format!("{public}-----BEGIN PRIVATE{other}"), "another certificate");
    wrong(&format!("{public}-----BEGIN ENCRYPTED PRIVATE{other}"), "encrypted");
    wrong(&KeyPair::make("old", 2021).pem, "has expired at 2021-01-01");
    wrong("MIIC", "no PEM");
    let both = json!({"client_certificate": one.pem, "client_secret": "s"});
    api.patch("/v1/apps/o365", &both).problem(422, "invalid_field");
    api.patch("/v1/apps/o365", &json!({"client_secret": one.pem})).problem(422, "invalid_field");
    let google = json!({"id": "g", "provider": "google", "client_id": "c", "client_certificate": one.pem});
    let refused = api.post("/v1/apps", &google).problem(422, "invalid_field");
    assert!(refused["detail"].as_str().unwrap().contains("client secrets only"), "{refused}");
    // one takes the other's place, and neither is none
    let secret = api.patch("/v1/apps/o365", &json!({"client_secret": "s"})).ok(200);
    assert_eq!((&secret["client_certificate"], &secret["secret_expires_at"]), (&Value::Null, &Value::Null));
    let back = api.patch("/v1/apps/o365", &json!({"client_certificate": one.pem})).ok(200);
    assert_eq!(
        (&back["client_certificate"], &back["client_secret_set"]),
        (&shown["client_certificate"], &json!(false))
    );
    let none = api.patch("/v1/apps/o365", &json!({"client_certificate": null})).ok(200);
    assert_eq!((&none["client_certificate"], &none["client_secret_set"]), (&Value::Null, &json!(false)));
    drop((running, api));
    let files = std::fs::read_dir(data.path().join("state")).unwrap();
    for path in files.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        let bytes = std::fs::read(&path).unwrap();
        let line = one.pem.lines().nth(20).unwrap().as_bytes();
        assert!(
            !bytes.windows(line.len()).any(|window| window == line),
            "{} is in the clear",
            path.display()
        );
    }
}

#[test]
fn the_command_line_says_what_became_of_a_new_certificate() {
    let fleet = app_only(&pairs()[0], &pairs()[0]);
    fleet.until(MailboxState::Live);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("app.pem");
    std::fs::write(&file, &pairs()[1].pem).unwrap();
    let rotate = || {
        std::process::Command::new(env!("CARGO_BIN_EXE_stafette"))
            .args(["app", "rotate", "o365", "--certificate", file.to_str().unwrap()])
            .args(["--url", &fleet.api.base, "--key", crate::support::engine::KEY])
            .output()
            .unwrap()
    };
    let refused = rotate();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(65), "{said}");
    assert!(said.contains("goes on with the one before") && said.contains("Upload"), "{said}");
    let mut app = fleet.world.entra().daemon_app();
    app.certificates.push(pairs()[1].uploaded.clone());
    fleet.world.entra().put_app(app);
    let taken = rotate();
    assert!(taken.status.success(), "{taken:?}");
    assert!(String::from_utf8_lossy(&taken.stdout).contains("the new one works"), "{taken:?}");
}
