//! `app guide`: this installation's addresses, the chosen way, both languages, as JSON and as a text.

use crate::support::api::Api;
use crate::support::engine::{Running, bare_config};
use serde_json::{Value, json};

fn served(public_url: &str) -> (tempfile::TempDir, Running, Api) {
    let data = tempfile::tempdir().unwrap();
    let mut config = bare_config(data.path());
    config.http.public_url = Some(public_url.parse().unwrap());
    let (running, api) = Running::serve(&config);
    let app =
        json!({"id": "o365", "provider": "office365", "tenant": "makler.test", "client_id": "the-client"});
    api.post("/v1/apps", &app).ok(201);
    (data, running, api)
}

fn steps(guide: &Value) -> String {
    guide["steps"].to_string()
}

#[test]
fn each_way_has_its_own_steps_for_this_installation() {
    let (_data, _running, api) = served("https://mail.firma.test/");
    let anna = json!({"id": "anna", "address": "anna@makler.test", "auth": {"kind": "oauth", "app": "o365"}});
    api.post("/v1/mailboxes", &anna).ok(201);
    let guide = |query: &str| api.get(&format!("/v1/apps/o365/guide{query}")).ok(200);
    let redirect = guide("");
    assert_eq!(redirect["redirect_uri"], "https://mail.firma.test/sign-in/callback");
    assert_eq!(redirect["notes"], json!([]));
    let consent = "https://login.microsoftonline.com/makler.test/adminconsent?client_id=the-client";
    let back =
        format!("{consent}&redirect_uri=https%3A%2F%2Fmail.firma.test%2Fsign-in%2Fcallback&state=app.");
    assert!(redirect["consent_url"].as_str().unwrap().starts_with(&back), "{redirect}");
    // no redirect of ours is registered for these
    assert_eq!(guide("?way=device")["consent_url"], consent);
    assert_eq!(guide("?way=native")["consent_url"], consent);
    for word in
        ["https://mail.firma.test/sign-in/callback", "not Enterprise", "AAD", "Single tenant", consent]
    {
        assert!(steps(&redirect).contains(word), "{word} is missing: {}", steps(&redirect));
    }
    assert!(steps(&redirect).contains("Set-CASMailbox -Identity 'anna@makler.test'"));
    assert!(!steps(&redirect).contains("New-ServicePrincipal"));
    assert!(steps(&guide("?way=native")).contains("common/oauth2/nativeclient"));
    assert!(steps(&guide("?way=device")).contains("Allow public client flows: Yes"));
    let app_only = guide("?way=app_only");
    assert!(steps(&app_only).contains("Add-MailboxPermission -Identity 'anna@makler.test'"));
    assert!(steps(&app_only).contains("New-ServicePrincipal -AppId 'the-client'"));
    assert!(steps(&app_only).contains("Add the redirect URI that the consent link comes back to"));
    assert!(app_only["consent_url"].as_str().unwrap().starts_with(&back));
    let scripts = app_only["scripts"].to_string();
    assert!(scripts.contains("RedirectUris = @('https://mail.firma.test/sign-in/callback')"), "{scripts}");
    assert!(steps(&guide("?language=de")).contains("App-Registrierungen"));
    assert_eq!(app_only["scripts"].as_array().unwrap().len(), 2);

    let text = api.get("/v1/apps/o365/guide?format=markdown&way=native&language=de");
    assert!(text.header("content-type").starts_with("text/markdown"));
    assert!(text.text().starts_with("# o365 in Entra ID registrieren"), "{}", text.text());
    let accepted = api.request("GET", "/v1/apps/o365/guide").header("accept", "text/markdown");
    assert!(api.send(accepted).text().starts_with("# Register o365"));
    api.get("/v1/apps/o365/guide?way=magic").problem(400, "bad_query");
    api.get("/v1/apps/nobody/guide").problem(404, "no_such_app");
    api.post("/v1/apps", &json!({"id": "g", "provider": "google", "client_id": "c"})).ok(201);
    api.get("/v1/apps/g/guide").problem(422, "not_available_yet");
}

#[test]
fn a_service_account_has_a_guide_of_google_s_steps() {
    let (_data, _running, api) = served("https://mail.firma.test/");
    let app = json!({"id": "g", "provider": "google", "domains": ["makler.test"],
        "scopes": ["https://www.googleapis.com/auth/gmail.imap_admin"]});
    api.post("/v1/apps", &app).ok(201);
    for (language, words) in [
        (
            "en",
            ["Gmail API", "Add key > Create new key > JSON", "Domain-wide delegation", "Super administrator"],
        ),
        ("de", ["Gmail API", "Neuen Schlüssel erstellen > JSON", "Domainweite Delegierung", "Super Admin"]),
    ] {
        let guide = api.get(&format!("/v1/apps/g/guide?way=service_account&language={language}")).ok(200);
        for word in words.into_iter().chain(["<client id>", "auth/gmail.imap_admin", "makler.test"]) {
            assert!(steps(&guide).contains(word), "{word} is missing: {}", steps(&guide));
        }
        assert_eq!((&guide["scripts"], &guide["redirect_uri"]), (&json!([]), &Value::Null));
    }
    let text = api.get("/v1/apps/g/guide?way=service_account&format=markdown").text();
    assert!(text.contains("```sh\ngcloud services enable") && !text.contains("powershell"), "{text}");
    api.get("/v1/apps/o365/guide?way=service_account").problem(422, "no_such_way");
}

#[test]
fn an_address_that_entra_refuses_is_said_to_be_one() {
    let (_data, _running, api) = served("http://mail.firma.test/");
    let notes = api.get("/v1/apps/o365/guide").ok(200)["notes"].clone();
    assert!(notes[0].as_str().unwrap().contains("http.public_url"), "{notes}");
    let app_only = api.get("/v1/apps/o365/guide?way=app_only").ok(200);
    assert!(!steps(&app_only).contains("redirect URI that the consent link"), "{app_only}");
    assert!(!app_only["consent_url"].as_str().unwrap().contains("redirect_uri"));
    let refused = api.post("/v1/apps/o365/verify", &json!({"sign_in": true}));
    refused.problem(409, "redirect_unreachable");
    assert_eq!(api.get("/v1/apps/o365/guide?way=device").ok(200)["notes"], json!([]));
}
