//! `app verify` against the stand-in: what is right is proved, what is wrong is named, the rest is not proved yet.

use crate::support::api::Api;
use crate::support::engine::{Running, config, web_app};
use crate::world::World;
use crate::world::entra::Instead;
use base64::Engine;
use serde_json::{Value, json};

struct Scene {
    world: World,
    _data: tempfile::TempDir,
    _running: Running,
    api: Api,
}

/// The stand-in's web app, entered right.
fn scene() -> Scene {
    let world = World::builder().without_postfix().start();
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&config(&world, data.path()));
    let credentials = web_app(&world);
    let mut app = serde_json::to_value(&credentials.app).unwrap();
    app["client_secret"] = json!(credentials.client_secret.unwrap().expose());
    api.post("/v1/apps", &app).ok(201);
    Scene { world, _data: data, _running: running, api }
}

impl Scene {
    fn verify(&self, order: &Value) -> Value {
        self.api.post("/v1/apps/o365/verify", order).ok(200)
    }

    fn change(&self, change: &Value) {
        self.api.patch("/v1/apps/o365", change).ok(200);
    }
}

fn check<'a>(verified: &'a Value, name: &str) -> &'a Value {
    verified["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap()
}

fn results(verified: &Value) -> Vec<(&str, &str)> {
    let checks = verified["checks"].as_array().unwrap();
    checks.iter().map(|check| (check["name"].as_str().unwrap(), check["result"].as_str().unwrap())).collect()
}

#[test]
fn what_is_right_is_proved_and_the_rest_is_not_yet() {
    let scene = scene();
    let verified = scene.verify(&json!({}));
    assert_eq!(
        results(&verified),
        [
            ("fields", "ok"),
            ("authority", "ok"),
            ("tenant", "ok"),
            ("client_id", "ok"),
            ("client_secret", "ok"),
            ("app_roles", "skipped"),
            ("secret_expiry", "not_yet_proved"),
            ("redirect", "not_yet_proved"),
            ("consent", "not_yet_proved"),
        ],
        "{verified}"
    );
    assert_eq!(
        (&verified["ok"], &verified["tenant_id"]),
        (&json!(true), &json!(scene.world.entra().tenant_id()))
    );
    assert!(!verified.to_string().contains(scene.world.entra().web_app().secret()));
    scene.change(&json!({"tenant": "makler.test"}));
    let by_domain = scene.verify(&json!({}));
    assert_eq!(by_domain["tenant_id"], scene.world.entra().tenant_id());
    scene.api.post("/v1/apps/nobody/verify", &json!({})).problem(404, "no_such_app");
}

#[test]
fn each_wrong_entry_is_named_with_what_to_do() {
    let scene = scene();
    let tenant = scene.world.entra().tenant_id();
    let client_id = scene.world.entra().web_app().client_id;
    let secret = scene.world.entra().web_app().secret().to_owned();
    let right = json!({"tenant": tenant, "client_id": client_id, "client_secret": secret});
    for (change, failed, code) in [
        (json!({"client_secret": "wrong~value"}), "client_secret", "client_secret_wrong"),
        (json!({"client_secret": format!("old-{secret}")}), "client_secret", "client_secret_expired"),
        (json!({"client_id": "00000000-0000-4000-8000-000000000000"}), "client_id", "app_not_found"),
        (json!({"tenant": "nobody.test"}), "tenant", "tenant_not_found"),
        (json!({"tenant": client_id, "client_id": tenant}), "tenant", "tenant_not_found"),
    ] {
        scene.change(&right);
        scene.change(&change);
        let verified = scene.verify(&json!({}));
        assert_eq!(verified["ok"], false);
        let wrong: Vec<&str> = results(&verified)
            .into_iter()
            .filter(|(_, result)| *result == "failed")
            .map(|(name, _)| name)
            .collect();
        assert_eq!(wrong, [failed], "{verified}");
        assert_eq!(check(&verified, failed)["diagnosis"]["code"], code, "{verified}");
    }
    let swapped = scene.verify(&json!({}));
    assert!(check(&swapped, "tenant")["detail"].as_str().unwrap().contains("swapped"), "{swapped}");

    scene.change(&json!({"tenant": tenant, "client_id": "00000000-0000-4000-8000-000000000000"}));
    let object_id = scene.verify(&json!({}));
    assert!(check(&object_id, "client_id")["detail"].as_str().unwrap().contains("Object ID"));
    scene.change(&json!({"client_id": null}));
    let incomplete = scene.verify(&json!({}));
    assert_eq!(check(&incomplete, "fields")["result"], "failed");

    scene.change(&right);
    scene.change(&json!({"client_secret": null}));
    let public = scene.verify(&json!({}));
    assert_eq!(check(&public, "client_secret")["result"], "skipped");
    scene.change(&json!({"authority": "http://127.0.0.1:9"}));
    let away = scene.verify(&json!({}));
    assert_eq!(check(&away, "authority")["result"], "failed");
    assert_eq!(check(&away, "authority")["diagnosis"]["code"], "identity_provider_unavailable");
}

#[test]
fn the_roles_of_app_only_tokens_are_looked_for() {
    let scene = scene();
    let token = |roles: Value| {
        let claims = json!({"aud": "https://outlook.office365.com", "roles": roles}).to_string();
        let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims);
        Instead { patch: Some(json!({"access_token": format!("e30.{payload}.c2ln")})), ..Instead::default() }
    };
    let order = json!({"app_only": true});
    assert_eq!(check(&scene.verify(&order), "app_roles")["result"], "not_yet_proved", "an opaque token");
    scene.world.entra().next("token", token(json!(["IMAP.AccessAsApp", "SMTP.SendAsApp"])));
    assert_eq!(check(&scene.verify(&order), "app_roles")["result"], "ok");
    scene.world.entra().next("token", token(json!(["IMAP.AccessAsApp"])));
    let missing = scene.verify(&order);
    let roles = check(&missing, "app_roles");
    assert_eq!(roles["result"], "not_yet_proved", "Exchange may grant it by a role assignment");
    assert!(roles["detail"].as_str().unwrap().contains("SMTP.SendAsApp missing"), "{roles}");
    scene.world.entra().next("token", token(json!(["SMTP.SendAsApp"])));
    let missing = scene.verify(&order);
    let roles = check(&missing, "app_roles");
    assert_eq!(roles["result"], "failed");
    assert!(roles["detail"].as_str().unwrap().contains("IMAP.AccessAsApp missing"), "{roles}");
}

#[test]
fn the_end_of_a_secret_is_an_event_of_the_app() {
    let data = tempfile::tempdir().unwrap();
    let config = crate::support::engine::bare_config(data.path());
    let (running, api) = Running::serve(&config);
    let app = json!({"id": "o365", "provider": "office365", "tenant": "t.example", "client_id": "c",
        "client_secret": "s", "secret_expires_at": "2001-01-01T00:00:00Z"});
    api.post("/v1/apps", &app).ok(201);
    drop((running, api));
    // told at the start, and by the next start no more
    for _ in 0..2 {
        let (running, api) = Running::serve(&config);
        running
            .until_event(stafette::events::EventType::AppSecretExpiring, "the end of the secret", |_| true);
        let told = api.get("/v1/events?type=app.secret_expiring").ok(200)["items"].clone();
        assert_eq!(told.as_array().unwrap().len(), 1, "{told}");
        assert_eq!((&told[0]["mailbox"], &told[0]["data"]["app"]), (&Value::Null, &json!("o365")));
        assert_eq!(api.get("/v1/events?mailbox=anna").ok(200)["items"], json!([]));
    }
    let equal = json!({"id": "x", "provider": "office365", "tenant": "same", "client_id": "same"});
    let (_running, api) = Running::serve(&config);
    let refused = api.post("/v1/apps", &equal).problem(422, "invalid_field");
    assert!(refused["detail"].as_str().unwrap().contains("tenant: is the same"), "{refused}");
}
