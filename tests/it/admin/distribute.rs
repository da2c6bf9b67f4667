//! Giving an app to all like mailboxes: a dry run in groups, and exactly what it showed.

use crate::api::frame::{deaf, empty};
use crate::support::api::Api;
use crate::support::engine::{Running, bare_config, oauth_mailbox};
use crate::world::World;
use serde_json::{Value, json};
use stafette::events::EventType;

const SERVER: &str = "outlook.office365.com";

fn app(api: &Api, id: &str) {
    let app = json!({"id": id, "provider": "office365", "tenant": "t.example", "client_id": "c", "client_secret": "s"});
    api.post("/v1/apps", &app).ok(201);
}

fn add(api: &Api, id: &str, change: Value) {
    let mut mailbox = json!({"id": id, "address": format!("{id}@makler.test"), "auth": {"kind": "oauth"},
        "provider": "office365"});
    for (name, value) in change.as_object().unwrap() {
        mailbox[name] = value.clone();
    }
    api.post("/v1/mailboxes", &mailbox).ok(201);
}

fn ids(answer: &Value, group: &str) -> Vec<String> {
    let group = &answer["groups"][group];
    let items = group["items"].as_array().unwrap();
    assert_eq!(group["count"], items.len());
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_dry_run_is_in_groups_and_only_what_it_showed_is_changed() {
    let (_data, running, api) = empty();
    app(&api, "o365");
    app(&api, "old");
    add(&api, "anna", json!({}));
    add(&api, "ben", json!({"auth": {"kind": "oauth", "app": "old"}}));
    add(&api, "carl", json!({"auth": {"kind": "oauth", "app": "o365"}}));
    add(&api, "dora", json!({"active": false}));
    add(&api, "emil", json!({"provider": "google"}));
    api.post("/v1/mailboxes", &deaf("fritz")).ok(201);
    let order = |order: Value| api.post("/v1/apps/o365/distribute", &order);
    for request in [json!({"server": "Outlook.Office365.com"}), json!({})] {
        let dry = order(request).ok(200);
        assert_eq!((&dry["applied"], &dry["changed"]), (&json!(false), &json!(0)));
        assert_eq!(ids(&dry, "will_change"), ["anna", "ben"]);
        assert_eq!(ids(&dry, "already_on_this_app"), ["carl"]);
        assert_eq!(ids(&dry, "other_server_or_not_oauth"), ["emil", "fritz"]);
        assert_eq!(ids(&dry, "inactive"), ["dora"]);
        assert_eq!(ids(&dry, "has_grant").len(), 0);
    }
    let none = order(json!({"server": "imap.nowhere.test"})).ok(200);
    assert_eq!(ids(&none, "other_server_or_not_oauth").len(), 6);

    order(json!({"server": SERVER, "apply": true})).problem(422, "invalid_field");
    let refused =
        order(json!({"server": SERVER, "apply": true, "expect": 3})).problem(409, "expect_mismatch");
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains('2') && detail.contains('3'), "{detail}");
    assert_eq!(api.get("/v1/mailboxes/anna").ok(200)["state"], "awaiting_app");
    order(json!({"colour": 1})).problem(422, "invalid_field");
    api.post("/v1/apps/nobody/distribute", &json!({})).problem(404, "no_such_app");

    let done = order(json!({"server": SERVER, "apply": true, "expect": 2})).ok(200);
    assert_eq!((&done["applied"], &done["changed"]), (&json!(true), &json!(2)));
    assert_eq!(ids(&done, "will_change"), ["anna", "ben"], "what was done is reported");
    for id in ["anna", "ben"] {
        let shown = api.get(&format!("/v1/mailboxes/{id}")).ok(200);
        assert_eq!((&shown["auth"]["app"], &shown["state"]), (&json!("o365"), &json!("awaiting_sign_in")));
    }
    assert_eq!(running.stored("dora").mailbox.app(), None);
    let again = order(json!({"server": SERVER, "apply": true, "expect": 0})).ok(200);
    assert_eq!(again["changed"], 0);
    assert_eq!(ids(&again, "already_on_this_app"), ["anna", "ben", "carl"]);
}

#[test]
fn links_are_made_with_the_change_and_told_once() {
    let (_data, running, api) = empty();
    app(&api, "o365");
    add(&api, "anna", json!({}));
    add(&api, "ben", json!({}));
    let order = |order: Value| api.post("/v1/apps/o365/distribute", &order);
    let dry = order(json!({"server": SERVER, "invite": "link"})).ok(200);
    assert_eq!((&dry["invited"], &dry["links"]), (&json!(0), &json!([])));
    // without a sender nobody could be written to: nothing is changed
    let apply = |how: &str| order(json!({"server": SERVER, "apply": true, "expect": 2, "invite": how}));
    apply("mail").problem(409, "no_sender");
    apply("pigeon").problem(422, "invalid_field");
    assert_eq!(api.get("/v1/mailboxes/anna").ok(200)["state"], "awaiting_app");
    let done = apply("link").ok(200);
    assert_eq!((&done["changed"], &done["invited"]), (&json!(2), &json!(2)));
    let requested = running.events_of(EventType::SignInRequested);
    for (link, event) in done["links"].as_array().unwrap().iter().zip(&requested) {
        assert_eq!(link["address"], format!("{}@makler.test", link["mailbox"].as_str().unwrap()));
        assert_eq!(event.data["sign_in"], link["sign_in"]);
        assert!(!event.data.to_string().contains(link["url"].as_str().unwrap().rsplit('/').next().unwrap()));
        let page = api.send(api.bare("GET", link["url"].as_str().unwrap()));
        assert_eq!(page.status, 200);
    }
    assert_eq!(requested.len(), 2);
}

#[test]
fn nobody_is_invited_to_an_app_that_lacks_something() {
    let (_data, _running, api) = empty();
    api.post("/v1/apps", &json!({"id": "o365", "provider": "office365", "client_id": ""})).ok(201);
    add(&api, "anna", json!({}));
    let order = json!({"server": SERVER, "apply": true, "expect": 1, "invite": "link"});
    let refused = api.post("/v1/apps/o365/distribute", &order).problem(409, "app_incomplete");
    assert!(refused["detail"].as_str().unwrap().contains("client_id"), "{refused}");
    assert_eq!(api.get("/v1/mailboxes/anna").ok(200)["state"], "awaiting_app");
}

#[test]
fn an_app_that_fits_nobody_by_itself_wants_a_server_named() {
    let (_data, _running, api) = empty();
    let oidc = json!({"id": "own", "provider": "oidc", "authority": "https://id.example", "client_id": "c"});
    api.post("/v1/apps", &oidc).ok(201);
    api.post("/v1/apps/own/distribute", &json!({})).problem(422, "invalid_field");
    api.patch("/v1/apps/own", &json!({"domains": ["makler.test"]})).ok(200);
    add(&api, "anna", json!({"auth": {"kind": "oauth", "app": "own"}}));
    assert_eq!(
        ids(&api.post("/v1/apps/own/distribute", &json!({})).ok(200), "already_on_this_app"),
        ["anna"]
    );
}

#[test]
fn a_signed_in_mailbox_keeps_its_app() {
    let world = World::builder().mailbox("anna@makler.test").without_postfix().start();
    let data = tempfile::tempdir().unwrap();
    let mut config = bare_config(data.path());
    config.tls.extra_ca = vec![world.ca_pem()];
    let (running, api) = Running::serve(&config);
    let (mailbox, grant) = oauth_mailbox(&world, &running, "anna@makler.test", world.imaps_port());
    let anna = running.add(mailbox, &grant);
    running.until_live(anna.incarnation);
    app(&api, "new");
    let order = json!({"server": "127.0.0.1", "apply": true, "expect": 0});
    let done = api.post("/v1/apps/new/distribute", &order).ok(200);
    assert_eq!(ids(&done, "has_grant"), ["anna"]);
    assert_eq!(api.get("/v1/mailboxes/anna").ok(200)["auth"]["app"], "o365");
}
