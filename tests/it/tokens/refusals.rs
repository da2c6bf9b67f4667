//! What identity providers refuse without an end: the secret the other way, a scope that nobody consented to, a token
//! refused once, a proof that the next sign-in owes. Each is answered with what helps, and costs no token.

use crate::signin::link::{ANNA, BEN, Scene, scene};
use crate::world::Rotation;
use crate::world::entra::{self, Instead, LogEntry};
use crate::world::http::parameter;
use serde_json::{Value, json};
use stafette::domain::{GrantSecret, MailboxState, SendState};
use std::collections::BTreeSet;

/// Every token is good once: whoever sends one twice loses the grant.
fn signed_in() -> Scene {
    let scene = scene();
    scene.world.entra().set_rotation(Rotation::Strict);
    let link = scene.link();
    assert_eq!(scene.come_back(&scene.choose(&link, ANNA)).status, 200);
    scene.until_live();
    scene
}

fn with_sending(scene: &Scene) {
    let smtp = json!({"host": "localhost", "port": 1, "security": "starttls"});
    scene.api.patch("/v1/mailboxes/anna", &json!({"smtp": smtp})).ok(200);
}

impl Scene {
    /// How a refresh at once ends: `ok`, or the diagnosis' code.
    fn refresh_now(&self) -> String {
        let answer = self.api.post("/v1/mailboxes/anna/refresh-token", &Value::Null);
        if answer.status == 200 {
            return String::from("ok");
        }
        let problem: Value = serde_json::from_slice(&answer.body).unwrap();
        problem["diagnosis"]["code"].as_str().unwrap_or_else(|| panic!("{problem}")).to_owned()
    }

    /// The session ends with its access token, and there is no other.
    fn until_needs_sign_in(&self) {
        self.world.entra().expire_access_tokens();
        self.world.kick(ANNA);
        let anna = self.running.stored("anna").incarnation;
        self.running.until(anna, "needs_sign_in", |status| status.state == MailboxState::NeedsSignIn);
    }

    fn mailbox(&self) -> Value {
        self.api.get("/v1/mailboxes/anna").ok(200)
    }

    fn refreshes(&self) -> Vec<LogEntry> {
        let log = self.world.entra().log();
        log.into_iter().filter(|entry| entry.grant_type.as_deref() == Some("refresh_token")).collect()
    }

    fn secrets_sent_from(&self, first: usize) -> Vec<bool> {
        self.refreshes()[first..].iter().map(|entry| entry.sent_secret).collect()
    }

    fn stored_token(&self) -> String {
        match self.grant().unwrap().secret {
            GrantSecret::Refresh { refresh_token } => refresh_token.expose().to_owned(),
            GrantSecret::Password { .. } => panic!("a password"),
        }
    }

    /// No token was answered to twice.
    fn assert_each_token_used_once(&self) {
        let used: Vec<String> = self
            .refreshes()
            .into_iter()
            .filter(|entry| entry.issued_refresh_token_sha256.is_some())
            .map(|entry| entry.refresh_token_sha256.unwrap())
            .collect();
        assert_eq!(used.iter().collect::<BTreeSet<_>>().len(), used.len(), "{used:?}");
    }
}

#[test]
fn a_refresh_that_wants_no_secret_is_repeated_without_and_the_grant_remembers_what_worked() {
    for (number, text) in [
        (90_023, "Public clients can't send a client secret."),
        (700_025, "Client is public so neither 'client_assertion' nor 'client_secret' should be presented."),
    ] {
        let scene = signed_in();
        assert!(scene.grant().unwrap().send_client_secret);
        // the registration became one of a public client
        let app = scene.world.entra().web_app();
        scene.world.entra().put_app(entra::App { secrets: vec![], ..app.clone() });
        let refusal = Instead::said("invalid_request", &format!("AADSTS{number}: {text}"));
        scene.world.entra().next("token", Instead { aadsts: Some(number), ..refusal });
        let before = scene.refreshes().len();
        assert_eq!(scene.refresh_now(), "ok", "{number}");
        // what a script answers is not looked at by the stand-in
        assert_eq!(scene.secrets_sent_from(before).len(), 2, "{number}");
        assert!(!scene.grant().unwrap().send_client_secret, "kept for the next one");
        // and back again
        scene.world.entra().put_app(app);
        let before = scene.refreshes().len();
        assert_eq!(scene.refresh_now(), "ok", "{number}");
        assert_eq!(scene.secrets_sent_from(before), [false, true], "{number}");
        scene.assert_each_token_used_once();
        assert_eq!(scene.mailbox()["state"], "live");
    }
}

#[test]
fn a_token_refused_once_without_a_reason_is_kept_and_one_refused_twice_asks_for_a_sign_in() {
    let scene = signed_in();
    let token = scene.stored_token();
    scene.world.entra().next("token", Instead::aadsts(70_000));
    assert_eq!(scene.refresh_now(), "refresh_refused_once");
    assert_eq!(scene.stored_token(), token);
    assert_ne!(scene.mailbox()["state"], "needs_sign_in");
    // a person does not wait for the minute to be over
    assert_eq!(scene.refresh_now(), "ok");
    assert_ne!(scene.stored_token(), token);
    assert_eq!(scene.mailbox()["state"], "live");
    assert_eq!(scene.mailbox()["diagnosis"], Value::Null);

    scene.world.entra().next_times("token", Instead::aadsts(70_000), 2);
    assert_eq!(scene.refresh_now(), "refresh_refused_once");
    assert_eq!(scene.refresh_now(), "sign_in_again");
    scene.until_needs_sign_in();
    scene.assert_each_token_used_once();
}

#[test]
fn what_a_policy_demands_of_the_next_sign_in_is_sent_with_it_until_it_is_met() {
    let demand =
        json!({"access_token": {"capolids": {"essential": true, "values": ["a policy"]}}}).to_string();
    let scene = signed_in();
    let refusal = Instead { claims: Some(demand.clone()), ..Instead::aadsts(50_076) };
    let token = scene.stored_token();
    scene.world.entra().next("token", refusal);
    assert_eq!(scene.refresh_now(), "mfa_required");
    assert_eq!(scene.stored_token(), token, "it may be good again, from another network");
    scene.until_needs_sign_in();
    let link = scene.link();
    assert_eq!(parameter(&scene.press(&link), "claims").as_deref(), Some(demand.as_str()));
    // somebody else's sign-in meets nothing
    assert_eq!(scene.come_back(&scene.choose(&link, BEN)).status, 403);
    assert_eq!(parameter(&scene.press(&link), "claims").as_deref(), Some(demand.as_str()));
    // at the redemption of the code more is demanded than at the refresh
    let more = json!({"access_token": {"capolids": {"essential": true, "values": ["another"]}}}).to_string();
    let refusal = Instead { error: Some("invalid_grant".into()), ..Instead::aadsts(50_076) };
    scene.world.entra().next("token", Instead { claims: Some(more.clone()), ..refusal });
    assert_eq!(scene.come_back(&scene.choose(&link, ANNA)).status, 403);
    assert_eq!(parameter(&scene.press(&link), "claims").as_deref(), Some(more.as_str()));
    assert_eq!(scene.come_back(&scene.choose(&link, ANNA)).status, 200);
    scene.until_live();
    assert_eq!(parameter(&scene.press(&scene.link()), "claims"), None);
    scene.assert_each_token_used_once();
}

#[test]
fn a_mailbox_asks_for_what_it_does_and_receives_on_when_sending_is_added_later() {
    let scene = scene();
    scene.world.entra().set_rotation(Rotation::Strict);
    let link = scene.link();
    let asked = parameter(&scene.press(&link), "scope").unwrap();
    assert!(asked.contains("IMAP.AccessAsUser.All") && !asked.contains("SMTP.Send"), "{asked}");
    assert_eq!(scene.come_back(&scene.choose(&link, ANNA)).status, 200);
    scene.until_live();

    let before = scene.refreshes().len();
    with_sending(&scene);
    let results = scene.running.wait("two requests", || {
        let log = scene.refreshes();
        let results: Vec<String> = log[before..].iter().map(|entry| entry.result.clone()).collect();
        (results.len() > 1).then_some(results)
    });
    assert_eq!(results, ["AADSTS65001", "ok"], "first with sending, to which nobody consented");
    scene.until_live();
    let mail = json!({"to": [{"address": BEN}], "subject": "later", "text": "Hello"});
    scene.api.post("/v1/mailboxes/anna/outbox", &mail).ok(202);
    let anna = scene.running.stored("anna").incarnation;
    let status = scene.running.until(anna, "held", |status| status.send_state == SendState::NeedsAdmin);
    assert_eq!(status.send_diagnosis.unwrap().code, "scopes_missing");
    assert_eq!(scene.mailbox()["state"], "live");
    let link = scene.link();
    assert!(parameter(&scene.press(&link), "scope").unwrap().contains("SMTP.Send"));
    assert_eq!(scene.come_back(&scene.choose(&link, ANNA)).status, 200);
    assert!(scene.grant().unwrap().scopes.iter().any(|scope| scope.ends_with("SMTP.Send")));
    scene.assert_each_token_used_once();
}

#[test]
fn what_a_user_left_out_is_named_at_once_and_the_link_stays_good() {
    let scene = scene();
    with_sending(&scene);
    let link = scene.link();
    let scope = "https://outlook.office.com/IMAP.AccessAsUser.All openid profile email";
    let patch = Some(json!({"scope": scope}));
    scene.world.entra().next("token", Instead { patch, ..Instead::default() });
    let page = scene.come_back(&scene.choose(&link, ANNA));
    assert_eq!(page.status, 403);
    assert!(page.text().contains("leave every box ticked"), "{}", page.text());
    let shown = scene.api.get(&format!("/v1/sign-ins/{}", link.id)).ok(200);
    assert_eq!(shown["diagnosis"]["code"], "consent_incomplete", "{shown}");
    assert!(shown["diagnosis"]["summary"].as_str().unwrap().contains("SMTP.Send"), "{shown}");
    assert!(scene.grant().is_none());
    assert_eq!(scene.come_back(&scene.choose(&link, ANNA)).status, 200);
    scene.until_live();
}
