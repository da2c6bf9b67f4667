//! Sign-ins that are cut off: by the daemon's end or by the browser's. What reached us is not lost, and nothing is
//! left half-way.

use crate::signin::link::{ANNA, Link, Scene, scene};
use crate::support::engine::{Running, config};
use crate::world::World;
use crate::world::entra::Instead;
use crate::world::entra::script::Drop;
use crate::world::proxy::{Direction, Ending};
use serde_json::json;
use stafette::domain::Timestamp;
use stafette::store::SignInState;

impl Scene {
    /// The daemon ends and starts again at the same address; `meanwhile` happens in between.
    fn restart(self, meanwhile: impl FnOnce(&World)) -> Self {
        let Self { world, data, running, api, proxy } = self;
        let mut again = config(&world, data.path());
        again.http.listen = api.base.trim_start_matches("http://").parse().unwrap();
        drop((running, api));
        proxy.clear();
        meanwhile(&world);
        let (running, api) = Running::serve(&again);
        Self { world, data, running, api, proxy }
    }

    fn until_state(&self, link: &Link, wanted: SignInState) {
        self.running.wait_or(
            "the sign-in's state",
            || (self.row(link).value.state == wanted).then_some(()),
            || format!("{:?}", self.row(link).value.state),
        );
    }

    /// Comes back and waits until the mailbox is being tried; the server says nothing more.
    fn stall_the_probe(&self, link: &Link) -> std::thread::JoinHandle<()> {
        self.proxy.cut_at(b"AUTHENTICATE", Direction::ToServer, 1, Ending::Stall);
        let (api, callback) = (self.api.clone(), self.choose(link, ANNA));
        let browser = std::thread::spawn(move || api.try_get(&callback));
        self.until_state(link, SignInState::Probing);
        self.running.wait("the server to be asked", || (self.proxy.accepted() == 1).then_some(()));
        browser
    }
}

#[test]
fn a_daemon_that_ends_while_probing_finishes_the_sign_in_when_it_is_back() {
    let scene = scene();
    scene.world.entra().set_rotation(crate::world::Rotation::Strict);
    let link = scene.link();
    let browser = scene.stall_the_probe(&link);
    let page = scene.api.send(scene.api.bare("GET", &link.url));
    assert!(page.text().contains("is being tried"), "{}", page.text());
    assert!(scene.grant().is_none());
    let scene = scene.restart(|_| {});
    browser.join().unwrap();
    scene.until_state(&link, SignInState::Done);
    assert!(scene.row(&link).value.candidate.is_none());
    let shown = scene.api.get("/v1/mailboxes/anna").ok(200);
    assert_eq!(shown["grant"]["signed_in_as"]["name"], ANNA);
    scene.until_live();
}

#[test]
fn a_candidate_that_was_revoked_meanwhile_is_dropped_and_the_link_stays_open() {
    let scene = scene();
    let link = scene.link();
    let browser = scene.stall_the_probe(&link);
    let scene = scene.restart(|world| assert_eq!(world.entra().revoke(ANNA), 1));
    browser.join().unwrap();
    scene.until_state(&link, SignInState::Declined);
    assert!(scene.grant().is_none() && scene.row(&link).value.candidate.is_none());
    let shown = scene.api.get(&format!("/v1/sign-ins/{}", link.id)).ok(200);
    assert!(shown["diagnosis"]["remedy"]["text"].as_str().unwrap().contains("ign in"), "{shown}");
    // the link is still good
    assert_eq!(scene.come_back(&scene.choose(&link, ANNA)).status, 200);
}

#[test]
fn a_code_that_was_lost_with_the_daemon_leaves_the_link_open() {
    let scene = scene();
    let link = scene.link();
    scene.press(&link);
    scene.write(&link, |sign_in| {
        sign_in.attempt = None;
        sign_in.state = SignInState::SignedIn;
    });
    let scene = scene.restart(|_| {});
    scene.until_state(&link, SignInState::Waiting);
}

#[test]
fn a_browser_that_hangs_up_does_not_end_the_sign_in_half_way() {
    let scene = scene();
    let link = scene.link();
    scene.proxy.cut_at(b"AUTHENTICATE", Direction::ToServer, 1, Ending::Stall);
    let callback = url::Url::parse(&scene.choose(&link, ANNA)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let browser = runtime.block_on(async {
        use tokio::io::AsyncWriteExt;
        let address = (callback.host_str().unwrap(), callback.port().unwrap());
        let mut browser = tokio::net::TcpStream::connect(address).await.unwrap();
        let target = format!("{}?{}", callback.path(), callback.query().unwrap());
        let cookies = scene.api.cookies();
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookies}\r\n\r\n");
        browser.write_all(request.as_bytes()).await.unwrap();
        browser
    });
    scene.until_state(&link, SignInState::Probing);
    scene.running.wait("the server to be asked", || (scene.proxy.accepted() == 1).then_some(()));
    browser.set_zero_linger().unwrap();
    runtime.block_on(async { drop(browser) });
    // the server's end of it ends the probe, and somebody is still there to notice
    scene.proxy.clear();
    scene.proxy.end_connections(Ending::Fin);
    scene.until_state(&link, SignInState::Declined);
    assert!(scene.row(&link).value.candidate.is_none());
    assert_eq!(scene.come_back(&scene.choose(&link, ANNA)).status, 200);
}

#[test]
fn sign_ins_that_ended_long_ago_are_forgotten() {
    let scene = scene();
    let (old, ended, open) = (scene.link(), scene.link(), scene.link());
    let days_ago = |days: i64| Timestamp(stafette::clock::now().0 - days * 24 * 3600 * 1000);
    scene.write(&old, |sign_in| sign_in.expires_at = days_ago(31));
    scene.write(&ended, |sign_in| sign_in.expires_at = days_ago(29));
    let scene = scene.restart(|_| {});
    let path = |link: &Link| format!("/v1/sign-ins/{}", link.id);
    scene
        .running
        .wait("the old one to go", || (scene.running.store.sign_ins().unwrap().len() == 2).then_some(()));
    scene.api.get(&path(&old)).problem(404, "no_such_sign_in");
    assert_eq!(scene.api.get(&path(&ended)).ok(200)["state"], json!("expired"));
    assert_eq!(scene.api.get(&path(&open)).ok(200)["state"], json!("waiting"));
}

#[test]
fn a_candidate_whose_refresh_was_answered_to_nobody_says_so() {
    let scene = scene();
    scene.world.entra().set_rotation(crate::world::Rotation::Strict);
    let link = scene.link();
    let browser = scene.stall_the_probe(&link);
    // the provider takes the refresh token, and its answer is lost
    let lost = Instead::drop(Drop::AfterConsume);
    let scene = scene.restart(|world| world.entra().next("token", lost));
    browser.join().unwrap();
    scene.until_state(&link, SignInState::Declined);
    let shown = scene.api.get(&format!("/v1/sign-ins/{}", link.id)).ok(200);
    assert_eq!(shown["diagnosis"]["code"], "rotation_answer_lost", "{shown}");
}

#[test]
fn a_broken_app_costs_an_accepted_sign_in_nothing() {
    let scene = scene();
    let link = scene.link();
    scene.world.entra().delegate(crate::signin::link::BEN, ANNA);
    assert_eq!(scene.come_back(&scene.choose(&link, crate::signin::link::BEN)).status, 403);
    // the secret has expired (AADSTS7000222)
    scene.world.entra().next("token", Instead::aadsts(7_000_222));
    let accept = format!("/v1/sign-ins/{}/accept", link.id);
    let accepted = scene.api.post(&accept, &json!(null)).ok(200);
    assert_eq!(
        (&accepted["state"], &accepted["diagnosis"]["code"]),
        (&json!("probing"), &json!("client_secret_expired"))
    );
    assert!(scene.row(&link).value.candidate.is_some());
    // nobody else has to find that out: the circuit breaker lets no request through until the app is mended
    let requests = scene.world.entra().count("token");
    scene
        .api
        .patch("/v1/apps/o365", &json!({"client_secret": scene.world.entra().web_app().secret()}))
        .ok(200);
    scene.running.wait("the grant", || scene.grant());
    assert_eq!(scene.world.entra().count("token"), requests + 1);
    scene.until_live();
}
