//! Mail over the API: folders, messages, raw bytes, events, and changes that touch one mailbox only.

use crate::support::api::{Api, names};
use crate::support::engine::{Running, config, password_mailbox};
use crate::world::{Kind, ProxyHandle, Transport, World};
use serde_json::{Value, json};
use stafette::events::EventType;
use stafette::store::StoredMailbox;
use std::time::Duration;

const ANNA: &str = "anna@makler.test";
const BEN: &str = "ben@makler.test";

struct Scene {
    world: World,
    _data: tempfile::TempDir,
    running: Running,
    api: Api,
}

/// Anna's mailbox, live, after `fill` filled it.
fn live(fill: impl FnOnce(&World)) -> Scene {
    let world = World::builder().mailbox(ANNA).without_postfix().start();
    fill(&world);
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&config(&world, data.path()));
    let (mailbox, grant) = password_mailbox(&world, ANNA, world.imaps_port());
    let anna = running.add(mailbox, &grant);
    running.until_live(anna.incarnation);
    Scene { world, _data: data, running, api }
}

fn message(subject: &str) -> Vec<u8> {
    format!(
        "From: =?utf-8?q?M=C3=BCller?= <mueller@kunde.test>\r\nTo: anna@makler.test\r\nCc: c@kunde.test\r\n\
         Subject: {subject}\r\nMessage-ID: <{subject}@kunde.test>\r\nDate: Mon, 23 Nov 2026 19:59:02 +0100\r\n\r\nHello\r\n"
    )
    .into_bytes()
}

const MESSAGES: &str = "/v1/mailboxes/anna/messages";

fn in_two_folders(world: &World) {
    world.create_folder(ANNA, "Archiv");
    world.create_folder(ANNA, "Archiv/Entwürfe");
    world.append(ANNA, "INBOX", "\\Seen $Work", &message("seen"));
    world.append(ANNA, "INBOX", "", &message("unseen"));
    world.append(ANNA, "Archiv/Entwürfe", "", &message("filed"));
}

fn folder(folders: &Value, path: &str) -> Value {
    let found = folders["items"].as_array().unwrap().iter().find(|folder| folder["path"] == path);
    found.unwrap_or_else(|| panic!("{path}: {folders}")).clone()
}

#[test]
fn folders_are_shown_in_the_shape_of_the_contract() {
    let Scene { api, .. } = &live(in_two_folders);
    let folders = api.get("/v1/mailboxes/anna/folders").ok(200);
    assert_eq!(names(&folders), ["items", "next"]);
    let inbox = folder(&folders, "INBOX");
    let all = [
        "diagnosis",
        "id",
        "included",
        "messages",
        "name",
        "next_try",
        "path",
        "quarantined",
        "reason",
        "role",
        "selectable",
        "since",
        "state",
        "synced",
        "uid_validity",
        "unseen",
    ];
    assert_eq!(names(&inbox), all);
    assert_eq!(
        (&inbox["role"], &inbox["messages"], &inbox["unseen"]),
        (&json!("inbox"), &json!(2), &json!(1))
    );
    let filed = folder(&folders, "Archiv/Entwürfe");
    assert_eq!((&filed["name"], &filed["messages"]), (&json!("Entwürfe"), &json!(1)));
    let pages = api.pages("/v1/mailboxes/anna/folders?", 2);
    assert_eq!(pages.concat(), *folders["items"].as_array().unwrap());
}

#[test]
fn messages_are_shown_in_the_shape_of_the_contract_and_found_by_filter() {
    let Scene { api, .. } = &live(in_two_folders);
    let folders = api.get("/v1/mailboxes/anna/folders").ok(200);
    let (inbox, filed) = (folder(&folders, "INBOX"), folder(&folders, "Archiv/Entwürfe"));
    let by_id = api.get(&format!("{MESSAGES}?folder={}", inbox["id"].as_str().unwrap())).ok(200);
    let by_path = api.get(&format!("{MESSAGES}?folder=inbox")).ok(200);
    assert_eq!(by_id, by_path);
    assert_eq!(by_id["items"].as_array().unwrap().len(), 2);
    let path = "Archiv%2FEntw%C3%BCrfe";
    let shown = api.get(&format!("{MESSAGES}?folder={path}")).ok(200)["items"][0].clone();
    let all = [
        "cc",
        "copy_of",
        "date",
        "flags",
        "folder",
        "folder_id",
        "from",
        "has_attachments",
        "id",
        "internal_date",
        "labels",
        "message_id",
        "pending",
        "size",
        "state",
        "subject",
        "thread",
        "to",
        "uid",
        "uid_validity",
    ];
    assert_eq!(names(&shown), all);
    assert_eq!(shown["folder"], "Archiv/Entwürfe");
    assert_eq!(shown["folder_id"], filed["id"]);
    assert_eq!(shown["from"], json!([{"name": "Müller", "address": "mueller@kunde.test"}]));
    assert_eq!(
        (&shown["date"], &shown["message_id"]),
        (&json!("2026-11-23T18:59:02Z"), &json!("<filed@kunde.test>"))
    );
    assert_eq!((&shown["state"], &shown["uid_validity"]), (&json!("stored"), &filed["uid_validity"]));
    assert_eq!(shown["size"], message("filed").len());
    assert_eq!(api.get(&format!("{MESSAGES}/{}", shown["id"].as_str().unwrap())).ok(200), shown);

    for (filter, count) in [
        ("unseen=true", 2),
        ("unseen=false", 1),
        ("from=MUELLER", 3),
        ("subject=file", 1),
        ("has_attachment=true", 0),
        ("message_id=%3Cseen@kunde.test%3E", 1),
        ("before=2000-01-01T00:00:00Z", 0),
        ("since=2000-01-01T00:00:00Z", 3),
    ] {
        assert_eq!(api.pages(&format!("{MESSAGES}?{filter}&"), 1).concat().len(), count, "{filter}");
    }
    let flags = api.get(&format!("{MESSAGES}?unseen=false")).ok(200)["items"][0]["flags"].clone();
    assert_eq!(flags, json!(["$Work", "\\Seen"]));
    let sync = &api.get("/v1/mailboxes/anna").ok(200)["sync"];
    assert_eq!((&sync["messages"], &sync["backlog"]), (&json!(3), &json!(0)));
}

#[test]
fn messages_are_paged_newest_first_without_gap_or_double() {
    let Scene { api, .. } = &live(|world| {
        let messages: Vec<Vec<u8>> = (0..23).map(|n| message(&format!("n{n}"))).collect();
        world.deliver_all(ANNA, &messages);
    });
    let whole = api.pages(&format!("{MESSAGES}?"), 1000).concat();
    assert_eq!(whole.len(), 23);
    let key = |message: &Value| (message["internal_date"].to_string(), message["id"].to_string());
    assert!(whole.is_sorted_by(|one, other| key(one) > key(other)), "{whole:?}");
    for limit in [1, 5, 23] {
        assert_eq!(api.pages(&format!("{MESSAGES}?"), limit).concat(), whole);
        assert_eq!(api.pages(&format!("{MESSAGES}?folder=INBOX&"), limit).concat(), whole);
    }
}

#[test]
fn raw_is_byte_for_byte_what_the_server_sent() {
    let odd = [
        &b"Subject: odd \xe4\xf6\r\n\r\n"[..],
        &(1..=255).collect::<Vec<u8>>(),
        b"\r\n\r\n  \t\r\nend without a line end",
    ]
    .concat();
    let line: Vec<u8> = b"0123456789abcdef".repeat(60);
    let large = |megabytes: usize| {
        let mut raw = message("large");
        while raw.len() < megabytes << 20 {
            raw.extend_from_slice(&line);
            raw.extend_from_slice(b"\r\n");
        }
        raw
    };
    let Scene { world, api, .. } = &live(|world| {
        world.append(ANNA, "INBOX", "", &odd);
        world.append(ANNA, "INBOX", "", b"\r\n");
        world.append(ANNA, "INBOX", "", &large(3));
        world.append(ANNA, "INBOX", "", &large(20));
    });
    let listed = api.pages(&format!("{MESSAGES}?"), 1000).concat();
    assert_eq!(listed.len(), 4);
    for shown in listed {
        let uid = u32::try_from(shown["uid"].as_u64().unwrap()).unwrap();
        let path = format!("{MESSAGES}/{}/raw", shown["id"].as_str().unwrap());
        let answer = api.get(&path);
        let sent = world.raw(ANNA, "INBOX", uid);
        assert!(answer.body == sent, "UID {uid}: {} bytes of {}", answer.body.len(), sent.len());
        assert_eq!((answer.status, answer.header("content-type")), (200, "message/rfc822"));
        assert_eq!(shown["size"], sent.len());
        let head = api.send(api.request("HEAD", &path));
        assert_eq!((head.status, head.header("content-length")), (200, sent.len().to_string().as_str()));
        assert!(head.body.is_empty());
    }
}

#[test]
fn events_come_in_order_by_cursor_and_by_filter() {
    let Scene { world, api, .. } = &live(|world| world.deliver(ANNA, &message("history")));
    let whole = api.get("/v1/events?limit=1000").ok(200);
    let items = whole["items"].as_array().unwrap();
    for event in items {
        assert_eq!(names(event), ["at", "cursor", "data", "id", "mailbox", "type"]);
        assert!(event["id"].as_str().unwrap().starts_with("evt_"), "{event}");
    }
    assert_eq!(api.get("/v1/events?after=earliest&limit=1000").ok(200), whole);
    let mut walked = Vec::new();
    let mut after = json!("earliest");
    loop {
        let page = api.get(&format!("/v1/events?limit=2&after={}", after.as_str().unwrap())).ok(200);
        after = page["next"].clone();
        let items = page["items"].as_array().unwrap();
        if items.is_empty() {
            break;
        }
        assert_eq!(items.last().unwrap()["cursor"], after);
        walked.extend(items.iter().cloned());
    }
    assert_eq!(walked, *items);
    assert_eq!(after, whole["next"], "at the end the cursor stays");
    let of = |query: &str| api.get(&format!("/v1/events?limit=1000&{query}")).ok(200)["items"].clone();
    let new = of("type=message.new");
    assert_eq!((new.as_array().unwrap().len(), &new[0]["data"]["origin"]), (1, &json!("history")));
    assert_eq!(new[0]["data"]["subject"], "history");
    assert_eq!(of("type=message.new,mailbox.synced").as_array().unwrap().len(), 2);
    assert_eq!(of("mailbox=ben"), json!([]));
    let latest = api.get("/v1/events?after=latest").ok(200);
    assert_eq!(latest, json!({"items": [], "next": whole["next"]}));
    world.deliver(ANNA, &message("fresh"));
    let next = latest["next"].as_str().unwrap();
    let fresh = api.get(&format!("/v1/events?after={next}&wait=30&type=message.new")).ok(200);
    assert_eq!(fresh["items"][0]["data"]["origin"], "arrived");
}

#[test]
fn a_long_poll_ends_with_the_first_event_or_empty_at_its_time() {
    let Scene { api, .. } = &live(|_| {});
    // nothing happens: the whole wait passes
    let before = stafette::clock::monotonic();
    let empty = api.get("/v1/events?after=latest&wait=1").ok(200);
    assert!(before.elapsed() >= Duration::from_secs(1));
    assert_eq!(empty["items"], json!([]));
    let next = empty["next"].as_str().unwrap().to_owned();
    // the client gives up after 40 s: an answer before the 60 s of the wait came with the event
    let waiter = {
        let (api, path) = (api.clone(), format!("/v1/events?after={next}&wait=60&mailbox=anna"));
        std::thread::spawn(move || api.get(&path).ok(200))
    };
    api.post("/v1/mailboxes/anna/pause", &json!({})).ok(200);
    api.post("/v1/mailboxes/anna/resume", &json!({})).ok(200);
    let found = waiter.join().unwrap();
    assert_eq!(found["items"][0]["type"], "mailbox.state_changed");
}

/// Two mailboxes, each behind a proxy of its own, both live and idle.
fn neighbours() -> (Scene, ProxyHandle, ProxyHandle, StoredMailbox) {
    let world = World::builder().mailbox(ANNA).mailbox(BEN).without_postfix().start();
    let proxies = [(); 2].map(|()| world.proxy(Kind::Imap, Transport::ImplicitTls));
    let [for_anna, for_ben] = proxies;
    let data = tempfile::tempdir().unwrap();
    let (running, api) = Running::serve(&config(&world, data.path()));
    let posted = |id: &str, port: u16| {
        json!({
            "id": id, "address": format!("{id}@makler.test"), "auth": {"kind": "password", "password": "pass"},
            "imap": {"host": "localhost", "port": port, "security": "tls"}, "smtp": null,
        })
    };
    api.post("/v1/mailboxes", &posted("anna", for_anna.port)).ok(201);
    api.post("/v1/mailboxes", &posted("ben", for_ben.port)).ok(201);
    let (anna, ben) = (running.stored("anna"), running.stored("ben"));
    for mailbox in [&anna, &ben] {
        running.until(mailbox.incarnation, "both live", |status| status.synced);
    }
    (Scene { world, _data: data, running, api }, for_anna, for_ben, ben)
}

#[test]
fn a_change_to_one_mailbox_leaves_the_connections_of_the_others_alone() {
    let (Scene { world, running, api, .. }, for_anna, for_ben, ben) = &neighbours();
    let shown = api.get("/v1/mailboxes/anna").ok(200);
    let mut delivered = 0;
    let mut bens_is_untouched = |what: &str| {
        delivered += 1;
        let subject = format!("after{delivered}");
        world.deliver(BEN, &message(&subject));
        let id = format!("<{subject}@kunde.test>");
        running.until_event(EventType::MessageNew, what, |event| event.data["message_id"] == id.as_str());
        assert_eq!((for_ben.accepted(), for_ben.live()), (1, 1), "{what}: ben's one connection lives on");
    };
    let annas_connects_again = |what: &str, accepted: usize| {
        running.wait(what, || (for_anna.accepted() > accepted).then_some(()));
    };
    bens_is_untouched("nothing");

    let accepted = for_anna.accepted();
    api.patch("/v1/mailboxes/anna", &json!({"display_name": "A"})).ok(200);
    annas_connects_again("PATCH", accepted);
    bens_is_untouched("PATCH");

    let accepted = for_anna.accepted();
    api.put("/v1/mailboxes/anna", &shown).ok(200);
    annas_connects_again("PUT", accepted);
    bens_is_untouched("PUT");

    let accepted = for_anna.accepted();
    api.put("/v1/mailboxes/anna", &shown).ok(200);
    bens_is_untouched("PUT of the same");
    assert_eq!(for_anna.accepted(), accepted, "what changes nothing restarts nothing");

    api.delete("/v1/mailboxes/anna").ok(202);
    running.wait("anna's connection gone", || (for_anna.live() == 0).then_some(()));
    bens_is_untouched("DELETE");
    assert_eq!(api.get("/v1/mailboxes/ben").ok(200)["state"], "live");
    assert_eq!(running.stored("ben").generation, ben.generation);
}

#[test]
fn who_was_away_for_longer_than_events_are_kept_is_told_so() {
    let mails = (0..20).map(|number| message(&format!("n{number}"))).collect::<Vec<_>>();
    let Scene { running, api, .. } = &live(|world| world.deliver_all(ANNA, &mails));
    let whole = api.get("/v1/events?limit=1000").ok(200);
    let first = whole["items"][0]["cursor"].as_str().unwrap();
    running.block_on(running.store.forget_events(stafette::domain::Timestamp(i64::MAX))).unwrap();
    let gone = api.get(&format!("/v1/events?after={first}")).problem(410, "cursor_expired");
    assert!(gone["detail"].as_str().unwrap().contains("earliest"), "{gone}");
    let kept = api.get("/v1/events?after=earliest&limit=1000").ok(200);
    let kept = kept["items"].as_array().unwrap();
    assert!(!kept.is_empty() && kept.len() < whole["items"].as_array().unwrap().len());
    assert!(whole["items"].as_array().unwrap().ends_with(kept), "the newest, without a gap");
    let last_gone = &whole["items"][whole["items"].as_array().unwrap().len() - kept.len() - 1]["cursor"];
    let after = api.get(&format!("/v1/events?limit=1000&after={}", last_gone.as_str().unwrap())).ok(200);
    assert_eq!(after["items"].as_array().unwrap(), kept, "whoever missed nothing is not refused");
    let foreign = api.get("/v1/events?after=c0000000fffffffff").problem(410, "cursor_expired");
    assert!(foreign["detail"].as_str().unwrap().contains("backup"), "{foreign}");
}
