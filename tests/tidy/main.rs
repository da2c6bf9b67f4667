//! Structure that no compiler checks: which way imports go, how large files and functions are, that every
//! file says what it owns, and that the message table in `src/lib.rs` names what exists.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod graph;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Lower layers first; a file may import from its own layer's folder and from any layer before it.
const LAYERS: [&[&str]; 12] = [
    &["backoff", "domain", "faults"],
    &["clock", "config", "descriptors", "diagnosis", "periodic", "protocol", "telemetry", "threads"],
    &["events", "net", "store"],
    &["problem", "token", "work"],
    &["imap", "smtp", "webhook"],
    &["supervisor"],
    &["doctor", "duties", "notify"],
    &["signin"],
    &["admin"],
    &["http"],
    &["app"],
    &["cli", "main", "lib"],
];

/// Imports against the direction, each with the reason why it stays.
const EXCEPTIONS: [(&str, &str, &str); 2] = [
    ("config", "store", "a configuration names the store's own types for its section"),
    ("protocol", "store", "the exit guard names a role, which the store defines beside its epochs"),
];

const LONGEST_FILE: usize = 400;

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn is_test_file(path: &Path) -> bool {
    let name = path.file_stem().unwrap().to_string_lossy();
    name == "tests" || name.ends_with("_tests")
}

/// The text before the file's own tests.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = Vec::new();
    let mut rest = text.lines().peekable();
    while let Some(line) = rest.next() {
        if line == "#[cfg(test)]" && rest.peek().is_some_and(|next| next.starts_with("mod tests {")) {
            break;
        }
        lines.push(line);
    }
    lines.join("\n")
}

fn module(path: &Path) -> String {
    let relative = path.strip_prefix(root().join("src")).unwrap();
    let first = relative.components().next().unwrap().as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

fn layer(module: &str) -> usize {
    LAYERS.iter().position(|layer| layer.contains(&module)).unwrap_or_else(|| panic!("{module} has no layer"))
}

#[test]
fn imports_go_one_way() {
    let mut wrong = Vec::new();
    for path in sources().iter().filter(|path| !is_test_file(path)) {
        let own = module(path);
        for (number, line) in code(path).lines().enumerate() {
            for used in line.split("crate::").skip(1) {
                let used: String =
                    used.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
                let is_module = LAYERS.iter().any(|layer| layer.contains(&used.as_str()));
                if !is_module || used == own || layer(&used) < layer(&own) {
                    continue;
                }
                let is_sibling =
                    layer(&used) == layer(&own) && !matches!(own.as_str(), "imap" | "smtp" | "webhook");
                let is_excepted = EXCEPTIONS.iter().any(|(from, to, _)| *from == own && *to == used);
                if !is_sibling && !is_excepted {
                    wrong.push(format!("{}:{}: {own} imports {used}", path.display(), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn files_are_short_and_say_what_they_own() {
    let mut wrong = Vec::new();
    for path in sources() {
        let text = std::fs::read_to_string(&path).unwrap();
        if !text.starts_with("//!") {
            wrong.push(format!("{} does not begin with //!", path.display()));
        }
        let lines = code(&path).lines().count();
        if lines > LONGEST_FILE && !is_test_file(&path) {
            wrong.push(format!("{} has {lines} lines", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Which of these files do I/O, read a clock or draw random numbers, and by which word.
fn acts(files: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        let text = code(&root().join("src").join(file));
        for word in
            ["async ", ".await", "tokio::", "actix::", "sled::", "clock::now", "clock::monotonic", "rand::"]
        {
            if text.contains(word) {
                found.push(format!("{file} contains {word:?}"));
            }
        }
    }
    found
}

/// Files that decide: no I/O, no clock, no randomness.
const PURE: &[&str] = &[
    "backoff.rs",
    "imap/connection/decode.rs",
    "imap/connection/lexer.rs",
    "imap/connection/read_timeout.rs",
    "imap/connection/response.rs",
    "imap/connection/uid_sets.rs",
    "imap/fetch/bisect.rs",
    "imap/sync/idling.rs",
    "imap/sync/mass_deletion.rs",
    "imap/sync/openings.rs",
    "imap/sync/plan.rs",
    "imap/sync/backoff.rs",
    "imap/sync/folder_names.rs",
    "imap/fetch/envelope.rs",
    "imap/fetch/bounds.rs",
    "imap/sync/announce.rs",
    "imap/sync/move_detection.rs",
    "net/discovery/autoconfig.rs",
    "net/discovery/servers.rs",
    "net/discovery/srv.rs",
    "smtp/address.rs",
    "smtp/announce.rs",
    "smtp/delivery_state.rs",
    "smtp/mime/draft.rs",
    "smtp/mime/lines.rs",
    "smtp/mime/message.rs",
    "smtp/mime/raw.rs",
    "smtp/outbox.rs",
    "smtp/verdict.rs",
    "smtp/governor.rs",
    "token/app/circuit_breaker.rs",
    "token/mailbox/lifecycle.rs",
    "token/mailbox/token_state.rs",
    "token/identity.rs",
    "token/app/verify_checks.rs",
    "token/oauth/assertion.rs",
    "token/oauth/certificate.rs",
    "token/oauth/service_account.rs",
    "admin/credential_form.rs",
    "admin/proofs.rs",
    "supervisor/plan.rs",
    "supervisor/stopping.rs",
    "admin/distribution.rs",
    "events/expiry.rs",
    "admin/app_ids.rs",
    "admin/app_form.rs",
    "admin/fields.rs",
    "admin/import/check.rs",
    "admin/import/documents.rs",
    "signin/result.rs",
    "domain/digest.rs",
    "domain/host.rs",
    "admin/app_migration.rs",
    "signin/schedule.rs",
    "admin/guide/texts.rs",
    "admin/import/table.rs",
    "admin/import/text.rs",
    "doctor/verdict.rs",
    "notify/decide.rs",
    "notify/template.rs",
    "store/format/uid_index.rs",
    "store/engine/commit.rs",
    "store/engine/stage.rs",
    "store/engine/overlay.rs",
    "store/format/event_rows.rs",
    "store/format/submission_row.rs",
];

#[test]
fn what_decides_does_no_io() {
    let wrong = acts(PURE);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_message_table_names_what_exists() {
    let table = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let named: Vec<String> = table
        .lines()
        .filter_map(|line| line.strip_prefix("//! | `")?.split('`').next().map(str::to_owned))
        .collect();
    let mut messages: BTreeMap<String, PathBuf> = BTreeMap::new();
    for path in sources() {
        let text = code(&path);
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            if line.starts_with("#[rtype(") {
                let declaration = lines.find(|line| line.contains("struct ")).unwrap();
                let name = declaration.split("struct ").nth(1).unwrap();
                let name: String = name.chars().take_while(|letter| letter.is_alphanumeric()).collect();
                messages.insert(name, path.clone());
            }
        }
    }
    let missing: Vec<_> = messages.keys().filter(|name| !named.contains(name)).collect();
    let stale: Vec<_> = named.iter().filter(|name| !messages.contains_key(*name)).collect();
    assert!(
        missing.is_empty() && stale.is_empty(),
        "not in the table: {missing:?}; no such message: {stale:?}"
    );
}

/// Sign-ins and administration are what they are without HTTP.
#[test]
fn sign_ins_and_administration_know_no_http() {
    let is_meant = |path: &&PathBuf| matches!(module(path).as_str(), "signin" | "admin");
    let names_it = |path: &&PathBuf| std::fs::read_to_string(path).unwrap().contains("actix_web");
    let sources = sources();
    let wrong: Vec<_> = sources.iter().filter(is_meant).filter(names_it).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_files_import_each_other() {
    let files: Vec<PathBuf> = sources().into_iter().filter(|path| !is_test_file(path)).collect();
    let rings = graph::Graph::read(&root().join("src"), &files).rings();
    assert!(rings.is_empty(), "files that import each other, and the names that tie them: {rings:#?}");
}

/// Libraries, and the files or rooms that may name them: whoever replaces one has that much to change.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("actix_web", &["http/"]),
    ("async_imap", &["imap/connection/"]),
    ("imap_proto", &["imap/connection/"]),
    ("lettre", &["smtp/"]),
    ("oauth2", &["token/oauth/"]),
    ("reqwest", &["net/http", "net/proxy", "token/oauth/", "cli/"]),
    ("sled", &["store/"]),
    // a listener and a client certificate are made of keys and certificates
    ("rustls", &["net/", "http/listeners", "token/oauth/certificate"]),
    ("tokio_rustls", &["net/", "http/visitors"]),
    ("hickory_resolver", &["net/"]),
    ("tokio_socks", &["net/"]),
    ("mail_parser", &["imap/fetch/", "smtp/mime/raw"]),
    ("clap", &["cli/", "main"]),
    ("tracing_subscriber", &["telemetry"]),
    ("x509_parser", &["net/", "token/oauth/"]),
    ("jsonwebtoken", &["token/oauth/"]),
    ("chacha20poly1305", &["store/crypto/", "store/files/"]),
    ("zstd", &["store/"]),
    ("csv", &["admin/import/"]),
    ("roxmltree", &["net/discovery/autoconfig"]),
    ("psl", &["net/discovery/"]),
];

#[test]
fn libraries_stay_in_their_rooms() {
    let files: Vec<PathBuf> = sources().into_iter().filter(|path| !is_test_file(path)).collect();
    let graph = graph::Graph::read(&root().join("src"), &files);
    let mut wrong = Vec::new();
    for (library, rooms) in LIBRARIES {
        let named = graph.files_that_name(library).into_iter();
        let outside = named.filter(|file| !rooms.iter().any(|room| file.starts_with(room)));
        wrong.extend(outside.map(|file| format!("{file} names {library}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
