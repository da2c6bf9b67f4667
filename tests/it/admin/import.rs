//! Files of mailboxes: what Excel writes is taken, every bad line is named, and a file is imported whole or not at all.

use crate::api::frame::{deaf, empty};
use crate::operate::bad_input::{Daemon, stafette};
use crate::support::api::{Answer, Api};
use crate::support::engine::KEY;
use serde_json::{Value, json};

fn send(api: &Api, kind: &str, query: &str, body: Vec<u8>) -> Answer {
    let request = api.request("POST", &format!("/v1/mailboxes:import{query}"));
    api.send(request.header("content-type", kind).body(body))
}

fn csv(api: &Api, query: &str, text: &str) -> Answer {
    send(api, "text/csv", query, text.as_bytes().to_vec())
}

fn count(api: &Api) -> Value {
    api.get("/v1/mailboxes:summary").ok(200)["total"].clone()
}

/// Windows-1252 as Excel writes it: one byte for each of these letters.
fn windows(text: &str) -> Vec<u8> {
    text.chars()
        .map(|letter| if letter == '€' { 0x80 } else { u8::try_from(u32::from(letter)).unwrap() })
        .collect()
}

const HEADER: &str = "id;address;display_name;auth.kind;auth.app;imap.host;imap.port;imap.security;owner.ref;\
                      owner.language;labels.team";

#[test]
fn a_file_as_excel_writes_it_is_tried_and_then_imported() {
    let (_data, _running, api) = empty();
    let app = json!({"id": "o365", "provider": "office365", "tenant": "t.example", "client_id": "c",
        "client_secret": "s"});
    api.post("/v1/apps", &app).ok(201);
    let text = format!(
        "{HEADER}\r\nanna;anna@makler.test;Anna Müller;oauth;o365;127.0.0.1;9;tls;crm-17;de;Köln\r\n\
         ;ben@makler.test;\"Ben; 5 €\";oauth;;;;;;;\r\n"
    );
    let tried = send(&api, "text/csv", "?dry_run=true", windows(&text)).ok(200);
    assert_eq!(
        tried,
        json!({"dry_run": true, "created": 0, "to_be_tried": 0, "items": [
            {"line": 2, "id": "anna", "address": "anna@makler.test", "state": "awaiting_sign_in"},
            {"line": 3, "id": null, "address": "ben@makler.test", "state": "awaiting_app"},
        ]})
    );
    assert_eq!(count(&api), 0);
    let done = send(&api, "text/csv", "", windows(&text)).ok(201);
    assert_eq!((&done["dry_run"], &done["created"]), (&json!(false), &json!(2)));
    let anna = api.get("/v1/mailboxes/anna").ok(200);
    assert_eq!((&anna["display_name"], &anna["labels"]), (&json!("Anna Müller"), &json!({"team": "Köln"})));
    assert_eq!((&anna["owner"]["ref"], &anna["owner"]["language"]), (&json!("crm-17"), &json!("de")));
    assert_eq!((&anna["state"], &anna["imap"]["host"]), (&json!("awaiting_sign_in"), &json!("127.0.0.1")));
    assert_eq!(anna["smtp"]["host"], "smtp.office365.com", "what a line leaves out comes by preset");
    let ben = done["items"][1]["id"].as_str().unwrap();
    assert_eq!(api.get(&format!("/v1/mailboxes/{ben}")).ok(200)["display_name"], "Ben; 5 €");
}

#[test]
fn every_bad_line_is_named_and_nothing_is_imported() {
    let (_data, _running, api) = empty();
    api.post("/v1/mailboxes", &deaf("anna")).ok(201);
    let text = "id,address,auth.kind,auth.password,imap.host,imap.port,imap.security,auth.app\n\
                ben,ben@makler.test,password,pass,127.0.0.1,9,tls,\n\
                anna,other@makler.test,password,pass,127.0.0.1,9,tls,\n\
                carl,ANNA@makler.test,password,pass,127.0.0.1,9,tls,\n\
                ben,dora@makler.test,password,pass,127.0.0.1,9,tls,\n\
                emil,Ben@Makler.test,password,pass,127.0.0.1,9,tls,\n\
                fritz,nobody,password,pass,127.0.0.1,9,tls,\n\
                gabi,gabi@makler.test,password,pass,127.0.0.1,many,tls,\n\
                hans,hans@makler.test,password,,127.0.0.1,9,tls,\n\
                ida,ida@makler.test,oauth,,127.0.0.1,9,tls,nowhere\n\
                jan,jan@makler.test,,,127.0.0.1,9,tls,\n";
    for query in ["", "?dry_run=true"] {
        let problem = csv(&api, query, text).problem(422, "import_refused");
        let errors = problem["errors"].as_array().unwrap();
        let named: Vec<(u64, &str)> = errors
            .iter()
            .map(|e| (e["line"].as_u64().unwrap(), e["field"].as_str().unwrap_or("-")))
            .collect();
        assert_eq!(
            named,
            [
                (3, "id"),
                (4, "address"),
                (5, "id"),
                (6, "address"),
                (7, "address"),
                (8, "imap.port"),
                (9, "auth.password"),
                (10, "auth.app"),
                (11, "auth"),
            ],
            "{problem}"
        );
        let message = |place: usize| errors[place]["message"].as_str().unwrap();
        assert!(message(1).contains("anna") && message(2).contains("line 2"), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("line 8: imap.port: \"many\" is no number"));
        assert_eq!(count(&api), 1, "all or nothing");
    }
    csv(&api, "", "id,address,colour\nx,x@y.test,red\n").problem(422, "import_refused");
    csv(&api, "?when=now", text).problem(400, "bad_query");
    send(&api, "text/plain", "", text.into()).problem(415, "unsupported_media_type");
    let taken_over =
        json!({"mailboxes": [{"address": "x@y.test", "auth": {"kind": "oauth", "refresh_token": "r"}}]});
    // without an app nobody knows whose it is
    let refused = api.post("/v1/mailboxes:import", &taken_over).problem(422, "import_refused");
    assert_eq!(refused["errors"][0]["field"], "auth.refresh_token");
}

#[test]
fn toml_and_json_say_the_same() {
    let (_data, _running, api) = empty();
    let text = "[[mailboxes]]\nid = \"anna\"\naddress = \"anna@makler.test\"\nactive = false\n\
                auth = { kind = \"password\", password = \"pass\" }\n\
                imap = { host = \"127.0.0.1\", port = 9, security = \"tls\" }\n";
    let done = send(&api, "application/toml", "", text.into()).ok(201);
    assert_eq!(
        done["items"],
        json!([{"line": 1, "id": "anna", "address": "anna@makler.test", "state": "paused"}])
    );
    let list = json!({"mailboxes": [deaf("ben"), deaf("anna")]});
    let problem = api.post("/v1/mailboxes:import", &list).problem(422, "import_refused");
    assert_eq!((&problem["errors"][0]["line"], problem["errors"].as_array().unwrap().len()), (&json!(2), 1));
    let done = api.post("/v1/mailboxes:import", &json!({"mailboxes": [deaf("ben")]})).ok(201);
    assert_eq!(done["created"], 1);
    assert_eq!(api.post("/v1/mailboxes:import", &json!({"mailboxes": []})).ok(201)["created"], 0);
}

#[test]
fn five_thousand_lines_are_one_import() {
    let (_data, running, api) = empty();
    let mut text = String::from("id,address,display_name,provider,auth.kind,owner.ref,labels.team\n");
    for n in 0..5_000 {
        text.push_str(&format!(
            "m{n:04},user{n}@makler.test,User {n},office365,oauth,crm-{n},team {}\n",
            n % 40
        ));
    }
    let before = stafette::clock::monotonic();
    assert_eq!(csv(&api, "?dry_run=true", &text).ok(200)["items"].as_array().unwrap().len(), 5_000);
    println!("dry run of 5,000 lines: {:?}", before.elapsed());
    let before = stafette::clock::monotonic();
    assert_eq!(csv(&api, "", &text).ok(201)["created"], 5_000);
    println!("import of 5,000 lines: {:?}", before.elapsed());
    assert_eq!(running.store.mailboxes().unwrap().len(), 5_000);
    csv(&api, "", &text).problem(422, "import_refused");
}

#[test]
fn the_command_line_imports_a_file_and_names_the_bad_lines() {
    let data = tempfile::tempdir().unwrap();
    let mut serve = stafette(data.path());
    serve.env("STAFETTE_ADMIN_KEY", KEY);
    let daemon = Daemon::start(serve);
    let file = data.path().join("people.csv");
    let run = |arguments: &[&str]| {
        let mut command = stafette(data.path());
        command.args(["--url", &daemon.url, "--key", KEY, "mailbox", "import"]).arg(&file).args(arguments);
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    std::fs::write(&file, "id,address,auth.kind\nanna,a@gmail.com,oauth\nben,nobody,oauth\n").unwrap();
    let (code, _, told) = run(&[]);
    assert_eq!(code, 65);
    assert!(told.contains("line 3: address: "), "{told}");
    std::fs::write(&file, "id,address,auth.kind\nanna,a@gmail.com,oauth\n").unwrap();
    let (code, shown, _) = run(&["--dry-run"]);
    assert_eq!(code, 0);
    assert!(shown.contains("anna") && shown.contains("1 mailboxes would be imported"), "{shown}");
    let (code, shown, _) = run(&["--json"]);
    assert_eq!(code, 0);
    assert_eq!(serde_json::from_str::<Value>(&shown).unwrap()["created"], 1);
}
