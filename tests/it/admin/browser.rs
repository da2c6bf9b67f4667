//! The administrator's and the users' way in a real browser: an app, a file of 25 mailboxes, one app for all of them,
//! invitations by mail, a scanner that visits every link, and three users who click, one with the wrong account first.

use crate::support::engine::{Running, config, password_mailbox, web_app};
use crate::world::World;
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

const SENDER: &str = "post@makler.test";
const PEOPLE: usize = 25;

fn address(number: usize) -> String {
    format!("user{number:02}@makler.test")
}

/// A headless Chromium that prefers German, driven by WebDriver.
struct Browser {
    runtime: tokio::runtime::Runtime,
    client: Option<Client>,
    driver: Child,
    profile: tempfile::TempDir,
}

impl Browser {
    fn start() -> Self {
        let mut driver = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "chromedriver", "--port=0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        // "ChromeDriver was started successfully on port 12345."
        let port: u16 = lines
            .find_map(|line| {
                line.unwrap().split_once("successfully on port ")?.1.trim_end_matches('.').parse().ok()
            })
            .unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        let profile = tempfile::tempdir().unwrap();
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--window-size=900,700",
            "--accept-lang=de-DE",
        ];
        let mut arguments: Vec<String> = arguments.map(String::from).to_vec();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let wanted = json!({"goog:chromeOptions": {"args": arguments, "binary": "/usr/bin/chromium",
            "prefs": {"intl.accept_languages": "de-DE,de"}}});
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let mut builder = ClientBuilder::new(hyper_util_connector());
            builder.capabilities(wanted.as_object().unwrap().clone());
            builder.connect(&format!("http://127.0.0.1:{port}")).await.unwrap()
        });
        Self { runtime, client: Some(client), driver, profile }
    }

    fn client(&self) -> &Client {
        self.client.as_ref().unwrap()
    }

    fn open(&self, url: &str) {
        self.runtime.block_on(self.client().goto(url)).unwrap();
    }

    /// Clicks, and waits until the page that was clicked on is gone.
    fn click(&self, css: &str) {
        self.runtime.block_on(async {
            let body = self.client().find(Locator::Css("body")).await.unwrap();
            self.client().find(Locator::Css(css)).await.unwrap().click().await.unwrap();
            while body.is_displayed().await.is_ok() {
                tokio::task::yield_now().await;
            }
            self.client().wait().for_element(Locator::Css("h1")).await.unwrap();
        });
    }

    fn text(&self) -> String {
        self.runtime
            .block_on(async { self.client().find(Locator::Css("body")).await.unwrap().text().await.unwrap() })
    }

    /// Kept for whoever wants to look at what users see.
    fn picture(&self, name: &str) {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
        std::fs::create_dir_all(&folder).unwrap();
        let png = self.runtime.block_on(self.client().screenshot()).unwrap();
        assert!(png.len() > 1000);
        std::fs::write(folder.join(format!("{name}.png")), png).unwrap();
    }
}

fn hyper_util_connector() -> hyper_util::client::legacy::connect::HttpConnector {
    hyper_util::client::legacy::connect::HttpConnector::new()
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            drop(self.runtime.block_on(client.close()));
        }
        drop(self.driver.kill());
        drop(self.driver.wait());
        assert!(self.profile.path().is_dir());
    }
}

/// The account's button in the stand-in's chooser; its id is the address.
fn account(address: &str) -> String {
    format!("button[value='{address}']")
}

/// The link of an invitation that arrived in a user's mailbox.
fn link_in_mail(world: &World, running: &Running, user: &str) -> String {
    let raw = running.wait(&format!("the invitation of {user}"), || {
        let arrived = world.list(user, "INBOX");
        arrived.first().map(|message| world.raw(user, "INBOX", message.uid))
    });
    let parsed = mail_parser::MessageParser::new().parse(&raw).unwrap();
    let text = parsed.body_text(0).unwrap().into_owned();
    text.split_whitespace().find(|word| word.contains("/sign-in/")).unwrap().to_owned()
}

#[test]
fn from_a_file_of_mailboxes_to_users_who_signed_in_by_their_links() {
    let people: Vec<String> = (0..PEOPLE).map(address).collect();
    let world = people.iter().fold(World::builder().mailbox(SENDER), |world, one| world.mailbox(one)).start();
    let data = tempfile::tempdir().unwrap();
    let mut config = config(&world, data.path());
    config.notify.sender = Some(String::from("post"));
    let (running, api) = Running::serve(&config);
    let (mut sender, grant) = password_mailbox(&world, SENDER, world.imaps_port());
    sender.imap = None;
    running.add(sender, &grant);

    // the administrator registers the app, imports the file that Excel wrote, and distributes the app
    let app = web_app(&world);
    let mut posted = serde_json::to_value(&app.app).unwrap();
    posted["client_secret"] = json!(app.client_secret.unwrap().expose());
    api.post("/v1/apps", &posted).ok(201);
    let mut csv =
        String::from("id;address;auth.kind;imap.host;imap.port;imap.security;owner.name;owner.language\r\n");
    for (number, one) in people.iter().enumerate() {
        let port = world.imaps_port();
        csv.push_str(&format!("user{number:02};{one};oauth;localhost;{port};tls;Nutzer {number};de\r\n"));
    }
    let import = api.request("POST", "/v1/mailboxes:import").header("content-type", "text/csv").body(csv);
    assert_eq!(api.send(import).ok(201)["created"], PEOPLE);
    let distribute = |order: Value| api.post("/v1/apps/o365/distribute", &order);
    let dry = distribute(json!({"server": "localhost"})).ok(200);
    assert_eq!(dry["groups"]["will_change"]["count"], PEOPLE);
    let order = json!({"server": "localhost", "apply": true, "expect": PEOPLE, "invite": "mail"});
    let done = distribute(order).ok(200);
    assert_eq!((&done["changed"], &done["invited"]), (&json!(PEOPLE), &json!(PEOPLE)));

    // invitations arrive; a scanner visits each link twenty times and uses none up
    let links: Vec<String> = people.iter().map(|user| link_in_mail(&world, &running, user)).collect();
    for link in &links {
        for _ in 0..20 {
            assert_eq!(api.send(api.bare("GET", link)).status, 200);
        }
    }

    // three users click; the second one chooses somebody else's account first
    let browser = Browser::start();
    sign_in(&browser, "0", &links[0], &people[0], None);
    sign_in(&browser, "1", &links[1], &people[1], Some(&people[7]));
    sign_in(&browser, "2", &links[2], &people[2], None);
    for (number, user) in people.iter().enumerate().take(3) {
        let stored = running.stored(&format!("user{number:02}"));
        running.until_live(stored.incarnation);
        let grant = api.get(&format!("/v1/mailboxes/user{number:02}")).ok(200)["grant"].clone();
        assert_eq!(grant["signed_in_as"]["name"], *user);
    }
    assert_eq!(api.get("/v1/mailboxes/user07").ok(200)["state"], "awaiting_sign_in");
}

/// A user opens the link and signs in, after a try with another account.
fn sign_in(browser: &Browser, name: &str, link: &str, user: &str, other: Option<&str>) {
    browser.open(link);
    assert!(browser.text().contains(user), "{}", browser.text());
    browser.picture(&format!("{name}-1-link"));
    browser.click("#redirect");
    if let Some(other) = other {
        browser.click(&account(other));
        let page = browser.text();
        assert!(page.contains("Das war ein anderes Konto"), "{page}");
        assert!(page.contains(user) && page.contains(other), "both are named: {page}");
        browser.picture(&format!("{name}-2-wrong-account"));
        browser.click("main form button");
    }
    browser.picture(&format!("{name}-3-chooser"));
    browser.click(&account(user));
    let page = browser.text();
    assert!(page.contains("Sie sind angemeldet"), "{page}");
    browser.picture(&format!("{name}-4-done"));
}
