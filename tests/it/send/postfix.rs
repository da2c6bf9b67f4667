//! Sending through a real Postfix, with XOAUTH2 checked by Dovecot, into another mailbox of the world.

use crate::support::engine::{Running, config, oauth_mailbox, password_mailbox, web_app};
use crate::world::entra::Instead;
use crate::world::proxy::{Direction, Ending};
use crate::world::{Kind, ProxyHandle, Transport, World, WorldBuilder};
use serde_json::json;
use stafette::domain::message::BodyLocation;
use stafette::domain::submission::Phase;
use stafette::domain::{
    Mailbox, MailboxState, Recipient, RecipientState, SendState, Submission, SubmissionId, SubmissionState,
};
use stafette::events::EventType;
use stafette::store::{Body, Commit, RecordHeader, RecordKind, StoredMailbox, encode_record};
use stafette::supervisor::protocol::WakeReason;
use std::time::Duration;

const ANNA: &str = "anna@makler.test";
const BEN: &str = "ben@makler.test";

/// Facts that hold for sending through any server; each is a test with each of them.
macro_rules! through_any_server {
    ($($fact:ident),* $(,)?) => {
        mod by_postfix {
            $(#[test]
            fn $fact() {
                super::$fact(&super::both(super::World::builder()).start());
            })*
        }
        mod by_exim {
            $(#[test]
            fn $fact() {
                super::$fact(&super::both(super::World::builder()).with_exim().start());
            })*
        }
    };
}

through_any_server![
    a_password_sends_byte_for_byte,
    many_messages_arrive_each_once,
    an_unknown_recipient_fails_with_the_servers_words_and_the_others_get_it,
    a_dead_server_holds_the_outbox_and_it_goes_out_by_itself,
    a_mailbox_sends_by_a_login_of_its_own,
    a_lost_wake_up_costs_latency_and_no_mail,
];

fn both(world: WorldBuilder) -> WorldBuilder {
    world.mailbox(ANNA).mailbox(BEN)
}

fn a_password_sends_byte_for_byte(world: &World) {
    let data = tempfile::tempdir().unwrap();
    let running = Running::start(&config(world, data.path()));
    let (anna, grant) = password_mailbox(world, ANNA, world.imaps_port());
    let anna = running.add(anna, &grant);
    let submission = accept(&running, &anna, &[BEN], "hello");
    let sent = until_final(&running, &anna, &submission);
    assert_eq!((sent.state, sent.attempts), (SubmissionState::Sent, 1), "{sent:?}");
    running.wait("the message at ben's", || (world.list(BEN, "INBOX").len() == 1).then_some(()));
    let raw = world.raw(BEN, "INBOX", world.list(BEN, "INBOX")[0].uid);
    assert!(String::from_utf8_lossy(&raw).ends_with("\r\n\r\n.dots\r\n..and more\r\n"), "byte for byte");
}

fn many_messages_arrive_each_once(world: &World) {
    let data = tempfile::tempdir().unwrap();
    let running = Running::start(&config(world, data.path()));
    let (anna, grant) = password_mailbox(world, ANNA, world.imaps_port());
    let anna = running.add(anna, &grant);
    let accepted: Vec<Submission> =
        (0..20).map(|number| accept(&running, &anna, &[BEN], &format!("number{number}"))).collect();
    for submission in &accepted {
        assert_eq!(until_final(&running, &anna, submission).state, SubmissionState::Sent);
    }
    running.wait("all of them at ben's", || (world.list(BEN, "INBOX").len() >= 20).then_some(()));
    let stored = world.list(BEN, "INBOX");
    let mut ids: Vec<String> = stored
        .iter()
        .map(|seen| {
            let raw = String::from_utf8_lossy(&world.raw(BEN, "INBOX", seen.uid)).into_owned();
            raw.lines().find(|line| line.starts_with("Message-ID:")).unwrap().to_owned()
        })
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!((stored.len(), ids.len()), (20, 20));
}

fn accept(running: &Running, from: &StoredMailbox, to: &[&str], subject: &str) -> Submission {
    let submission = accept_quietly(running, from, to, subject);
    running.wake(from.incarnation, WakeReason::Outbox);
    submission
}

/// Without waking anybody.
fn accept_quietly(running: &Running, from: &StoredMailbox, to: &[&str], subject: &str) -> Submission {
    let raw = format!(
        "From: {ANNA}\r\nTo: {}\r\nSubject: {subject}\r\nMessage-ID: <{subject}@makler.test>\r\n\r\n.dots\r\n..and more\r\n",
        to.join(", ")
    );
    let id = SubmissionId::generate();
    let recipient = |address: &&str| Recipient {
        address: address.to_string(),
        state: RecipientState::Queued,
        reply: None,
    };
    let submission = Submission {
        id,
        state: SubmissionState::Queued,
        phase: Phase::Idle,
        hold: None,
        mail_from: ANNA.into(),
        recipients: to.iter().map(recipient).collect(),
        message_id: format!("<{subject}@makler.test>"),
        created_at: stafette::clock::now(),
        send_at: None,
        attempts: 0,
        deferred_since: None,
        next_attempt_at: None,
        last_reply: None,
        idempotency_key: None,
        size: raw.len() as u64,
        body: BodyLocation { pack: 0, offset: 0, length: 0 },
    };
    let key = running.store.mailbox_key(from.incarnation).unwrap();
    let header = RecordHeader { id: id.0, kind: RecordKind::Submission };
    let record = encode_record(&key, from.incarnation, &header, raw.as_bytes()).unwrap();
    let mut commit = Commit::of_mailbox(from.incarnation);
    commit.accept_submission(submission.clone(), Body::Record(record)).unwrap();
    running.store.commit_blocking(commit).unwrap();
    submission
}

fn until_final(running: &Running, mailbox: &StoredMailbox, submission: &Submission) -> Submission {
    running.wait("the end of the submission", || {
        let row = running.store.submission(mailbox.incarnation, submission.id).unwrap().unwrap();
        (row.value.state.is_final() || row.value.state == SubmissionState::Unknown).then_some(row.value)
    })
}

#[test]
fn what_one_mailbox_sends_the_other_receives() {
    let world = World::builder().mailbox(ANNA).mailbox(BEN).start();
    let data = tempfile::tempdir().unwrap();
    let running = Running::start(&config(&world, data.path()));
    let (anna, grant) = oauth_mailbox(&world, &running, ANNA, world.imaps_port());
    let anna = running.add(anna, &grant);
    let (ben, grant) = password_mailbox(&world, BEN, world.imaps_port());
    let ben = running.add(ben, &grant);
    running.until(ben.incarnation, "ben live", |status| status.synced);
    let submission = accept(&running, &anna, &[BEN], "hello");
    let sent = until_final(&running, &anna, &submission);
    assert_eq!(sent.state, SubmissionState::Sent, "{sent:?}");
    assert_eq!(sent.attempts, 1);
    let new = running.until_event(EventType::MessageNew, "the message at ben's", |event| {
        event.data["message_id"] == "<hello@makler.test>"
    });
    assert_eq!(new.mailbox, Some(ben.mailbox.id));
    running.until_event(EventType::SubmissionSent, "the event", |_| true);
    let stored = world.list(BEN, "INBOX");
    let raw = world.raw(BEN, "INBOX", stored[0].uid);
    assert!(String::from_utf8_lossy(&raw).ends_with("\r\n\r\n.dots\r\n..and more\r\n"), "byte for byte");
}

fn an_unknown_recipient_fails_with_the_servers_words_and_the_others_get_it(world: &World) {
    let data = tempfile::tempdir().unwrap();
    let running = Running::start(&config(world, data.path()));
    let (anna, grant) = password_mailbox(world, ANNA, world.imaps_port());
    let anna = running.add(anna, &grant);
    let submission = accept(&running, &anna, &[BEN, "unknown@makler.test"], "mixed");
    let sent = until_final(&running, &anna, &submission);
    assert_eq!(sent.state, SubmissionState::Sent);
    assert_eq!(sent.recipients[1].state, RecipientState::Failed);
    assert!(sent.recipients[1].reply.as_deref().unwrap().contains("550"), "{sent:?}");
    running.until_event(EventType::SubmissionFailed, "the refused one", |event| {
        event.data["recipient"] == "unknown@makler.test"
    });
}

fn a_dead_server_holds_the_outbox_and_it_goes_out_by_itself(world: &World) {
    let proxy = world.proxy(Kind::Smtp, Transport::StartTls);
    proxy.refuse(true);
    let data = tempfile::tempdir().unwrap();
    let running = Running::start(&config(world, data.path()));
    let (mut anna, grant): (Mailbox, _) = password_mailbox(world, ANNA, world.imaps_port());
    anna.smtp.as_mut().unwrap().port = proxy.port;
    let anna = running.add(anna, &grant);
    let submission = accept(&running, &anna, &[BEN], "later");
    running.until_event(EventType::SubmissionHeld, "the hold", |_| true);
    running.until(anna.incarnation, "held", |status| status.send_state == SendState::Held);
    let row = running.store.submission(anna.incarnation, submission.id).unwrap().unwrap().value;
    assert_eq!((row.state, row.attempts), (SubmissionState::Queued, 0), "nothing was tried");
    proxy.refuse(false);
    assert_eq!(until_final(&running, &anna, &submission).state, SubmissionState::Sent);
    running.until(anna.incarnation, "ready", |status| status.send_state == SendState::Ready);
    running.wait("the message at ben's", || (world.list(BEN, "INBOX").len() == 1).then_some(()));
}

fn a_mailbox_sends_by_a_login_of_its_own(world: &World) {
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&config(world, data.path()));
    let server = |port: u16, security: &str| json!({"host": "localhost", "port": port, "security": security});
    let mut anna = json!({
        "id": "anna", "address": ANNA, "auth": {"kind": "password", "password": "wrong"},
        "imap": server(world.imaps_port(), "tls"), "smtp": server(world.submission_port(), "starttls"),
    });
    anna["smtp"]["auth"] = json!({"user": ANNA, "password": "pass"});
    api.post("/v1/mailboxes", &anna).ok(201);
    let mail = json!({"to": [{"address": BEN}], "subject": "own login", "text": "Hello"});
    api.post("/v1/mailboxes/anna/outbox", &mail).ok(202);
    running.until_event(EventType::SubmissionSent, "the message to be sent", |_| true);
    let shown = api.get("/v1/mailboxes/anna").ok(200);
    assert_eq!(shown["send"]["state"], "ready", "{shown}");
    running.wait("the message at ben's", || (world.list(BEN, "INBOX").len() == 1).then_some(()));
}

#[test]
fn a_grant_without_leave_to_send_receives_and_holds_what_is_to_be_sent() {
    let world = World::builder().mailbox(ANNA).mailbox(BEN).start();
    let data = tempfile::tempdir().unwrap();
    let running = Running::start(&config(&world, data.path()));
    let (mailbox, grant) = oauth_mailbox(&world, &running, ANNA, world.imaps_port());
    let only_imap = json!({"scope": "https://outlook.office.com/IMAP.AccessAsUser.All"});
    world.entra().next("token", Instead { patch: Some(only_imap), ..Instead::default() });
    let anna = running.add(mailbox, &grant);
    running.until_live(anna.incarnation);
    let submission = accept(&running, &anna, &[BEN], "held");
    let shown = running.until(anna.incarnation, "held", |status| status.send_state == SendState::NeedsAdmin);
    let diagnosis = shown.send_diagnosis.unwrap();
    assert_eq!(diagnosis.code, "scopes_missing");
    assert!(diagnosis.summary.contains("SMTP.Send"), "{}", diagnosis.summary);
    let client_id = web_app(&world).app.client_id;
    assert!(diagnosis.remedy.text.contains(&client_id), "{}", diagnosis.remedy.text);
    assert_eq!(running.store.status(anna.incarnation).unwrap().value.state, MailboxState::Live);

    // somebody signs in again and accepts: it goes out by itself
    let (_, fresh) = oauth_mailbox(&world, &running, ANNA, world.imaps_port());
    running.replace_grant(&anna, &fresh);
    running.wake(anna.incarnation, WakeReason::Grant);
    assert_eq!(until_final(&running, &anna, &submission).state, SubmissionState::Sent);
}

#[test]
fn messages_on_their_way_share_a_budget_of_bytes() {
    let world = World::builder().mailbox(ANNA).mailbox(BEN).start();
    let data = tempfile::tempdir().unwrap();
    let mut config = config(&world, data.path());
    // any message is as large as the whole budget
    config.net.bytes_sending = 1;
    config.timing.drain = Duration::from_millis(200);
    let running = Running::start(&config);
    let by = |address: &str, proxy: &ProxyHandle| {
        let (mut mailbox, grant) = password_mailbox(&world, address, world.imaps_port());
        mailbox.imap = None;
        mailbox.smtp.as_mut().unwrap().port = proxy.port;
        running.add(mailbox, &grant)
    };
    let proxies =
        [world.proxy(Kind::Smtp, Transport::StartTls), world.proxy(Kind::Smtp, Transport::StartTls)];
    proxies[0].cut_at(b"354", Direction::ToClient, 1, Ending::Stall);
    let (anna, ben) = (by(ANNA, &proxies[0]), by(BEN, &proxies[1]));
    let stuck = accept(&running, &anna, &[BEN], "stuck");
    running.wait("DATA", || proxies[0].commands().iter().any(|said| said == "DATA").then_some(()));
    let waits = accept(&running, &ben, &[ANNA], "waits");
    let said = |word: &str| proxies[1].commands().iter().any(|said| said.starts_with(word));
    running.wait("the log-in", || said("AUTH").then_some(()));
    let of = |mailbox: &StoredMailbox, submission: &Submission| {
        running.store.submission(mailbox.incarnation, submission.id).unwrap().unwrap().value.state
    };
    assert_eq!((of(&anna, &stuck), of(&ben, &waits)), (SubmissionState::Sending, SubmissionState::Queued));
    // when the one is given up, the other goes
    running.change(&anna, |anna| anna.active = false);
    until_final(&running, &ben, &waits);
    assert!(said("MAIL"));
}

fn a_lost_wake_up_costs_latency_and_no_mail(world: &World) {
    let data = tempfile::tempdir().unwrap();
    let running = Running::start(&config(world, data.path()));
    let (anna, grant) = password_mailbox(world, ANNA, world.imaps_port());
    let anna = running.add(anna, &grant);
    // the outbox is empty and the sending actor asleep
    let first = accept(&running, &anna, &[BEN], "first");
    until_final(&running, &anna, &first);
    let submission = accept_quietly(&running, &anna, &[BEN], "unheard");
    assert_eq!(until_final(&running, &anna, &submission).state, SubmissionState::Sent);
}
