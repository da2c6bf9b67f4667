//! The API's frame: keys, routing, apps and mailboxes, lists. No mail server is needed for it.

use crate::support::api::{Answer, Api, names};
use crate::support::engine::{Running, bare_config};
use serde_json::{Value, json};

/// An engine with nothing in it.
pub fn empty() -> (tempfile::TempDir, Running, Api) {
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&bare_config(data.path()));
    (data, running, api)
}

/// A mailbox that nobody answers for.
pub fn deaf(id: &str) -> Value {
    json!({
        "id": id, "address": format!("{id}@makler.test"),
        "auth": {"kind": "password", "password": "pass"},
        "imap": {"host": "127.0.0.1", "port": 9, "security": "tls"},
        "smtp": {"host": "127.0.0.1", "port": 9, "security": "starttls"},
    })
}

#[test]
fn health_is_open_and_everything_else_needs_the_key() {
    let (_data, _running, api) = empty();
    assert_eq!(api.send(api.bare("GET", "/healthz")).ok(200), json!({"status": "ok"}));
    assert_eq!(api.send(api.bare("GET", "/readyz")).ok(200), json!({"status": "ready"}));
    for path in ["/v1/mailboxes", "/v1/apps", "/v1/events", "/v1/nothing", "/v1/mailboxes/x/outbox"] {
        let strangers = [
            api.bare("GET", path),
            api.bare("GET", path).bearer_auth("wrong"),
            api.bare("GET", path).bearer_auth(""),
            api.bare("GET", path).basic_auth("admin", Some(crate::support::engine::KEY)),
        ];
        for request in strangers {
            let answer = api.send(request);
            answer.problem(401, "unauthorized");
            assert_eq!(answer.header("www-authenticate"), "Bearer", "{path}");
        }
    }
    let lower_case = api
        .bare("GET", "/v1/apps")
        .header("authorization", format!("bearer {}", crate::support::engine::KEY));
    api.send(lower_case).ok(200);
}

#[test]
fn what_is_not_there_and_what_is_not_done_is_told_as_a_problem() {
    let (_data, _running, api) = empty();
    api.post("/v1/mailboxes", &deaf("anna")).ok(201);
    for path in ["/", "/nothing", "/v1", "/v1/nothing", "/v1/mailboxes/anna/nothing", "/v1/mailboxes/anna/"] {
        api.get(path).problem(404, "not_found");
    }
    let ulid = "01JD0000000000000000000000";
    for (path, code) in [
        ("/v1/mailboxes/ben".to_owned(), "no_such_mailbox"),
        ("/v1/apps/o365".to_owned(), "no_such_app"),
        (format!("/v1/mailboxes/anna/messages/{ulid}"), "no_such_message"),
        (format!("/v1/mailboxes/anna/messages/{ulid}/raw"), "no_such_message"),
        (format!("/v1/mailboxes/anna/outbox/{ulid}"), "no_such_submission"),
        (format!("/v1/sign-ins/{ulid}"), "no_such_sign_in"),
        ("/v1/mailboxes/anna/sign-in".to_owned(), "no_such_sign_in"),
        ("/v1/mailboxes/anna/messages?folder=Nowhere".to_owned(), "no_such_folder"),
    ] {
        api.get(&path).problem(404, code);
    }
    for (method, path, allow) in [
        ("DELETE", "/healthz", "GET, HEAD"),
        ("POST", "/readyz", "GET, HEAD"),
        ("DELETE", "/v1/mailboxes", "GET, HEAD, POST"),
        ("POST", "/v1/mailboxes/anna", "GET, HEAD, PUT, PATCH, DELETE"),
        ("PUT", "/v1/apps", "GET, HEAD, POST"),
        ("POST", "/v1/events", "GET, HEAD"),
        ("POST", "/v1/mailboxes/anna/folders", "GET, HEAD"),
        ("POST", "/v1/mailboxes/anna/messages", "GET, HEAD"),
        ("PUT", "/v1/mailboxes/anna/outbox", "GET, HEAD, POST"),
        ("GET", "/v1/mailboxes/anna/pause", "POST"),
        ("PUT", "/v1/mailboxes/anna/sign-in", "GET, HEAD, POST"),
        ("POST", "/sign-in/callback", "GET"),
        ("DELETE", "/sign-in/x", "GET, HEAD, POST"),
    ] {
        let answer = api.send(api.request(method, path));
        answer.problem(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
}

#[test]
fn bodies_that_are_too_large_or_of_another_kind_are_refused_by_name() {
    let data = tempfile::tempdir().unwrap();
    let mut config = bare_config(data.path());
    config.http.max_body = 2 << 20;
    let (_running, api) = Running::serve(&config);
    api.post("/v1/mailboxes", &deaf("anna")).ok(201);
    let long = json!({"address": "x".repeat(3 << 20)});
    for path in ["/v1/mailboxes", "/v1/apps", "/v1/mailboxes/anna/outbox"] {
        api.post(path, &long).problem(413, "too_large");
    }
    // what a configuration needs ends earlier than what a message may be
    let medium = json!({"to": [{"address": "b@kunde.test"}], "text": "x".repeat(3 << 19)});
    api.post("/v1/mailboxes", &medium).problem(413, "too_large");
    api.post("/v1/mailboxes/anna/outbox", &medium).ok(202);
    let other =
        api.request("POST", "/v1/mailboxes/anna/outbox").header("content-type", "text/plain").body("Hi");
    api.send(other).problem(415, "unsupported_media_type");
}

const APP: [&str; 12] = [
    "authority",
    "client_certificate",
    "client_id",
    "client_secret_set",
    "domains",
    "id",
    "provider",
    "rotation",
    "scopes",
    "secret_expires_at",
    "service_account",
    "tenant",
];

#[test]
fn an_app_is_created_shown_changed_and_removed_and_its_secret_never_comes_back() {
    let (_data, _running, api) = empty();
    let posted = json!({
        "id": "o365", "provider": "office365", "tenant": "  contoso.example ", "client_id": "\"abc\"",
        "client_secret": "s3cr3t~value", "domains": ["@Makler.test"], "secret_expires_at": "2027-01-01T01:00:00+01:00",
    });
    let created = api.post("/v1/apps", &posted);
    assert_eq!(created.header("location"), "/v1/apps/o365");
    let shown = created.ok(201);
    assert_eq!(names(&shown), APP);
    assert_eq!(
        shown,
        json!({
            "id": "o365", "provider": "office365", "tenant": "contoso.example", "client_id": "abc",
            "client_secret_set": true, "authority": null, "scopes": null, "domains": ["makler.test"],
            "secret_expires_at": "2027-01-01T00:00:00Z", "rotation": null,
            "client_certificate": null, "service_account": null,
        })
    );
    api.post("/v1/apps", &posted).problem(409, "app_exists");
    assert_eq!(api.get("/v1/apps/o365").ok(200), shown);
    assert_eq!(api.get("/v1/apps").ok(200), json!({"items": [shown], "next": null}));

    // what was shown may be put back as it is: the secret stays
    assert_eq!(api.put("/v1/apps/o365", &shown).ok(200), shown);
    let patched = api.patch("/v1/apps/o365", &json!({"client_id": "def", "tenant": null})).ok(200);
    assert_eq!((&patched["client_id"], &patched["tenant"]), (&json!("def"), &Value::Null));
    assert_eq!(patched["client_secret_set"], true);
    let without = api.patch("/v1/apps/o365", &json!({"client_secret": null})).ok(200);
    assert_eq!(without["client_secret_set"], false);
    api.put("/v1/apps/other", &json!({"provider": "google"})).ok(201);
    api.put("/v1/apps/other", &json!({"id": "o365", "provider": "google"})).problem(422, "invalid_field");

    for answer in [api.get("/v1/apps"), api.get("/v1/apps/o365")] {
        assert!(!answer.text().contains("s3cr3t"));
    }
    let mut anna = deaf("anna");
    anna["auth"] = json!({"kind": "oauth", "app": "o365"});
    api.post("/v1/mailboxes", &anna).ok(201);
    let problem = api.delete("/v1/apps/o365").problem(409, "app_in_use");
    assert!(problem["detail"].as_str().unwrap().contains("1 mailbox"), "{problem}");
    assert_eq!(api.delete("/v1/apps/other").status, 204);
    api.get("/v1/apps/other").problem(404, "no_such_app");
    api.delete("/v1/apps/other").problem(404, "no_such_app");
}

#[test]
fn the_id_of_a_secret_is_not_taken_for_the_secret() {
    let (_data, _running, api) = empty();
    let posted = json!({"provider": "office365", "client_secret": "6b5a1d2e-0c1f-4c52-9a77-2f0d3a5b7c11"});
    let problem = api.post("/v1/apps", &posted).problem(422, "client_secret_is_id");
    assert!(problem["detail"].as_str().unwrap().contains("Value"), "{problem}");
    assert_eq!(api.get("/v1/apps").ok(200)["items"], json!([]));
}

#[test]
fn a_mailbox_is_returned_in_the_shape_of_the_contract() {
    let (_data, _running, api) = empty();
    let created = api.post("/v1/mailboxes", &deaf("anna"));
    assert_eq!(created.header("location"), "/v1/mailboxes/anna");
    let shown = created.ok(201);
    let all = [
        "active",
        "address",
        "attention",
        "auth",
        "diagnosis",
        "display_name",
        "grant",
        "id",
        "imap",
        "labels",
        "owner",
        "policy",
        "provider",
        "ref",
        "send",
        "smtp",
        "state",
        "sync",
    ];
    assert_eq!(names(&shown), all);
    assert_eq!(shown["auth"], json!({"kind": "password", "user": "anna@makler.test"}));
    assert_eq!(shown["imap"], json!({"host": "127.0.0.1", "port": 9, "security": "tls"}));
    assert_eq!(
        shown["smtp"],
        json!({"host": "127.0.0.1", "port": 9, "security": "starttls", "auth": "inherit"})
    );
    assert_eq!(
        shown["policy"],
        json!({"since": null, "folders": "all", "bodies": "all", "max_message": 209_715_200,
            "on_server_delete": "delete"})
    );
    assert_eq!(names(&shown["send"]), ["diagnosis", "queued", "state", "unknown", "until"]);
    assert_eq!(names(&shown["sync"]), ["backlog", "bytes", "folders", "last_sync_at", "messages"]);
    let grant = ["access_token_expires_at", "last_refresh", "scopes", "signed_in_as", "signed_in_at", "way"];
    assert_eq!(names(&shown["grant"]), grant);
    assert_eq!(shown["grant"]["way"], "password");
    assert_eq!((&shown["active"], &shown["labels"]), (&json!(true), &json!({})));
    assert!(!api.get("/v1/mailboxes/anna").text().contains("pass\""), "no password is shown");
}

#[test]
fn a_mailbox_is_created_changed_and_deleted_by_every_verb() {
    let (_data, running, api) = empty();
    api.post("/v1/mailboxes", &deaf("anna")).ok(201);
    api.post("/v1/mailboxes", &deaf("anna")).problem(409, "mailbox_exists");
    api.put("/v1/mailboxes/ben", &deaf("ben")).ok(201);
    api.put("/v1/mailboxes/ben", &deaf("carl")).problem(422, "invalid_field");

    let change = json!({
        "display_name": "Anna", "labels": {"team": "a", "x": "1"},
        "owner": {"ref": "crm-17", "name": "Anna", "notify": "anna@makler.test", "language": "de"},
    });
    let patched = api.patch("/v1/mailboxes/anna", &change).ok(200);
    assert_eq!(patched["owner"], change["owner"]);
    let again = api.patch("/v1/mailboxes/anna", &json!({"labels": {"x": null}, "owner": null})).ok(200);
    assert_eq!((&again["labels"], &again["owner"]), (&json!({"team": "a"}), &Value::Null));
    assert_eq!(again["display_name"], "Anna", "what a patch does not name stays");
    assert_eq!(api.patch("/v1/mailboxes/anna", &json!({"smtp": null})).ok(200)["send"]["state"], "off");
    // what was shown may be put back as it is
    let shown = api.get("/v1/mailboxes/anna").ok(200);
    assert_eq!(api.put("/v1/mailboxes/anna", &shown).ok(200)["labels"], json!({"team": "a"}));
    api.patch("/v1/mailboxes/anna", &json!({"auth": {"user": "other"}})).problem(422, "invalid_field");
    let other = json!({"auth": {"user": "other", "password": "word"}});
    assert_eq!(api.patch("/v1/mailboxes/anna", &other).ok(200)["auth"]["user"], "other");

    let before = running.stored("anna").incarnation;
    let job = api.delete("/v1/mailboxes/anna").ok(202);
    assert_eq!((&job["job"]["kind"], &job["job"]["mailbox"]), (&json!("erase"), &json!("anna")));
    api.get("/v1/mailboxes/anna").problem(404, "no_such_mailbox");
    api.delete("/v1/mailboxes/anna").problem(404, "no_such_mailbox");
    api.post("/v1/mailboxes", &deaf("anna")).ok(201);
    assert_ne!(running.stored("anna").incarnation, before, "a created one never meets the old one's data");
}

#[test]
fn only_an_address_and_a_way_to_authenticate_are_needed() {
    let (_data, _running, api) = empty();
    let gmail =
        api.post("/v1/mailboxes", &json!({"address": "a@gmail.com", "auth": {"kind": "oauth"}})).ok(201);
    assert_eq!((&gmail["provider"], &gmail["state"]), (&json!("google"), &json!("awaiting_app")));
    assert_eq!(gmail["imap"]["host"], "imap.gmail.com");
    assert_eq!(gmail["id"].as_str().unwrap().len(), 26, "a generated id");

    let waiting =
        api.post("/v1/mailboxes", &json!({"address": "b@makler.test", "auth": {"kind": "oauth"}})).ok(201);
    let id = waiting["id"].as_str().unwrap();
    assert_eq!((&waiting["state"], &waiting["imap"]), (&json!("awaiting_app"), &Value::Null));
    let app = json!({"id": "o365", "provider": "office365", "tenant": "t.example", "client_id": "c",
        "domains": ["makler.test"]});
    api.post("/v1/apps", &app).ok(201);
    let adopted = api.get(&format!("/v1/mailboxes/{id}")).ok(200);
    assert_eq!((&adopted["auth"]["app"], &adopted["state"]), (&json!("o365"), &json!("awaiting_sign_in")));
    assert_eq!(adopted["smtp"]["host"], "smtp.office365.com");
    let summary = api.get("/v1/mailboxes:summary").ok(200);
    assert_eq!(summary["total"], 2);
    assert_eq!(summary["states"], json!({"awaiting_app": 1, "awaiting_sign_in": 1}));
}

#[test]
fn fields_that_cannot_be_taken_are_named() {
    let (_data, _running, api) = empty();
    let with = |path: &str, value: Value| {
        let mut body = deaf("anna");
        match path.rsplit_once('/') {
            Some((object, name)) if !object.is_empty() => {
                body.pointer_mut(object).unwrap()[name] = value;
            }
            _ => body[path.trim_start_matches('/')] = value,
        }
        body
    };
    for (path, value, named) in [
        ("/colour", json!("red"), "colour"),
        ("/address", json!("nobody"), "address"),
        ("/address", json!(7), "address"),
        ("/imap/port", json!(70000), "imap.port"),
        ("/imap/port", json!(0), "imap.port"),
        ("/imap/host", json!("http://x/"), "imap.host"),
        ("/imap/security", json!("ssl"), "imap.security"),
        ("/imap/tls", json!(true), "tls"),
        ("/auth/app", json!("x"), "auth"),
        ("/auth/kind", json!("magic"), "auth"),
        ("/policy", json!({"bodies": "some"}), "policy"),
        ("/id", json!("Anna"), "id"),
        ("/id", json!("a/b"), "id"),
        ("/smtp/auth", json!("maybe"), "smtp.auth"),
    ] {
        let problem = api.post("/v1/mailboxes", &with(path, value.clone())).problem(422, "invalid_field");
        assert!(problem["detail"].as_str().unwrap().contains(named), "{path} {value}: {problem}");
    }
    let plain = json!({"host": "mail.example.org", "port": 143, "security": "none"});
    api.post("/v1/mailboxes", &with("/imap", plain)).problem(422, "plain_refused");
    for body in [json!([]), json!("x"), Value::Null] {
        api.post("/v1/mailboxes", &body).problem(422, "invalid_body");
    }
    assert_eq!(api.get("/v1/mailboxes").ok(200)["items"], json!([]), "nothing of it was kept");
}

#[test]
fn lists_are_paged_without_gap_or_double() {
    let (_data, _running, api) = empty();
    for number in 0..7 {
        let mut mailbox = deaf(&format!("mb{number}"));
        mailbox["active"] = json!(false);
        mailbox["labels"] = json!({"parity": if number % 2 == 0 { "even" } else { "odd" }});
        api.post("/v1/mailboxes", &mailbox).ok(201);
        api.post("/v1/apps", &json!({"id": format!("app{number}"), "provider": "google"})).ok(201);
        let mail = json!({"to": [{"address": "b@kunde.test"}], "subject": number.to_string()});
        api.post("/v1/mailboxes/mb0/outbox", &mail).ok(202);
    }
    for path in ["/v1/mailboxes?", "/v1/apps?", "/v1/mailboxes/mb0/outbox?"] {
        let whole = api.pages(path, 1000);
        assert_eq!((whole.len(), whole[0].len()), (1, 7), "{path}");
        for limit in [1, 2, 7] {
            let pages = api.pages(path, limit);
            assert!(pages.iter().all(|page| page.len() <= limit));
            assert_eq!(pages.concat(), whole[0], "{path} by {limit}");
        }
    }
    let odd = api.pages("/v1/mailboxes?label=parity:odd&", 2);
    assert_eq!(odd.concat().len(), 3);
    for (filter, count) in
        [("state=paused", 7), ("state=live", 0), ("q=MB3", 1), ("app=o365", 0), ("attention=true", 0)]
    {
        assert_eq!(api.pages(&format!("/v1/mailboxes?{filter}&"), 1000).concat().len(), count, "{filter}");
    }
}

#[test]
fn limits_cursors_and_queries_that_make_no_sense_are_refused() {
    let (_data, _running, api) = empty();
    api.post("/v1/mailboxes", &deaf("anna")).ok(201);
    let lists = [
        "/v1/mailboxes",
        "/v1/apps",
        "/v1/events",
        "/v1/mailboxes/anna/folders",
        "/v1/mailboxes/anna/messages",
        "/v1/mailboxes/anna/outbox",
    ];
    for path in lists {
        for limit in ["0", "1001", "1000000"] {
            let problem = api.get(&format!("{path}?limit={limit}")).problem(400, "bad_limit");
            assert!(problem["detail"].as_str().unwrap().contains("1000"), "{problem}");
        }
        for query in ["limit=-1", "limit=x", "limit=99999999999999999999999", "colour=red"] {
            api.get(&format!("{path}?{query}")).problem(400, "bad_query");
        }
        let cursor = if path == "/v1/events" { "after" } else { "cursor" };
        api.get(&format!("{path}?{cursor}=..%2F..")).problem(400, "bad_cursor");
        api.get(&format!("{path}?limit=1000")).ok(200);
    }
    api.get("/v1/events?wait=61").problem(400, "bad_wait");
    api.get("/v1/events?type=mail.bomb").problem(400, "bad_type");
    api.get("/v1/mailboxes?state=happy").problem(400, "bad_query");
    let unclear = api.get("/v1/mailboxes?limit=many").problem(400, "bad_query");
    assert!(unclear["detail"].as_str().unwrap().starts_with("limit: "), "{unclear}");
    api.get("/v1/mailboxes/anna/messages?since=yesterday").problem(400, "bad_query");
}

#[test]
fn ids_with_slashes_and_dots_lead_nowhere() {
    let (data, _running, api) = empty();
    std::fs::write(data.path().join("secret"), "x").unwrap();
    for id in ["a%2Fb", "..%2F..%2Fsecret", "%2e%2e%2fsecret", "a%00b", "%C3%A4", "a%20b", &"a".repeat(65)] {
        for path in [format!("/v1/mailboxes/{id}"), format!("/v1/apps/{id}")] {
            api.get(&path).problem(400, "bad_id");
            api.delete(&path).problem(400, "bad_id");
            api.put(&path, &json!({})).problem(400, "bad_id");
        }
        api.get(&format!("/v1/mailboxes/{id}/messages")).problem(400, "bad_id");
        api.get(&format!("/v1/sign-ins/{id}")).problem(400, "bad_id");
    }
    api.post("/v1/mailboxes", &deaf("anna")).ok(201);
    for id in ["..%2Fx", "01JD%2F", "0"] {
        for kind in ["messages", "outbox"] {
            api.get(&format!("/v1/mailboxes/anna/{kind}/{id}")).problem(400, "bad_id");
        }
    }
}

#[test]
fn bodies_that_are_not_json_say_where() {
    let (_data, _running, api) = empty();
    api.post("/v1/mailboxes", &deaf("anna")).ok(201);
    let send = |method: &str, path: &str, body: &'static [u8]| -> Answer {
        api.send(api.request(method, path).header("content-type", "application/json").body(body))
    };
    for (method, path) in [
        ("POST", "/v1/mailboxes"),
        ("PUT", "/v1/mailboxes/anna"),
        ("PATCH", "/v1/mailboxes/anna"),
        ("POST", "/v1/apps"),
        ("PUT", "/v1/apps/o365"),
        ("POST", "/v1/mailboxes/anna/outbox"),
        ("POST", "/v1/mailboxes/anna/sign-in"),
    ] {
        for body in [&b"{\"address\": "[..], b"no json", b"\xff\xfe", b"{} {}"] {
            let problem = send(method, path, body).problem(400, "bad_json");
            assert!(problem["detail"].as_str().unwrap().contains("line 1"), "{problem}");
        }
    }
    // deeper than any reader needs: an error, not a stack overflow
    static DEEP: [u8; 200_000] = [b'['; 200_000];
    send("POST", "/v1/mailboxes", &DEEP).problem(400, "bad_json");
}

#[test]
fn switches_pause_resume_and_refuse_by_name() {
    let (_data, _running, api) = empty();
    api.post("/v1/mailboxes", &deaf("anna")).ok(201);
    let paused = api.post("/v1/mailboxes/anna/pause", &json!({})).ok(200);
    assert_eq!((&paused["state"], &paused["active"]), (&json!("paused"), &json!(false)));
    assert_eq!(paused["send"]["state"], "held");
    api.post("/v1/mailboxes/anna/sync", &json!({})).problem(409, "paused");
    let resumed = api.post("/v1/mailboxes/anna/resume", &json!({})).ok(200);
    assert_ne!(resumed["state"], "paused");
    api.post("/v1/mailboxes/anna/sync", &json!({})).ok(202);
    api.post("/v1/mailboxes/anna/refresh-token", &json!({})).problem(409, "no_tokens");
    api.post("/v1/mailboxes/anna/sign-in", &json!({})).problem(409, "no_sign_in");
    for switch in ["pause", "resume", "sync", "refresh-token", "sign-in"] {
        api.post(&format!("/v1/mailboxes/ben/{switch}"), &json!({})).problem(404, "no_such_mailbox");
    }
}

#[test]
fn sending_may_have_a_login_of_its_own_whose_password_never_comes_back() {
    let (data, running, api) = empty();
    let mut anna = deaf("anna");
    anna["smtp"]["auth"] = json!({"user": "relay"});
    let problem = api.post("/v1/mailboxes", &anna).problem(422, "invalid_field");
    assert!(problem["detail"].as_str().unwrap().contains("smtp.auth.password"), "{problem}");
    anna["smtp"]["auth"] = json!({"user": "relay", "password": "s3cr3t", "colour": 1});
    api.post("/v1/mailboxes", &anna).problem(422, "invalid_field");
    anna["smtp"]["auth"] = json!({"user": "relay", "password": "s3cr3t"});
    let shown = api.post("/v1/mailboxes", &anna).ok(201);
    assert_eq!(shown["smtp"]["auth"], json!({"user": "relay"}));
    let password = |running: &Running| {
        let kept = running.store.smtp_password(running.stored("anna").incarnation).unwrap();
        kept.map(|password| password.expose().to_owned())
    };
    assert_eq!(password(&running).as_deref(), Some("s3cr3t"));
    // what was shown may be put back as it is
    api.put("/v1/mailboxes/anna", &shown).ok(200);
    assert_eq!(password(&running).as_deref(), Some("s3cr3t"));
    api.patch("/v1/mailboxes/anna", &json!({"smtp": {"auth": {"password": "other"}}})).ok(200);
    assert_eq!(password(&running).as_deref(), Some("other"));
    api.patch("/v1/mailboxes/anna", &json!({"smtp": {"auth": {"user": "x"}}})).problem(422, "invalid_field");
    drop((running, api));
    for entry in std::fs::read_dir(data.path().join("state")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = if path.is_file() { std::fs::read(&path).unwrap() } else { continue };
        assert!(
            !bytes.windows(6).any(|window| window == b"s3cr3t"),
            "{} holds it in the clear",
            path.display()
        );
    }
    let (running, api) = Running::serve(&bare_config(data.path()));
    assert_eq!(password(&running).as_deref(), Some("other"));
    api.patch("/v1/mailboxes/anna", &json!({"smtp": {"auth": "inherit"}})).ok(200);
    assert_eq!(password(&running), None);
}
