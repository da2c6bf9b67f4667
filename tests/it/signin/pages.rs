//! Every state of the users' pages in a real browser: on a phone and on a desk, in German and English, without a barrier
//! for anybody, and with a picture of each.

use crate::signin::link::{ANNA, BEN, Scene, scene_configured};
use crate::support::browser::Browser;
use serde_json::{Value, json};
use stafette::store::SignInState;

fn branded() -> Scene {
    let scene = scene_configured(|config| {
        config.brand.name = String::from("Maklerhaus Nord");
        config.brand.application = Some(String::from("Immo-CRM"));
        config.brand.contact = Some(String::from("IT-Service, 040 1234 56"));
        config.signin.return_to = vec!["https://crm.example/".parse().unwrap()];
    });
    scene.api.patch("/v1/mailboxes/anna", &json!({"owner": {"ref": "crm-17"}})).ok(200);
    let other = json!({"id": "info", "address": "info@makler.test", "auth": {"kind": "oauth", "app": "o365"},
        "owner": {"ref": "crm-17"}, "imap": {"host": "localhost", "port": scene.proxy.port, "security": "tls"},
        "smtp": null});
    scene.api.post("/v1/mailboxes", &other).ok(201);
    scene
}

struct Looker<'s> {
    scene: &'s Scene,
    browser: Browser,
}

impl Looker<'_> {
    fn link(&self, language: &str) -> (String, String) {
        let asked = json!({"ways": ["redirect", "native", "device"], "return_to": "https://crm.example/",
            "language": language});
        let made = self.scene.api.post("/v1/mailboxes/anna/sign-in", &asked).ok(201);
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        (text("id"), text("url"))
    }

    /// The page as it is now, on a phone and on a desk.
    fn look(&self, name: &str, says: &str) {
        let text = self.browser.text();
        assert!(text.contains(says) && text.contains("Maklerhaus Nord"), "{name}: {text}");
        for (width, height) in [(390, 844), (1280, 900)] {
            self.browser.size(width, height);
            assert!(!self.browser.is_too_wide(), "{name} at {width} pixels");
            self.browser.picture(&format!("page-{name}-{width}"));
        }
        assert_eq!(self.browser.barriers(), json!([]), "{name}");
    }

    /// All states that a sign-in goes through, in a language.
    fn look_through(&self, language: &str, says: impl Fn(&str) -> &'static str) {
        let Self { scene, browser } = self;
        let name = |state: &str| format!("{state}-{language}");
        let (_, url) = self.link(language);
        browser.open(&url);
        self.look(&name("link"), says("link"));
        // ways that stand behind a word
        browser.press("summary");
        browser.click("#native");
        self.look(&name("paste"), says("paste"));
        browser.open(&url);
        browser.press("summary");
        browser.click("#device");
        self.look(&name("device"), says("device"));

        let (id, url) = self.link(language);
        browser.open(&url);
        browser.click("#redirect");
        browser.click(&format!("button[value='{BEN}']"));
        self.look(&name("wrong-account"), says("wrong-account"));
        browser.click("#redirect");
        // the provider sends the user back with a refusal
        browser.open(&scene.refusal_of(&browser.url(), "access_denied", "AADSTS53003: blocked"));
        self.look(&name("refused"), says("refused"));
        browser.click("#redirect");
        browser.click(&format!("button[value='{ANNA}']"));
        self.look(&name("done"), says("done"));
        assert!(browser.text().contains("info@makler.test"), "what is left is listed: {}", browser.text());
        let shown: Value = scene.api.get(&format!("/v1/sign-ins/{id}")).ok(200);
        assert_eq!(shown["state"], "done");

        let (id, url) = self.link(language);
        let link = crate::signin::link::Link { id, url: url.clone() };
        scene.write(&link, |sign_in| sign_in.expires_at = stafette::clock::now());
        browser.open(&url);
        self.look(&name("expired"), says("expired"));
        assert_ne!(scene.row(&link).value.state, SignInState::Done);
        browser.open(&format!("{url}x"));
        self.look(&name("gone"), "");
    }
}

#[test]
fn every_page_can_be_used_by_everybody_on_a_phone_and_on_a_desk() {
    let scene = branded();
    let looker = Looker { scene: &scene, browser: Browser::start() };
    looker.look_through("de", |state| match state {
        "link" => "Maklerhaus Nord verbindet Ihr Postfach mit Immo-CRM",
        "paste" => "Fügen Sie die Adresse hier ein",
        "device" => "geben Sie den Code ein",
        "wrong-account" => "Das war ein anderes Konto",
        "refused" => "Das liegt nicht an Ihnen",
        "done" => "Ihr Postfach ist verbunden",
        _ => "abgelaufen",
    });
    looker.look_through("en", |state| match state {
        "link" => "Maklerhaus Nord connects your mailbox with Immo-CRM",
        "paste" => "Paste the address here",
        "device" => "enter the code",
        "wrong-account" => "That was another account",
        "refused" => "This is not your fault",
        "done" => "Your mailbox is connected",
        _ => "expired",
    });
}
