//! Invitations and alerts through a real Postfix into mailboxes of the world: sent once, repeated in time, and told.

use crate::api::frame::{deaf, empty};
use crate::signin::take_over::{token_of, with_token};
use crate::support::api::Api;
use crate::support::engine::{Running, config, oauth_mailbox, password_mailbox, web_app};
use crate::world::World;
use serde_json::json;
use stafette::config::Config;
use stafette::domain::{MailboxId, MailboxState, SubmissionState, Timestamp};
use stafette::events::EventType;
use stafette::store::{MailboxStatus, Notice, StoredMailbox};
use std::time::Duration;

const SENDER: &str = "post@makler.test";
const ANNA: &str = "anna@makler.test";
const BEN: &str = "ben@makler.test";

struct Scene {
    world: World,
    data: tempfile::TempDir,
    config: Config,
    running: Running,
    api: Api,
    post: StoredMailbox,
}

/// A mailbox that sends, and anna's, which waits for her to sign in; both read by nobody else.
fn scene(change: impl FnOnce(&mut Config)) -> Scene {
    let world = World::builder().mailbox(SENDER).mailbox(ANNA).mailbox(BEN).start();
    let data = tempfile::tempdir().unwrap();
    let mut config = config(&world, data.path());
    config.notify.sender = Some(String::from("post"));
    config.notify.admins = vec![BEN.to_owned()];
    change(&mut config);
    let (running, api) = Running::serve(&config);
    let (mut mailbox, grant) = password_mailbox(&world, SENDER, world.imaps_port());
    mailbox.imap = None;
    let post = running.add(mailbox, &grant);
    running.put_app(&web_app(&world));
    let anna = json!({
        "id": "anna", "address": ANNA, "auth": {"kind": "oauth", "app": "o365"}, "smtp": null,
        "imap": {"host": "localhost", "port": world.imaps_port(), "security": "tls"},
        "owner": {"name": "Anna", "language": "de"},
    });
    api.post("/v1/mailboxes", &anna).ok(201);
    Scene { world, data, config, running, api, post }
}

impl Scene {
    /// What the sender has sent so far: to whom, and the messages.
    fn sent(&self) -> Vec<(String, String)> {
        let list =
            |state| self.running.store.list_submissions(self.post.incarnation, state, None, 1000).unwrap();
        let all = list(Some(SubmissionState::Sent)).submissions;
        let mut letters: Vec<(Timestamp, String, String)> = all
            .iter()
            .map(|submission| {
                let raw = self.running.store.read_body(self.post.incarnation, submission.body).unwrap();
                let to = submission.recipients[0].address.clone();
                (submission.created_at, to, readable(&raw))
            })
            .collect();
        letters.sort();
        letters.into_iter().map(|(_, to, text)| (to, text)).collect()
    }

    fn until_sent(&self, count: usize) -> Vec<(String, String)> {
        self.running.wait("the letters", || Some(self.sent()).filter(|sent| sent.len() >= count))
    }

    fn notice(&self) -> Option<Notice> {
        let anna = self.running.stored("anna");
        self.running.store.invitation(anna.incarnation).unwrap().map(|row| row.value)
    }
}

/// A message's subject and text.
fn readable(raw: &[u8]) -> String {
    let parsed = mail_parser::MessageParser::new().parse(raw).unwrap();
    format!("{}\n{}", parsed.subject().unwrap(), parsed.body_text(0).unwrap())
}

fn link_in(text: &str) -> String {
    text.split_whitespace().find(|word| word.contains("/sign-in/")).unwrap().to_owned()
}

#[test]
fn an_invitation_arrives_in_the_user_s_language_and_its_link_signs_in() {
    let scene = scene(|_| {});
    let made = scene.api.post("/v1/mailboxes/anna/invite", &json!({})).ok(201);
    assert_eq!((&made["sent_to"], &made["state"]), (&json!(ANNA), &json!("waiting")));
    assert!(made["url"].is_null(), "the link is the user's: {made}");
    let sent = scene.until_sent(1);
    assert_eq!(sent[0].0, ANNA);
    assert!(
        sent[0].1.starts_with("Bitte für das Postfach anna@makler.test anmelden\nGuten Tag Anna,"),
        "{}",
        sent[0].1
    );
    let link = link_in(&sent[0].1);
    let told = scene.running.events_of(EventType::SignInRequested);
    assert_eq!((told.len(), &told[0].data["sign_in"]), (1, &made["id"]));
    let secret = link.rsplit_once('.').unwrap().1;
    assert!(!told[0].data.to_string().contains(secret), "never the link");

    for _ in 0..20 {
        assert_eq!(scene.api.send(scene.api.bare("GET", &link)).status, 200, "a scanner uses nothing up");
    }
    let location = scene.api.send(scene.api.bare("POST", &link)).header("location").to_owned();
    let callback = scene.world.click_account(&location, ANNA).unwrap();
    let page = scene.api.outcome(scene.api.send(scene.api.bare("GET", &callback)));
    assert_eq!(page.status, 200);
    scene.running.until_live(scene.running.stored("anna").incarnation);
    scene.running.wait("the end of the invitation", || scene.notice().is_none().then_some(()));
    assert_eq!(scene.sent().len(), 1);
}

#[test]
fn without_a_sender_there_is_only_the_link() {
    let (_data, running, api) = empty();
    let app = json!({"id": "o365", "provider": "office365", "tenant": "t.example", "client_id": "c"});
    api.post("/v1/apps", &app).ok(201);
    let mut anna = deaf("anna");
    anna["auth"] = json!({"kind": "oauth", "app": "o365"});
    api.post("/v1/mailboxes", &anna).ok(201);
    let problem = api.post("/v1/mailboxes/anna/invite", &json!({})).problem(409, "no_sender");
    assert!(problem["detail"].as_str().unwrap().contains("notify.sender"), "{problem}");
    assert!(running.events_of(EventType::SignInRequested).is_empty());
    let made = api.post("/v1/mailboxes/anna/invite", &json!({"deliver": "link"})).ok(201);
    assert!(made["url"].as_str().unwrap().contains("/sign-in/"), "{made}");
    api.post("/v1/mailboxes/anna/invite", &json!({"deliver": "pigeon"})).problem(422, "invalid_field");
    api.post("/v1/mailboxes", &deaf("ben")).ok(201);
    api.post("/v1/mailboxes/ben/invite", &json!({})).problem(409, "no_sign_in");

    let file = tempfile::tempdir().unwrap();
    let path = file.path().join("out.csv");
    for _ in 0..2 {
        let ended = std::process::Command::new(env!("CARGO_BIN_EXE_stafette"))
            .args(["mailbox", "invite", "anna", "--links", path.to_str().unwrap()])
            .args(["--url", &api.base, "--key", crate::support::engine::KEY])
            .output()
            .unwrap();
        assert!(ended.status.success(), "{ended:?}");
    }
    let written = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = written.lines().collect();
    assert_eq!((lines.len(), lines[0]), (3, "mailbox,address,url,expires_at"), "{written}");
    assert!(lines[1].starts_with("\"anna\",\"anna@makler.test\",\"http://"), "{written}");
}

#[test]
fn four_reminders_over_restarts_then_it_is_told_and_administrators_are() {
    let mut scene = scene(|config| config.notify.remind_after = Duration::from_millis(700));
    scene.api.post("/v1/mailboxes/anna/invite", &json!({"language": "en"})).ok(201);
    scene.until_sent(2);
    // a restart in the middle neither loses nor doubles one
    drop(scene.running);
    (scene.running, scene.api) = Running::serve(&scene.config);
    let overdue = scene.running.until_event(EventType::SignInOverdue, "the overdue sign-in", |_| true);
    assert_eq!(overdue.mailbox.unwrap().as_str(), "anna");
    assert!(overdue.data["sign_in"].is_string());
    let sent = scene.until_sent(6);
    let to_anna: Vec<&String> = sent.iter().filter(|(to, _)| to == ANNA).map(|(_, text)| text).collect();
    assert_eq!(to_anna.len(), 5, "{to_anna:#?}");
    assert!(to_anna[0].starts_with("Please sign in") && to_anna[4].starts_with("Reminder"), "{to_anna:#?}");
    let first = link_in(to_anna[0]);
    assert_eq!(link_in(to_anna[4]).rsplit('/').next(), first.rsplit('/').next(), "one link, repeated");
    let alert = sent.iter().find(|(to, _)| to == BEN).unwrap();
    assert!(alert.1.contains("Sign-in overdue") && alert.1.contains("anna"), "{}", alert.1);
    assert_eq!(scene.running.events_of(EventType::SignInOverdue).len(), 1);
    assert!(scene.data.path().is_dir());
}

#[test]
fn a_lost_sign_in_is_asked_for_at_once() {
    let scene = scene(|config| config.notify.language = String::from("de"));
    let (ben, grant) = oauth_mailbox(&scene.world, &scene.running, BEN, scene.world.imaps_port());
    scene.world.entra().revoke(BEN);
    let ben = scene.running.add(ben, &grant);
    let is_lost = |status: &MailboxStatus| status.state == MailboxState::NeedsSignIn;
    scene.running.until(ben.incarnation, "needs_sign_in", is_lost);
    let sent = scene.until_sent(1);
    assert_eq!(sent[0].0, BEN);
    assert!(sent[0].1.starts_with("Bitte für das Postfach ben@makler.test anmelden"), "{}", sent[0].1);
    assert!(link_in(&sent[0].1).starts_with(&scene.api.base));
    let told = scene.running.events_of(EventType::SignInRequested);
    assert_eq!((told.len(), told[0].mailbox.as_ref().unwrap().as_str()), (1, "ben"));
}

#[test]
fn administrators_are_told_why_a_token_of_another_system_is_not_taken_over() {
    // states do not change by it: it is seen at the next look
    let scene = scene(|config| config.notify.remind_after = Duration::from_millis(500));
    scene.api.patch("/v1/apps/o365", &json!({"client_secret": "not~the~secret"})).ok(200);
    let ben = with_token(&scene.world, BEN, &token_of(&scene.world, BEN));
    scene.api.post("/v1/mailboxes", &ben).ok(201);
    let sent = scene.until_sent(1);
    assert_eq!(sent[0].0, BEN);
    assert!(sent[0].1.contains("client_secret_wrong"), "{}", sent[0].1);
}

#[test]
fn an_app_s_fault_is_told_once_for_all_its_mailboxes() {
    let scene = scene(|_| {});
    scene.api.patch("/v1/apps/o365", &json!({"client_secret": "not~the~secret"})).ok(200);
    for id in ["ben", "ben2"] {
        let (mut ben, grant) = oauth_mailbox(&scene.world, &scene.running, BEN, scene.world.imaps_port());
        ben.id = MailboxId::new(id).unwrap();
        let ben = scene.running.add(ben, &grant);
        let is_broken = |status: &MailboxStatus| status.state == MailboxState::AppBroken;
        scene.running.until(ben.incarnation, "app_broken", is_broken);
    }
    let sent = scene.until_sent(1);
    assert_eq!(sent[0].0, BEN);
    for word in ["Client secret wrong", "client_secret_wrong", "o365", "ben", "Certificates & secrets"] {
        assert!(sent[0].1.contains(word), "{word}: {}", sent[0].1);
    }
    // the end of a secret is a cause of its own; a look that follows tells nothing twice
    let ends = stafette::clock::now().plus(Duration::from_secs(5 * 24 * 3600)).to_rfc3339();
    scene.api.patch("/v1/apps/o365", &json!({"secret_expires_at": ends})).ok(200);
    scene.api.post("/v1/mailboxes/anna/pause", &json!({})).ok(200);
    let sent = scene.until_sent(2);
    assert!(sent[1].1.contains("ends in 7 days or less"), "{}", sent[1].1);
    assert_eq!(sent.len(), 2);
}

#[test]
fn a_refused_secret_is_told_once_although_everything_goes_on() {
    let scene = scene(|_| {});
    let (ben, grant) = oauth_mailbox(&scene.world, &scene.running, BEN, scene.world.imaps_port());
    let ben = scene.running.add(ben, &grant);
    scene.running.until_live(ben.incarnation);
    scene.api.patch("/v1/apps/o365", &json!({"client_secret": "not~the~secret"})).ok(200);
    let sent = scene.until_sent(1);
    assert_eq!(sent[0].0, BEN);
    for word in
        ["New secret refused", "client_secret_rolled_back", "o365", "ben", "The client secret of the app"]
    {
        assert!(sent[0].1.contains(word), "{word}: {}", sent[0].1);
    }
    // another try is another cause, and what was told is not told again
    scene.api.patch("/v1/apps/o365", &json!({"client_secret": "nor~this~one"})).ok(200);
    scene.until_sent(2);
    scene.api.post("/v1/mailboxes/anna/pause", &json!({})).ok(200);
    scene.api.post("/v1/mailboxes/anna/resume", &json!({})).ok(200);
    let told = scene.running.events_of(EventType::AppSecretRolledBack);
    assert_eq!((told.len(), scene.sent().len()), (2, 2));
    scene.running.until(ben.incarnation, "live all along", |status| {
        status.state == stafette::domain::MailboxState::Live
    });
}
