//! The Entra ID stand-in's own tests: device code, consent, the form of refusals, id_tokens, and what can be scripted.

use crate::world::entra::{App, Dropping, Entra, Instead, Platform, Rotation};
use crate::world::imap::Imap;
use crate::world::{World, http};
use serde_json::{Value, json};
use std::time::Duration;

const ANNA: &str = "anna@makler.test";
const SCOPES: &str = "https://outlook.office.com/IMAP.AccessAsUser.All offline_access openid profile";

fn world() -> World {
    World::builder().mailbox(ANNA).without_postfix().start()
}

fn device_app(entra: &Entra) -> App {
    let app = App { allows_device_code: true, ..entra.native_app() };
    entra.put_app(app.clone());
    app
}

fn begin_device(entra: &Entra, app: &App) -> Value {
    let pairs = [("client_id", app.client_id.as_str()), ("scope", SCOPES)];
    http::post_form(&entra.endpoint("organizations", "devicecode"), &pairs).unwrap().value()
}

fn poll(entra: &Entra, app: &App, device_code: &str) -> (u16, Value) {
    let pairs = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("client_id", app.client_id.as_str()),
        ("device_code", device_code),
    ];
    entra.post_token("organizations", &pairs).unwrap()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

#[test]
fn a_device_waits_until_somebody_decides() {
    let world = world();
    let entra = world.entra();
    let app = device_app(entra);
    let begun = begin_device(entra, &app);
    assert!(begun["verification_uri_complete"].is_null(), "Entra gives none");
    let code = text(&begun, "device_code");
    let (status, pending) = poll(entra, &app, code);
    assert_eq!((status, text(&pending, "error")), (400, "authorization_pending"));
    let fields = [("user_code", text(&begun, "user_code")), ("account", ANNA)];
    let page = http::post_form(text(&begun, "verification_uri"), &fields).unwrap();
    assert!(page.text().contains("You have signed in"), "{}", page.text());
    let (status, tokens) = poll(entra, &app, code);
    assert_eq!(status, 200, "{tokens}");
    assert!(tokens["refresh_token"].is_string() && tokens["id_token"].is_string());
    Imap::xoauth2(world.imap_port(), ANNA, text(&tokens, "access_token")).unwrap();
    assert_eq!(text(&poll(entra, &app, code).1, "error"), "bad_verification_code", "a code serves once");
}

#[test]
fn a_device_is_declined_expires_or_is_not_allowed() {
    let world = world();
    let entra = world.entra();
    let app = device_app(entra);
    let begun = begin_device(entra, &app);
    assert!(entra.decline_device(text(&begun, "user_code")));
    assert_eq!(text(&poll(entra, &app, text(&begun, "device_code")).1, "error"), "authorization_declined");
    let begun = begin_device(entra, &app);
    entra.with_options(|options| options.device_code_seconds = 0);
    assert_eq!(text(&poll(entra, &app, text(&begun, "device_code")).1, "error"), "expired_token");
    assert_eq!(text(&poll(entra, &app, "unheard-of").1, "error"), "bad_verification_code");
    entra.put_app(App { allows_device_code: false, ..app.clone() });
    assert_eq!(begin_device(entra, &app)["error_codes"], json!([70_002]));
}

#[test]
fn without_an_admins_consent_users_are_refused_and_an_app_only_token_opens_nothing() {
    let world = world();
    let entra = world.entra();
    let app = App { needs_admin_consent: true, ..entra.daemon_app() };
    entra.put_app(app.clone());
    let app_only = || {
        let pairs = [
            ("grant_type", "client_credentials"),
            ("client_id", app.client_id.as_str()),
            ("client_secret", app.secret()),
            ("scope", "https://outlook.office365.com/.default"),
        ];
        let (status, tokens) = entra.post_token(&entra.tenant_id(), &pairs).unwrap();
        assert_eq!(status, 200, "{tokens}");
        text(&tokens, "access_token").to_owned()
    };
    assert!(Imap::xoauth2(world.imap_port(), ANNA, &app_only()).is_err());
    let web = App { needs_admin_consent: true, ..entra.web_app() };
    entra.put_app(web.clone());
    let redirect = "http://127.0.0.1:1/sign-in/callback";
    let url = entra.authorize_url("organizations", &web.client_id, redirect, SCOPES, &"v".repeat(43));
    let refused = entra.click_account(&url, ANNA).unwrap();
    let is_as_if_cancelled = ["error=access_denied", "error_subcode=cancel", "AADSTS65004"];
    assert!(is_as_if_cancelled.iter().all(|part| refused.contains(part)), "{refused}");

    let link = |app: &App, redirect: &str| {
        let tenant = entra.tenant_id();
        let query = http::form(&[("client_id", &app.client_id), ("redirect_uri", redirect), ("state", "s")]);
        let query = String::from_utf8(query).unwrap();
        format!("{}/{tenant}/v2.0/adminconsent?{query}", entra.authority_url())
    };
    let back = "http://127.0.0.1:1/consent/callback";
    let declined = http::post_form(&link(&app, back), &[("decline", "1")]).unwrap();
    assert!(declined.header("location").unwrap().contains("error=permission_denied"));
    assert!(Imap::xoauth2(world.imap_port(), ANNA, &app_only()).is_err());
    for (app, back) in [(&app, back), (&web, redirect)] {
        let accepted = http::post_form(&link(app, back), &[("accept", "1")]).unwrap();
        let location = accepted.header("location").unwrap().to_owned();
        assert!(
            location.contains("admin_consent=True") && location.contains(&entra.tenant_id()),
            "{location}"
        );
    }
    Imap::xoauth2(world.imap_port(), ANNA, &app_only()).unwrap();
    assert!(entra.click_account(&url, ANNA).unwrap().contains("code="));
}

#[test]
fn every_refusal_has_entras_form() {
    let world = world();
    let entra = world.entra();
    for (code, error, status) in [
        (7_000_215, "invalid_client", 401),
        (7_000_222, "invalid_client", 401),
        (700_016, "unauthorized_client", 400),
        (90_002, "invalid_request", 400),
        (70_011, "invalid_scope", 400),
        (50_076, "interaction_required", 400),
        (50_173, "invalid_grant", 400),
        (65_001, "invalid_grant", 400),
        (90_033, "temporarily_unavailable", 503),
        (90_055, "temporarily_unavailable", 429),
        (123_456, "invalid_grant", 400),
    ] {
        entra.next("token", Instead::aadsts(code));
        let (answered, value) = entra.post_token("common", &[]).unwrap();
        assert_eq!((answered, text(&value, "error")), (status, error), "{code}");
        let description = text(&value, "error_description");
        assert!(description.starts_with(&format!("AADSTS{code}: ")), "{description}");
        let (trace, correlation) = (text(&value, "trace_id"), text(&value, "correlation_id"));
        assert!(description.contains(&format!("\r\nTrace ID: {trace}\r\nCorrelation ID: {correlation}\r\n")));
        assert_eq!(value["error_codes"], json!([code]));
        assert!(text(&value, "error_uri").ends_with(&format!("code={code}")));
    }
}

#[test]
fn an_id_token_is_signed_and_says_who_signed_in() {
    let world = world();
    let entra = world.entra();
    let id_token = entra.sign_in(ANNA).id_token.unwrap();
    let tenant = entra.tenant_id();
    let metadata =
        http::get(&format!("{}/{tenant}/v2.0/.well-known/openid-configuration", entra.authority_url()));
    let metadata = metadata.unwrap().value();
    let keys = http::get(text(&metadata, "jwks_uri")).unwrap().value();
    let key = &keys["keys"][0];
    let decoding = jsonwebtoken::DecodingKey::from_rsa_components(text(key, "n"), text(key, "e")).unwrap();
    let mut checks = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
    checks.set_audience(&[entra.web_app().client_id]);
    checks.set_issuer(&[text(&metadata, "issuer")]);
    let claims = jsonwebtoken::decode::<Value>(&id_token, &decoding, &checks).unwrap().claims;
    let anna = entra.user(ANNA).unwrap();
    assert_eq!(text(&claims, "preferred_username"), ANNA);
    assert_eq!((text(&claims, "oid"), text(&claims, "tid")), (anna.oid.as_str(), tenant.as_str()));
    let mut forged = id_token.into_bytes();
    let place = forged.iter().position(|byte| *byte == b'.').unwrap() + 5;
    forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    assert!(jsonwebtoken::decode::<Value>(&forged, &decoding, &checks).is_err());
}

#[test]
fn unlucky_answers_come_as_scripted() {
    let world = world();
    let entra = world.entra();
    entra.set_rotation(Rotation::Strict);
    let token = entra.sign_in(ANNA).refresh_token.unwrap();
    let app = entra.web_app();
    let refresh = || {
        let pairs = [
            ("grant_type", "refresh_token"),
            ("client_id", app.client_id.as_str()),
            ("client_secret", app.secret()),
            ("refresh_token", token.as_str()),
        ];
        http::post_form(&entra.endpoint("organizations", "token"), &pairs)
    };
    entra.next("token", Instead::status(502));
    assert_eq!(refresh().unwrap().status, 502);
    entra.next("token", Instead::html());
    let page = refresh().unwrap();
    assert_eq!((page.status, page.value()), (200, Value::Null), "{}", page.text());
    entra.next("token", Instead::drop(Dropping::BeforeConsume));
    assert!(refresh().is_err());
    let log = entra.log();
    let consumed = log.iter().filter(|entry| entry.grant_type.as_deref() == Some("refresh_token"));
    assert_eq!(consumed.filter(|entry| entry.consumed_at_ms.is_some()).count(), 0);
    let started = stafette::clock::monotonic();
    entra.next("token", Instead::delay_ms(300));
    assert_eq!(refresh().unwrap().status, 200, "the token was never consumed before");
    assert!(stafette::clock::monotonic() - started >= Duration::from_millis(300));
    assert_eq!(refresh().unwrap().value()["error_codes"], json!([70_008]), "and now it was");
}

/// A code that a user of the web application brought back to this redirect.
fn code_of(entra: &Entra, client: &str, redirect: &str) -> String {
    let url = entra.authorize_url("organizations", client, redirect, SCOPES, &"v".repeat(43));
    http::parameter(&entra.click_account(&url, ANNA).unwrap(), "code").unwrap()
}

#[test]
fn codes_of_single_page_applications_are_for_browsers_and_those_of_the_web_are_not() {
    let world = world();
    let entra = world.entra();
    let app = entra.web_app();
    let spa = "http://localhost:1/spa";
    entra.add_redirect(&app.client_id, spa, Platform::Spa);
    let web = "http://127.0.0.1:1/sign-in/callback";
    let redeem = |redirect: &str, origin: Option<&str>| {
        let verifier = "v".repeat(43);
        let code = code_of(entra, &app.client_id, redirect);
        let pairs = [
            ("grant_type", "authorization_code"),
            ("client_id", app.client_id.as_str()),
            ("client_secret", app.secret()),
            ("redirect_uri", redirect),
            ("code", code.as_str()),
            ("code_verifier", verifier.as_str()),
        ];
        let headers: Vec<(&str, &str)> = origin.map(|origin| ("Origin", origin)).into_iter().collect();
        let address = entra.endpoint("organizations", "token");
        http::post_form_with(&address, &pairs, &headers).unwrap().value()["error_codes"][0].as_u64()
    };
    assert_eq!(redeem(spa, None), Some(9_002_327));
    assert_eq!(redeem(spa, Some("http://localhost:1")), None);
    assert_eq!(redeem(web, Some("http://localhost:1")), Some(9_002_326));
    assert_eq!(redeem(web, None), None);
}

#[test]
fn a_redirect_is_https_or_loopback() {
    let world = world();
    let entra = world.entra();
    let app = entra.web_app();
    let page = |redirect: &str| {
        let url = entra.authorize_url("organizations", &app.client_id, redirect, SCOPES, &"v".repeat(43));
        http::get(&url).unwrap()
    };
    for host in ["mail.makler.test", "localhost.makler.test", "127.0.0.1.makler.test"] {
        let redirect = format!("http://{host}/sign-in/callback");
        let unknown = page(&redirect);
        assert!(unknown.status == 400 && unknown.text().contains("AADSTS50011:"), "{}", unknown.text());
        entra.add_redirect(&app.client_id, &redirect, Platform::Web);
        let insecure = page(&redirect);
        assert!(insecure.status == 400 && insecure.text().contains("AADSTS500117:"), "{}", insecure.text());
    }
    for redirect in ["https://mail.makler.test/sign-in/callback", "http://localhost:8/elsewhere"] {
        entra.add_redirect(&app.client_id, redirect, Platform::Web);
        assert_eq!(page(redirect).status, 200, "{redirect}");
    }
}

#[test]
fn an_app_that_another_tenant_never_consented_to_is_not_there() {
    let world = World::builder().mailbox(ANNA).mailbox("clara@kunde.test").without_postfix().start();
    let entra = world.entra();
    let app = App { needs_admin_consent: true, ..entra.daemon_app() };
    entra.put_app(app.clone());
    let pairs = [
        ("grant_type", "client_credentials"),
        ("client_id", app.client_id.as_str()),
        ("client_secret", app.secret()),
        ("scope", "https://outlook.office365.com/.default"),
    ];
    let (status, refusal) = entra.post_token(crate::world::entra::KUNDE_TENANT, &pairs).unwrap();
    assert_eq!((status, &refusal["error_codes"][0]), (401, &json!(7_000_229)), "{refusal}");
    let named = format!("AADSTS7000229: The client application {} is missing service", app.client_id);
    assert!(text(&refusal, "error_description").starts_with(&named), "{refusal}");
    assert_eq!(entra.post_token(&entra.tenant_id(), &pairs).unwrap().0, 200, "its own tenant knows it");
}

#[test]
fn a_confidential_client_proves_itself_for_a_device_code_by_either_name_of_the_grant() {
    let world = world();
    let entra = world.entra();
    let app = entra.web_app();
    let begun = |scope: &str| {
        let pairs = [("client_id", app.client_id.as_str()), ("scope", scope)];
        let address = entra.endpoint("organizations", "devicecode");
        http::post_form(&address, &pairs).unwrap().value()
    };
    for name in ["urn:ietf:params:oauth:grant-type:device_code", "device_code"] {
        let code = begun(SCOPES);
        let pairs = [
            ("grant_type", name),
            ("client_id", app.client_id.as_str()),
            ("device_code", text(&code, "device_code")),
        ];
        let poll = |pairs: &[(&str, &str)]| entra.post_token("organizations", pairs).unwrap().1;
        assert_eq!(poll(&pairs)["error_codes"][0], 7_000_218, "{name}");
        let with_secret = [pairs.to_vec(), vec![("client_secret", app.secret())]].concat();
        assert_eq!(poll(&with_secret)["error"], "authorization_pending", "{name}");
        assert!(entra.approve_device(text(&code, "user_code"), ANNA));
        assert!(poll(&with_secret)["refresh_token"].is_string(), "{name}");
    }
}
