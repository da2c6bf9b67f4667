//! Tokens, codes and sign-ins of one app, when the mailbox has another one, or is another one, by the time they count:
//! no other client sees them, and nothing that works is replaced by them.

use crate::signin::link::{ANNA, BEN, Link, Scene, scene, scene_with};
use crate::support::engine::web_app;
use crate::world::Rotation;
use crate::world::entra::{App, Secret, model};
use serde_json::{Value, json};
use stafette::domain::{GrantSecret, MailboxState};
use stafette::store::SignInState;

const NEW_CLIENT: &str = "11111111-aaaa-4bbb-8ccc-000000000004";
const NEW_SECRET: &str = "x9R~another.client.secret.value-9876543210";

impl Scene {
    /// Another registration of the same tenant, as the app `new`.
    fn new_app(&self) {
        let secrets = vec![Secret { value: NEW_SECRET.into(), expired: false }];
        self.world.entra().put_app(App { client_id: NEW_CLIENT.into(), secrets, ..model::web_app() });
        let mut app = serde_json::to_value(&web_app(&self.world).app).unwrap();
        app["id"] = json!("new");
        app["client_id"] = json!(NEW_CLIENT);
        app["client_secret"] = json!(NEW_SECRET);
        self.api.post("/v1/apps", &app).ok(201);
    }

    fn give(&self, auth: Value) {
        self.api.patch("/v1/mailboxes/anna", &json!({"auth": auth})).ok(200);
    }

    /// How many requests to the token endpoint the other app made for a user.
    fn by_new_app(&self) -> usize {
        let log = self.world.entra().log();
        let by_new = |entry: &&crate::world::entra::LogEntry| {
            entry.endpoint == "token" && entry.client_id.as_deref() == Some(NEW_CLIENT)
        };
        log.iter().filter(by_new).count()
    }

    fn until_mailbox(&self, wanted: MailboxState) {
        let anna = self.running.stored("anna").incarnation;
        self.running.until(anna, "the mailbox's state", |status| status.state == wanted);
    }
}

#[test]
fn a_refresh_token_is_sent_by_the_app_it_was_issued_to_and_by_no_other() {
    let scene = scene();
    scene.new_app();
    assert_eq!(scene.come_back(&scene.choose(&scene.link(), ANNA)).status, 200);
    scene.until_live();
    scene.give(json!({"app": "new"}));
    scene.until_mailbox(MailboxState::NeedsSignIn);
    assert_eq!(scene.by_new_app(), 0);
    // by mistake: the grant is still there
    scene.give(json!({"app": "o365"}));
    scene.until_live();
    // meant: a sign-in by the new app takes its place
    scene.give(json!({"app": "new"}));
    assert_eq!(scene.come_back(&scene.choose(&scene.link(), ANNA)).status, 200);
    scene.until_live();
}

#[test]
fn a_refresh_token_is_not_sent_by_another_client_of_the_same_app() {
    let scene = scene();
    scene.new_app();
    assert_eq!(scene.come_back(&scene.choose(&scene.link(), ANNA)).status, 200);
    scene.until_live();
    let old = web_app(&scene.world);
    let own = |id: &str, secret: &str| json!({"client_id": id, "client_secret": secret});
    scene.api.patch("/v1/apps/o365", &own(NEW_CLIENT, NEW_SECRET)).ok(200);
    scene.api.post("/v1/mailboxes/anna/refresh-token", &json!({})).problem(409, "needs_sign_in");
    assert_eq!(scene.by_new_app(), 0);
    // by mistake: the grant is still there
    let secret = old.client_secret.unwrap();
    scene.api.patch("/v1/apps/o365", &own(&old.app.client_id, secret.expose())).ok(200);
    scene.api.post("/v1/mailboxes/anna/refresh-token", &json!({})).ok(200);
}

#[test]
fn a_refresh_token_is_not_sent_to_another_authority_than_it_came_from() {
    let scene = scene();
    assert_eq!(scene.come_back(&scene.choose(&scene.link(), ANNA)).status, 200);
    scene.until_live();
    let own = web_app(&scene.world).app.authority.unwrap();
    // the stand-in by another name, so that whatever is sent there is seen
    let other = own.replace("127.0.0.1", "localhost");
    assert_ne!(own, other);
    scene.api.patch("/v1/apps/o365", &json!({"authority": other})).ok(200);
    let before = scene.world.entra().count("token");
    let refused = scene.api.post("/v1/mailboxes/anna/refresh-token", &json!({}));
    let problem = refused.problem(409, "needs_sign_in");
    assert!(problem["diagnosis"]["evidence"].as_str().unwrap().contains(&own), "{problem}");
    assert_eq!(scene.world.entra().count("token"), before);
    // by mistake: the grant is still there; a last slash makes no difference
    scene.api.patch("/v1/apps/o365", &json!({"authority": format!("{own}/")})).ok(200);
    scene.api.post("/v1/mailboxes/anna/refresh-token", &json!({})).ok(200);
}

#[test]
fn a_code_that_comes_back_to_another_app_is_not_sent() {
    let scene = scene();
    scene.new_app();
    let link = scene.link();
    let callback = scene.choose(&link, ANNA);
    scene.give(json!({"app": "new"}));
    let answer = scene.come_back(&callback);
    assert!(answer.status == 400 && answer.text().contains("personal link"), "{}", answer.text());
    assert_eq!(scene.by_new_app(), 0);
    // the link leads to the new one
    assert_eq!(scene.come_back(&scene.choose(&link, ANNA)).status, 200);
    scene.until_live();
}

#[test]
fn a_device_code_is_polled_with_by_the_app_it_was_made_for_and_by_no_other() {
    let scene = scene_with(|options| options.device_interval = 1, |_| {});
    scene.new_app();
    let made = scene.api.post("/v1/mailboxes/anna/sign-in", &json!({"ways": ["device"]})).ok(201);
    let url = made["url"].as_str().unwrap();
    assert_eq!(scene.api.send(scene.api.bare("POST", url)).status, 303);
    scene.give(json!({"app": "new"}));
    let link = Link { id: made["id"].as_str().unwrap().to_owned(), url: url.to_owned() };
    let ended = || {
        let row = scene.row(&link).value;
        (row.device.is_none() && row.state == SignInState::Waiting).then_some(())
    };
    scene.running.wait("the code to be given up", ended);
    assert_eq!(scene.by_new_app(), 0);
}

#[test]
fn a_colleague_of_a_mailbox_that_was_deleted_is_not_accepted_for_the_next_one_of_that_name() {
    let scene = scene();
    let link = scene.link();
    assert_eq!(scene.come_back(&scene.choose(&link, BEN)).status, 403);
    let anna = scene.api.get("/v1/mailboxes/anna").ok(200);
    scene.api.delete("/v1/mailboxes/anna").ok(202);
    scene.api.put("/v1/mailboxes/anna", &anna).ok(201);
    let before = scene.world.entra().count("token");
    let refused = scene.api.post(&format!("/v1/sign-ins/{}/accept", link.id), &json!({}));
    assert!(matches!(refused.status, 404 | 409), "{}", refused.text());
    assert!(scene.grant().is_none() && scene.world.entra().count("token") == before);
}

#[test]
fn a_colleague_is_not_accepted_by_another_app_than_he_signed_in_through() {
    let scene = scene();
    scene.new_app();
    let link = scene.link();
    assert_eq!(scene.come_back(&scene.choose(&link, BEN)).status, 403);
    scene.give(json!({"app": "new"}));
    scene.api.post(&format!("/v1/sign-ins/{}/accept", link.id), &json!({})).problem(409, "nothing_to_accept");
    assert_eq!(scene.by_new_app(), 0);
}

/// Comes back, and changes the mailbox's authentication while the server is asked whether the token opens it.
fn changed_while_it_is_tried(scene: &Scene, auth: Value) -> u16 {
    let link = scene.link();
    let callback = scene.choose(&link, ANNA);
    scene.proxy.delay_ms(Some(400));
    let api = scene.api.clone();
    let browser = std::thread::spawn(move || api.send(api.bare("GET", &callback)).status);
    scene.running.wait("the probe", || (scene.row(&link).value.state == SignInState::Probing).then_some(()));
    scene.give(auth);
    scene.proxy.delay_ms(None);
    browser.join().unwrap()
}

#[test]
fn a_password_that_is_set_while_a_sign_in_is_tried_stays() {
    let scene = scene();
    changed_while_it_is_tried(&scene, json!({"kind": "password", "user": ANNA, "password": "pass"}));
    let kept = scene.grant().unwrap().secret;
    assert!(matches!(&kept, GrantSecret::Password { user, .. } if user == ANNA));
    scene.until_live();
}

#[test]
fn a_grant_is_not_put_in_place_for_an_app_that_the_mailbox_got_meanwhile() {
    let scene = scene();
    scene.new_app();
    scene.world.entra().set_rotation(Rotation::Strict);
    changed_while_it_is_tried(&scene, json!({"app": "new"}));
    scene.until_mailbox(MailboxState::AwaitingSignIn);
    assert_eq!((scene.grant(), scene.by_new_app()), (None, 0));
}

#[test]
fn mailboxes_that_were_on_their_way_to_a_deleted_app_stay_with_the_one_they_have() {
    let scene = scene();
    scene.new_app();
    let Scene { running, api, .. } = &scene;
    assert_eq!(scene.come_back(&scene.choose(&scene.link(), ANNA)).status, 200);
    scene.until_live();
    let order = json!({"from": "o365", "apply": true, "expect": 1, "invite": "link"});
    let done = api.post("/v1/apps/new/distribute", &order).ok(200);
    let link = done["links"][0]["url"].as_str().unwrap();
    assert_eq!(api.delete("/v1/apps/new").status, 204);
    assert!(running.store.move_of(&running.stored("anna")).unwrap().is_none());
    assert_eq!(api.send(api.bare("GET", link)).status, 410);
    assert_eq!(scene.come_back(&scene.choose(&scene.link(), ANNA)).status, 200, "by the app it has");
    scene.until_live();
}
