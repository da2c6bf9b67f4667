//! A Google service account: from its key file to live mailboxes without any user, and what is wrong named.

use crate::support::api::Api;
use crate::support::engine::{Running, bare_config, config};
use crate::world::World;
use crate::world::entra::LogEntry;
use crate::world::entra::google::{KeyFile, SCOPE, ServiceAccount};
use serde_json::{Value, json};
use stafette::domain::{AppId, MailboxState, RotationState};
use stafette::events::EventType;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

const ANNA: &str = "anna@makler.test";
const BEN: &str = "ben@makler.test";
const CLARA: &str = "clara@kunde.test";
const ADDRESSES: [&str; 3] = [ANNA, BEN, CLARA];

/// Two of them: making one takes a while.
fn keys() -> &'static [KeyFile; 2] {
    static KEYS: OnceLock<[KeyFile; 2]> = OnceLock::new();
    KEYS.get_or_init(|| [KeyFile::make(), KeyFile::make()])
}

fn account(known: &[&KeyFile], delegated: &[&str]) -> ServiceAccount {
    ServiceAccount {
        client_email: "stafette@makler-mail.iam.gserviceaccount.com".into(),
        client_id: "113000000000000000017".into(),
        keys: known.iter().map(|key| (key.id.clone(), key.public_key.clone())).collect(),
        delegated: delegated.iter().map(|domain| String::from(*domain)).collect(),
    }
}

fn file(key: &KeyFile) -> Value {
    key.of(&account(&[], &[]))
}

struct Scene {
    world: World,
    _data: tempfile::TempDir,
    running: Running,
    api: Api,
}

/// An app that has the first key of the account; its domains are both.
fn scene(world: World, known: &ServiceAccount) -> Scene {
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&config(&world, data.path()));
    world.entra().put_service_account(known.clone());
    let app = json!({"id": "gws", "provider": "google", "authority": world.entra().authority_url(),
        "domains": ["makler.test", "kunde.test"], "service_account": file(&keys()[0])});
    let shown = api.post("/v1/apps", &app).ok(201);
    assert_eq!(shown["client_id"], known.client_id, "it is in the file");
    Scene { world, _data: data, running, api }
}

fn world() -> World {
    ADDRESSES.iter().fold(World::builder(), |world, address| world.mailbox(address)).without_postfix().start()
}

fn id(address: &str) -> &str {
    address.split('@').next().unwrap()
}

impl Scene {
    fn add(&self, address: &str) {
        let mailbox = json!({"id": id(address), "address": address, "auth": {"kind": "service_account"},
            "imap": {"host": "localhost", "port": self.world.imaps_port(), "security": "tls"}, "smtp": null});
        let shown = self.api.post("/v1/mailboxes", &mailbox).ok(201);
        assert_eq!(shown["auth"], json!({"kind": "service_account", "app": "gws", "login": null}));
        assert!(matches!(shown["state"].as_str(), Some("connecting" | "syncing" | "live")), "{shown}");
    }

    fn until(&self, address: &str, state: MailboxState) -> Option<String> {
        let stored = self.running.stored(id(address));
        let what = format!("{address} {state:?}");
        let status = self.running.until(stored.incarnation, &what, |status| status.state == state);
        status.diagnosis.map(|diagnosis| diagnosis.code)
    }

    fn until_all(&self, state: MailboxState) {
        ADDRESSES.iter().for_each(|address| drop(self.until(address, state)));
    }

    fn asked(&self) -> Vec<LogEntry> {
        let log = self.world.entra().log();
        log.into_iter().filter(|entry| entry.endpoint == "google_token").collect()
    }

    /// The results of a check; one that is made several times has several.
    fn verified(&self) -> BTreeMap<String, Vec<String>> {
        let answer = self.api.post("/v1/apps/gws/verify", &json!({})).ok(200);
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for check in answer["checks"].as_array().unwrap() {
            let text = |name: &str| check[name].as_str().unwrap().to_owned();
            found.entry(text("name")).or_default().push(text("result"));
        }
        found
    }

    fn replace(&self, key: &KeyFile) -> Value {
        self.api.patch("/v1/apps/gws", &json!({"service_account": file(key)})).ok(200)
    }

    fn until_rotation(&self, state: RotationState) -> Value {
        let id = AppId::new("gws").unwrap();
        self.running.wait("the end of the trial", || {
            let rotation = self.running.store.rotation(&id).unwrap()?.value;
            (rotation.state == state).then_some(())
        });
        self.api.get("/v1/apps/gws").ok(200)
    }
}

#[test]
fn from_a_key_file_three_mailboxes_are_live_without_a_user() {
    let world = ADDRESSES.iter().fold(World::builder(), |world, address| world.mailbox(address)).start();
    let scene = scene(world, &account(&[&keys()[0]], &["makler.test", "kunde.test"]));
    assert_eq!(scene.verified()["delegation"], ["not_yet_proved"], "nobody to act for yet");
    let smtp = scene.world.submission_port();
    let lines: String = ADDRESSES
        .map(|address| {
            let imap = scene.world.imaps_port();
            format!(
                "{};{address};service_account;localhost;{imap};tls;localhost;{smtp};starttls\n",
                id(address)
            )
        })
        .concat();
    let csv = format!(
        "id;address;auth.kind;imap.host;imap.port;imap.security;smtp.host;smtp.port;smtp.security\n{lines}"
    );
    let request =
        scene.api.request("POST", "/v1/mailboxes:import").header("content-type", "text/csv").body(csv);
    let imported = scene.api.send(request).ok(201);
    assert_eq!(imported["created"], 3, "{imported}");
    scene.until_all(MailboxState::Live);

    let before = scene.asked().len();
    let users: Vec<String> = scene.asked().iter().filter_map(|entry| entry.user.clone()).collect();
    for address in ADDRESSES {
        assert_eq!(users.iter().filter(|user| *user == address).count(), 1, "one token each: {users:?}");
    }
    let told = scene.api.post("/v1/mailboxes/anna/refresh-token", &Value::Null).ok(200);
    assert_eq!((&told["way"], &told["signed_in_as"]), (&json!("service_account"), &Value::Null));
    assert_eq!(scene.asked().len(), before + 1);
    let verified = scene.verified();
    assert_eq!(verified["service_account"], ["ok"]);
    assert_eq!(verified["delegation"], ["ok", "ok"], "a user of each domain");
    assert_eq!(verified["secret_expiry"], ["skipped"]);
    assert!(!verified.contains_key("redirect"), "{verified:?}");

    let report = scene.api.get("/v1/mailboxes/anna/diagnosis").ok(200);
    assert_eq!((&report["result"], &report["diagnosis"]), (&json!("ok"), &Value::Null), "{report}");
    let mail =
        json!({"from": {"address": ANNA}, "to": [{"address": BEN}], "subject": "by delegation", "text": "x"});
    scene.api.post("/v1/mailboxes/anna/outbox", &mail).ok(202);
    scene.running.until_event(EventType::MessageNew, "the message at ben's", |event| {
        event.data["subject"] == "by delegation"
            && event.mailbox.as_ref().is_some_and(|id| id.as_str() == "ben")
    });
    let old = json!({"id": "old", "provider": "google", "client_id": "1-a", "client_secret": "GOCSPX-a-long-value"});
    scene.api.post("/v1/apps", &old).ok(201);
    for (path, body) in [
        ("/v1/mailboxes/anna/sign-in", json!({})),
        ("/v1/apps/gws/verify", json!({"sign_in": true})),
        ("/v1/apps/gws/distribute", json!({})),
        ("/v1/apps/gws/distribute", json!({"from": "old"})),
    ] {
        scene.api.post(path, &body).problem(409, "no_sign_in");
    }
}

#[test]
fn a_user_that_google_does_not_know_stops_nobody_else() {
    let scene = scene(world(), &account(&[&keys()[0]], &["makler.test", "kunde.test"]));
    scene.world.entra().with_options(|options| options.users.retain(|user| user.address != BEN));
    scene.add(BEN);
    assert_eq!(scene.until(BEN, MailboxState::NeedsAdmin).as_deref(), Some("google_user_unknown"));
    scene.add(ANNA);
    scene.until(ANNA, MailboxState::Live);
    let shown = scene.api.get("/v1/mailboxes/ben?language=de").ok(200);
    assert_eq!(shown["diagnosis"]["who"], "tenant_admin");
    let summary = shown["diagnosis"]["summary"].as_str().unwrap();
    assert!(summary.contains(BEN), "{summary}");
    let refused = scene.api.post("/v1/mailboxes/ben/refresh-token", &Value::Null).problem(409, "needs_admin");
    assert_eq!(refused["diagnosis"]["evidence"], "Invalid email or User ID");
    // under another name of his
    let login = json!({"auth": {"kind": "service_account", "app": "gws", "login": ANNA}});
    scene.api.patch("/v1/mailboxes/ben", &login).ok(200);
    scene.until(BEN, MailboxState::Live);
    let known = scene.world.entra();
    known.add_user(BEN);
    scene.api.patch("/v1/mailboxes/ben", &json!({"auth": {"login": null}})).ok(200);
    scene.until(BEN, MailboxState::Live);
}

#[test]
fn a_delegation_that_is_made_good_is_found_out_without_a_click() {
    let scene = scene(world(), &account(&[&keys()[0]], &["kunde.test"]));
    ADDRESSES.iter().for_each(|address| scene.add(address));
    for address in [ANNA, BEN] {
        let code = scene.until(address, MailboxState::NeedsAdmin);
        assert_eq!(code.as_deref(), Some("google_delegation_missing"));
    }
    scene.until(CLARA, MailboxState::Live);
    let shown = scene.api.get("/v1/mailboxes/anna").ok(200);
    let clicks = shown["diagnosis"]["remedy"]["clicks"].to_string();
    for word in ["API controls", "Domain-wide delegation", "113000000000000000017", SCOPE] {
        assert!(clicks.contains(word), "{word} is missing: {clicks}");
    }
    assert_eq!(scene.verified()["delegation"], ["ok", "failed"]);
    let mended = stafette::clock::monotonic();
    scene.world.entra().put_service_account(account(&[&keys()[0]], &["makler.test", "kunde.test"]));
    // the first look is after a minute; a wait of the tests' own is shorter
    let is_live = |address: &str| {
        let stored = scene.running.stored(id(address));
        scene.running.store.status(stored.incarnation).unwrap().value.state == MailboxState::Live
    };
    let mut durable = scene.running.store.watch_durable();
    while !(is_live(ANNA) && is_live(BEN)) {
        assert!(mended.elapsed() < Duration::from_secs(100), "it was not found out");
        let next = async { tokio::time::timeout(Duration::from_secs(1), durable.changed()).await };
        drop(scene.running.block_on(next));
    }
}

#[test]
fn a_new_key_is_tried_and_a_deleted_one_breaks_the_app_once() {
    let scene = scene(world(), &account(&[&keys()[0]], &["makler.test", "kunde.test"]));
    ADDRESSES.iter().for_each(|address| scene.add(address));
    scene.until_all(MailboxState::Live);
    // a key that Google does not know: the one before goes on
    scene.replace(&keys()[1]);
    let shown = scene.until_rotation(RotationState::RolledBack);
    assert_eq!(shown["rotation"]["diagnosis"]["code"], "service_account_key_refused");
    assert_eq!(shown["service_account"]["private_key_id"], keys()[0].id);
    scene.api.post("/v1/mailboxes/anna/refresh-token", &Value::Null).ok(200);
    // one that it knows
    scene
        .world
        .entra()
        .put_service_account(account(&[&keys()[0], &keys()[1]], &["makler.test", "kunde.test"]));
    scene.replace(&keys()[1]);
    let shown = scene.until_rotation(RotationState::Proven);
    assert_eq!(shown["service_account"]["private_key_id"], keys()[1].id);
    scene.until_all(MailboxState::Live);
    // deleted at Google
    scene.world.entra().put_service_account(account(&[&keys()[0]], &["makler.test", "kunde.test"]));
    assert_eq!(scene.verified()["service_account"], ["failed"]);
    scene.world.entra().expire_access_tokens();
    ADDRESSES.iter().for_each(|address| scene.world.kick(address));
    for address in ADDRESSES {
        assert_eq!(
            scene.until(address, MailboxState::AppBroken).as_deref(),
            Some("service_account_key_refused")
        );
    }
    let shown = scene.replace(&keys()[0]);
    assert_eq!(shown["rotation"], Value::Null, "there is nothing to go back to");
    scene.until_all(MailboxState::Live);
    // taken away
    scene.api.patch("/v1/apps/gws", &json!({"service_account": null})).ok(200);
    let refused =
        scene.api.post("/v1/mailboxes/anna/refresh-token", &Value::Null).problem(409, "needs_admin");
    assert_eq!(refused["diagnosis"]["code"], "service_account_missing");
}

#[test]
fn a_key_file_goes_in_and_what_is_wrong_with_it_is_named() {
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&bare_config(data.path()));
    let app = json!({"id": "gws", "provider": "google", "service_account": file(&keys()[0]).to_string()});
    let shown = api.post("/v1/apps", &app).ok(201);
    let account = account(&[], &[]);
    let expected = json!({"client_email": account.client_email, "private_key_id": keys()[0].id});
    assert_eq!((&shown["service_account"], &shown["client_secret_set"]), (&expected, &json!(false)));
    assert!(!shown.to_string().contains("PRIVATE"), "{shown}");
    // what was shown may be put back as it is
    assert_eq!(api.put("/v1/apps/gws", &shown).ok(200), shown);
    let wrong = |change: &Value, words: &str| {
        let problem = api.patch("/v1/apps/gws", change).problem(422, "invalid_field");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{words} is not in {detail}");
    };
    let client = json!({"client_id": "1-a.apps.googleusercontent.com", "client_secret": "GOCSPX-x"});
    wrong(&json!({"service_account": {"web": client}}), "service_account: is the file of an OAuth client");
    wrong(&json!({"service_account": {"type": "authorized_user"}}), "a user of gcloud");
    wrong(&json!({"service_account": {"private_key_id": "x"}}), "lacks type");
    wrong(&json!({"service_account": "key.json"}), "is no JSON");
    wrong(
        &json!({"service_account": file(&keys()[1]), "client_id": "7"}),
        "client_id: is not 113000000000000000017",
    );
    wrong(&json!({"service_account": file(&keys()[1]), "client_secret": "GOCSPX-x"}), "enter it alone");
    wrong(&json!({"client_id": "7"}), "leave it out");
    wrong(&json!({"provider": "yahoo"}), "has no service accounts");
    let mut elsewhere = file(&keys()[1]);
    elsewhere["token_uri"] = json!("https://tokens.example/token");
    wrong(&json!({"service_account": elsewhere}), "is not Google's");
    let other =
        json!({"id": "o", "provider": "office365", "tenant": "t", "service_account": file(&keys()[0])});
    let refused = api.post("/v1/apps", &other).problem(422, "invalid_field");
    assert!(refused["detail"].as_str().unwrap().contains("only Google"), "{refused}");
    // users sign in through another app, and mailboxes of either kind name the right one
    let secret =
        json!({"id": "users", "provider": "google", "client_id": "1-a", "client_secret": "GOCSPX-x"});
    api.post("/v1/apps", &secret).ok(201);
    for (auth, words) in [
        (json!({"kind": "service_account", "app": "users"}), "has no service account"),
        (json!({"kind": "service_account"}), "is missing"),
        (json!({"kind": "oauth", "app": "gws"}), "nobody signs in"),
    ] {
        let mailbox = json!({"address": ANNA, "auth": auth});
        let problem = api.post("/v1/mailboxes", &mailbox).problem(422, "invalid_field");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{words}: {problem}");
    }
    drop((running, api));
    let files = std::fs::read_dir(data.path().join("state")).unwrap();
    for path in files.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        let bytes = std::fs::read(&path).unwrap();
        let line = keys()[0].secret_line().as_bytes();
        assert!(
            !bytes.windows(line.len()).any(|window| window == line),
            "{} is in the clear",
            path.display()
        );
    }
}
