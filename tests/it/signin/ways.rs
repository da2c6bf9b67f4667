//! The other ways in: an address that is pasted, a code that is typed in elsewhere, somebody else whom an administrator
//! accepts, one link for all mailboxes of a person; and the registration that the original guide makes.

use crate::signin::link::{ANNA, BEN, Link, Scene, scene, scene_with};
use crate::support::api::Answer;
use crate::support::engine::{Running, config};
use crate::world::entra::{App, Instead, Platform, Redirect};
use serde_json::{Value, json};
use stafette::domain::GrantWay;
use stafette::store::SignInState;

const NATIVE: &str = "https://login.microsoftonline.com/common/oauth2/nativeclient";

/// As the guide registers it: a client secret, the native redirect, one tenant, delegated permissions.
fn as_the_guide_registers(app: App, tenant: String) -> App {
    let redirects = vec![Redirect { uri: NATIVE.into(), platform: Platform::Native }];
    App { redirects, single_tenant: Some(tenant), public_client_flows: true, ..app }
}

fn guide_scene() -> Scene {
    scene_with(
        |options| options.device_interval = 1,
        |world| {
            let entra = world.entra();
            entra.put_app(as_the_guide_registers(entra.web_app(), entra.tenant_id()));
        },
    )
}

impl Scene {
    fn link_by(&self, way: &str) -> Link {
        let made = self.api.post("/v1/mailboxes/anna/sign-in", &json!({"ways": [way]})).ok(201);
        Link { id: made["id"].as_str().unwrap().into(), url: made["url"].as_str().unwrap().into() }
    }

    fn form(&self, url: &str, fields: &[(&str, &str)]) -> Answer {
        self.api.outcome(self.api.send(self.api.bare("POST", url).form(fields)))
    }

    /// Presses the button of the paste page: where the provider is.
    fn provider(&self, link: &Link) -> String {
        let page = self.form(&link.url, &[("way", "native")]);
        assert_eq!(page.status, 200, "{}", page.text());
        assert!(page.text().contains("stays empty, that is right"), "{}", page.text());
        let text = page.text();
        let href = text.split("id=\"provider\" href=\"").nth(1).unwrap().split('"').next().unwrap();
        href.replace("&amp;", "&")
    }

    fn shown(&self, link: &Link) -> Value {
        self.api.get(&format!("/v1/sign-ins/{}", link.id)).ok(200)
    }

    fn until_sign_in(&self, link: &Link, wanted: SignInState) {
        self.running.wait_or(
            "the sign-in's state",
            || (self.row(link).value.state == wanted).then_some(()),
            || format!("{:?}", self.row(link).value.state),
        );
    }

    fn refreshes_thrice(&self) {
        for _ in 0..3 {
            self.api.post("/v1/mailboxes/anna/refresh-token", &Value::Null).ok(200);
        }
        let grant = self.api.get("/v1/mailboxes/anna").ok(200)["grant"].clone();
        assert_eq!(grant["last_refresh"]["result"], "ok");
        let sent = self
            .world
            .entra()
            .log()
            .into_iter()
            .filter(|entry| entry.sent_secret && entry.endpoint == "token");
        assert_eq!(sent.count(), 0, "a client without a secret was asked with one");
    }
}

#[test]
fn the_guides_registration_works_by_a_pasted_address_over_three_refreshes() {
    let scene = guide_scene();
    let link = scene.link_by("native");
    let landed = scene.world.click_account(&scene.provider(&link), ANNA).unwrap();
    assert!(landed.starts_with(NATIVE), "{landed}");
    let done = scene.form(&format!("{}/paste", link.url), &[("address", &format!("  {landed} \n"))]);
    assert_eq!(done.status, 200, "{}", done.text());
    assert_eq!(scene.grant().unwrap().way, GrantWay::Native);
    scene.until_live();
    scene.refreshes_thrice();
}

#[test]
fn the_guides_registration_works_by_device_code_over_three_refreshes() {
    let scene = guide_scene();
    let link = scene.link_by("device");
    let page = scene.form(&link.url, &[("way", "device")]);
    assert_eq!((page.status, page.header("location")), (303, link.url.as_str()));
    let shown = scene.shown(&link);
    let code = shown["device"]["user_code"].as_str().unwrap().to_owned();
    let page = scene.api.send(scene.api.bare("GET", &link.url)).text();
    // a frame waits, not the page, whose reader is not disturbed
    let status = format!("{}/status", link.url);
    let frame = || scene.api.send(scene.api.bare("GET", &status));
    let waits = |text: &str| text.contains("http-equiv=\"refresh\"");
    assert!(page.contains(&code) && page.contains(&format!("src=\"{status}\"")) && !waits(&page), "{page}");
    assert!(waits(&frame().text()));
    assert!(frame().header("content-security-policy").ends_with("frame-ancestors 'self'"));
    assert!(scene.world.entra().approve_device(&code, ANNA));
    scene.until_sign_in(&link, SignInState::Done);
    let over = frame().text();
    assert!(!waits(&over) && over.contains(&format!("href=\"{}/outcome\"", link.url)), "{over}");
    let page = scene.api.send(scene.api.bare("GET", &link.url));
    assert!(page.status == 200 && page.text().contains("Your mailbox is connected"), "{}", page.text());
    assert!(page.header("content-security-policy").ends_with("frame-ancestors 'none'"));
    assert_eq!(scene.grant().unwrap().way, GrantWay::Device);
    scene.until_live();
    scene.refreshes_thrice();
}

#[test]
fn a_restart_in_the_middle_of_a_device_code_goes_on_polling() {
    let scene = guide_scene();
    let link = scene.link_by("device");
    scene.form(&link.url, &[("way", "device")]);
    let code = scene.shown(&link)["device"]["user_code"].as_str().unwrap().to_owned();
    let Scene { world, data, running, api, proxy } = scene;
    let mut again = config(&world, data.path());
    again.http.listen = api.base.trim_start_matches("http://").parse().unwrap();
    drop((running, api));
    world.entra().next("token", Instead::status(503));
    assert!(world.entra().approve_device(&code, ANNA));
    let (running, api) = Running::serve(&again);
    let scene = Scene { world, data, running, api, proxy };
    scene.until_sign_in(&link, SignInState::Done);
    scene.until_live();
}

#[test]
fn a_device_code_ends_as_the_provider_says_and_the_link_stays_good() {
    let scene = guide_scene();
    for (error, number, state) in [
        ("access_denied", 65_004, SignInState::Declined),
        ("authorization_declined", 70_016, SignInState::Declined),
        ("expired_token", 70_020, SignInState::Waiting),
        ("bad_verification_code", 70_018, SignInState::Waiting),
    ] {
        let link = scene.link_by("device");
        scene.world.entra().next("token", Instead { error: Some(error.into()), ..Instead::aadsts(number) });
        scene.form(&link.url, &[("way", "device")]);
        scene.until_sign_in(&link, state);
        assert!(scene.grant().is_none() && scene.row(&link).value.device.is_none());
        assert_eq!(scene.api.send(scene.api.bare("GET", &link.url)).status, 200);
    }
}

#[test]
fn a_personal_account_s_device_code_is_polled_again_with_the_secret() {
    let scene = scene_with(|options| options.device_interval = 1, |_| {});
    let link = scene.link_by("device");
    let text = "AADSTS70002: The request body must contain the following parameter: 'client_secret'. It must include a \
                'client_secret' input parameter.";
    scene.world.entra().next("token", Instead::said("invalid_client", text));
    scene.form(&link.url, &[("way", "device")]);
    let code = scene.shown(&link)["device"]["user_code"].as_str().unwrap().to_owned();
    scene.running.wait("a poll with the secret", || {
        let log = scene.world.entra().log();
        log.iter().any(|entry| entry.endpoint == "token" && entry.sent_secret).then_some(())
    });
    assert!(scene.world.entra().approve_device(&code, ANNA));
    scene.until_sign_in(&link, SignInState::Done);
    scene.until_live();
}

#[test]
fn a_policy_against_device_codes_leads_to_the_other_ways() {
    let scene = guide_scene();
    let made = scene.api.post("/v1/mailboxes/anna/sign-in", &json!({"ways": ["device", "native"]})).ok(201);
    let link = Link { id: made["id"].as_str().unwrap().into(), url: made["url"].as_str().unwrap().into() };
    let text =
        "AADSTS530036: Authentication failed because the device code flow is blocked by Conditional Access.";
    scene.world.entra().next("token", Instead::said("invalid_grant", text));
    scene.form(&link.url, &[("way", "device")]);
    scene.until_sign_in(&link, SignInState::Declined);
    assert_eq!(scene.shown(&link)["diagnosis"]["code"], "device_code_blocked");
    let page = scene.api.send(scene.api.bare("GET", &link.url)).text();
    assert!(page.contains("value=\"native\"") && !page.contains("value=\"device\""), "{page}");
    let landed = scene.world.click_account(&scene.provider(&link), ANNA).unwrap();
    let done = scene.form(&format!("{}/paste", link.url), &[("address", &landed)]);
    assert_eq!(done.status, 200, "{}", done.text());
    scene.until_live();
}

#[test]
fn a_device_code_is_polled_more_slowly_when_asked_to_and_through_an_outage() {
    let scene = guide_scene();
    let link = scene.link_by("device");
    scene.world.entra().next("token", Instead::status(503));
    scene.world.entra().next("token", Instead { error: Some("slow_down".into()), ..Instead::aadsts(70_016) });
    scene.form(&link.url, &[("way", "device")]);
    scene.running.wait("the longer interval", || {
        scene.row(&link).value.device.is_some_and(|code| code.interval == 6).then_some(())
    });
    let code = scene.shown(&link)["device"]["user_code"].as_str().unwrap().to_owned();
    assert!(scene.world.entra().approve_device(&code, ANNA));
    scene.until_sign_in(&link, SignInState::Done);
}

#[test]
fn a_pasted_address_that_does_not_answer_this_sign_in_is_told_apart() {
    let scene = guide_scene();
    let (link, other) = (scene.link_by("native"), scene.link_by("native"));
    let paste = format!("{}/paste", link.url);
    let api = format!("/v1/sign-ins/{}/paste", link.id);
    scene.api.post(&api, &json!({"address": "https://x/?code=1&state=2"})).problem(422, "not_started");
    let landed = scene.world.click_account(&scene.provider(&link), ANNA).unwrap();
    let others = scene.world.click_account(&scene.provider(&other), ANNA).unwrap();
    for (address, code) in [(NATIVE, "no_code"), ("hello", "no_code"), (&others, "other_sign_in")] {
        let problem = scene.api.post(&api, &json!({"address": address})).problem(422, code);
        assert!(problem["detail"].as_str().unwrap().contains("address"), "{problem}");
    }
    assert_eq!(scene.world.entra().count("token"), 0, "nothing was redeemed");
    let wrong = scene.form(&paste, &[("address", &others)]);
    assert_eq!(wrong.status, 422);
    assert!(wrong.text().contains("another sign-in") && wrong.text().contains("id=\"provider\""));
    // the page led to a fresh visit: the older answer is refused, a new one is taken, over the API as well
    let stale = scene.form(&paste, &[("address", &landed)]);
    assert_eq!(stale.status, 422);
    let landed = scene.world.click_account(&scene.provider(&link), ANNA).unwrap();
    assert_eq!(scene.api.post(&api, &json!({"address": landed})).ok(200)["state"], "done");
    scene.until_live();
}

#[test]
fn an_administrator_accepts_a_colleague_and_nobody_else() {
    let scene = scene();
    let link = scene.link();
    let accept = format!("/v1/sign-ins/{}/accept", link.id);
    scene.api.post(&accept, &Value::Null).problem(409, "nothing_to_accept");
    assert_eq!(scene.come_back(&scene.choose(&link, BEN)).status, 403);
    assert_eq!((scene.proxy.accepted(), scene.grant()), (0, None), "nothing was read of the other mailbox");
    // without a right on the mailbox the server refuses him, and his grant is dropped
    scene.api.post(&accept, &Value::Null).ok(200);
    assert_ne!(scene.state(&link), "done");
    assert!(scene.grant().is_none() && scene.row(&link).value.candidate.is_none());
    // with it he is put in place
    scene.world.entra().delegate(BEN, ANNA);
    assert_eq!(scene.come_back(&scene.choose(&link, BEN)).status, 403);
    assert_eq!(scene.api.post(&accept, &Value::Null).ok(200)["state"], "done");
    let grant = scene.grant().unwrap();
    assert_eq!(grant.signed_in_as.unwrap().name, BEN);
    scene.until_live();
    scene.api.post(&accept, &Value::Null).problem(409, "nothing_to_accept");
}

#[test]
fn an_accepted_colleague_is_tried_again_when_the_server_is_back() {
    let scene = scene();
    let link = scene.link();
    scene.world.entra().delegate(BEN, ANNA);
    assert_eq!(scene.come_back(&scene.choose(&link, BEN)).status, 403);
    scene.proxy.refuse(true);
    let accepted = scene.api.post(&format!("/v1/sign-ins/{}/accept", link.id), &Value::Null).ok(200);
    assert_eq!(accepted["state"], "probing", "{accepted}");
    scene.proxy.refuse(false);
    scene.running.wait("the grant", || scene.grant());
    scene.until_live();
    assert_eq!(scene.state(&link), "done");
}

#[test]
fn one_link_lists_all_mailboxes_of_its_owner_and_none_of_others() {
    let scene = scene();
    let mailbox = |id: &str, owner: &str| {
        json!({"id": id, "address": format!("{id}@makler.test"), "auth": {"kind": "oauth", "app": "o365"},
            "owner": {"ref": owner}, "imap": {"host": "localhost", "port": scene.proxy.port, "security": "tls"}, "smtp": null})
    };
    scene.api.patch("/v1/mailboxes/anna", &json!({"owner": {"ref": "crm-17"}})).ok(200);
    scene.api.post("/v1/mailboxes", &mailbox("info", "crm-17")).ok(201);
    scene.api.post("/v1/mailboxes", &mailbox("ben", "crm-18")).ok(201);
    let link = scene.link();
    let page = scene.api.send(scene.api.bare("GET", &link.url)).text();
    assert!(page.contains("info@makler.test") && !page.contains(BEN), "{page}");
    let started = scene.form(&format!("{}/for/info", link.url), &[]);
    assert_eq!(started.status, 303);
    let page = scene.api.send(scene.api.bare("GET", started.header("location"))).text();
    assert!(page.contains("<b>info@makler.test</b>"), "{page}");
    let again = scene.form(&format!("{}/for/info", link.url), &[]);
    assert_eq!(again.header("location"), started.header("location"), "one, however often it is pressed");
    assert_eq!(scene.api.send(scene.api.bare("POST", started.header("location"))).status, 303);
    let begun = scene.form(&format!("{}/for/info", link.url), &[]);
    assert_eq!(begun.header("location"), started.header("location"), "one that was begun can be begun anew");
    assert_eq!(scene.form(&format!("{}/for/ben", link.url), &[]).status, 410, "not his");

    // a link that did its work still shows what is left, and leads there
    let done = scene.come_back(&scene.choose(&link, ANNA)).text();
    assert!(done.contains("Left to do for you") && done.contains("info@makler.test"), "{done}");
    let onward = scene.form(&format!("{}/for/info", link.url), &[]);
    assert_eq!(onward.header("location"), started.header("location"));
    // what the provider ends later is not told as connected
    scene.until_live();
    scene.world.entra().revoke(ANNA);
    scene.world.entra().expire_access_tokens();
    scene.world.kick(ANNA);
    let anna = scene.running.stored("anna").incarnation;
    scene
        .running
        .until(anna, "needs_sign_in", |status| status.state == stafette::domain::MailboxState::NeedsSignIn);
    let page = scene.api.send(scene.api.bare("GET", &link.url)).text();
    assert!(page.contains("has ended since") && !page.contains("is connected"), "{page}");
    scene.write(&link, |sign_in| sign_in.expires_at = stafette::clock::now());
    assert_eq!(scene.form(&format!("{}/for/info", link.url), &[]).status, 410);
    let page = scene.api.send(scene.api.bare("GET", &link.url)).text();
    assert!(!page.contains("info@makler.test"), "{page}");
}

#[test]
fn a_user_reads_what_helps_him_and_no_administrator_s_steps() {
    let scene = scene();
    let link = scene.link();
    let refused_with =
        |error, text| scene.come_back(&scene.refusal_of(&scene.press(&link), error, text)).text();
    let page =
        refused_with("access_denied", "AADSTS53003: Access has been blocked by Conditional Access policies.");
    assert!(page.contains("not your fault") && page.contains("<code>conditional_access</code>"), "{page}");
    assert!(!page.contains("admin center") && !page.contains("button primary"), "{page}");
    let page = refused_with("temporarily_unavailable", "AADSTS90033: A transient error has occurred.");
    assert!(page.contains("Try again in a few minutes") && page.contains("button primary"), "{page}");
}

#[test]
fn a_user_is_led_back_to_the_application_whatever_came_of_it() {
    let allow = |config: &mut stafette::config::Config| {
        config.signin.return_to = vec!["https://crm.example/".parse().unwrap()];
    };
    let scene = crate::signin::link::scene_configured(allow);
    let ask = |to: &str| scene.api.post("/v1/mailboxes/anna/sign-in", &json!({"return_to": to}));
    ask("https://crm.example.evil.example/").problem(422, "invalid_field");
    let made = ask("https://crm.example/settings?tab=mail").ok(201);
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    let link = Link { id: text("id"), url: text("url") };
    let back = |state: &str| {
        format!("href=\"https://crm.example/settings?tab=mail&amp;sign_in={}&amp;state={state}\"", link.id)
    };
    let wrong = scene.come_back(&scene.choose(&link, BEN)).text();
    assert!(wrong.contains(&back("wrong_account")), "{wrong}");
    let done = scene.come_back(&scene.choose(&link, ANNA)).text();
    assert!(done.contains(&back("done")), "{done}");
}
