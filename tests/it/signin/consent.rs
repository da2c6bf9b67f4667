//! Redirect and consent, proven by whoever comes back from the provider: an administrator by the consent link, or
//! anybody of the tenant by a trial sign-in of which nothing is kept.

use crate::signin::link::{ANNA, BEN, Scene, scene, scene_with};
use crate::support::api::Answer;
use crate::world::http;
use serde_json::{Value, json};
use stafette::domain::AppId;
use stafette::events::EventType;
use stafette::store::AppFacts;

impl Scene {
    fn verify(&self, order: &Value) -> Value {
        self.api.post("/v1/apps/o365/verify", order).ok(200)
    }

    /// What is said of redirect and consent.
    fn proven(&self) -> [String; 2] {
        let verified = self.verify(&json!({}));
        ["redirect", "consent"].map(|name| check(&verified, name)["result"].as_str().unwrap().to_owned())
    }

    fn consent_url(&self) -> String {
        self.api.get("/v1/apps/o365/guide").ok(200)["consent_url"].as_str().unwrap().to_owned()
    }

    /// The administrator presses a button on the provider's page: where he is sent.
    fn press_consent(&self, url: &str, button: &str) -> String {
        let answer = http::post_form(url, &[(button, "1")]).unwrap();
        assert_eq!(answer.status, 302, "{}", answer.text());
        answer.header("location").unwrap().to_owned()
    }

    fn trial(&self, account: &str) -> String {
        let verified = self.verify(&json!({"sign_in": true}));
        self.world.click_account(verified["sign_in"]["url"].as_str().unwrap(), account).unwrap()
    }

    fn facts(&self) -> AppFacts {
        self.running.store.app_facts(&AppId::new("o365").unwrap()).unwrap().value
    }

    fn german(&self, url: &str) -> Answer {
        self.api.send(self.api.bare("GET", url).header("accept-language", "de"))
    }
}

fn check<'a>(verified: &'a Value, name: &str) -> &'a Value {
    verified["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap()
}

const OPEN: &str = "not_yet_proved";

#[test]
fn a_consent_that_came_back_proves_itself_and_the_redirect() {
    let scene = scene();
    assert_eq!(scene.proven(), [OPEN, OPEN]);
    let back = scene.press_consent(&scene.consent_url(), "accept");
    assert!(back.contains("admin_consent=True") && back.contains("/sign-in/callback?"), "{back}");
    let page = scene.come_back(&back);
    assert_eq!((page.status, page.header("cache-control")), (200, "no-store"));
    assert!(
        page.text().contains("Consent has been given") && page.text().contains("o365"),
        "{}",
        page.text()
    );
    assert!(scene.german(&back).text().contains("Die Zustimmung ist erteilt"));
    assert_eq!(scene.proven(), ["ok", "ok"]);
    assert_eq!(scene.verify(&json!({}))["consent_url"].as_str().unwrap().split("&state=").count(), 2);
    // of another registration it says nothing
    scene.api.patch("/v1/apps/o365", &json!({"tenant": "kunde.test"})).ok(200);
    assert_eq!(scene.proven(), [OPEN, OPEN]);
}

#[test]
fn a_refused_consent_is_named_until_it_is_given() {
    let scene = scene();
    let page = scene.come_back(&scene.press_consent(&scene.consent_url(), "decline"));
    assert_eq!(page.status, 403);
    assert!(page.text().contains("Consent was not given"), "{}", page.text());
    let verified = scene.verify(&json!({}));
    assert_eq!((&verified["ok"], &check(&verified, "redirect")["result"]), (&json!(false), &json!("ok")));
    let consent = check(&verified, "consent");
    assert_eq!((&consent["result"], consent["diagnosis"]["code"].is_string()), (&json!("failed"), true));
    // Microsoft's own word for it, without a code
    let back = scene.press_consent(&scene.consent_url(), "decline");
    let (address, state) = (back.split('?').next().unwrap(), back.split("state=").nth(1).unwrap());
    let page = scene.come_back(&format!("{address}?error=permission_denied&state={state}"));
    assert_eq!(page.status, 403);
    let verified = scene.verify(&json!({}));
    assert_eq!(check(&verified, "consent")["diagnosis"]["code"], "admin_consent_required");
    scene.come_back(&scene.press_consent(&scene.consent_url(), "accept"));
    assert_eq!(scene.proven(), ["ok", "ok"]);
    // a provider in trouble takes nothing back
    let page = scene.come_back(&format!("{address}?error=temporarily_unavailable&state={state}"));
    assert_eq!(page.status, 403);
    assert_eq!(scene.proven(), ["ok", "ok"]);
}

#[test]
fn what_comes_back_from_elsewhere_counts_for_nothing() {
    let scene = scene();
    let back = scene.press_consent(&scene.consent_url(), "accept");
    let tenant = scene.world.entra().tenant_id();
    let other = scene.come_back(&back.replace(&tenant, crate::world::entra::KUNDE_TENANT));
    assert_eq!(other.status, 403);
    assert!(other.text().contains(crate::world::entra::KUNDE_TENANT), "{}", other.text());
    assert_eq!(scene.proven(), ["ok", "failed"]);
    // a state nobody gave out, and one that was tampered with
    let (address, query) = back.split_once('?').unwrap();
    let forged = query.replacen("state=app.", "state=app.A", 1);
    for query in [forged.as_str(), "admin_consent=True&state=app.", "admin_consent=True"] {
        assert_eq!(scene.come_back(&format!("{address}?{query}")).status, 400, "{query}");
    }
    assert_eq!(scene.proven(), ["ok", "failed"]);
    // an app that became another one meanwhile
    scene.api.patch("/v1/apps/o365", &json!({"client_id": "00000000-0000-4000-8000-000000000000"})).ok(200);
    let stale = scene.come_back(&back);
    assert_eq!(stale.status, 410);
    assert!(stale.text().contains("app guide"), "{}", stale.text());
}

#[test]
fn the_tenant_may_be_named_by_its_domain() {
    let scene = scene();
    scene.api.patch("/v1/apps/o365", &json!({"tenant": "makler.test"})).ok(200);
    let page = scene.come_back(&scene.press_consent(&scene.consent_url(), "accept"));
    assert_eq!(page.status, 200, "{}", page.text());
    assert_eq!(scene.proven(), ["ok", "ok"]);
}

#[test]
fn a_trial_sign_in_proves_redirect_and_consent_and_leaves_nothing_behind() {
    let scene = scene();
    // any account of the tenant: no mailbox is meant
    let back = scene.trial(BEN);
    let page = scene.come_back(&back);
    assert_eq!(page.status, 200, "{}", page.text());
    for word in ["The trial sign-in worked", BEN, "no token was kept"] {
        assert!(page.text().contains(word), "{word}: {}", page.text());
    }
    assert_eq!(scene.proven(), ["ok", "ok"]);
    assert!(scene.grant().is_none() && scene.running.store.sign_ins().unwrap().is_empty());
    let kinds = scene.running.events().into_iter().map(|event| event.kind);
    assert!(kinds.into_iter().all(|kind| kind == EventType::MailboxStateChanged), "nobody is told");
    assert!(scene.proxy.accepted() == 0, "no mailbox was opened");
    assert!(scene.facts().consent.unwrap().diagnosis.is_none());
    // a second look at the page redeems nothing, and takes nothing back
    let again = scene.german(&back);
    assert_eq!(again.status, 403);
    assert!(again.text().contains("Die Probeanmeldung hat nicht geklappt"), "{}", again.text());
    assert_eq!(scene.proven(), ["ok", "ok"]);
    let tokens = scene.world.entra().secrets();
    let Scene { running, data, api, .. } = scene;
    drop((running, api));
    crate::support::engine::until_released(data.path());
    let store = stafette::store::Store::open(&stafette::store::StoreConfig::at(data.path())).unwrap();
    let kept = store.app_facts(&AppId::new("o365").unwrap()).unwrap().value;
    assert!(kept.consent.is_some() && kept.redirect.is_some(), "it survives a restart");
    drop(store);
    for path in std::fs::read_dir(data.path().join("state")).unwrap().map(|entry| entry.unwrap().path()) {
        let bytes = if path.is_file() { std::fs::read(&path).unwrap() } else { continue };
        for token in tokens.iter().filter(|token| token.len() > 100) {
            assert!(!bytes.windows(token.len()).any(|part| part == token.as_bytes()), "{}", path.display());
        }
    }
}

#[test]
fn a_trial_that_needs_an_administrator_says_so_and_his_consent_mends_it() {
    let scene =
        scene_with(|options| options.apps.iter_mut().for_each(|app| app.needs_admin_consent = true), |_| {});
    let page = scene.come_back(&scene.trial(ANNA));
    assert_eq!(page.status, 403);
    assert!(page.text().contains("administrator"), "{}", page.text());
    let verified = scene.verify(&json!({}));
    assert_eq!(check(&verified, "redirect")["result"], "ok");
    // the page "Need admin approval" comes back as a cancel does: both are said, with the link
    let consent = &check(&verified, "consent")["diagnosis"];
    assert_eq!(consent["code"], "consent_declined");
    assert!(
        consent["remedy"]["commands"][0].as_str().unwrap().contains("/adminconsent?client_id="),
        "{consent}"
    );
    assert_eq!(scene.come_back(&scene.press_consent(&scene.consent_url(), "accept")).status, 200);
    assert_eq!(scene.proven(), ["ok", "ok"]);
    assert_eq!(scene.come_back(&scene.trial(ANNA)).status, 200);
}

#[test]
fn a_trial_of_another_tenant_s_account_proves_the_redirect_only() {
    let scene = scene_with(|options| options.add_user("carl@kunde.test"), |_| {});
    let verified = scene.verify(&json!({"sign_in": true}));
    let url = verified["sign_in"]["url"].as_str().unwrap();
    // the provider lets nobody else in at the tenant's own address; a guest keeps his tenant
    scene.world.entra().with_options(|options| {
        let carl = options.users.iter_mut().find(|user| user.address == "carl@kunde.test").unwrap();
        carl.tenant_id = crate::world::entra::MAKLER_TENANT.into();
    });
    let back = scene.world.click_account(url, "carl@kunde.test").unwrap();
    scene.world.entra().with_options(|options| {
        let carl = options.users.iter_mut().find(|user| user.address == "carl@kunde.test").unwrap();
        carl.tenant_id = crate::world::entra::KUNDE_TENANT.into();
    });
    let page = scene.come_back(&back);
    assert_eq!(page.status, 403);
    assert!(page.text().contains("another tenant"), "{}", page.text());
    assert_eq!(scene.proven(), ["ok", OPEN]);
}

#[test]
fn a_user_s_sign_in_proves_them_as_well() {
    let scene = scene();
    let link = scene.link();
    assert_eq!(scene.come_back(&scene.choose(&link, ANNA)).status, 200);
    assert_eq!(scene.proven(), ["ok", "ok"]);
    assert!(
        check(&scene.verify(&json!({})), "consent")["detail"].as_str().unwrap().contains("a user's sign-in")
    );
}
