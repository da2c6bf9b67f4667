//! Providers by name, by domain and by mail exchanger, the last asked of a scripted name server.

use crate::support::api::Api;
use crate::support::engine::{Running, bare_config};
use crate::support::names::{NameServer, Record};
use serde_json::{Value, json};
use std::net::{SocketAddr, UdpSocket};

fn served(nameserver: SocketAddr) -> (tempfile::TempDir, Running, Api) {
    let data = tempfile::tempdir().unwrap();
    let mut config = bare_config(data.path());
    config.net.nameserver = Some(nameserver);
    let (running, api) = Running::serve(&config);
    (data, running, api)
}

fn with_password(address: &str) -> Value {
    json!({"address": address, "auth": {"kind": "password", "password": "pass"}, "active": false})
}

#[test]
fn a_mailbox_finds_its_provider_by_domain_or_by_mail_exchanger() {
    let names = NameServer::start(&[
        ("makler.example", Record::Mx(20, "backup.example")),
        ("makler.example", Record::Mx(10, "makler-example.mail.protection.outlook.com")),
        ("agentur.example", Record::Mx(5, "smtpin.rzone.de")),
    ]);
    let (_data, _running, api) = served(names.at);
    let post = |body: &Value| api.post("/v1/mailboxes", body).ok(201);
    let web = post(&with_password("a@web.de"));
    assert_eq!((&web["provider"], &web["smtp"]["port"]), (&json!("web_de"), &json!(587)));
    assert_eq!(names.asked().len(), 0, "a known domain needs no name server");

    let strato = post(&with_password("a@Agentur.example"));
    assert_eq!((&strato["provider"], &strato["imap"]["host"]), (&json!("strato"), &json!("imap.strato.de")));
    let office = post(&json!({"address": "a@makler.example", "auth": {"kind": "oauth"}}));
    assert_eq!((&office["provider"], &office["state"]), (&json!("office365"), &json!("awaiting_app")));
    assert_eq!(office["imap"]["host"], "outlook.office365.com");

    let problem =
        api.post("/v1/mailboxes", &with_password("a@unknown.example")).problem(422, "invalid_field");
    assert!(problem["detail"].as_str().unwrap().contains("name a provider"), "{problem}");
    let before = names.asked().len();
    let lines: Vec<Value> = (0..50).map(|n| with_password(&format!("u{n}@agentur.example"))).collect();
    let done = api.post("/v1/mailboxes:import", &json!({"mailboxes": lines})).ok(201);
    assert_eq!(done["created"], 50);
    assert!(names.asked().len() <= before + 1, "each domain is asked for once");
}

#[test]
fn without_a_name_server_a_mailbox_is_refused_with_what_to_do() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (_data, _running, api) = served(silent.local_addr().unwrap());
    let problem = api.post("/v1/mailboxes", &with_password("a@makler.example")).problem(422, "invalid_field");
    assert!(problem["detail"].as_str().unwrap().contains("name a provider"), "{problem}");
}

#[test]
fn every_provider_is_known_by_name_and_fills_in_its_servers() {
    let (_data, _running, api) = served(NameServer::start(&[]).at);
    for (provider, kept, imap, smtp) in [
        ("office365", "office365", "outlook.office365.com", "smtp.office365.com"),
        ("office365_us", "office365_us", "outlook.office365.us", "smtp.office365.us"),
        ("office365_cn", "office365_cn", "partner.outlook.cn", "smtp.partner.outlook.cn"),
        ("outlook", "outlook", "outlook.office365.com", "smtp-mail.outlook.com"),
        ("Gmail", "google", "imap.gmail.com", "smtp.gmail.com"),
        ("yahoo", "yahoo", "imap.mail.yahoo.com", "smtp.mail.yahoo.com"),
        ("fastmail", "fastmail", "imap.fastmail.com", "smtp.fastmail.com"),
        ("gmx", "gmx", "imap.gmx.net", "mail.gmx.net"),
        ("web.de", "web_de", "imap.web.de", "smtp.web.de"),
        ("ionos", "ionos", "imap.ionos.de", "smtp.ionos.de"),
        ("strato", "strato", "imap.strato.de", "smtp.strato.de"),
        ("t-online", "t_online", "secureimap.t-online.de", "securesmtp.t-online.de"),
        ("icloud", "icloud", "imap.mail.me.com", "smtp.mail.me.com"),
        ("aol", "aol", "imap.aol.com", "smtp.aol.com"),
        ("yandex", "yandex", "imap.yandex.com", "smtp.yandex.com"),
        ("mail.ru", "mail_ru", "imap.mail.ru", "smtp.mail.ru"),
        ("zoho", "zoho", "imap.zoho.com", "smtp.zoho.com"),
        ("zoho_pro_eu", "zoho_pro_eu", "imappro.zoho.eu", "smtppro.zoho.eu"),
        ("ionos_com", "ionos_com", "imap.ionos.com", "smtp.ionos.com"),
        ("posteo", "posteo", "posteo.de", "posteo.de"),
        ("mailbox.org", "mailbox_org", "imap.mailbox.org", "smtp.mailbox.org"),
    ] {
        let mut body = with_password(&format!("{kept}@makler.test"));
        body["provider"] = json!(provider);
        let made = api.post("/v1/mailboxes", &body).ok(201);
        assert_eq!(made["provider"], kept);
        assert_eq!((&made["imap"]["host"], &made["smtp"]["host"]), (&json!(imap), &json!(smtp)));
    }
    for provider in
        ["office365", "office365_us", "office365_cn", "outlook", "google", "yahoo", "fastmail", "oidc"]
    {
        let made = api.post("/v1/apps", &json!({"provider": provider, "client_id": "c"})).ok(201);
        assert_eq!(made["provider"], provider);
    }
    api.post("/v1/apps", &json!({"provider": "gmx", "client_id": "c"})).problem(422, "invalid_field");
}
