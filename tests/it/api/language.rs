//! A reader of the API gets the texts in his language; what is stored and told in events stays as it is.

use crate::api::frame::{deaf, empty};
use crate::support::api::{Api, names};
use crate::support::engine::{Running, bare_config};
use serde_json::{Value, json};

fn asked_in(api: &Api, path: &str, language: &str) -> Value {
    api.send(api.request("GET", path).header("Accept-Language", language)).ok(200)
}

#[test]
fn a_diagnosis_is_shown_in_german_to_whoever_asks_and_its_facts_to_nobody() {
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&bare_config(data.path()));
    let mut mailbox = deaf("anna");
    mailbox["imap"]["host"] = json!("no-such-host.invalid");
    api.post("/v1/mailboxes", &mailbox).ok(201);
    running.until(running.stored("anna").incarnation, "a diagnosis", |status| status.diagnosis.is_some());
    let german = "Der Name no-such-host.invalid kann nicht aufgelöst werden.";
    let english = "The name no-such-host.invalid cannot be resolved.";
    let path = "/v1/mailboxes/anna";
    let summary = |shown: &Value| shown["diagnosis"]["summary"].as_str().unwrap().to_owned();
    assert_eq!(summary(&api.get(path).ok(200)), english);
    assert_eq!(summary(&api.get("/v1/mailboxes/anna?language=de").ok(200)), german);
    assert_eq!(summary(&asked_in(&api, path, "de-DE,de;q=0.9,en;q=0.5")), german);
    assert_eq!(summary(&asked_in(&api, "/v1/mailboxes/anna?language=en", "de")), english);
    let listed = asked_in(&api, "/v1/mailboxes", "de");
    assert_eq!(summary(&listed["items"][0]), german);
    let examined = api.get("/v1/mailboxes/anna/diagnosis?language=de").ok(200);
    assert_eq!(summary(&examined), german);
    assert_eq!(examined["steps"][0]["diagnosis"]["summary"], german);
    for wrong in [
        "/v1/mailboxes/anna?language=xx",
        "/v1/mailboxes?language=",
        "/v1/mailboxes/anna/diagnosis?language=fr",
    ] {
        api.get(wrong).problem(400, "bad_language");
    }
    let told = api.get("/v1/events?type=mailbox.state_changed").ok(200);
    let everything = [listed, examined, told].map(|shown| shown.to_string()).concat();
    assert!(everything.contains(english) && !everything.contains("\"facts\""), "{everything}");
    let kept = running.store.status(running.stored("anna").incarnation).unwrap().value.diagnosis.unwrap();
    assert_eq!((kept.summary.as_str(), kept.facts.unwrap().host.as_str()), (english, "no-such-host.invalid"));
}

#[test]
fn every_code_and_state_is_listed_in_both_languages() {
    let (_data, _running, api) = empty();
    let list = api.get("/v1/diagnoses").ok(200);
    let items = list["items"].as_array().unwrap();
    assert!(items.len() > 80, "{}", items.len());
    for item in items {
        assert_eq!(
            names(item),
            ["clicks", "code", "commands", "label", "remedy", "retry", "summary", "user", "who"],
            "{item}"
        );
        for text in ["label", "summary", "remedy"] {
            assert!(item[text]["en"].as_str().is_some_and(|text| text.len() > 3), "{item}");
            assert!(item[text]["de"].as_str().is_some_and(|text| text.len() > 3), "{item}");
        }
    }
    assert_eq!(
        (list["states"].as_array().unwrap().len(), list["send_states"].as_array().unwrap().len()),
        (11, 7)
    );
    let live = list["states"].as_array().unwrap().iter().find(|words| words["state"] == "live").unwrap();
    assert_eq!(
        (&live["label"]["de"], &live["sentence"]["en"]),
        (&json!("Läuft"), &json!("Everything is here, and new mail arrives at once."))
    );
}
