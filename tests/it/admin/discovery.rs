//! The servers of domains that nobody knows, asked of their websites, of those of their mail exchangers, and of SRV records.

use crate::support::api::Api;
use crate::support::engine::{Running, bare_config};
use crate::support::names::{NameServer, Record};
use crate::support::webs::{Page, Webs};
use serde_json::{Value, json};
use stafette::clock;
use stafette::config::Config;
use std::time::Duration;

struct Scene {
    names: NameServer,
    webs: Webs,
    api: Api,
    _running: Running,
    _data: tempfile::TempDir,
}

fn scene_with(
    records: &[(&'static str, Record)],
    pages: &[(&'static str, Page)],
    change: impl FnOnce(&mut Config),
) -> Scene {
    let (names, webs) = (NameServer::start(records), Webs::start(pages));
    let data = tempfile::tempdir().unwrap();
    let mut config = bare_config(data.path());
    config.net.nameserver = Some(names.at);
    config.net.discovery = true;
    config.net.proxy = Some(format!("http://{}", webs.proxy).parse().unwrap());
    config.tls.extra_ca = vec![webs.authority()];
    change(&mut config);
    let (running, api) = Running::serve(&config);
    Scene { names, webs, api, _running: running, _data: data }
}

fn scene(records: &[(&'static str, Record)], pages: &[(&'static str, Page)]) -> Scene {
    scene_with(records, pages, |_| {})
}

impl Scene {
    fn post(&self, address: &str) -> Value {
        self.api.post("/v1/mailboxes", &with_password(address)).ok(201)
    }

    /// What a mailbox without servers is refused with.
    fn refusal(&self, address: &str) -> String {
        let problem = self.api.post("/v1/mailboxes", &with_password(address)).problem(422, "invalid_field");
        let detail = problem["detail"].as_str().unwrap().to_owned();
        assert!(detail.starts_with("imap: say where to receive (imap)"), "{detail}");
        assert!(detail.contains("name a provider"), "{detail}");
        detail
    }
}

fn with_password(address: &str) -> Value {
    json!({"address": address, "auth": {"kind": "password", "password": "pass"}, "active": false})
}

fn server(tag: &str, kind: &str, host: &str, port: u16, socket: &str, login: &str) -> String {
    format!(
        "<{tag} type=\"{kind}\"><hostname>{host}</hostname><port>{port}</port><socketType>{socket}</socketType>\
         <authentication>password-cleartext</authentication><username>{login}</username></{tag}>"
    )
}

fn file(servers: &[String]) -> Page {
    let servers = servers.concat();
    let text = format!(
        "<clientConfig version=\"1.1\"><emailProvider id=\"x\">{servers}</emailProvider></clientConfig>"
    );
    Page::Text(text)
}

/// With `imap.` and `smtp.` before this domain.
fn good(domain: &str, login: &str) -> Page {
    file(&[
        server("incomingServer", "imap", &format!("imap.{domain}"), 993, "SSL", login),
        server("outgoingServer", "smtp", &format!("smtp.{domain}"), 587, "STARTTLS", login),
    ])
}

const FILE: &str = "autoconfig.firma.test/mail/config-v1.1.xml";
const KNOWN: &str = "firma.test/.well-known/autoconfig/mail/config-v1.1.xml";
const HOSTER: &str = "autoconfig.hoster.test/mail/config-v1.1.xml";

fn hosts(made: &Value) -> [&str; 2] {
    ["imap", "smtp"].map(|kind| made[kind]["host"].as_str().unwrap())
}

#[test]
fn the_file_of_a_domain_says_servers_and_user_names_and_is_asked_for_once() {
    let scene = scene(&[], &[(FILE, good("firma.test", "web12-%EMAILLOCALPART%"))]);
    let made = scene.post("anna@Firma.test");
    assert_eq!(made["imap"], json!({"host": "imap.firma.test", "port": 993, "security": "tls"}));
    assert_eq!((&made["smtp"]["port"], &made["smtp"]["security"]), (&json!(587), &json!("starttls")));
    assert_eq!(made["auth"]["user"], "web12-anna");
    assert_eq!(made["provider"], Value::Null);
    let address = made["id"].as_str().unwrap();
    assert_eq!(
        scene.api.get(&format!("/v1/mailboxes/{address}")).ok(200)["imap"],
        made["imap"],
        "it is kept"
    );
    assert!(
        scene.webs.asked().contains(&format!("{FILE}?emailaddress=anna%40Firma.test")),
        "{:?}",
        scene.webs.asked()
    );

    // what was said counts
    let mut said = with_password("berta@firma.test");
    said["auth"]["user"] = json!("b");
    let made = scene.api.post("/v1/mailboxes", &said).ok(201);
    assert_eq!((&made["auth"]["user"], hosts(&made)), (&json!("b"), ["imap.firma.test", "smtp.firma.test"]));

    let asked = |scene: &Scene| scene.webs.asked().iter().filter(|place| place.starts_with(FILE)).count();
    let before = asked(&scene);
    let lines: Vec<Value> = (0..30).map(|n| with_password(&format!("u{n}@firma.test"))).collect();
    let done = scene.api.post("/v1/mailboxes:import", &json!({"mailboxes": lines})).ok(201);
    assert_eq!((done["created"].as_u64(), asked(&scene)), (Some(30), before + 1));
}

#[test]
fn a_login_for_sending_alone_is_kept_with_the_password() {
    let page = file(&[
        server("incomingServer", "imap", "imap.firma.test", 993, "SSL", "%EMAILLOCALPART%"),
        server("outgoingServer", "smtp", "smtp.firma.test", 465, "SSL", "%EMAILADDRESS%"),
    ]);
    let made = scene(&[], &[(FILE, page)]).post("anna@firma.test");
    assert_eq!(
        (&made["auth"]["user"], &made["smtp"]["auth"]["user"]),
        (&json!("anna"), &json!("anna@firma.test"))
    );
    assert!(!made.to_string().contains("pass\""), "{made}");
}

#[test]
fn the_well_known_place_is_asked_and_followed_to_https_alone() {
    let elsewhere = "www.firma.test/mail.xml";
    let good = good("firma.test", "%EMAILADDRESS%");
    let pages = [(KNOWN, Page::Redirect("https://www.firma.test/mail.xml")), (elsewhere, good.clone())];
    let made = scene(&[], &pages).post("anna@firma.test");
    assert_eq!(
        (hosts(&made), &made["auth"]["user"]),
        (["imap.firma.test", "smtp.firma.test"], &json!("anna@firma.test"))
    );

    let pages = [(KNOWN, Page::Redirect("http://www.firma.test/mail.xml")), (elsewhere, good)];
    let forged = scene(&[], &pages);
    let refusal = forged.refusal("anna@firma.test");
    assert!(refusal.contains("is redirected to where it cannot be trusted"), "{refusal}");
    assert!(forged.webs.asked().iter().all(|place| !place.starts_with("www.")), "{:?}", forged.webs.asked());

    let refusal = scene(&[], &[(KNOWN, Page::Redirect("/.well-known/autoconfig/mail/config-v1.1.xml"))])
        .refusal("anna@firma.test");
    assert!(refusal.contains("is redirected too often"), "{refusal}");
}

#[test]
fn the_file_of_whoever_takes_the_mail_counts_unless_that_is_switched_off() {
    let records = [("firma.test", Record::Mx(10, "mx1.mail.hoster.test"))];
    let pages = [(HOSTER, good("hoster.test", "%EMAILADDRESS%"))];
    let found = scene(&records, &pages);
    assert_eq!(hosts(&found.post("anna@firma.test")), ["imap.hoster.test", "smtp.hoster.test"]);

    let own = scene(&records, &[pages[0].clone(), (KNOWN, good("firma.test", "%EMAILADDRESS%"))]);
    assert_eq!(
        hosts(&own.post("anna@firma.test")),
        ["imap.firma.test", "smtp.firma.test"],
        "the domain knows better"
    );

    let off = scene_with(&records, &pages, |config| config.net.discovery_by_mx = false);
    let refusal = off.refusal("anna@firma.test");
    assert!(refusal.contains("mail exchanger: mx1.mail.hoster.test, of no provider we know"), "{refusal}");
    assert!(off.webs.asked().iter().all(|place| !place.contains("hoster")), "{:?}", off.webs.asked());
}

#[test]
fn srv_records_count_for_hosts_of_the_domain_and_are_told_else() {
    let records = [
        ("_imaps._tcp.firma.test", Record::Srv(10, 0, 993, "backup.firma.test")),
        ("_imaps._tcp.firma.test", Record::Srv(0, 1, 993, "imap.firma.test")),
        ("_imap._tcp.firma.test", Record::Srv(0, 0, 0, ".")),
        ("_submission._tcp.firma.test", Record::Srv(0, 0, 587, "smtp.firma.test")),
        ("_imaps._tcp.kunde.test", Record::Srv(0, 0, 993, "imap.hoster.test")),
        ("_submissions._tcp.kunde.test", Record::Srv(0, 0, 465, "smtp.hoster.test")),
    ];
    let scene = scene(&records, &[]);
    let made = scene.post("anna@firma.test");
    assert_eq!(
        (hosts(&made), &made["smtp"]["security"]),
        (["imap.firma.test", "smtp.firma.test"], &json!("starttls"))
    );
    let refusal = scene.refusal("anna@kunde.test");
    let told = "imap imap.hoster.test:993 (tls), smtp smtp.hoster.test:465 (tls)";
    assert!(refusal.contains(told) && refusal.contains("if it is right, say so"), "{refusal}");
}

#[test]
fn what_was_tried_in_vain_is_said() {
    let pop = server("incomingServer", "pop3", "pop.firma.test", 995, "SSL", "%EMAILADDRESS%");
    let plain = server("incomingServer", "imap", "imap.firma.test", 143, "plain", "%EMAILADDRESS%");
    let huge = Page::Text(format!("<clientConfig>{}</clientConfig>", " ".repeat(64 << 10)));
    for (page, said) in [
        (file(&[pop]), "names no IMAP server"),
        (file(&[plain]), "names no IMAP server with TLS or STARTTLS"),
        (huge, "is larger than 64 KiB"),
        (Page::Text("<html>no such page".into()), "is no autoconfig file"),
    ] {
        let refusal = scene(&[], &[(FILE, page)]).refusal("anna@firma.test");
        assert!(refusal.contains(&format!("https://{FILE}: {said}")), "{refusal}");
        assert!(refusal.contains(&format!("https://{KNOWN}: cannot be reached")), "{refusal}");
        assert!(
            refusal.contains("mail exchanger: none found") && refusal.contains("SRV records: none for IMAP")
        );
        assert!(!refusal.contains("anna"), "{refusal}");
    }
}

#[test]
fn a_site_that_says_nothing_holds_nobody_up_for_long() {
    let records = [("_imaps._tcp.firma.test", Record::Srv(0, 0, 993, "imap.firma.test"))];
    let slow = scene(&records, &[(FILE, Page::Silent), (KNOWN, Page::Silent)]);
    let begun = clock::monotonic();
    let made = slow.post("anna@firma.test");
    assert_eq!((&made["imap"]["host"], &made["smtp"]), (&json!("imap.firma.test"), &Value::Null));
    assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
}

#[test]
fn nobody_is_asked_about_a_domain_that_is_known_or_for_what_is_said_or_if_that_is_switched_off() {
    let pages = [(FILE, good("firma.test", "%EMAILADDRESS%"))];
    let here = scene(&[("kunde.test", Record::Mx(5, "smtpin.rzone.de"))], &pages);
    here.post("anna@web.de");
    let mut said = with_password("anna@firma.test");
    said["imap"] = json!({"host": "mail.firma.test", "port": 993, "security": "tls"});
    here.api.post("/v1/mailboxes", &said).ok(201);
    assert_eq!((here.names.asked(), here.webs.asked()), (Vec::new(), Vec::new()));
    assert_eq!(here.post("anna@kunde.test")["provider"], "strato");
    assert!(here.webs.asked().is_empty(), "its mail exchanger is one that we know");

    let off = scene_with(&[], &pages, |config| config.net.discovery = false);
    assert!(!off.refusal("anna@firma.test").contains("asked in vain"));
    assert!(off.webs.asked().is_empty());
}

#[test]
fn an_app_without_servers_of_its_own_gets_those_of_the_domain_and_a_mailbox_that_waits_for_one_does_not() {
    let here = scene(&[], &[(FILE, good("firma.test", "%EMAILADDRESS%"))]);
    let waiting = json!({"address": "anna@firma.test", "auth": {"kind": "oauth"}});
    let made = here.api.post("/v1/mailboxes", &waiting).ok(201);
    assert_eq!((&made["state"], &made["imap"]), (&json!("awaiting_app"), &Value::Null));
    assert!(here.webs.asked().is_empty());
    let app = json!({"provider": "oidc", "client_id": "c", "authority": "https://login.firma.test"});
    let app = here.api.post("/v1/apps", &app).ok(201);
    let named =
        json!({"address": "berta@firma.test", "auth": {"kind": "oauth", "app": app["id"]}, "active": false});
    let made = here.api.post("/v1/mailboxes", &named).ok(201);
    assert_eq!(hosts(&made), ["imap.firma.test", "smtp.firma.test"]);
}
