//! `/outbox`: what a 202 means, and what a key against doubles does.

use crate::api::frame::{deaf, empty};
use crate::support::api::names;
use serde_json::{Value, json};

const OUTBOX: &str = "/v1/mailboxes/anna/outbox";

fn mail(subject: &str) -> Value {
    json!({
        "to": [{"name": "Ben", "address": "ben@kunde.test"}], "cc": [{"address": "carl@kunde.test"}],
        "subject": subject, "text": "Hello",
        "attachments": [{"name": "a.txt", "type": "text/plain", "content": "SGVsbG8="}],
    })
}

#[test]
fn a_submission_is_accepted_listed_and_shown_in_the_shape_of_the_contract() {
    let (_data, _running, api) = empty();
    api.post("/v1/mailboxes", &deaf("anna")).ok(201);
    let accepted = api.post(OUTBOX, &mail("one"));
    let location = accepted.header("location").to_owned();
    let shown = accepted.ok(202);
    let all = [
        "attempts",
        "created_at",
        "hold",
        "id",
        "last_reply",
        "message_id",
        "next_attempt_at",
        "recipients",
        "send_at",
        "state",
    ];
    assert_eq!(names(&shown), all);
    assert_eq!(location, format!("{OUTBOX}/{}", shown["id"].as_str().unwrap()));
    assert_eq!(shown["state"], "queued");
    let recipient = |address: &str| json!({"address": address, "state": "queued", "reply": null});
    assert_eq!(shown["recipients"], json!([recipient("ben@kunde.test"), recipient("carl@kunde.test")]));
    assert!(shown["message_id"].as_str().unwrap().ends_with("@makler.test>"), "{shown}");

    let raw = api.request("POST", OUTBOX).header("content-type", "message/rfc822").body(
        "From: anna@makler.test\r\nTo: ben@kunde.test\r\nMessage-ID: <mine@makler.test>\r\n\r\nHello\r\n",
    );
    let raw = api.send(raw).ok(202);
    assert_eq!(raw["message_id"], "<mine@makler.test>");
    let later =
        api.send(api.request("POST", &format!("{OUTBOX}?send_at=2099-01-01T00:00:00Z")).json(&mail("later")));
    let later = later.ok(202);
    assert_eq!(later["send_at"], "2099-01-01T00:00:00Z");
    assert_eq!(later["next_attempt_at"], "2099-01-01T00:00:00Z");

    let got = api.get(&location).ok(200);
    assert_eq!((&got["id"], &got["message_id"]), (&shown["id"], &shown["message_id"]));
    let ids = |list: Value| -> Vec<Value> {
        list["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect()
    };
    let newest_first = vec![later["id"].clone(), raw["id"].clone(), shown["id"].clone()];
    assert_eq!(ids(api.get(OUTBOX).ok(200)), newest_first);

    let at = format!("{OUTBOX}/{}", later["id"].as_str().unwrap());
    assert_eq!(api.post(&format!("{at}/cancel"), &json!({})).ok(200)["state"], "cancelled");
    assert_eq!(api.post(&format!("{at}/cancel"), &json!({})).ok(200)["state"], "cancelled");
    assert_eq!(ids(api.get(&format!("{OUTBOX}?state=cancelled")).ok(200)), [later["id"].clone()]);
    assert_eq!(api.get("/v1/mailboxes/anna").ok(200)["send"]["queued"], 2);
}

#[test]
fn what_cannot_be_sent_is_refused_before_it_is_accepted() {
    let (_data, _running, api) = empty();
    api.post("/v1/mailboxes", &deaf("anna")).ok(201);
    for (body, code) in [
        (json!({"subject": "to nobody"}), "invalid_message"),
        (json!({"to": [{"address": "nobody"}]}), "invalid_message"),
        (json!({"to": [{"address": "b@kunde.test\r\nBcc: x@kunde.test"}]}), "invalid_message"),
        (json!({"to": [{"address": "b@kunde.test", "colour": 1}]}), "invalid_field"),
        (json!({"to": "b@kunde.test"}), "invalid_field"),
        (json!({"too": []}), "invalid_field"),
    ] {
        api.post(OUTBOX, &body).problem(422, code);
    }
    let mut attached = mail("x");
    attached["attachments"][0]["content"] = json!("no base64!");
    assert_eq!(api.post(OUTBOX, &attached).status, 422);
    let raw = api.request("POST", OUTBOX).header("content-type", "message/rfc822").body("no header at all");
    assert_eq!(api.send(raw).status, 422);
    assert_eq!(api.get(OUTBOX).ok(200), json!({"items": [], "next": null}));

    let mut ben = deaf("ben");
    ben["smtp"] = Value::Null;
    api.post("/v1/mailboxes", &ben).ok(201);
    api.post("/v1/mailboxes/ben/outbox", &mail("x")).problem(409, "no_smtp");
}

#[test]
fn requests_at_once_with_one_key_make_one_submission() {
    let (_data, _running, api) = empty();
    api.post("/v1/mailboxes", &deaf("anna")).ok(201);
    for round in 0..5 {
        let start = std::sync::Barrier::new(4);
        let ids: Vec<Value> = std::thread::scope(|scope| {
            let post = || {
                start.wait();
                let key = format!("round {round}");
                let request = api.request("POST", OUTBOX).header("Idempotency-Key", key).json(&mail("one"));
                let answer = api.send(request);
                assert!(answer.header("location").starts_with(OUTBOX), "{answer:?}");
                answer.ok(202)["id"].clone()
            };
            let callers: Vec<_> = (0..4).map(|_| scope.spawn(post)).collect();
            callers.into_iter().map(|caller| caller.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        assert_eq!(api.get(OUTBOX).ok(200)["items"].as_array().unwrap().len(), round + 1);
    }
}

#[test]
fn a_key_stands_for_one_request_and_no_other() {
    let (data, running, api) = empty();
    api.post("/v1/mailboxes", &deaf("anna")).ok(201);
    api.post("/v1/mailboxes", &deaf("ben")).ok(201);
    let keyed = |api: &crate::support::api::Api, path: &str, body: &Value| {
        api.send(api.request("POST", path).header("Idempotency-Key", "k").json(body))
    };
    let first = keyed(&api, OUTBOX, &mail("one")).ok(202);
    assert_eq!(keyed(&api, OUTBOX, &mail("one")).ok(202)["id"], first["id"]);
    let problem = keyed(&api, OUTBOX, &mail("two")).problem(422, "idempotency_key_reused");
    assert!(problem["detail"].as_str().unwrap().contains("new key"), "{problem}");
    keyed(&api, &format!("{OUTBOX}?send_at=2099-01-01T00:00:00Z"), &mail("one"))
        .problem(422, "idempotency_key_reused");
    let ben = keyed(&api, "/v1/mailboxes/ben/outbox", &mail("two")).ok(202);
    assert_ne!(ben["id"], first["id"], "keys belong to a mailbox");
    let long = api.request("POST", OUTBOX).header("Idempotency-Key", "k".repeat(256)).json(&mail("one"));
    api.send(long).problem(400, "bad_idempotency_key");
    assert_eq!(api.get(OUTBOX).ok(200)["items"].as_array().unwrap().len(), 1);

    drop((running, api));
    let (_running, api) =
        crate::support::engine::Running::serve(&crate::support::engine::bare_config(data.path()));
    assert_eq!(keyed(&api, OUTBOX, &mail("one")).ok(202)["id"], first["id"], "a restart forgets no key");
    keyed(&api, OUTBOX, &mail("two")).problem(422, "idempotency_key_reused");
}

#[test]
fn more_recipients_than_fit_are_refused_by_name_and_a_hundred_fit() {
    let (_data, _running, api) = empty();
    api.post("/v1/mailboxes", &deaf("anna")).ok(201);
    let to = |count: usize| {
        let recipients: Vec<Value> =
            (0..count).map(|n| json!({"address": format!("person.{n}@kunde{n}.test")})).collect();
        json!({"to": recipients, "text": "Hello"})
    };
    let accepted = api.post(OUTBOX, &to(100)).ok(202);
    let shown = api.get(&format!("{OUTBOX}/{}", accepted["id"].as_str().unwrap())).ok(200);
    assert_eq!(shown["recipients"].as_array().unwrap().len(), 100);
    for count in [501, 5000] {
        let problem = api.post(OUTBOX, &to(count)).problem(422, "too_many_recipients");
        assert!(problem["detail"].as_str().unwrap().contains("fewer"), "{problem}");
    }
}
