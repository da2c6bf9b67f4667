//! The administrator's and the users' way in a real browser: an app, a file of 25 mailboxes, one app for all of them,
//! invitations by mail, a scanner that visits every link, and three users who click, one with the wrong account first.

use crate::support::browser::Browser;
use crate::support::engine::{Running, config, password_mailbox, web_app};
use crate::world::World;
use serde_json::{Value, json};

const SENDER: &str = "post@makler.test";
const PEOPLE: usize = 25;

fn address(number: usize) -> String {
    format!("user{number:02}@makler.test")
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
    assert!(page.contains("Ihr Postfach ist verbunden"), "{page}");
    browser.picture(&format!("{name}-4-done"));
}
