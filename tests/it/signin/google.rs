//! Users of Google: a permission that was unticked, a sign-in that ends, and one that gives no refresh token.

use crate::signin::link::ANNA;
use crate::support::api::Api;
use crate::support::engine::{Running, config};
use crate::world::entra::google::SCOPE;
use crate::world::{World, http};
use serde_json::{Value, json};
use stafette::domain::{MailboxState, SendState};

struct Scene {
    world: World,
    _data: tempfile::TempDir,
    running: Running,
    api: Api,
}

fn scene() -> Scene {
    let world = World::builder().mailbox(ANNA).start();
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&config(&world, data.path()));
    let client = world.entra().web_app();
    let app = json!({"id": "google", "provider": "google", "client_id": client.client_id,
        "client_secret": client.secret(), "authority": world.entra().authority_url()});
    api.post("/v1/apps", &app).ok(201);
    let server = |port: u16, security: &str| json!({"host": "localhost", "port": port, "security": security});
    let anna = json!({"id": "anna", "address": ANNA, "auth": {"kind": "oauth", "app": "google"},
        "imap": server(world.imaps_port(), "tls"), "smtp": server(world.submission_port(), "starttls")});
    assert_eq!(api.post("/v1/mailboxes", &anna).ok(201)["state"], "awaiting_sign_in");
    Scene { world, _data: data, running, api }
}

impl Scene {
    /// Signs in by a new link, with these fields of Google's page; the sign-in as it is shown afterwards.
    fn sign_in(&self, fields: &[(&str, &str)]) -> Value {
        let made = self.api.post("/v1/mailboxes/anna/sign-in", &json!({"ways": ["redirect"]})).ok(201);
        let pressed = self.api.send(self.api.bare("POST", made["url"].as_str().unwrap()));
        assert_eq!(pressed.status, 303, "{}", pressed.text());
        let page = pressed.header("location");
        assert!(page.contains("/o/oauth2/v2/auth?") && page.contains("access_type=offline"), "{page}");
        let back = http::post_form(page, fields).unwrap().header("location").unwrap().to_owned();
        self.api.send(self.api.bare("GET", &back));
        self.api.get(&format!("/v1/sign-ins/{}", made["id"].as_str().unwrap())).ok(200)
    }
}

#[test]
fn a_user_who_unticks_mail_is_told_so_and_one_who_does_not_receives_and_sends() {
    let scene = scene();
    let refused = scene.sign_in(&[("account", ANNA), ("without", SCOPE)]);
    assert_eq!(refused["diagnosis"]["code"], "consent_incomplete", "{refused}");
    assert!(refused["diagnosis"]["summary"].as_str().unwrap().contains(SCOPE), "{refused}");
    let declined = scene.sign_in(&[("cancel", "1")]);
    assert_eq!(declined["diagnosis"]["code"], "sign_in_declined", "{declined}");
    let anna = scene.running.stored("anna").incarnation;
    assert!(scene.running.store.grant(anna).unwrap().is_none());

    let done = scene.sign_in(&[("account", ANNA)]);
    assert_eq!(done["state"], "done", "{done}");
    scene.running.until_live(anna);
    let mail = json!({"to": [{"address": ANNA}], "subject": "by Google's one scope", "text": "Hello"});
    scene.api.post("/v1/mailboxes/anna/outbox", &mail).ok(202);
    scene.running.wait("the message", || (scene.world.list(ANNA, "INBOX").len() == 1).then_some(()));
    scene.running.until(anna, "ready", |status| status.send_state == SendState::Ready);
}

#[test]
fn a_sign_in_that_google_ends_is_told_in_its_words_and_another_one_brings_the_mailbox_back() {
    let scene = scene();
    scene.world.entra().with_options(|options| options.google_testing = true);
    assert_eq!(scene.sign_in(&[("account", ANNA)])["state"], "done");
    let anna = scene.running.stored("anna").incarnation;
    scene.running.until_live(anna);
    assert_eq!(scene.world.entra().revoke(ANNA), 1);
    scene.world.entra().expire_access_tokens();
    scene.world.kick(ANNA);
    let status =
        scene.running.until(anna, "needs_sign_in", |status| status.state == MailboxState::NeedsSignIn);
    let found = status.diagnosis.unwrap();
    assert_eq!(found.code, "google_sign_in_ended");
    assert_eq!(found.evidence.as_deref(), Some("Token has been expired or revoked."));
    assert_eq!(scene.sign_in(&[("account", ANNA)])["state"], "done");
    scene.running.until_live(anna);
}
