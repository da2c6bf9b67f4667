//! Listeners of our own with TLS: the users' pages on an address of their own, the API on another.

use crate::support::api::Api;
use crate::support::daemon::{Site, world_with};
use crate::support::engine::{Running, bare_config};
use crate::world::certs::Certificates;
use serde_json::json;
use stafette::config::TlsFiles;
use stafette::net::{Dialer, NetConfig};
use std::net::SocketAddr;
use std::time::Duration;

#[test]
fn the_pages_have_a_listener_of_their_own_with_tls_and_nothing_else_is_there() {
    let files = tempfile::tempdir().unwrap();
    Certificates::generate().write(files.path()).unwrap();
    let data = tempfile::tempdir().unwrap();
    let mut config = bare_config(data.path());
    config.signin.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    let certificate = files.path().join("cert.pem");
    config.signin.tls = Some(TlsFiles { certificate, key: files.path().join("key.pem") });
    let (_running, api) = Running::serve(&config);
    let app = json!({"id": "o365", "provider": "office365", "tenant": "t.example", "client_id": "c", "client_secret": "s"});
    api.post("/v1/apps", &app).ok(201);
    let anna = json!({"id": "anna", "address": "anna@makler.test", "auth": {"kind": "oauth", "app": "o365"}});
    api.post("/v1/mailboxes", &anna).ok(201);
    let link = api.post("/v1/mailboxes/anna/sign-in", &json!({})).ok(201)["url"].as_str().unwrap().to_owned();
    assert!(link.starts_with("https://127.0.0.1:"), "{link}");
    let (pages, path) = link.split_at(link.find("/sign-in").unwrap());

    let trusting = NetConfig { extra_ca: vec![files.path().join("ca.pem")], ..NetConfig::default() };
    let outside = Dialer::new(trusting).unwrap().http_client(Duration::from_secs(20)).unwrap().into_inner();
    let get = |target: String| {
        let key = api.request("GET", "/").build().unwrap().headers()["authorization"].clone();
        api.send(outside.get(target).header("authorization", key))
    };
    let page = get(link.clone());
    assert_eq!(page.status, 200);
    assert!(page.text().contains("anna@makler.test"), "{}", page.text());
    assert_eq!(get(format!("{pages}/healthz")).status, 200);
    for hidden in ["/v1/mailboxes", "/v1/apps/o365", "/readyz", "/"] {
        get(format!("{pages}{hidden}")).problem(404, "not_found");
    }
    api.get(path).problem(404, "not_found");
    api.get("/v1/mailboxes").ok(200);
}

#[test]
fn the_api_speaks_tls_by_files() {
    let files = tempfile::tempdir().unwrap();
    Certificates::generate().write(files.path()).unwrap();
    let data = tempfile::tempdir().unwrap();
    let mut config = bare_config(data.path());
    let certificate = files.path().join("cert.pem");
    config.http.tls = Some(TlsFiles { certificate, key: files.path().join("key.pem") });
    let (_running, api): (Running, Api) = Running::serve(&config);
    let trusting = NetConfig { extra_ca: vec![files.path().join("ca.pem")], ..NetConfig::default() };
    let client = Dialer::new(trusting).unwrap().http_client(Duration::from_secs(20)).unwrap().into_inner();
    let answer = api.send(client.get(format!("{}/healthz", api.base.replace("http:", "https:"))));
    assert_eq!(answer.status, 200);
}

#[test]
fn a_certificate_that_is_none_ends_the_start_with_its_name() {
    let world = world_with(&["anna@makler.test"]).without_postfix().start();
    let mut site = Site::new(&world);
    let files = tempfile::tempdir().unwrap();
    Certificates::generate().write(files.path()).unwrap();
    site.set("STAFETTE_HTTP__TLS__CERTIFICATE", files.path().join("cert.pem").to_str().unwrap());
    site.set("STAFETTE_HTTP__TLS__KEY", files.path().join("nowhere.pem").to_str().unwrap());
    let mut daemon = site.start_with("");
    assert_eq!(daemon.ended().code(), Some(78));
    assert!(daemon.tail().contains("nowhere.pem"), "{}", daemon.tail());
}
