//! The stand-in's users who grant less than was asked for, Google's sign-in, and errors word for word, all directed as
//! another process would: by `/control/…`.

use crate::world::entra::google::SCOPE;
use crate::world::entra::model::PERSONAL_TENANT;
use crate::world::entra::{Entra, IMAP_SCOPE, MAIL_SCOPES, SMTP_SCOPE};
use crate::world::{World, http};
use serde_json::{Value, json};

const ANNA: &str = "anna@makler.test";
const PAUL: &str = "paul@outlook.test";
const REDIRECT: &str = "http://127.0.0.1:1/sign-in/callback";
const VERIFIER: &str = "a-verifier-that-is-long-enough-for-the-specification-0123";

fn world() -> World {
    World::builder().mailbox(ANNA).without_postfix().start()
}

fn control(entra: &Entra, name: &str, value: &Value) {
    let answer = http::post_json(&format!("{}/control/{name}", entra.authority_url()), value).unwrap();
    assert_eq!(answer.status, 200, "{name}: {}", answer.text());
}

fn scopes(value: &Value) -> Vec<&str> {
    let text = value["scope"].as_str().unwrap_or_else(|| panic!("no scope in {value}"));
    text.split(' ').collect()
}

/// The code that a click on the page with these fields brings back.
fn code_of(page: &str, fields: &[(&str, &str)]) -> String {
    let answer = http::post_form(page, fields).unwrap();
    let location = answer.header("location").unwrap_or_else(|| panic!("{}", answer.text()));
    http::parameter(location, "code").unwrap_or_else(|| panic!("no code in {location}"))
}

/// A request of the web application to a token endpoint.
fn ask(entra: &Entra, address: &str, fields: &[(&str, &str)]) -> Value {
    let app = entra.web_app();
    let client = [("client_id", app.client_id.as_str()), ("client_secret", app.secret())];
    http::post_form(address, &[&client, fields].concat()).unwrap().value()
}

/// A sign-in at Entra under `consumers`; what the token endpoint answered.
fn sign_in(entra: &Entra, fields: &[(&str, &str)]) -> Value {
    let client = entra.web_app().client_id;
    let page = entra.authorize_url("consumers", &client, REDIRECT, MAIL_SCOPES, VERIFIER);
    let code = code_of(&page, fields);
    let redeemed = [
        ("grant_type", "authorization_code"),
        ("redirect_uri", REDIRECT),
        ("code", code.as_str()),
        ("code_verifier", VERIFIER),
        ("scope", MAIL_SCOPES),
    ];
    ask(entra, &entra.endpoint("consumers", "token"), &redeemed)
}

#[test]
fn a_personal_account_grants_what_is_ticked_and_the_answers_say_so() {
    let world = world();
    let entra = world.entra();
    control(entra, "user", &json!({"address": PAUL, "personal": true}));
    assert_eq!(entra.user(PAUL).unwrap().tenant_id, PERSONAL_TENANT);
    assert_eq!(scopes(&sign_in(entra, &[("account", PAUL)])), [IMAP_SCOPE, SMTP_SCOPE]);
    let partial = sign_in(entra, &[("account", PAUL), ("without", SMTP_SCOPE)]);
    assert_eq!(scopes(&partial), [IMAP_SCOPE], "though both were asked for again");
    let token = partial["refresh_token"].as_str().unwrap();
    let fields = [("grant_type", "refresh_token"), ("refresh_token", token), ("scope", MAIL_SCOPES)];
    let refreshed = ask(entra, &entra.endpoint("consumers", "token"), &fields);
    assert_eq!(scopes(&refreshed), [IMAP_SCOPE], "and a refresh widens nothing");
}

#[test]
fn work_accounts_tick_nothing_and_each_kind_has_its_own_address() {
    let world = world();
    let entra = world.entra();
    entra.add_personal_user(PAUL);
    let client = entra.web_app().client_id;
    let page = |tenant: &str| entra.authorize_url(tenant, &client, REDIRECT, MAIL_SCOPES, VERIFIER);
    let offered = |tenant: &str| {
        let text = http::get(&page(tenant)).unwrap().text();
        (text.contains(ANNA), text.contains(PAUL), text.contains("name=\"without\""))
    };
    assert_eq!(offered("organizations"), (true, false, false));
    assert_eq!(offered("consumers"), (false, true, true));
    assert_eq!(offered("common"), (true, true, true));
    let refused = http::post_form(&page("organizations"), &[("account", PAUL)]).unwrap();
    assert!(refused.text().contains("AADSTS50020:"), "{}", refused.text());
    let code = code_of(&page("common"), &[("account", ANNA), ("without", SMTP_SCOPE)]);
    let fields = [
        ("grant_type", "authorization_code"),
        ("redirect_uri", REDIRECT),
        ("code", code.as_str()),
        ("code_verifier", VERIFIER),
    ];
    let tokens = ask(entra, &entra.endpoint("common", "token"), &fields);
    assert_eq!(scopes(&tokens), [IMAP_SCOPE, SMTP_SCOPE], "a work account grants all or nothing");
}

#[test]
fn an_error_is_scripted_word_for_word() {
    let world = world();
    let entra = world.entra();
    let words = "AADSTS70002: The provided request must include a 'client_secret' input parameter.";
    let next = |answer: Value| {
        control(entra, "next", &json!({"endpoint": "token", "answer": answer}));
        entra.post_token("consumers", &[]).unwrap()
    };
    let (status, value) = next(json!({"aadsts": 70_002, "description": words}));
    assert_eq!(
        (status, &value["error"], &value["error_description"]),
        (401, &json!("invalid_client"), &json!(words))
    );
    assert!(value["trace_id"].is_string() && value["error_codes"] == json!([70_002]), "{value}");
    let words = "AADSTS90023: Public clients can't send a client secret.";
    let (status, value) = next(json!({"aadsts": 90_023, "description": words, "status": 401}));
    assert_eq!(
        (status, &value["error"], &value["error_description"]),
        (401, &json!("invalid_request"), &json!(words))
    );
    let claims = "{\"access_token\":{\"acrs\":{\"essential\":true,\"value\":\"c1\"}}}";
    let (_, value) = next(json!({"aadsts": 53_003, "claims": claims, "suberror": "additional_action"}));
    assert_eq!((&value["claims"], &value["suberror"]), (&json!(claims), &json!("additional_action")));
    // without a number nothing is added: that is how Google answers
    let answer = json!({"error": "invalid_grant", "description": "Account has been deleted"});
    let plain = json!({"error": "invalid_grant", "error_description": "Account has been deleted"});
    assert_eq!(next(answer), (400, plain));
    let (status, genuine) = entra.post_token("consumers", &[]).unwrap();
    assert_eq!((status, &genuine["error_codes"]), (400, &json!([900_144])), "scripts end");
}

/// A sign-in at Google; what the token endpoint answered.
fn google(entra: &Entra, more: &[(&str, &str)], fields: &[(&str, &str)]) -> Value {
    let client = entra.web_app().client_id;
    let scope = format!("{SCOPE} openid email");
    let asked = [
        ("client_id", client.as_str()),
        ("redirect_uri", REDIRECT),
        ("response_type", "code"),
        ("scope", scope.as_str()),
    ];
    let query = String::from_utf8(http::form(&[&asked, more].concat())).unwrap();
    let page = format!("{}/o/oauth2/v2/auth?{query}", entra.authority_url());
    let code = code_of(&page, fields);
    let redeemed =
        [("grant_type", "authorization_code"), ("redirect_uri", REDIRECT), ("code", code.as_str())];
    ask(entra, &format!("{}/token", entra.authority_url()), &redeemed)
}

#[test]
fn google_gives_a_refresh_token_when_asked_and_names_what_was_granted() {
    let world = world();
    let entra = world.entra();
    const EMAIL: &str = "https://www.googleapis.com/auth/userinfo.email";
    let online = google(entra, &[("prompt", "consent")], &[("account", ANNA)]);
    assert!(online["refresh_token"].is_null(), "only for access_type=offline: {online}");
    let offline = [("access_type", "offline")];
    let again = google(entra, &offline, &[("account", ANNA)]);
    assert!(again["refresh_token"].is_null(), "only with a consent: {again}");
    let consented = [("access_type", "offline"), ("prompt", "consent")];
    let all = google(entra, &consented, &[("account", ANNA)]);
    assert!(all["refresh_token"].is_string() && all["refresh_token_expires_in"].is_null(), "{all}");
    assert_eq!(scopes(&all), [SCOPE, "openid", EMAIL]);
    let partial = google(entra, &consented, &[("account", ANNA), ("without", SCOPE)]);
    assert_eq!(scopes(&partial), ["openid", EMAIL]);
}

#[test]
fn a_sign_in_at_google_rotates_and_in_testing_ends() {
    let world = world();
    let entra = world.entra();
    control(entra, "settings", &json!({"google_testing": true}));
    control(entra, "rotation", &json!({"mode": "strict"}));
    let consented = [("access_type", "offline"), ("prompt", "consent")];
    let tokens = google(entra, &consented, &[("account", ANNA)]);
    assert_eq!(tokens["refresh_token_expires_in"], 604_799, "{tokens}");
    let refresh = |tokens: &Value| {
        let token = tokens["refresh_token"].as_str().unwrap();
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
        ask(entra, &format!("{}/token", entra.authority_url()), &fields)
    };
    let next = refresh(&tokens);
    assert!(next["access_token"].is_string() && next["refresh_token"] != tokens["refresh_token"], "{next}");
    control(entra, "revoke", &json!({"user": ANNA}));
    let ended = json!({"error": "invalid_grant", "error_description": "Token has been expired or revoked."});
    assert_eq!(refresh(&next), ended);
}
