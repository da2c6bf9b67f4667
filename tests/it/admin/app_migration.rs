//! Moving mailboxes to another registration: the old app and its grant work on until the new ones were proved.

use crate::api::frame::deaf;
use crate::operate::bad_input::stafette;
use crate::support::api::{Answer, Api};
use crate::support::engine::{KEY, Running, config, oauth_mailbox, web_app};
use crate::world::entra::{App, Secret, model};
use crate::world::proxy::{Answering, Direction, Ending};
use crate::world::{Kind, Rotation, Transport, World};
use serde_json::{Value, json};
use stafette::domain::{AppId, GrantWay};
use stafette::events::EventType;
use stafette::store::SignInState;

const ANNA: &str = "anna@makler.test";
const BEN: &str = "ben@makler.test";
const NEW_CLIENT: &str = "11111111-aaaa-4bbb-8ccc-000000000004";
const NEW_SECRET: &str = "x9R~another.client.secret.value-9876543210";

struct Scene {
    world: World,
    data: tempfile::TempDir,
    running: Running,
    api: Api,
}

/// Two registrations of the same tenant.
fn scene() -> Scene {
    of_world(World::builder().mailbox(ANNA).mailbox(BEN).without_postfix().start())
}

fn of_world(world: World) -> Scene {
    let secrets = vec![Secret { value: NEW_SECRET.into(), expired: false }];
    world.entra().put_app(App { client_id: NEW_CLIENT.into(), secrets, ..model::web_app() });
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&config(&world, data.path()));
    running.put_app(&web_app(&world));
    api.post("/v1/apps", &new_app(&world, NEW_SECRET)).ok(201);
    Scene { world, data, running, api }
}

fn new_app(world: &World, secret: &str) -> Value {
    let mut app = serde_json::to_value(&web_app(world).app).unwrap();
    app["id"] = json!("new");
    app["client_id"] = json!(NEW_CLIENT);
    app["client_secret"] = json!(secret);
    app
}

fn ids(answer: &Value, group: &str) -> Vec<String> {
    let group = &answer["groups"][group];
    let items = group["items"].as_array().unwrap();
    assert_eq!(group["count"], items.len());
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

impl Scene {
    /// Anna's mailbox, live by the old app.
    fn anna(&self) {
        let Self { world, running, .. } = self;
        let (mut mailbox, grant) = oauth_mailbox(world, running, ANNA, world.imaps_port());
        mailbox.smtp = None;
        let anna = running.add(mailbox, &grant);
        running.until_live(anna.incarnation);
    }

    fn order(&self, order: Value) -> Answer {
        self.api.post("/v1/apps/new/distribute", &order)
    }

    fn app_of(&self, id: &str) -> Option<AppId> {
        self.running.stored(id).mailbox.app().cloned()
    }

    fn until_moved(&self, id: &str) {
        let new = AppId::new("new").unwrap();
        self.running.wait("the move", || (self.app_of(id).as_ref() == Some(&new)).then_some(()));
    }

    fn deliver(&self, subject: &str) {
        let text = format!(
            "From: b@kunde.test\r\nSubject: {subject}\r\nMessage-ID: <{subject}@kunde.test>\r\n\r\nHello\r\n"
        );
        self.world.deliver(ANNA, text.as_bytes());
        let id = format!("<{subject}@kunde.test>");
        self.running.until_event(EventType::MessageNew, "the mail", |event| event.data["message_id"] == id);
    }

    /// Where the button of a link leads to.
    fn press(&self, link: &str) -> String {
        let answer = self.api.send(self.api.bare("POST", link));
        assert_eq!(answer.status, 303, "{}", answer.text());
        answer.header("location").to_owned()
    }

    fn sign_in(&self, link: &str, account: &str) -> Answer {
        let back = self.world.click_account(&self.press(link), account).unwrap();
        self.api.outcome(self.api.send(self.api.bare("GET", &back)))
    }

    fn grant(&self) -> stafette::domain::Grant {
        let anna = self.running.stored("anna");
        self.running.store.grant(anna.incarnation).unwrap().unwrap().value
    }
}

#[test]
fn the_dry_run_is_in_groups_and_only_what_it_showed_is_moved() {
    let scene = scene();
    let Scene { world, running, api, .. } = &scene;
    scene.anna();
    api.post("/v1/mailboxes", &deaf("fritz")).ok(201);
    let waiting = json!({"id": "ben", "address": BEN, "auth": {"kind": "oauth", "app": "o365"}, "smtp": null,
        "imap": {"host": "localhost", "port": world.imaps_port(), "security": "tls"}});
    api.post("/v1/mailboxes", &waiting).ok(201);
    let dry = scene.order(json!({"from": "o365"})).ok(200);
    assert_eq!((&dry["applied"], &dry["changed"], &dry["from"]), (&json!(false), &json!(0), &json!("o365")));
    assert_eq!(ids(&dry, "will_move"), ["anna"]);
    assert_eq!(ids(&dry, "will_change"), ["ben"], "nobody signed in for it");
    assert_eq!(ids(&dry, "not_on_that_app"), ["fritz"]);
    let elsewhere = scene.order(json!({"from": "o365", "server": "imap.nowhere.test"})).ok(200);
    assert_eq!(ids(&elsewhere, "not_on_that_app").len(), 3);
    scene.order(json!({"from": "o365", "apply": true})).problem(422, "invalid_field");
    scene.order(json!({"from": "o365", "apply": true, "expect": 1})).problem(409, "expect_mismatch");

    let mailbox = running.stored("anna");
    let done = scene.order(json!({"from": "o365", "apply": true, "expect": 2})).ok(200);
    assert_eq!((&done["changed"], ids(&done, "will_move")), (&json!(2), vec!["anna".to_owned()]));
    let told = running.events_of(EventType::SignInRequested);
    let item = &done["groups"]["will_move"]["items"][0];
    assert_eq!((told.len(), &told[0].data["sign_in"]), (1, &item["sign_in"]));
    assert_eq!(scene.app_of("ben").unwrap().as_str(), "new");
    assert_eq!(running.stored("anna"), mailbox, "nothing of it was changed, and nobody was restarted");
    let again = scene.order(json!({"from": "o365", "apply": true, "expect": 0})).ok(200);
    assert_eq!(ids(&again, "moving"), ["anna"]);
    assert_eq!(ids(&again, "already_on_this_app"), ["ben"]);
}

#[test]
fn a_signed_in_mailbox_is_moved_by_a_sign_in_and_receives_all_the_while() {
    let scene = scene();
    let Scene { world, running, api, .. } = &scene;
    scene.anna();
    scene.deliver("before");
    let (token, mailbox) = (scene.grant(), running.stored("anna"));
    let done = scene.order(json!({"from": "o365", "apply": true, "expect": 1, "invite": "link"})).ok(200);
    let link = done["links"][0]["url"].as_str().unwrap();
    scene.deliver("meanwhile");

    // somebody else signs in first
    let client = |url: &str| {
        let url = url::Url::parse(url).unwrap();
        url.query_pairs().find(|(name, _)| name == "client_id").unwrap().1.into_owned()
    };
    assert_eq!(client(&scene.press(link)), NEW_CLIENT);
    assert_eq!(scene.sign_in(link, BEN).status, 403);
    assert_eq!((running.stored("anna"), scene.grant()), (mailbox, token));
    scene.deliver("still");

    let states = running.events_of(EventType::MailboxStateChanged).len();
    assert_eq!(scene.sign_in(link, ANNA).status, 200);
    assert_eq!(scene.app_of("anna").unwrap().as_str(), "new");
    assert_eq!(scene.grant().way, GrantWay::Redirect);
    scene.deliver("after");
    running.until_live(running.stored("anna").incarnation);
    let subjects = |event: &stafette::events::Event| event.data["message_id"].as_str().unwrap().to_owned();
    let mut told: Vec<String> = running.events_of(EventType::MessageNew).iter().map(subjects).collect();
    told.sort_unstable();
    let all = ["after", "before", "meanwhile", "still"].map(|name| format!("<{name}@kunde.test>"));
    assert_eq!(told, all, "each once");
    let needs = running.events_of(EventType::MailboxStateChanged).split_off(states);
    assert!(needs.iter().all(|event| event.data["state"] != "needs_sign_in"), "{needs:?}");
    let log = world.entra().log();
    let by_new = log.iter().filter(|entry| {
        entry.client_id.as_deref() == Some(NEW_CLIENT) && entry.grant_type.as_deref() == Some("refresh_token")
    });
    assert!(by_new.clone().count() > 0 && by_new.clone().all(|entry| entry.result == "ok"));

    // the old app has done its work
    assert_eq!(api.delete("/v1/apps/o365").status, 204);
    assert_eq!(api.send(api.bare("POST", link)).status, 410);
    assert_eq!(api.get("/v1/mailboxes/anna/sign-in").ok(200)["app"], "new");
}

#[test]
fn what_cannot_be_moved_is_refused_in_words() {
    let Scene { world, api, .. } = &scene();
    let order =
        |app: &str, from: &str| api.post(&format!("/v1/apps/{app}/distribute"), &json!({"from": from}));
    order("new", "nobody").problem(422, "invalid_field");
    order("new", "new").problem(422, "invalid_field");
    order("nobody", "o365").problem(404, "no_such_app");
    let google = json!({"id": "google", "provider": "google", "client_id": "c", "client_secret": "s"});
    api.post("/v1/apps", &google).ok(201);
    let refused = order("google", "o365").problem(409, "other_provider");
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("google") && detail.contains("office365"), "{detail}");
    let mut empty = new_app(world, NEW_SECRET);
    empty["id"] = json!("empty");
    empty["client_id"] = Value::Null;
    api.post("/v1/apps", &empty).ok(201);
    let refused = order("empty", "o365").problem(409, "app_incomplete");
    assert!(refused["detail"].as_str().unwrap().contains("client_id"));
}

#[test]
fn later_links_are_by_the_new_app_and_all_of_them_end_when_the_move_is_withdrawn() {
    let scene = scene();
    let Scene { api, running, .. } = &scene;
    scene.anna();
    let order = json!({"from": "o365", "apply": true, "expect": 1, "invite": "link"});
    let done = scene.order(order).ok(200);
    let first = done["links"][0]["url"].as_str().unwrap().to_owned();
    let text = |made: Value| made["url"].as_str().unwrap().to_owned();
    let second = text(api.post("/v1/mailboxes/anna/sign-in", &json!({})).ok(201));
    let third = text(api.post("/v1/mailboxes/anna/invite", &json!({"deliver": "link"})).ok(201));
    for link in [&first, &second, &third] {
        assert!(scene.press(link).contains(NEW_CLIENT));
    }
    let back = scene.world.click_account(&scene.press(&second), ANNA).unwrap();
    // an administrator gives it a third app
    let mut third_app = new_app(&scene.world, NEW_SECRET);
    third_app["id"] = json!("third");
    api.post("/v1/apps", &third_app).ok(201);
    api.patch("/v1/mailboxes/anna", &json!({"auth": {"app": "third"}})).ok(200);
    for link in [&first, &second, &third] {
        assert_eq!(api.send(api.bare("GET", link)).status, 410);
    }
    assert_eq!(api.send(api.bare("GET", &back)).status, 400, "a sign-in under way counts no more");
    // back on the first app, the order does not come to life again
    api.patch("/v1/mailboxes/anna", &json!({"auth": {"app": "o365"}})).ok(200);
    assert_eq!(api.send(api.bare("GET", &first)).status, 410);
    let stored = running.stored("anna");
    assert!(running.store.move_of(&stored).unwrap().is_none());
    assert_eq!(ids(&scene.order(json!({"from": "o365"})).ok(200), "will_move"), ["anna"]);
}

#[test]
fn a_mailbox_that_sends_is_not_moved_to_an_app_by_which_it_would_not() {
    let world = World::builder().mailbox(ANNA).start();
    let proxy = world.exchange_smtp();
    let scene = of_world(world);
    let Scene { world, running, .. } = &scene;
    let (mut mailbox, grant) = oauth_mailbox(world, running, ANNA, world.imaps_port());
    mailbox.smtp.iter_mut().for_each(|smtp| smtp.port = proxy.port);
    let anna = running.add(mailbox, &grant);
    running.until_live(anna.incarnation);
    let done = scene.order(json!({"from": "o365", "apply": true, "expect": 1, "invite": "link"})).ok(200);
    let link = done["links"][0]["url"].as_str().unwrap();
    let off = "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.";
    proxy.answer(Answering::new("AUTH*", off));
    let refused = scene.sign_in(link, ANNA);
    assert_eq!(refused.status, 403, "{}", refused.text());
    let sign_in = scene.api.get("/v1/mailboxes/anna/sign-in").ok(200);
    assert_eq!(sign_in["diagnosis"]["code"], "smtp_auth_disabled_tenant", "{sign_in}");
    assert_eq!(scene.app_of("anna").unwrap().as_str(), "o365");
    proxy.clear();
    proxy.exchange_manners();
    assert_eq!(scene.sign_in(link, ANNA).status, 200);
    assert_eq!(scene.app_of("anna").unwrap().as_str(), "new");
}

#[test]
fn a_daemon_that_ends_in_the_middle_of_a_move_finishes_it_when_it_is_back() {
    let world = World::builder().mailbox(ANNA).without_postfix().start();
    world.entra().set_rotation(Rotation::Strict);
    let proxy = world.proxy(Kind::Imap, Transport::ImplicitTls);
    let Scene { world, data, running, api } = of_world(world);
    let (mut mailbox, grant) = oauth_mailbox(&world, &running, ANNA, proxy.port);
    mailbox.smtp = None;
    let anna = running.add(mailbox, &grant).incarnation;
    running.until_live(anna);
    let order = json!({"from": "o365", "apply": true, "expect": 1, "invite": "link"});
    let done = api.post("/v1/apps/new/distribute", &order).ok(200);
    let link = done["links"][0]["url"].as_str().unwrap();
    let location = api.send(api.bare("POST", link)).header("location").to_owned();
    let back = world.click_account(&location, ANNA).unwrap();
    let known = proxy.accepted();
    proxy.cut_at(b"AUTHENTICATE", Direction::ToServer, 1, Ending::Stall);
    let browser = std::thread::spawn({
        let api = api.clone();
        move || api.try_get(&back)
    });
    running.wait("the probe", || {
        let row = running.store.newest_sign_in(anna).unwrap().unwrap();
        (row.value.state == SignInState::Probing && proxy.accepted() > known).then_some(())
    });
    assert_eq!(running.stored("anna").mailbox.app().unwrap().as_str(), "o365");
    drop((running, api));
    proxy.clear();
    browser.join().unwrap();
    let (running, api) = Running::serve(&config(&world, data.path()));
    let scene = Scene { world, data, running, api };
    scene.until_moved("anna");
    scene.running.until_live(anna);
    scene.deliver("after");
}

#[test]
fn the_command_line_moves_mailboxes_and_writes_the_links_down() {
    let scene = scene();
    scene.anna();
    let links = scene.data.path().join("links.csv");
    let run = |arguments: &[&str]| {
        let mut command = stafette(scene.data.path());
        command.args(["--url", &scene.api.base, "--key", KEY, "app", "distribute", "new", "--from", "o365"]);
        let output = command.args(arguments).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, shown) = run(&[]);
    assert!(code == 0 && shown.contains("will_move: 1") && shown.contains("nothing was changed"), "{shown}");
    let (code, shown) = run(&["--apply", "--expect", "1", "--links", links.to_str().unwrap()]);
    assert!(code == 0 && shown.contains("1 mailboxes changed"), "{shown}");
    let written = std::fs::read_to_string(links).unwrap();
    let line = written.lines().nth(1).unwrap();
    assert!(line.starts_with("\"anna\",\"anna@makler.test\",\"http://"), "{written}");
}

#[test]
fn app_only_mailboxes_move_by_themselves_as_soon_as_the_new_app_opens_them() {
    let scene = scene();
    let Scene { world, running, api, .. } = &scene;
    for address in [ANNA, BEN] {
        let mailbox = json!({"id": address.split('@').next(), "address": address, "smtp": null,
            "auth": {"kind": "app_only", "app": "o365"},
            "imap": {"host": "localhost", "port": world.imaps_port(), "security": "tls"}});
        api.post("/v1/mailboxes", &mailbox).ok(201);
    }
    for id in ["anna", "ben"] {
        running.until_live(running.stored(id).incarnation);
    }
    api.patch("/v1/apps/new", &json!({"client_secret": "mistyped"})).ok(200);
    let done = scene.order(json!({"from": "o365", "apply": true, "expect": 2})).ok(200);
    let item = &done["groups"]["will_move"]["items"][0];
    assert!(item["sign_in"].is_string() && done["invited"] == 0, "nobody has to sign in: {done}");
    for id in ["anna", "ben"] {
        running.wait("the refusal", || {
            let row = running.store.newest_sign_in(running.stored(id).incarnation).unwrap().unwrap();
            row.value.diagnosis.filter(|found| found.code == "client_secret_wrong")
        });
        let shown = api.get(&format!("/v1/mailboxes/{id}")).ok(200);
        assert_eq!((&shown["auth"]["app"], &shown["state"]), (&json!("o365"), &json!("live")));
    }
    let asked = || {
        let log = world.entra().log();
        log.iter().filter(|entry| entry.client_id.as_deref() == Some(NEW_CLIENT)).count()
    };
    let before = asked();
    api.patch("/v1/apps/new", &json!({"client_secret": NEW_SECRET})).ok(200);
    for id in ["anna", "ben"] {
        scene.until_moved(id);
        running.until_live(running.stored(id).incarnation);
        assert_eq!(api.get(&format!("/v1/mailboxes/{id}/sign-in")).ok(200)["state"], "done");
    }
    assert!(asked() - before <= 2, "one token for all, or nearly: {}", asked() - before);
    scene.deliver("after");
    assert_eq!(api.delete("/v1/apps/o365").status, 204);
}
