//! The world's own tests: what every other test relies on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "world_selftest/entra.rs"]
mod entra;
#[path = "world_selftest/foreign.rs"]
mod foreign;
#[path = "world_selftest/providers.rs"]
mod providers;
#[path = "world/mod.rs"]
mod world;

use std::time::Duration;

use world::entra::{Dropping, Instead, Rotation};
use world::imap::Imap;
use world::process::{inhabitants, wait_until};
use world::proxy::{Direction, Ending};
use world::smtp::Smtp;
use world::{Cyrus, Kind, ProxyHandle, SeedOptions, Transport, World};

fn small_world() -> World {
    World::builder()
        .mailbox("anna@makler.test")
        .mailbox("ben@makler.test")
        .mailbox("clara@kunde.test")
        .start()
}

#[test]
fn a_token_opens_its_users_mailbox_and_no_other() {
    let world = World::builder()
        .mailbox("anna@makler.test")
        .mailbox("ben@makler.test")
        .delegate("anna@makler.test", "info@makler.test")
        .start();
    let tokens = world.entra().sign_in("anna@makler.test");
    let token = &tokens.access_token;
    Imap::xoauth2(world.imap_port(), "anna@makler.test", token).unwrap();
    Imap::xoauth2(world.imap_port(), "info@makler.test", token).unwrap();
    let refused = Imap::xoauth2(world.imap_port(), "ben@makler.test", token).err().unwrap().to_string();
    assert!(refused.starts_with("NO [AUTHENTICATIONFAILED]"), "{refused} {}", world.logs());
    let mut smtp = Smtp::connect(world.submission_port(), &world.certs.client).unwrap();
    let refused = smtp.xoauth2("ben@makler.test", token).err().unwrap().to_string();
    assert!(refused.starts_with("535 5.7.8"), "{refused}");
    smtp.xoauth2("anna@makler.test", token).unwrap();
    world.entra().expire_access_tokens();
    assert!(Imap::xoauth2(world.imap_port(), "anna@makler.test", token).is_err());
}

#[test]
fn an_app_only_token_opens_every_mailbox_of_its_tenant() {
    let world = small_world();
    let app = world.entra().daemon_app();
    let pairs = [
        ("grant_type", "client_credentials"),
        ("client_id", app.client_id.as_str()),
        ("client_secret", app.secret()),
        ("scope", "https://outlook.office365.com/.default"),
    ];
    let (status, value) = world.entra().post_token(&world.entra().tenant_id(), &pairs).unwrap();
    assert_eq!(status, 200, "{value}");
    let token = value["access_token"].as_str().unwrap();
    Imap::xoauth2(world.imap_port(), "anna@makler.test", token).unwrap();
    Imap::xoauth2(world.imap_port(), "ben@makler.test", token).unwrap();
    assert!(Imap::xoauth2(world.imap_port(), "clara@kunde.test", token).is_err());
}

#[test]
fn what_one_mailbox_submits_another_receives() {
    let world = small_world();
    world.entra().with_options(|options| options.access_token_length = 5_000);
    let tokens = world.entra().sign_in("anna@makler.test");
    assert_eq!(tokens.access_token.len(), 5_000);
    let mut smtp = Smtp::connect(world.submission_port(), &world.certs.client).unwrap();
    smtp.xoauth2("anna@makler.test", &tokens.access_token).unwrap();
    let raw = b"From: anna@makler.test\r\nTo: clara@kunde.test\r\nSubject: one\r\n\r\n.a dot\r\n";
    smtp.send("anna@makler.test", "clara@kunde.test", raw).unwrap();
    assert!(wait_until(Duration::from_secs(10), || world.list("clara@kunde.test", "INBOX").len() == 1));
    let text = String::from_utf8(world.raw("clara@kunde.test", "INBOX", 1)).unwrap();
    assert!(text.ends_with("\r\n\r\n.a dot\r\n"), "{text}");
    let refused = smtp.send("anna@makler.test", "unknown@makler.test", raw).err().unwrap().to_string();
    assert!(refused.starts_with("550 5.1.1"), "{refused}");
}

#[test]
fn two_worlds_live_side_by_side_and_leave_nothing() {
    let (first, second) = (small_world(), small_world());
    first.deliver("anna@makler.test", b"Subject: first\n\nbody\n");
    assert_eq!(first.list("anna@makler.test", "INBOX").len(), 1);
    assert_eq!(second.list("anna@makler.test", "INBOX").len(), 0);
    let dirs = [first.dir().to_path_buf(), second.dir().to_path_buf()];
    assert!(dirs.iter().all(|dir| inhabitants(dir).len() > 3));
    drop(first);
    assert_eq!(second.list("anna@makler.test", "INBOX").len(), 0);
    drop(second);
    for dir in dirs {
        assert_eq!(inhabitants(&dir), Vec::<i32>::new());
        assert!(!dir.try_exists().unwrap());
    }
}

#[test]
fn mailboxes_can_be_changed_behind_the_engines_back() {
    let world = small_world();
    let user = "anna@makler.test";
    world.create_folder(user, "Archiv/Entwürfe 2025");
    world.deliver_all(user, &[b"Subject: 1\n\na\n", b"Subject: 2\n\nb\n", b"Subject: 3\n\nc\n"]);
    world.set_flags(user, "INBOX", 1, "+FLAGS", "\\Seen \\Flagged");
    world.move_message(user, "INBOX", 2, "Archiv/Entwürfe 2025");
    world.delete_message(user, "INBOX", 3);
    world.append(user, "Sent", "\\Seen", b"Subject: sent\n\nd\n");
    let seen = world.snapshot(user);
    assert_eq!(seen["INBOX"].len(), 1);
    assert_eq!(seen["INBOX"][0].flags, ["\\Flagged", "\\Seen"]);
    assert_eq!(seen["Archiv/Entwürfe 2025"].len(), 1);
    assert_eq!(seen["Sent"].len(), 1);
    let before = world.uid_validity(user, "INBOX");
    assert!(world.bump_uid_validity(user, "INBOX") > before);
    assert_eq!(world.list(user, "INBOX").len(), 1);
    world.rename_folder(user, "Archiv/Entwürfe 2025", "请示");
    assert!(world.folders(user).contains(&"请示".to_string()));
    let mut session = world.imap(user);
    world.kick(user);
    assert!(session.command("NOOP").is_err());
}

fn refresh(world: &World, token: &str) -> Result<String, u64> {
    let app = world.entra().web_app();
    let pairs = [
        ("grant_type", "refresh_token"),
        ("client_id", app.client_id.as_str()),
        ("client_secret", app.secret()),
        ("refresh_token", token),
    ];
    let (_, value) = world.entra().post_token("organizations", &pairs).unwrap();
    match value["refresh_token"].as_str() {
        Some(next) => Ok(next.to_string()),
        None => Err(value["error_codes"][0].as_u64().unwrap()),
    }
}

#[test]
fn refresh_tokens_rotate_in_three_modes() {
    let world = World::builder().mailbox("anna@makler.test").without_postfix().start();
    let entra = world.entra();
    let first = entra.sign_in("anna@makler.test").refresh_token.unwrap();
    let second = refresh(&world, &first).unwrap();
    assert!(refresh(&world, &first).is_ok(), "kept");

    entra.set_rotation(Rotation::Grace);
    let third = refresh(&world, &second).unwrap();
    assert!(refresh(&world, &second).is_ok(), "the successor was not used yet");
    assert!(refresh(&world, &third).is_ok());
    assert_eq!(refresh(&world, &second), Err(70_008));

    entra.set_rotation(Rotation::Strict);
    let first = entra.sign_in("anna@makler.test").refresh_token.unwrap();
    let second = refresh(&world, &first).unwrap();
    assert_eq!(refresh(&world, &first), Err(70_008));
    assert_eq!(refresh(&world, &second), Err(70_008), "the grant is revoked");
}

#[test]
fn scripts_decide_the_next_answers_and_are_logged() {
    let world = World::builder().mailbox("anna@makler.test").without_postfix().start();
    let entra = world.entra();
    let token = entra.sign_in("anna@makler.test").refresh_token.unwrap();
    entra.next("token", Instead::aadsts(7_000_222));
    assert_eq!(refresh(&world, &token), Err(7_000_222));
    entra.next("token", Instead::too_many_requests(60));
    let (status, _) = entra.post_token("common", &[]).unwrap();
    assert_eq!(status, 429);
    entra.set_rotation(Rotation::Strict);
    entra.next("token", Instead::drop(Dropping::AfterConsume));
    let app = entra.web_app();
    let pairs = [
        ("grant_type", "refresh_token"),
        ("client_id", app.client_id.as_str()),
        ("client_secret", app.secret()),
        ("refresh_token", token.as_str()),
    ];
    assert!(entra.post_token("organizations", &pairs).is_err());
    let log = entra.log();
    let last = log.last().unwrap();
    assert!(last.consumed_at_ms.is_some() && last.answered_at_ms.is_none());
    assert_eq!(refresh(&world, &token), Err(70_008));
    assert_eq!(entra.count("token"), 5);
}

#[test]
fn secrets_belong_to_web_redirects_only() {
    let world = World::builder().mailbox("anna@makler.test").without_postfix().start();
    let entra = world.entra();
    let redirect = "https://login.microsoftonline.com/common/oauth2/nativeclient";
    let app = entra.native_app();
    let verifier = "0123456789012345678901234567890123456789012345";
    let url = entra.authorize_url("common", &app.client_id, redirect, world::entra::MAIL_SCOPES, verifier);
    let code =
        world::http::parameter(&entra.click_account(&url, "anna@makler.test").unwrap(), "code").unwrap();
    let mut pairs = vec![
        ("grant_type", "authorization_code"),
        ("client_id", app.client_id.as_str()),
        ("redirect_uri", redirect),
        ("code", code.as_str()),
        ("code_verifier", verifier),
    ];
    let ask = |pairs: &[(&str, &str)]| entra.post_token("common", pairs).unwrap().1;
    let with_secret = [pairs.clone(), vec![("client_secret", "x")]].concat();
    assert_eq!(ask(&with_secret)["error_codes"][0], 700_025);
    pairs.pop();
    let wrong = [pairs.clone(), vec![("code_verifier", "another")]].concat();
    assert_eq!(ask(&wrong)["error_codes"][0], 501_481);
    pairs.push(("code_verifier", verifier));
    assert!(ask(&pairs)["id_token"].is_string());
    assert_eq!(ask(&pairs)["error_codes"][0], 54_005);
    let web = entra.web_app();
    let bare = [
        ("grant_type", "client_credentials"),
        ("client_id", web.client_id.as_str()),
        ("scope", "x/.default"),
    ];
    let refusal = entra.post_token(&entra.tenant_id(), &bare).unwrap();
    assert_eq!((refusal.0, &refusal.1["error_codes"][0]), (401, &serde_json::json!(7_000_218)));
    assert_eq!(entra.post_token("nowhere.test", &bare).unwrap().1["error_codes"][0], 90_002);
}

#[test]
fn seeded_mail_is_repeatable_and_dovecot_agrees_on_its_sizes() {
    let world =
        World::builder().mailbox("anna@makler.test").mailbox("ben@makler.test").without_postfix().start();
    let options = SeedOptions { inbox_percent: 60, ..SeedOptions::messages(300) };
    let first = world.seed("anna@makler.test", &options);
    let second = world.seed("ben@makler.test", &options);
    assert_eq!((first.bytes, first.wire_bytes), (second.bytes, second.wire_bytes));
    assert!(first.zstd3_ratio > 1.2 && first.zstd3_ratio < 6.0, "{first:?}");
    let seen = world.snapshot("anna@makler.test");
    assert!(seen == world.snapshot("ben@makler.test"));
    assert_eq!(seen.values().map(Vec::len).sum::<usize>(), 300);
    assert!(!seen["Archiv/Entwürfe 2025"].is_empty() && !seen["请示"].is_empty() && !seen["a&b"].is_empty());
    let mut imap = world.imap("anna@makler.test");
    let mut claimed = 0;
    for folder in imap.folders().unwrap() {
        imap.command(&format!("EXAMINE {}", world::imap::quoted(&folder))).unwrap();
        for reply in imap.command("UID FETCH 1:* (RFC822.SIZE BODY.PEEK[])").unwrap() {
            let Some(raw) = reply.literals.first() else { continue };
            let size = reply.text.split_once("RFC822.SIZE ").unwrap().1.split([' ', ')']).next().unwrap();
            assert_eq!(size, raw.len().to_string());
            claimed += raw.len() as u64;
        }
    }
    assert_eq!(claimed, first.wire_bytes);
}

#[test]
fn a_proxy_carries_mail_and_cuts_where_told() {
    let world = World::builder().mailbox("anna@makler.test").without_postfix().start();
    world.deliver(
        "anna@makler.test",
        &[b"Subject: long\n\n".as_slice(), &b"0123456789\n".repeat(5_000)].concat(),
    );
    let proxy = world.proxy(Kind::Imap, Transport::Plain);
    let fetch = |proxy: &ProxyHandle| {
        let mut imap = Imap::login(proxy.port, "anna@makler.test")?;
        imap.command("SELECT INBOX")?;
        imap.command("UID FETCH 1 BODY.PEEK[]")
    };
    let whole = fetch(&proxy).unwrap();
    assert_eq!(whole[0].literals[0], world.raw("anna@makler.test", "INBOX", 1));
    let before = proxy.carried().0;
    proxy.cut_after_bytes(20_000, Direction::ToClient, Ending::Fin);
    assert!(fetch(&proxy).is_err());
    assert_eq!(proxy.carried().0 - before, 20_000);
    assert!(fetch(&proxy).is_ok(), "a cut is spent after one use");
    proxy.cut_at(b"456789\r\n0123", Direction::ToClient, 3, Ending::Reset);
    assert!(fetch(&proxy).is_err());
    proxy.chunk(Some(1));
    assert_eq!(fetch(&proxy).unwrap()[0].literals, whole[0].literals);
    proxy.clear();
    proxy.throttle("UID FETCH*", "2000", 1);
    let refused = fetch(&proxy).unwrap_err().to_string();
    assert_eq!(refused, "BAD Request is throttled. Suggested Backoff Time: 2000 milliseconds");
    proxy.expire_in_next_literal();
    assert!(fetch(&proxy).is_err());
    proxy.refuse(true);
    assert!(Imap::connect(proxy.port).is_err());
    assert_eq!(proxy.accepted(), 8);
}

#[test]
fn a_proxy_can_behave_like_exchange() {
    let world = small_world();
    let token = world.entra().sign_in("anna@makler.test").access_token;
    let proxy = world.proxy(Kind::Imap, Transport::Plain);
    proxy.exchange_manners();
    let mut imap = Imap::connect(proxy.port).unwrap();
    assert_eq!(imap.greeting, world::proxy::GREETING);
    let before = imap.command("CAPABILITY").unwrap();
    assert_eq!(before[0].text, format!("* CAPABILITY {}", world::proxy::CAPABILITY_BEFORE));
    let mut imap = Imap::xoauth2(proxy.port, "anna@makler.test", &token).unwrap();
    let after = imap.command("CAPABILITY").unwrap();
    assert_eq!(after[0].text, format!("* CAPABILITY {}", world::proxy::CAPABILITY_AFTER));
    assert_eq!(imap.command("ENABLE CONDSTORE").unwrap_err().to_string(), "BAD Command Error. 10");
    assert!(imap.command("SELECT INBOX (CONDSTORE)").unwrap_err().to_string().starts_with("BAD"));
    let listed = imap.command("LIST \"\" \"*\"").unwrap();
    assert!(listed.iter().any(|reply| reply.text.ends_with("\"/\" Inbox")), "{listed:?}");
    imap.command("SELECT Inbox").unwrap();
    let refused = Imap::xoauth2(proxy.port, "ben@makler.test", &token).err().unwrap().to_string();
    assert_eq!(refused, "NO AUTHENTICATE failed.");
    proxy.expire_sessions();
    assert_eq!(imap.read_reply().unwrap().text, "* BYE Session invalidated - AccessTokenExpired");
    proxy.authenticated_but_not_connected(1);
    let mut imap = Imap::xoauth2(proxy.port, "anna@makler.test", &token).unwrap();
    let refused = imap.command("SELECT Inbox").unwrap_err().to_string();
    assert_eq!(refused, "BAD User is authenticated but not connected.");

    let proxy = world.exchange_smtp();
    let mut smtp = Smtp::connect(proxy.port, &world.certs.client).unwrap();
    let refused = smtp.xoauth2("ben@makler.test", &token).err().unwrap().to_string();
    assert!(refused.starts_with("535 5.7.3"), "{refused}");
    smtp.xoauth2("anna@makler.test", &token).unwrap();
    let reply = smtp.send("anna@makler.test", "ben@makler.test", b"Subject: x\r\n\r\nx\r\n").unwrap();
    assert!(reply.contains(".prod.outlook.com> [Hostname="), "{reply}");
}

#[test]
fn exim_stands_in_for_postfix_and_leaves_nothing_behind() {
    use std::io::{BufRead, BufReader};
    let world = World::builder().mailbox("anna@makler.test").with_exim().start();
    let stream = std::net::TcpStream::connect(("127.0.0.1", world.submission_port())).unwrap();
    let mut greeting = String::new();
    BufReader::new(stream).read_line(&mut greeting).unwrap();
    assert!(greeting.starts_with("220 mail.makler.test ESMTP Exim"), "{greeting}");
    let dir = world.dir().to_path_buf();
    assert!(!world.inhabitants().is_empty());
    drop(world);
    assert_eq!(inhabitants(&dir), Vec::<i32>::new());
}

#[test]
fn two_cyrus_servers_live_side_by_side_and_leave_nothing() {
    let anna = "anna@makler.test";
    let (first, second) = (Cyrus::start(&[anna, "ben@makler.test"]), Cyrus::start(&[anna]));
    first.deliver(anna, b"Subject: one\r\n\r\nHello\r\n");
    first.create_folder(anna, "Büro/Ablage");
    first.append(anna, "Büro/Ablage", "\\Seen", b"Subject: two\r\n\r\nHello\r\n");
    let snapshot = first.snapshot(anna);
    let names: Vec<&str> = snapshot.keys().map(String::as_str).collect();
    assert_eq!(names, ["Büro", "Büro/Ablage", "Drafts", "INBOX", "Sent", "Trash"]);
    assert_eq!(snapshot["Büro/Ablage"][0].flags, ["\\Seen"]);
    assert_eq!(snapshot["INBOX"].len(), 1);
    assert!(Imap::login(first.ports.imap, "clara@kunde.test").is_err(), "nobody else is let in");
    let dirs = [first.dir().to_path_buf(), second.dir().to_path_buf()];
    drop(first);
    assert_eq!(second.list(anna, "INBOX"), [], "the other one lives on");
    drop(second);
    for dir in dirs {
        assert_eq!(inhabitants(&dir), Vec::<i32>::new());
        assert!(!dir.try_exists().unwrap());
    }
}
