//! Whoever has no key, and whoever is on the same machine: they take nothing from those who have one, and learn nothing.

use crate::support::daemon::{ADMIN_KEY, Daemon, Site, password_mailbox, world_with};
use crate::world::World;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

const ANNA: &str = "anna@makler.test";

fn anna_at(daemon: &Daemon, world: &World) {
    daemon.post("/v1/mailboxes", &password_mailbox(ANNA, world.imaps_port(), 1));
    daemon.until_live("anna");
}

/// The answer to a request, as it is on the wire; the connection is closed with it.
fn said(daemon: &Daemon, request: &str) -> String {
    let mut stream = daemon.connect();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn no_filter_makes_a_library_write_a_password_to_the_log() {
    let world = world_with(&[ANNA]).without_postfix().start();
    for filter in [
        "[imap]=trace",
        "[imap{mailbox}]=trace",
        "trace,[{mailbox}]=trace",
        "async_imap::imap_stream=trace",
        "trace,async_imap=trace,imap_proto=trace,lettre=trace,oauth2=trace,rustls=trace",
    ] {
        let mut site = Site::new(&world);
        site.set("STAFETTE_LOG__FILTER", &format!("stafette=info,{filter}"));
        let daemon = site.start();
        anna_at(&daemon, &world);
        // that nothing secret was written is looked for when the daemon is gone
        assert!(!daemon.log().iter().any(|line| line.contains(" async_imap")), "{filter}");
    }
}

fn open_to_others(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let mode = path.symlink_metadata().unwrap().permissions().mode();
        if mode & 0o077 != 0 {
            found.push(format!("{} {:o}", path.display(), mode & 0o777));
        }
        if path.is_dir() {
            found.extend(open_to_others(&path));
        }
    }
    found
}

#[test]
fn a_directory_that_was_made_for_all_is_for_the_daemon_alone() {
    let world = world_with(&[ANNA]).without_postfix().start();
    let outer = tempfile::tempdir().unwrap();
    let data = outer.path().join("data");
    std::fs::DirBuilder::new().mode(0o755).create(&data).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut site = Site::new(&world);
    site.set("STAFETTE_DATA_DIR", &data.display().to_string());
    site.set("STAFETTE_STORE__MIN_FREE", "1000000");
    // whoever could make a file there beforehand has the key written to one of his own
    let elsewhere = outer.path().join("elsewhere");
    std::fs::write(&elsewhere, "untouched").unwrap();
    std::os::unix::fs::symlink(&elsewhere, data.join("admin.tmp")).unwrap();
    site.unset("STAFETTE_ADMIN_KEY");
    let mut daemon = site.start();
    assert_eq!(std::fs::metadata(&data).unwrap().mode() & 0o777, 0o700);
    assert_eq!(open_to_others(&data), Vec::<String>::new());
    assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), "untouched");
    assert!(data.join("admin.key").symlink_metadata().unwrap().is_file());
    assert_eq!(daemon.terminate().code(), Some(0));
    // what another hand has opened is told
    std::fs::set_permissions(data.join("master.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let daemon = site.start();
    daemon.until_log(|line| {
        line.contains("others on this machine can read this key") && line.contains("master.key")
    });
}

#[test]
fn a_key_from_a_file_is_not_in_the_environment() {
    let world = world_with(&[ANNA]).without_postfix().start();
    let mut site = Site::new(&world);
    let key = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(key.path(), format!("{ADMIN_KEY}\n")).unwrap();
    site.unset("STAFETTE_ADMIN_KEY");
    site.set("STAFETTE_ADMIN_KEY_FILE", &key.path().display().to_string());
    let daemon = site.start();
    assert_eq!(daemon.get("/v1/mailboxes")["items"], Value::Array(Vec::new()), "it is the key");
    let environment = String::from_utf8_lossy(&daemon.environment()).into_owned();
    assert!(environment.contains("STAFETTE_ADMIN_KEY_FILE") && !environment.contains(ADMIN_KEY));
}

#[test]
fn whoever_tries_keys_is_seen_and_answers_are_for_nobody_s_cache() {
    let world = world_with(&[ANNA]).without_postfix().start();
    let daemon = Site::new(&world).start();
    for (path, key, status) in [
        ("/v1/mailboxes", ADMIN_KEY, "200"),
        ("/v1/mailboxes", "wrong", "401"),
        ("/v1/nowhere", ADMIN_KEY, "404"),
        ("/v1/mailboxes/anna", ADMIN_KEY, "404"),
    ] {
        let answer = said(
            &daemon,
            &format!(
                "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n\r\n"
            ),
        );
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        let answer = answer.to_ascii_lowercase();
        assert!(answer.contains("cache-control: no-store"), "{answer}");
        assert!(answer.contains("x-content-type-options: nosniff"), "{answer}");
    }
    daemon.until_log(|line| line.contains("wrong keys for the API"));
    for _ in 0..50 {
        said(&daemon, "\x01\x02 nonsense\r\n\r\n");
    }
    let errors: Vec<String> = daemon.log().into_iter().filter(|line| line.contains("ERROR")).collect();
    assert_eq!(errors, Vec::<String>::new());
}

/// Everything that may be open in this process.
fn allow_files(files: u64) {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    assert!(hard >= files, "this machine allows {hard} open files, the test needs {files}");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
}

/// Requests that never come whole, each of them with what is said of it so far.
fn stall(at: SocketAddr, requests: &[String]) -> Vec<TcpStream> {
    let connect = |request: &String| {
        let mut stream = TcpStream::connect_timeout(&at, Duration::from_secs(30)).ok()?;
        stream.set_nonblocking(true).unwrap();
        // as much as is taken
        drop(stream.write(request.as_bytes()));
        Some(stream)
    };
    requests.iter().filter_map(connect).collect()
}

#[test]
fn stalled_requests_without_a_key_take_neither_descriptors_nor_memory() {
    allow_files(4096);
    let world = world_with(&[ANNA]).without_postfix().start();
    let mut site = Site::new(&world);
    site.set("STAFETTE_LOG__FILTER", "info");
    let daemon = site.start_limited(1024, 1024);
    anna_at(&daemon, &world);
    let link = daemon.post("/v1/mailboxes/anna/sign-in", &Value::Null);
    let half = "x".repeat(200_000);
    let mut requests = Vec::new();
    for number in 0..1300 {
        requests.push(match number % 4 {
            0 => format!("POST /sign-in/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1048575\r\n\r\n{half}"),
            1 => format!("POST /v1/mailboxes HTTP/1.1\r\nHost: x\r\nContent-Length: 1048575\r\n\r\n{half}"),
            2 => String::from("POST /sign-in/x HTTP/1.1\r\nHost:"),
            _ => String::from("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"),
        });
    }
    drop(link);
    let before = daemon.memory("VmRSS");
    let address = daemon.connect().peer_addr().unwrap();
    let attack = std::thread::spawn(move || stall(address, &requests));
    world.deliver(
        ANNA,
        b"From: b@kunde.test\r\nSubject: meanwhile\r\nMessage-ID: <meanwhile@kunde.test>\r\n\r\nHello\r\n",
    );
    daemon.until("the event", || {
        let page = daemon.try_get("/v1/events?type=message.new&after=earliest").ok()?;
        (page["items"].as_array()?.len() == 1).then_some(())
    });
    let stalled = attack.join().unwrap();
    assert!(stalled.len() > 1000, "{} requests were under way", stalled.len());
    let grown = daemon.memory("VmHWM").saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} KiB for {} requests", stalled.len());
    drop(stalled);
    daemon.get("/readyz");
}

#[test]
fn readers_that_take_nothing_keep_nobody_from_reading_events() {
    allow_files(4096);
    let world = world_with(&[ANNA]).without_postfix().start();
    let large =
        [&b"From: b@kunde.test\r\nSubject: large\r\n\r\n"[..], &b"0123456789abcdef\r\n".repeat(1 << 19)]
            .concat();
    world.deliver(ANNA, &large);
    let daemon = Site::new(&world).start();
    anna_at(&daemon, &world);
    let messages = daemon.get("/v1/mailboxes/anna/messages");
    let id = messages["items"][0]["id"].as_str().unwrap();
    let request = format!(
        "GET /v1/mailboxes/anna/messages/{id}/raw HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_KEY}\r\n\r\n"
    );
    let before = daemon.memory("VmRSS");
    let address = daemon.connect().peer_addr().unwrap();
    let stalled = stall(address, &vec![request.clone(); 300]);
    daemon.until("as many as may read", || {
        let answer = said(&daemon, &request.replace("Host: x", "Host: x\r\nConnection: close"));
        answer
            .starts_with("HTTP/1.1 503")
            .then(|| assert!(answer.to_ascii_lowercase().contains("retry-after:")))
    });
    daemon.get("/v1/events?after=earliest");
    daemon.get("/readyz");
    let grown = daemon.memory("VmHWM").saturating_sub(before);
    assert!(grown < 300 << 10, "{grown} KiB");
    drop(stalled);
    // and when they are gone there is room again
    daemon.until("room", || {
        let answer = said(&daemon, &request.replace("Host: x", "Host: x\r\nConnection: close"));
        answer.starts_with("HTTP/1.1 200").then_some(())
    });
}
