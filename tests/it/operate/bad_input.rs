//! Bad input from people: configuration, data directories, arguments, commands. Each ends in one clear line and the
//! right code of `sysexits.h`, and a daemon that runs loses nothing by it.

use crate::api::frame::deaf;
use crate::support::api::Api;
use crate::support::engine::KEY;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

const STAFETTE: &str = env!("CARGO_BIN_EXE_stafette");

/// A command line on a data directory, away from the environment's own settings.
pub fn stafette(data_dir: &Path) -> Command {
    let mut command = Command::new(STAFETTE);
    let own = std::env::vars().map(|(name, _)| name).filter(|name| name.starts_with("STAFETTE_"));
    for name in own {
        command.env_remove(name);
    }
    command
        .env("STAFETTE_DATA_DIR", data_dir)
        .env("STAFETTE_HTTP__LISTEN", "127.0.0.1:0")
        .stdin(Stdio::null());
    command
}

/// A daemon that ends with the test.
pub struct Daemon {
    child: Child,
    pub url: String,
}

impl Daemon {
    /// Starts one and waits until it says that it serves.
    pub fn start(mut command: Command) -> Self {
        command.env("STAFETTE_LOG__JSON", "true").arg("serve").stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let url = loop {
            let mut line = String::new();
            assert_ne!(log.read_line(&mut line).unwrap(), 0, "it does not start: {said}");
            said.push_str(&line);
            let entry: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            if entry["fields"]["message"] == "serving" {
                break format!("http://{}", entry["fields"]["address"].as_str().unwrap());
            }
        };
        // read on, so that it never waits for us
        std::thread::spawn(move || log.read_to_end(&mut Vec::new()));
        Self { child, url }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs to its end; gives the exit code and the line on standard error, of which there may be one only.
#[track_caller]
fn failure(command: &mut Command) -> (i32, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = String::from_utf8(stderr).unwrap();
    let told: Vec<&str> = text.lines().filter(|line| line.starts_with("stafette: ")).collect();
    assert_eq!(told.len(), 1, "{text}");
    assert_eq!(text.lines().last(), Some(told[0]), "nothing follows: {text}");
    assert!(!text.contains("panicked"), "{text}");
    assert!(stdout.is_empty(), "{}", String::from_utf8_lossy(&stdout));
    (status.code().unwrap(), told[0].to_owned())
}

#[track_caller]
fn assert_told((code, line): &(i32, String), expected: i32, words: &[&str]) {
    assert_eq!(*code, expected, "{line}");
    for word in words {
        assert!(line.contains(word), "{word:?} is not in: {line}");
    }
}

fn file(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_wrong_configuration_names_file_and_key() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    for (text, words) in [
        ("[http]\nlistne = \"127.0.0.1:1\"\n", &["wrong.toml", "listne", "listen"][..]),
        ("colour = \"red\"\n", &["wrong.toml", "colour"]),
        ("[timing]\nconnect = \"soon\"\n", &["wrong.toml", "connect"]),
        ("[http]\nlisten = \"everywhere\"\n", &["wrong.toml", "listen"]),
        ("[http]\nmax_body = -1\n", &["wrong.toml", "max_body"]),
        ("# fine\n[http\n", &["wrong.toml", "line 2"]),
    ] {
        let path = file(dir.path(), "wrong.toml", text);
        for command in ["serve", "status"] {
            let told = failure(
                stafette(&data).env_remove("STAFETTE_HTTP__LISTEN").arg("--config").arg(&path).arg(command),
            );
            assert_told(&told, 78, words);
        }
    }
    let told = failure(stafette(&data).args(["--config", "/nowhere/x.toml", "serve"]));
    assert_told(&told, 78, &["/nowhere/x.toml", "--config"]);
    let told = failure(stafette(&data).env("STAFETTE_HTTP__LISTNE", "x").arg("serve"));
    assert_told(&told, 78, &["listne"]);
    let told = failure(stafette(&data).env("STAFETTE_LOG__FILTER", "=!=").arg("serve"));
    assert_told(&told, 78, &["log.filter"]);
    let told = failure(stafette(&data).env("STAFETTE_TLS__EXTRA_CA", "[\"/nowhere/ca.pem\"]").arg("serve"));
    assert_told(&told, 78, &["/nowhere/ca.pem", "PEM"]);
    assert!(!data.try_exists().unwrap(), "nothing was made of it");
}

#[test]
fn a_data_directory_that_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let in_its_place = file(dir.path(), "file", "precious");
    assert_told(&failure(stafette(&in_its_place).arg("serve")), 78, &["file", "data_dir"]);
    assert_told(&failure(stafette(&in_its_place.join("below")).arg("serve")), 78, &["file", "data_dir"]);
    assert_eq!(std::fs::read_to_string(&in_its_place).unwrap(), "precious");

    // root without the right to pass over modes
    use std::os::unix::fs::PermissionsExt;
    let closed = dir.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o000)).unwrap();
    let as_it_was = stafette(&closed);
    let mut command = Command::new("setpriv");
    command
        .args(["--bounding-set", "-dac_override,-dac_read_search", STAFETTE, "serve"])
        .stdin(Stdio::null());
    for (name, value) in as_it_was.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    assert_told(&failure(&mut command), 77, &["closed", "denied", "data directory"]);

    let keyless = dir.path().join("keyless");
    drop(Daemon::start(stafette(&keyless)));
    std::fs::write(keyless.join("master.key"), "not a key\n").unwrap();
    assert_told(&failure(stafette(&keyless).arg("serve")), 78, &["master"]);
    std::fs::remove_file(keyless.join("master.key")).unwrap();
    assert_told(&failure(stafette(&keyless).arg("serve")), 78, &["master"]);
    assert!(!keyless.join("master.key").try_exists().unwrap(), "no other key was made over it");
}

#[test]
fn a_second_daemon_leaves_the_first_alone() {
    let dir = tempfile::tempdir().unwrap();
    let first = Daemon::start(stafette(dir.path()));
    assert_told(&failure(stafette(dir.path()).arg("serve")), 75, &["in use", "data_dir"]);
    let other = tempfile::tempdir().unwrap();
    let address = first.url.trim_start_matches("http://");
    let told = failure(stafette(other.path()).env("STAFETTE_HTTP__LISTEN", address).arg("serve"));
    assert_told(&told, 69, &[address, "http.listen"]);
    let listed =
        stafette(dir.path()).args(["--url", &first.url, "--json", "mailbox", "list"]).output().unwrap();
    assert!(listed.status.success(), "{listed:?}");
}

#[test]
fn commands_say_what_is_wrong_and_end_with_their_code() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(stafette(dir.path()));
    let run = |arguments: &[&str]| failure(stafette(dir.path()).args(["--url", &daemon.url]).args(arguments));
    for (arguments, code, words) in [
        (&["mailbox", "show", "nobody"][..], 65, &["no mailbox", "nobody"][..]),
        (&["mailbox", "show", "../../etc/passwd"], 65, &["../../etc/passwd", "not an id"]),
        (&["mailbox", "add", "nobody"], 65, &["address"]),
        (&["mailbox", "add", "a@b.test", "--imap", "somewhere"], 64, &["somewhere", "host:port:security"]),
        (&["mailbox", "add", "a@b.test", "--imap", "b.test:143:none"], 65, &["imap.security", "tls"]),
        (&["message", "list", "nobody", "--limit", "1000000"], 65, &["nobody"]),
        (&["app", "show", "a/b"], 65, &["a/b"]),
        (
            &["send", "nobody", "--to", "a@b.test", "--text", "x", "--attach", "/nowhere/x.pdf"],
            66,
            &["/nowhere/x.pdf"],
        ),
        (&["events", "--after", "yesterday"], 65, &["yesterday", "cursor"]),
    ] {
        assert_told(&run(arguments), code, words);
    }
    let password = || file(dir.path(), "password", "pass\n");
    let added = stafette(dir.path())
        .args(["--url", &daemon.url, "mailbox", "add", "a@b.test", "--id", "a", "--password-stdin"])
        .args(["--imap", "127.0.0.1:9:tls"])
        .stdin(std::fs::File::open(password()).unwrap())
        .output()
        .unwrap();
    assert!(added.status.success(), "{added:?}");
    assert_told(&run(&["message", "list", "a", "--limit", "1000000"]), 65, &["1000000", "1000"]);
    assert_told(&run(&["message", "raw", "a", "x"]), 65, &["\"x\"", "26"]);

    let told = failure(stafette(dir.path()).args(["--url", &daemon.url, "--key", "wrong", "status"]));
    assert_told(&told, 77, &["Bearer", "admin.key"]);
    let told = failure(stafette(&dir.path().join("elsewhere")).args(["--url", &daemon.url, "status"]));
    assert_told(&told, 77, &["admin.key", "--key"]);
    let told = failure(stafette(dir.path()).args(["--url", "http://127.0.0.1:9", "status"]));
    assert_told(&told, 69, &["127.0.0.1:9", "stafette serve"]);
    let told = failure(stafette(dir.path()).args(["--url", "http://no-such-host.invalid", "status"]));
    assert_told(&told, 69, &["no-such-host.invalid"]);
    let used_wrongly = stafette(dir.path()).args(["mailbox", "paint"]).output().unwrap();
    assert_eq!(used_wrongly.status.code(), Some(64));
}

#[test]
fn a_reader_that_has_had_enough_is_no_failure() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(stafette(dir.path()));
    for arguments in [&["status"][..], &["--json", "status"], &["mailbox", "list"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = stafette(dir.path());
        command.args(["--url", &daemon.url]).args(arguments).stdout(writer).stderr(Stdio::piped());
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

/// A daemon on a disk of so many megabytes; `None` where this machine does not let us mount one.
/// A daemon on a disk of its own that leaves so many bytes of it free.
fn on_a_small_disk(data_dir: &Path, megabytes: u32, min_free: u64) -> Option<Daemon> {
    const MOUNT: &str = "mount -t tmpfs -o size=$1m none \"$0\" && shift && exec \"$@\"";
    let may = Command::new("unshare").args(["--mount", "true"]).stderr(Stdio::null()).status();
    if !may.is_ok_and(|status| status.success()) {
        return None;
    }
    let as_it_was = stafette(data_dir);
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", MOUNT]).arg(data_dir).arg(megabytes.to_string()).arg(STAFETTE);
    command.env("STAFETTE_ADMIN_KEY", KEY).stdin(Stdio::null());
    command.env("STAFETTE_STORE__MIN_FREE", min_free.to_string());
    for (name, value) in as_it_was.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Some(Daemon::start(command))
}

#[test]
fn a_full_disk_refuses_submissions_by_name_keeps_what_it_has_and_goes_on_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let Some(daemon) = on_a_small_disk(dir.path(), 24, 0) else {
        eprintln!("skipped: this machine lets nobody mount a small disk");
        return;
    };
    let api = Api::at(daemon.url.trim_start_matches("http://").parse().unwrap(), KEY);
    for id in ["anna", "ben"] {
        api.post("/v1/mailboxes", &deaf(id)).ok(201);
    }
    // nothing that could be compressed
    let mut state = 1_u64;
    let mut noise = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'!' + u8::try_from(state >> 33 & 63).unwrap())
    };
    let mut mail = |megabytes: usize| {
        let text: String = (0..megabytes << 20).map(|_| noise()).collect();
        serde_json::json!({"to": [{"address": "b@kunde.test"}], "text": text})
    };
    let large = mail(4);
    let mut kept = Vec::new();
    let refused = loop {
        let answer = api.post("/v1/mailboxes/anna/outbox", &large);
        if answer.status != 202 {
            break answer;
        }
        kept.push(answer.ok(202)["id"].clone());
        assert!(kept.len() < 10, "the disk is not full");
    };
    let problem = refused.problem(507, "storage_full");
    assert!(problem["detail"].as_str().unwrap().contains("free some"), "{problem}");
    api.post("/v1/mailboxes/ben/outbox", &large).problem(507, "storage_full");
    let items = api.get("/v1/mailboxes/anna/outbox").ok(200)["items"].clone();
    let listed: Vec<_> = items.as_array().unwrap().iter().rev().map(|item| item["id"].clone()).collect();
    assert_eq!(listed, kept, "what was accepted is there, what was refused is not");
    // small ones still fit, and after something went so do large ones
    api.post("/v1/mailboxes/ben/outbox", &mail(0)).ok(202);
    api.delete("/v1/mailboxes/anna").ok(202);
    let freed = (0..200).find(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        api.post("/v1/mailboxes/ben/outbox", &large).status == 202
    });
    assert!(freed.is_some(), "it goes on when there is space");
}

#[test]
fn a_disk_below_its_minimum_takes_settings_and_no_mail() {
    let dir = tempfile::tempdir().unwrap();
    let Some(daemon) = on_a_small_disk(dir.path(), 64, 1 << 30) else {
        eprintln!("skipped: this machine lets nobody mount a small disk");
        return;
    };
    let api = Api::at(daemon.url.trim_start_matches("http://").parse().unwrap(), KEY);
    api.post("/v1/mailboxes", &deaf("anna")).ok(201);
    let mail = serde_json::json!({"to": [{"address": "b@kunde.test"}], "text": "Hello"});
    let problem = api.post("/v1/mailboxes/anna/outbox", &mail).problem(507, "storage_full");
    assert!(problem["detail"].as_str().unwrap().contains("free some"), "{problem}");
    api.patch("/v1/mailboxes/anna", &serde_json::json!({"display_name": "Anna"})).ok(200);
    api.delete("/v1/mailboxes/anna").ok(202);
}

#[test]
fn lists_of_the_command_line_are_whole_however_long() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = stafette(dir.path());
    command.env("STAFETTE_ADMIN_KEY", KEY);
    let daemon = Daemon::start(command);
    let api = Api::at(daemon.url.trim_start_matches("http://").parse().unwrap(), KEY);
    for number in 0..1001 {
        let app = serde_json::json!({"id": format!("app-{number}"), "provider": "google"});
        api.post("/v1/apps", &app).ok(201);
    }
    let run = ["--url", &daemon.url, "--key", KEY, "--json", "app", "list"];
    let listed = stafette(dir.path()).args(run).output().unwrap();
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1001);
}
