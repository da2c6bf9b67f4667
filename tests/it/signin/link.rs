//! Signing in over HTTP: the personal link, the stand-in's account chooser, the way back, and everything that must
//! not get in by it.

use crate::support::api::{Answer, Api};
use crate::support::engine::{Running, config, web_app};
use crate::world::entra::EntraOptions;
use crate::world::http::parameter;
use crate::world::{Kind, ProxyHandle, Transport, World};
use serde_json::{Value, json};
use stafette::config::Config;
use stafette::domain::{Grant, GrantSecret, SignInId};
use stafette::store::{Row, SignIn};

pub const ANNA: &str = "anna@makler.test";
pub const BEN: &str = "ben@makler.test";

pub struct Scene {
    pub world: World,
    pub data: tempfile::TempDir,
    pub running: Running,
    pub api: Api,
    /// Before Dovecot, for anna.
    pub proxy: ProxyHandle,
}

/// Anna's mailbox, which waits for her to sign in.
pub fn scene() -> Scene {
    scene_with(|_| {}, |_| {})
}

/// The same, with a stand-in of its own kind.
pub fn scene_with(options: impl FnOnce(&mut EntraOptions), prepare: impl FnOnce(&World)) -> Scene {
    build(options, prepare, |_| {})
}

/// The same, with a configuration of its own.
pub fn scene_configured(configure: impl FnOnce(&mut Config)) -> Scene {
    build(|_| {}, |_| {}, configure)
}

fn build(
    options: impl FnOnce(&mut EntraOptions),
    prepare: impl FnOnce(&World),
    configure: impl FnOnce(&mut Config),
) -> Scene {
    let world = World::builder().mailbox(ANNA).mailbox(BEN).without_postfix().entra(options).start();
    prepare(&world);
    let proxy = world.proxy(Kind::Imap, Transport::ImplicitTls);
    let data = tempfile::tempdir().unwrap();
    let mut config = config(&world, data.path());
    configure(&mut config);
    let (running, api) = Running::serve(&config);
    let credentials = web_app(&world);
    let mut app = serde_json::to_value(&credentials.app).unwrap();
    app["client_secret"] = json!(credentials.client_secret.unwrap().expose());
    api.post("/v1/apps", &app).ok(201);
    let anna = json!({
        "id": "anna", "address": ANNA, "auth": {"kind": "oauth", "app": "o365"},
        "imap": {"host": "localhost", "port": proxy.port, "security": "tls"}, "smtp": null,
    });
    assert_eq!(api.post("/v1/mailboxes", &anna).ok(201)["state"], "awaiting_sign_in");
    Scene { world, data, running, api, proxy }
}

/// A sign-in as the application that asked for it sees it.
pub struct Link {
    pub id: String,
    pub url: String,
}

impl Scene {
    pub fn link(&self) -> Link {
        let made = self.api.post("/v1/mailboxes/anna/sign-in", &json!({"ways": ["redirect"]})).ok(201);
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        assert_eq!(text("state"), "waiting");
        Link { id: text("id"), url: text("url") }
    }

    /// The button on the page: where the provider is.
    pub fn press(&self, link: &Link) -> String {
        let answer = self.api.send(self.api.bare("POST", &link.url));
        assert_eq!(answer.status, 303, "{}", answer.text());
        answer.header("location").to_owned()
    }

    /// The way back to us, after `account` was chosen.
    pub fn choose(&self, link: &Link, account: &str) -> String {
        self.world.click_account(&self.press(link), account).unwrap()
    }

    /// The way back to us from a page of the provider's that refuses.
    pub fn refusal_of(&self, page: &str, error: &str, text: &str) -> String {
        let state = parameter(page, "state").unwrap();
        let pairs = [("error", error), ("error_description", text), ("state", &state)];
        let callback = format!("{}/sign-in/callback", self.api.base);
        url::Url::parse_with_params(&callback, pairs).unwrap().into()
    }

    /// Back at the callback, and on to the page of the outcome.
    pub fn come_back(&self, callback: &str) -> Answer {
        self.api.outcome(self.api.send(self.api.bare("GET", callback)))
    }

    pub fn state(&self, link: &Link) -> Value {
        self.api.get(&format!("/v1/sign-ins/{}", link.id)).ok(200)["state"].clone()
    }

    pub fn row(&self, link: &Link) -> Row<SignIn> {
        self.running.store.sign_in(link.id.parse::<SignInId>().unwrap()).unwrap().unwrap()
    }

    /// Writes a sign-in over the stored one.
    pub fn write(&self, link: &Link, change: impl FnOnce(&mut SignIn)) {
        let Row { generation, mut value } = self.row(link);
        change(&mut value);
        self.running.block_on(self.running.store.put_sign_in(&value, generation)).unwrap();
    }

    pub fn grant(&self) -> Option<Grant> {
        let anna = self.running.stored("anna");
        self.running.store.grant(anna.incarnation).unwrap().map(|row| row.value)
    }

    pub fn until_live(&self) {
        self.running.until_live(self.running.stored("anna").incarnation);
    }
}

fn refresh_token(grant: &Grant) -> &str {
    match &grant.secret {
        GrantSecret::Refresh { refresh_token } => refresh_token.expose(),
        GrantSecret::Password { .. } => panic!("a password"),
    }
}

#[test]
fn a_user_signs_in_by_link_and_chooser_and_the_mailbox_goes_live() {
    let scene = scene();
    let link = scene.link();
    let page = scene.api.send(scene.api.bare("GET", &link.url));
    assert_eq!((page.status, page.header("cache-control")), (200, "no-store"));
    assert!(page.text().contains(ANNA) && page.text().contains("method=\"post\""), "{}", page.text());

    let waiter = {
        let (api, path) = (scene.api.clone(), format!("/v1/sign-ins/{}?wait=30", link.id));
        std::thread::spawn(move || api.get(&path).ok(200))
    };
    let authorize = url::Url::parse(&scene.press(&link)).unwrap();
    let asked: std::collections::BTreeMap<_, _> = authorize.query_pairs().into_owned().collect();
    assert_eq!((asked["prompt"].as_str(), asked["login_hint"].as_str()), ("select_account", ANNA));
    assert_eq!(asked["code_challenge_method"], "S256");
    assert!(asked["state"].len() > 40 && asked["nonce"].len() > 40);
    assert!(asked["redirect_uri"].ends_with("/sign-in/callback"));
    assert_eq!(scene.state(&link), "opened");

    let callback = scene.world.click_account(authorize.as_str(), ANNA).unwrap();
    let done = scene.come_back(&callback);
    assert_eq!(done.status, 200, "{}", done.text());
    // begun before or after the button was pressed: a change ended it
    assert_ne!(waiter.join().unwrap()["state"], "waiting");
    assert!(done.text().contains(ANNA));
    let shown = scene.api.get(&format!("/v1/sign-ins/{}", link.id)).ok(200);
    assert_eq!((&shown["state"], &shown["signed_in_as"]["name"]), (&json!("done"), &json!(ANNA)));
    assert!(scene.row(&link).value.candidate.is_none());
    scene.until_live();
    let grant = scene.api.get("/v1/mailboxes/anna").ok(200)["grant"].clone();
    assert_eq!((&grant["way"], &grant["signed_in_as"]["name"]), (&json!("redirect"), &json!(ANNA)));
    let token = scene.grant().unwrap();
    let everything = scene.api.get("/v1/mailboxes/anna").text() + &done.text() + &shown.to_string();
    assert!(!everything.contains(refresh_token(&token)), "no token is shown");

    // used up, and it shows how it ended, however often it is looked at
    for path in [link.url.clone(), format!("{}/outcome", link.url)] {
        let page = scene.api.send(scene.api.bare("GET", &path));
        assert_eq!(page.status, 200);
        assert!(page.text().contains("Your mailbox is connected") && !page.text().contains("<form"));
    }
    assert_eq!(scene.api.send(scene.api.bare("POST", &link.url)).status, 410);
}

#[test]
fn another_browser_does_not_finish_what_one_began() {
    let scene = scene();
    let link = scene.link();
    let pressed = scene.api.send(scene.api.bare("POST", &link.url));
    let cookie = pressed.header("set-cookie").to_owned();
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age="] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let callback = scene.world.click_account(pressed.header("location"), ANNA).unwrap();
    let other = scene.api.other_browser();
    let refused = other.send(other.bare("GET", &callback));
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert!(refused.text().contains("another browser"), "{}", refused.text());
    let guess = other.bare("GET", &callback).header("cookie", format!("stafette-{}=guess", link.id));
    assert_eq!(other.send(guess).status, 403);
    assert_eq!((scene.state(&link), scene.grant().is_none()), (json!("opened"), true));
    assert_eq!(scene.come_back(&callback).status, 200, "the first one goes on");
    scene.until_live();
}

#[test]
fn what_only_looks_at_a_link_does_not_use_it_up() {
    let scene = scene();
    let link = scene.link();
    let before = scene.row(&link).generation;
    for _ in 0..3 {
        for method in ["GET", "HEAD"] {
            assert_eq!(scene.api.send(scene.api.bare(method, &link.url)).status, 200);
        }
    }
    assert_eq!((scene.row(&link).generation, scene.state(&link)), (before, json!("waiting")));
    let german = scene.api.bare("GET", &link.url).header("accept-language", "de-DE,de;q=0.9");
    assert!(scene.api.send(german).text().contains("Weiter zur Anmeldung"));
    let callback = scene.choose(&link, ANNA);
    // a scanner that looks again while she chooses disturbs nothing
    scene.api.send(scene.api.bare("GET", &link.url));
    assert_eq!(scene.come_back(&callback).status, 200);
}

#[test]
fn another_account_is_refused_by_name_and_nothing_of_it_is_kept() {
    let scene = scene();
    let link = scene.link();
    let refuse = |link: &Link| {
        let refused = scene.come_back(&scene.choose(link, BEN));
        assert_eq!(refused.status, 403);
        assert!(refused.text().contains(ANNA) && refused.text().contains(BEN), "{}", refused.text());
        let shown = scene.api.get(&format!("/v1/sign-ins/{}", link.id)).ok(200);
        assert_eq!((&shown["state"], &shown["signed_in_as"]["name"]), (&json!("wrong_account"), &json!(BEN)));
        let row = scene.row(link).value;
        assert!(
            row.candidate.is_some() && row.accept_until.is_some(),
            "a colleague may be accepted by an administrator"
        );
    };
    refuse(&link);
    assert!(scene.grant().is_none());
    assert_eq!(scene.proxy.accepted(), 0, "his token was not even tried");

    // the link is still hers
    assert_eq!(scene.come_back(&scene.choose(&link, ANNA)).status, 200);
    scene.until_live();
    let before = scene.grant().unwrap();
    let connections = scene.proxy.accepted();
    refuse(&scene.link());
    assert_eq!(scene.grant().unwrap(), before, "the old grant is untouched");
    assert_eq!(scene.proxy.accepted(), connections, "and so is its connection");
    assert_eq!(scene.api.get("/v1/mailboxes/anna").ok(200)["state"], "live");
}

#[test]
fn a_state_that_is_foreign_or_was_used_redeems_nothing() {
    let scene = scene();
    let link = scene.link();
    let callback = scene.choose(&link, ANNA);
    let with_state = |state: &str| {
        let mut forged = url::Url::parse(&callback).unwrap();
        let pairs: Vec<(String, String)> = forged.query_pairs().into_owned().collect();
        let pairs = pairs
            .into_iter()
            .map(|(name, value)| if name == "state" { (name, state.to_owned()) } else { (name, value) });
        forged.query_pairs_mut().clear().extend_pairs(pairs).finish();
        forged.to_string()
    };
    let other = scene.link();
    let others_secret = parameter(&scene.press(&other), "state").unwrap();
    let secret = others_secret.split_once('.').unwrap().1.to_owned();
    for state in ["", "x", "x.y", &link.id, &format!("{}.", link.id), &format!("{}.{secret}", link.id)] {
        let answer = scene.come_back(&with_state(state));
        assert_eq!(answer.status, 400, "{state:?}: {}", answer.text());
    }
    assert_eq!(scene.come_back(&format!("{}/sign-in/callback", scene.api.base)).status, 400);
    assert_eq!((scene.world.entra().count("token"), scene.state(&link)), (0, json!("opened")));

    // a code of hers with the state of another sign-in of hers: its verifier does not fit
    assert_eq!(scene.come_back(&with_state(&others_secret)).status, 403);
    assert!(scene.grant().is_none());

    let used = scene.choose(&link, ANNA);
    assert_eq!(scene.come_back(&used).status, 200);
    scene.until_live();
    let (before, redeemed) = (scene.grant(), scene.world.entra().count("token"));
    for replayed in [&used, &callback] {
        let replayed = scene.come_back(replayed);
        assert_eq!(replayed.status, 400);
        assert!(replayed.text().contains("personal link"), "{}", replayed.text());
    }
    assert_eq!((scene.grant(), scene.world.entra().count("token")), (before, redeemed));
}

#[test]
fn an_expired_link_and_a_link_of_a_deleted_mailbox_are_gone() {
    let scene = scene();
    let (expired, deleted) = (scene.link(), scene.link());
    let callback = scene.choose(&expired, ANNA);
    scene.write(&expired, |sign_in| sign_in.expires_at = stafette::clock::now());
    let gone = |link: &Link| {
        for method in ["GET", "POST"] {
            let answer = scene.api.send(scene.api.bare(method, &link.url));
            assert_eq!((answer.status, answer.text().contains("Ask for a new one")), (410, true));
        }
    };
    gone(&expired);
    assert_eq!(scene.come_back(&callback).status, 400);
    assert_eq!(scene.state(&expired), "expired");
    let mut cut = Link { id: deleted.id.clone(), url: deleted.url.clone() };
    cut.url.pop();
    gone(&cut);

    let callback = scene.choose(&deleted, ANNA);
    let anna = scene.api.get("/v1/mailboxes/anna").ok(200);
    scene.api.delete("/v1/mailboxes/anna").ok(202);
    scene.api.put("/v1/mailboxes/anna", &anna).ok(201);
    gone(&deleted);
    assert_eq!(scene.come_back(&callback).status, 400);
    assert!(scene.grant().is_none() && scene.world.entra().count("token") == 0);
}

#[test]
fn what_the_provider_or_the_server_refuses_is_told_and_may_be_tried_again() {
    let scene = scene();
    let link = scene.link();
    let back_with = |error: &str, text: &str| {
        let answer = scene.come_back(&scene.refusal_of(&scene.press(&link), error, text));
        assert_eq!(answer.status, 403);
        let shown = scene.api.get(&format!("/v1/sign-ins/{}", link.id)).ok(200);
        (shown["state"].as_str().unwrap().to_owned(), shown["diagnosis"]["code"].clone(), answer.text())
    };
    let (state, code, _) = back_with("access_denied", "AADSTS65004: User declined to consent.");
    assert_eq!((state.as_str(), code), ("declined", json!("consent_declined")));
    let (state, code, _) = back_with("access_denied", "AADSTS90094: The grant requires admin permission.");
    assert_eq!((state.as_str(), code), ("needs_admin", json!("admin_consent_required")));
    let (state, code, page) = back_with("odd_error", "<script>alert(1)</script>");
    assert_eq!((state.as_str(), code), ("needs_admin", json!("identity_provider_refused")));
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script>"), "{page}");

    // the right account, and the mail server does not let it in: no grant
    use crate::world::proxy::Answering;
    scene.proxy.answer(Answering::new("AUTHENTICATE*", "$TAG NO [AUTHENTICATIONFAILED] no").times(1));
    assert_eq!(scene.come_back(&scene.choose(&link, ANNA)).status, 403);
    let shown = scene.api.get(&format!("/v1/sign-ins/{}", link.id)).ok(200);
    assert_eq!(
        (&shown["state"], &shown["diagnosis"]["code"]),
        (&json!("needs_admin"), &json!("imap_login_refused"))
    );
    assert!(scene.grant().is_none() && scene.row(&link).value.candidate.is_none());
    assert_eq!(scene.come_back(&scene.choose(&link, ANNA)).status, 200);
}

#[test]
fn a_link_is_made_only_for_what_can_be_signed_in() {
    let scene = scene();
    let ask = |body: Value| scene.api.post("/v1/mailboxes/anna/sign-in", &body);
    ask(json!({"ways": ["magic"]})).problem(422, "invalid_field");
    ask(json!({"return_to": "https://evil.example/"})).problem(422, "invalid_field");
    ask(json!({"return_to": format!("{}@evil.example/", scene.api.base)})).problem(422, "invalid_field");
    ask(json!({"colour": 1})).problem(422, "invalid_field");
    ask(json!({"return_to": format!("{}/done", scene.api.base), "language": "de"})).ok(201);
    scene.api.patch("/v1/apps/o365", &json!({"client_id": null})).ok(200);
    let problem = ask(json!({})).problem(409, "app_incomplete");
    assert!(problem["detail"].as_str().unwrap().contains("client_id"), "{problem}");
}
