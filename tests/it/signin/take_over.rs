//! Refresh tokens of another system: each is tried before it counts, none is used twice, and what is wrong is told.

use crate::support::api::Api;
use crate::support::engine::{Running, config, password_mailbox, web_app};
use crate::world::entra::state::sha256_hex;
use crate::world::entra::{Dropping, Instead, MAIL_SCOPES, Platform};
use crate::world::proxy::Answering;
use crate::world::{Kind, Rotation, Transport, World};
use serde_json::{Value, json};
use stafette::domain::GrantSecret;
use stafette::events::EventType;

pub const ANNA: &str = "anna@makler.test";
pub const BEN: &str = "ben@makler.test";
const CARL: &str = "carl@makler.test";
const DORA: &str = "dora@makler.test";
const STRANGER: &str = "emil@kunde.test";

struct Scene {
    world: World,
    _data: tempfile::TempDir,
    running: Running,
    api: Api,
}

fn scene(users: &[&str]) -> Scene {
    let builder = World::builder().delegate(DORA, CARL);
    let world = users.iter().fold(builder, |world, user| world.mailbox(user)).start();
    serve(world)
}

fn serve(world: World) -> Scene {
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&config(&world, data.path()));
    running.put_app(&web_app(&world));
    Scene { world, _data: data, running, api }
}

/// What another system had: the newest refresh token of a user who signed in there.
pub fn token_of(world: &World, user: &str) -> String {
    world.entra().sign_in(user).refresh_token.unwrap()
}

/// A mailbox as it is posted, with a refresh token.
pub fn with_token(world: &World, address: &str, token: &str) -> Value {
    json!({
        "id": address.split('@').next(), "address": address,
        "auth": {"kind": "oauth", "app": "o365", "refresh_token": token},
        "imap": {"host": "localhost", "port": world.imaps_port(), "security": "tls"},
        "smtp": {"host": "localhost", "port": world.submission_port(), "security": "starttls"},
    })
}

impl Scene {
    fn sign_in(&self, mailbox: &str) -> Value {
        self.api.get(&format!("/v1/mailboxes/{mailbox}/sign-in")).ok(200)
    }

    fn until(&self, mailbox: &str, state: &str) -> Value {
        let incarnation = self.running.stored(mailbox).incarnation;
        let now = || json!(self.running.store.newest_sign_in(incarnation).unwrap().unwrap().value.state);
        let what = format!("{state} of {mailbox}");
        self.running.wait_or(&what, || (now() == state).then_some(()), || now().to_string());
        self.sign_in(mailbox)
    }

    fn until_live(&self, mailbox: &str) {
        self.running.until_live(self.running.stored(mailbox).incarnation);
    }

    fn mailbox(&self, id: &str) -> Value {
        self.api.get(&format!("/v1/mailboxes/{id}")).ok(200)
    }

    /// How often a refresh token was sent.
    fn sent(&self, token: &str) -> usize {
        let hash = sha256_hex(token.as_bytes());
        let log = self.world.entra().log();
        log.iter().filter(|entry| entry.refresh_token_sha256.as_deref() == Some(&hash)).count()
    }

    fn refreshes(&self) -> usize {
        let log = self.world.entra().log();
        log.iter().filter(|entry| entry.grant_type.as_deref() == Some("refresh_token")).count()
    }
}

const HEADER: &str = "id,address,auth.kind,auth.app,auth.refresh_token,imap.host,imap.port,imap.security,smtp.host,\
                      smtp.port,smtp.security";

fn line(world: &World, address: &str, token: &str) -> String {
    let id = address.split('@').next().unwrap();
    let (imap, smtp) = (world.imaps_port(), world.submission_port());
    format!("{id},{address},oauth,o365,{token},localhost,{imap},tls,localhost,{smtp},starttls\n")
}

#[test]
fn of_a_file_the_good_tokens_are_taken_over_and_the_others_are_refused_by_name() {
    let scene = scene(&[ANNA, BEN, CARL, DORA, STRANGER]);
    let Scene { world, running, api, .. } = &scene;
    world.entra().set_rotation(Rotation::Strict);
    let tokens = [ANNA, BEN, DORA, STRANGER].map(|user| token_of(world, user));
    assert_eq!(world.entra().revoke(BEN), 1);
    let addresses = [ANNA, BEN, CARL, "fritz@makler.test"];
    let lines = addresses.iter().zip(&tokens).map(|(address, token)| line(world, address, token));
    let text = format!("{HEADER}\n{}", lines.collect::<String>());
    let import = |query: &str, text: &str| {
        let request = api.request("POST", &format!("/v1/mailboxes:import{query}"));
        api.send(request.header("content-type", "text/csv").body(text.to_owned()))
    };
    let twice = format!("{text}{}", line(world, "gabi@makler.test", &tokens[0]));
    let refused = import("", &twice).problem(422, "import_refused");
    assert_eq!(
        (&refused["errors"][0]["line"], &refused["errors"][0]["field"]),
        (&json!(6), &json!("auth.refresh_token"))
    );
    let dry = import("?dry_run=true", &text).ok(200);
    assert_eq!((&dry["to_be_tried"], &dry["items"][0]["to_be_tried"]), (&json!(4), &json!(true)));
    assert_eq!(scene.refreshes(), 0, "a dry run tries nothing");
    let done = import("", &text).ok(201);
    assert_eq!((&done["created"], &done["to_be_tried"]), (&json!(4), &json!(4)));

    let sign_in = scene.until("anna", "done");
    assert_eq!((&sign_in["imported"], &sign_in["signed_in_as"]["name"]), (&json!(true), &json!(ANNA)));
    assert!(sign_in["diagnosis"].is_null() && sign_in.get("url").is_none(), "{sign_in}");
    scene.until_live("anna");
    let anna = scene.mailbox("anna");
    assert_eq!(
        (&anna["grant"]["way"], &anna["grant"]["signed_in_as"]["name"]),
        (&json!("imported"), &json!(ANNA))
    );

    scene.until("ben", "declined");
    let ben = scene.mailbox("ben");
    assert_eq!((&ben["state"], &ben["attention"]), (&json!("awaiting_sign_in"), &json!(true)));
    assert_eq!(ben["diagnosis"]["code"], "sign_in_again", "{ben}");

    for (id, whose, acceptable) in [("carl", DORA, true), ("fritz", STRANGER, false)] {
        let sign_in = scene.until(id, "wrong_account");
        let summary = sign_in["diagnosis"]["summary"].as_str().unwrap();
        assert!(summary.contains(whose) && summary.contains(&format!("{id}@makler.test")), "{summary}");
        assert_eq!(!sign_in["accept_until"].is_null(), acceptable, "{sign_in}");
        let row = running.store.newest_sign_in(running.stored(id).incarnation).unwrap().unwrap();
        assert_eq!(row.value.candidate.is_some(), acceptable, "nothing of a stranger is stored");
        assert!(scene.mailbox(id)["grant"].is_null());
    }
    let told = running.events_of(EventType::SignInRefused);
    let mut told: Vec<_> =
        told.iter().map(|event| (event.mailbox.as_ref().unwrap().as_str(), &event.data["state"])).collect();
    told.sort_by_key(|(mailbox, _)| *mailbox);
    let (declined, wrong) = (json!("declined"), json!("wrong_account"));
    assert_eq!(told, [("ben", &declined), ("carl", &wrong), ("fritz", &wrong)]);

    // an administrator knows that dora reads carl's mail
    let id = scene.sign_in("carl")["id"].clone();
    let accepted = api.post(&format!("/v1/sign-ins/{}/accept", id.as_str().unwrap()), &json!({})).ok(200);
    assert_eq!(accepted["state"], "done", "{accepted}");
    scene.until_live("carl");
    assert_eq!(scene.mailbox("carl")["grant"]["signed_in_as"]["name"], DORA);

    for token in &tokens {
        assert_eq!(scene.sent(token), 1, "each is sent once");
    }
}

#[test]
fn a_token_that_is_handed_in_again_is_not_sent_again() {
    let scene = scene(&[ANNA]);
    let Scene { world, api, .. } = &scene;
    world.entra().set_rotation(Rotation::Strict);
    let token = token_of(world, ANNA);
    let mut posted = with_token(world, ANNA, &token);
    api.put("/v1/mailboxes/anna", &posted).ok(201);
    scene.until_live("anna");
    let first = scene.sign_in("anna");
    let grant = |scene: &Scene| {
        let anna = scene.running.stored("anna");
        scene.running.store.grant(anna.incarnation).unwrap().unwrap().value
    };
    let before = grant(&scene);
    posted["display_name"] = json!("Anna");
    for _ in 0..3 {
        let shown = api.put("/v1/mailboxes/anna", &posted).ok(200);
        assert_eq!((&shown["display_name"], &shown["grant"]["way"]), (&json!("Anna"), &json!("imported")));
    }
    scene.until_live("anna");
    assert_eq!((scene.sent(&token), &scene.sign_in("anna")["id"]), (1, &first["id"]));
    assert_eq!(grant(&scene).taken_over, before.taken_over);

    // the token is write only
    let shown = scene.mailbox("anna").to_string() + &scene.sign_in("anna").to_string();
    assert!(!shown.contains(&token) && !shown.contains("refresh_token"), "{shown}");
    for bad in [json!(""), json!("two words"), json!("x".repeat(4000)), json!(7)] {
        posted["auth"]["refresh_token"] = bad;
        let refused = api.put("/v1/mailboxes/anna", &posted).problem(422, "invalid_field");
        assert!(refused["detail"].as_str().unwrap().contains("auth"), "{refused}");
    }
    posted["auth"] = json!({"kind": "password", "password": "pass", "refresh_token": "r"});
    api.put("/v1/mailboxes/anna", &posted).problem(422, "invalid_field");
}

#[test]
fn a_live_mailbox_works_on_until_a_better_token_is_proved() {
    let scene = scene(&[ANNA, BEN]);
    let Scene { world, running, api, .. } = &scene;
    api.post("/v1/mailboxes", &with_token(world, ANNA, &token_of(world, ANNA))).ok(201);
    scene.until_live("anna");
    let anna = running.stored("anna");
    let grant = || running.store.grant(anna.incarnation).unwrap().unwrap();
    let before = grant();
    for (token, state) in [("1.unknown".to_owned(), "declined"), (token_of(world, BEN), "wrong_account")] {
        api.put("/v1/mailboxes/anna", &with_token(world, ANNA, &token)).ok(200);
        scene.until("anna", state);
        assert_eq!(grant(), before, "untouched");
        assert_eq!(scene.mailbox("anna")["state"], "live");
    }
    let better = token_of(world, ANNA);
    api.put("/v1/mailboxes/anna", &with_token(world, ANNA, &better)).ok(200);
    scene.until("anna", "done");
    assert_eq!(grant().value.taken_over, Some(sha256_hex(better.as_bytes())));
    scene.until_live("anna");
}

#[test]
fn a_wrong_app_secret_keeps_the_tokens_and_they_go_live_when_it_is_mended() {
    let scene = scene(&[ANNA, BEN]);
    let Scene { world, running, api, .. } = &scene;
    world.entra().set_rotation(Rotation::Strict);
    api.patch("/v1/apps/o365", &json!({"client_secret": "mistyped"})).ok(200);
    let tokens = [ANNA, BEN].map(|user| token_of(world, user));
    let both =
        json!({"mailboxes": [with_token(world, ANNA, &tokens[0]), with_token(world, BEN, &tokens[1])]});
    assert_eq!(api.post("/v1/mailboxes:import", &both).ok(201)["to_be_tried"], 2);
    for id in ["anna", "ben"] {
        let sign_in = scene.until(id, "needs_admin");
        assert_eq!(sign_in["diagnosis"]["code"], "client_secret_wrong", "{sign_in}");
        let clicks = sign_in["diagnosis"]["remedy"]["clicks"].as_array().unwrap();
        assert!(!clicks.is_empty(), "what is to be clicked is told: {sign_in}");
        let shown = scene.mailbox(id);
        assert_eq!(
            (&shown["state"], &shown["diagnosis"]["code"]),
            (&json!("awaiting_sign_in"), &json!("client_secret_wrong"))
        );
    }
    let asked = scene.refreshes();
    assert!(asked <= 3, "the app's gate let {asked} requests out");
    // a person says "now", and it is no better
    assert_eq!(api.post("/v1/mailboxes/anna/refresh-token", &json!({})).ok(202)["state"], "needs_admin");
    running.wait("another request", || (scene.refreshes() > asked).then_some(()));
    let secret = web_app(world).client_secret.unwrap();
    api.patch("/v1/apps/o365", &json!({"client_secret": secret.expose()})).ok(200);
    scene.until_live("anna");
    scene.until_live("ben");
    assert!(running.events_of(EventType::SignInRefused).is_empty());
}

#[test]
fn a_late_refusal_of_the_secret_before_does_not_break_the_app_that_was_mended() {
    let scene = scene(&[ANNA, BEN]);
    let Scene { world, running, api, .. } = &scene;
    let tokens = [ANNA, BEN].map(|user| token_of(world, user));
    api.patch("/v1/apps/o365", &json!({"client_secret": "mistyped"})).ok(200);
    world.entra().next("token", Instead::delay_ms(2000));
    let asked = scene.refreshes();
    api.post("/v1/mailboxes", &with_token(world, ANNA, &tokens[0])).ok(201);
    running.wait("her request", || (scene.refreshes() > asked).then_some(()));
    let secret = web_app(world).client_secret.unwrap();
    api.patch("/v1/apps/o365", &json!({"client_secret": secret.expose()})).ok(200);
    api.post("/v1/mailboxes", &with_token(world, BEN, &tokens[1])).ok(201);
    scene.until_live("ben");
    // now comes what the secret before was told
    scene.until_live("anna");
}

#[test]
fn what_passes_by_itself_is_waited_for_and_the_rotated_token_is_kept_meanwhile() {
    let world = World::builder().mailbox(ANNA).start();
    let proxy = world.proxy(Kind::Imap, Transport::ImplicitTls);
    let scene = serve(world);
    let Scene { world, api, .. } = &scene;
    world.entra().set_rotation(Rotation::Strict);
    let token = token_of(world, ANNA);
    world.entra().next("token", Instead::drop(Dropping::BeforeConsume));
    proxy.answer(Answering::new("AUTHENTICATE*", "$TAG BAD Request is throttled.").times(1));
    let mut posted = with_token(world, ANNA, &token);
    posted["imap"]["port"] = json!(proxy.port);
    api.post("/v1/mailboxes", &posted).ok(201);
    scene.until("anna", "done");
    scene.until_live("anna");
    assert_eq!(scene.sent(&token), 2, "once into the void, once for good; then its successors");
}

#[test]
fn a_token_of_a_public_client_is_tried_without_the_secret_and_that_is_kept() {
    let scene = scene(&[ANNA]);
    let Scene { world, api, running, .. } = &scene;
    let (client, redirect) = (world.entra().web_app().client_id, "http://127.0.0.1:1/native");
    world.entra().add_redirect(&client, redirect, Platform::Native);
    let verifier = "a-verifier-that-is-long-enough-for-the-specification-0123";
    let url = world.entra().authorize_url("organizations", &client, redirect, MAIL_SCOPES, verifier);
    let code = crate::world::http::parameter(&world.click_account(&url, ANNA).unwrap(), "code").unwrap();
    let pairs = [
        ("grant_type", "authorization_code"),
        ("client_id", client.as_str()),
        ("redirect_uri", redirect),
        ("code", code.as_str()),
        ("code_verifier", verifier),
    ];
    let (status, tokens) = world.entra().post_token("organizations", &pairs).unwrap();
    assert_eq!(status, 200, "{tokens}");
    let token = tokens["refresh_token"].as_str().unwrap();
    api.post("/v1/mailboxes", &with_token(world, ANNA, token)).ok(201);
    scene.until("anna", "done");
    scene.until_live("anna");
    let anna = running.stored("anna");
    let grant = running.store.grant(anna.incarnation).unwrap().unwrap().value;
    assert!(!grant.send_client_secret, "what worked is kept");
    assert_eq!(scene.sent(token), 2, "once with the secret, once without");
}

#[test]
fn where_the_provider_does_not_say_whose_it_is_the_mailbox_decides() {
    let scene = scene(&[ANNA, BEN]);
    let Scene { world, api, .. } = &scene;
    for (id, address, user) in [("ben", BEN, ANNA), ("anna", ANNA, ANNA)] {
        let token = token_of(world, user);
        let untold = Instead { patch: Some(json!({"id_token": null})), ..Instead::default() };
        world.entra().next("token", untold);
        api.post("/v1/mailboxes", &with_token(world, address, &token)).ok(201);
        let sign_in = scene.until(id, if user == address { "done" } else { "needs_admin" });
        let code = if user == address { "account_unknown" } else { "imap_login_refused" };
        assert_eq!(
            (&sign_in["diagnosis"]["code"], &sign_in["signed_in_as"]),
            (&json!(code), &Value::Null),
            "{sign_in}"
        );
    }
    scene.until_live("anna");
    assert!(scene.mailbox("ben")["grant"].is_null());
}

#[test]
fn a_token_is_sent_by_no_other_app_than_the_one_it_was_issued_to() {
    let scene = scene(&[ANNA]);
    let Scene { world, api, running, .. } = &scene;
    let mut other = serde_json::to_value(web_app(world).app).unwrap();
    other["id"] = json!("other");
    other["client_secret"] = json!("s");
    api.post("/v1/apps", &other).ok(201);
    api.patch("/v1/apps/o365", &json!({"client_secret": "mistyped"})).ok(200);
    let token = token_of(world, ANNA);
    api.post("/v1/mailboxes", &with_token(world, ANNA, &token)).ok(201);
    scene.until("anna", "needs_admin");
    let sent = scene.sent(&token);
    let server = json!({"server": "localhost"});
    let dry = api.post("/v1/apps/other/distribute", &server).ok(200);
    assert_eq!(dry["groups"]["has_grant"]["count"], 1, "a distribution leaves it its app: {dry}");
    api.patch("/v1/mailboxes/anna", &json!({"auth": {"app": "other"}})).ok(200);
    running.wait("the words", || {
        let row = running.store.newest_sign_in(running.stored("anna").incarnation).unwrap().unwrap();
        row.value.diagnosis.filter(|found| found.evidence.as_ref().is_some_and(|said| said.contains("other")))
    });
    assert_eq!(scene.sent(&token), sent, "not by the other app");
    api.patch("/v1/apps/o365", &json!({"client_secret": web_app(world).client_secret.unwrap().expose()}))
        .ok(200);
    api.patch("/v1/mailboxes/anna", &json!({"auth": {"app": "o365"}})).ok(200);
    scene.until_live("anna");
}

#[test]
fn a_refused_smtp_auth_is_told_and_receiving_counts() {
    let world = World::builder().mailbox(ANNA).mailbox(BEN).start();
    let proxy = world.exchange_smtp();
    let off = "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.";
    proxy.answer(Answering::new("AUTH*", off));
    let scene = serve(world);
    let Scene { world, api, .. } = &scene;
    let post = |address: &str| {
        let mut posted = with_token(world, address, &token_of(world, address));
        posted["smtp"]["port"] = json!(proxy.port);
        posted
    };
    api.post("/v1/mailboxes", &post(ANNA)).ok(201);
    let sign_in = scene.until("anna", "done");
    assert_eq!(sign_in["diagnosis"]["code"], "smtp_auth_disabled_tenant", "{sign_in}");
    scene.until_live("anna");
    // where nothing is received, sending has to prove it
    let mut ben = post(BEN);
    ben["imap"] = Value::Null;
    api.post("/v1/mailboxes", &ben).ok(201);
    let sign_in = scene.until("ben", "needs_admin");
    assert_eq!(sign_in["diagnosis"]["code"], "smtp_auth_disabled_tenant", "{sign_in}");
    proxy.clear();
    api.post("/v1/mailboxes/ben/refresh-token", &json!({})).ok(202);
    scene.until("ben", "done");
}

#[test]
fn a_refused_user_is_asked_to_sign_in_where_somebody_writes() {
    let world = World::builder().mailbox("post@makler.test").mailbox(ANNA).start();
    let data = tempfile::tempdir().unwrap();
    let mut config = config(&world, data.path());
    config.notify.sender = Some(String::from("post"));
    let (running, api) = Running::serve(&config);
    running.put_app(&web_app(&world));
    let (mut post, grant) = password_mailbox(&world, "post@makler.test", world.imaps_port());
    post.imap = None;
    running.add(post, &grant);
    let token = token_of(&world, ANNA);
    world.entra().revoke(ANNA);
    api.post("/v1/mailboxes", &with_token(&world, ANNA, &token)).ok(201);
    running.until_event(EventType::SignInRefused, "the refusal", |_| true);
    let anna = running.stored("anna");
    assert!(running.store.invitation(anna.incarnation).unwrap().is_some());
    let asked = running.events_of(EventType::SignInRequested);
    assert_eq!((asked.len(), asked[0].mailbox.as_ref().unwrap().as_str()), (1, "anna"));
    let newest = running.store.newest_sign_in(anna.incarnation).unwrap().unwrap().value;
    assert!(newest.imported.is_none(), "the invitation's own");
    let shown = api.get("/v1/mailboxes/anna").ok(200);
    assert_eq!(shown["diagnosis"]["code"], "sign_in_again", "why he is asked is still told: {shown}");
}

#[test]
fn a_token_that_waits_for_a_good_secret_is_tried_when_one_is_entered_though_others_need_the_app() {
    let scene = scene(&[ANNA, BEN]);
    let Scene { world, running, api, .. } = &scene;
    let right = web_app(world).client_secret.unwrap();
    api.patch("/v1/apps/o365", &json!({"client_secret": "mistyped"})).ok(200);
    // somebody who is at rest has a grant by the app: its secret is replaced on trial
    let (mut ben, grant) = crate::support::engine::oauth_mailbox(world, running, BEN, world.imaps_port());
    ben.active = false;
    running.add(ben, &grant);
    api.post("/v1/mailboxes", &with_token(world, ANNA, &token_of(world, ANNA))).ok(201);
    let waiting = scene.until("anna", "needs_admin");
    assert_eq!(waiting["diagnosis"]["code"], "client_secret_wrong", "{waiting}");
    let app = api.patch("/v1/apps/o365", &json!({"client_secret": right.expose()})).ok(200);
    assert!(app["rotation"].is_object(), "{app}");
    scene.until("anna", "done");
    scene.until_live("anna");
}

#[test]
fn a_persons_now_does_not_try_a_second_time_what_is_just_being_accepted() {
    let scene = scene(&[CARL, DORA]);
    let Scene { world, running, api, .. } = &scene;
    world.entra().set_rotation(Rotation::Strict);
    api.post("/v1/mailboxes", &with_token(world, CARL, &token_of(world, DORA))).ok(201);
    let id = scene.until("carl", "wrong_account")["id"].as_str().unwrap().to_owned();
    let row = running.store.newest_sign_in(running.stored("carl").incarnation).unwrap().unwrap();
    let Some(GrantSecret::Refresh { refresh_token }) = row.value.candidate.map(|grant| grant.secret) else {
        panic!("nothing to accept");
    };

    world.entra().next("token", Instead::delay_ms(2000));
    let before = world.entra().count("token");
    let accepting = {
        let api = api.clone();
        std::thread::spawn(move || api.post(&format!("/v1/sign-ins/{id}/accept"), &json!({})).ok(200))
    };
    running.wait("the acceptance's request", || (world.entra().count("token") > before).then_some(()));
    let now = api.post("/v1/mailboxes/carl/refresh-token", &json!({})).ok(202);
    assert_eq!(now["state"], "probing", "the person sees what is being done: {now}");
    assert_eq!(accepting.join().unwrap()["state"], "done");
    scene.until_live("carl");
    assert_eq!(scene.sent(refresh_token.expose()), 1, "no second trial sends the same token");
    assert_eq!(scene.mailbox("carl")["grant"]["signed_in_as"]["name"], DORA);
}
