//! What the engine logs inside a test's own process, at `trace`: kept, and searched for secrets when the engine ends.

use crate::support::leaks::Scanner;
use crate::world::World;
use stafette::config::LogSection;
use std::io::Write;
use std::sync::{Mutex, OnceLock};
use tracing_subscriber::util::SubscriberInitExt;

type Secrets = Box<dyn Fn() -> Vec<String> + Send>;

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static SECRETS: Mutex<Vec<Secrets>> = Mutex::new(Vec::new());
static LISTENING: OnceLock<()> = OnceLock::new();

struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Keeps what is logged from now on.
pub fn listen() {
    LISTENING.get_or_init(|| {
        let trace = LogSection { filter: String::from("trace"), json: false };
        stafette::telemetry::subscriber(&trace, || Log).unwrap().init();
    });
}

/// The last lines of the engine at INFO and above, for a test that failed.
pub fn tail() -> String {
    let log = LOG.lock().unwrap();
    let log = String::from_utf8_lossy(&log);
    let told = |line: &&str| [" INFO ", " WARN ", "ERROR "].iter().any(|level| line.contains(level));
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("stafette::")).filter(told).collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

/// Names a world whose secrets must not be heard: its tokens, and its short password as SASL and LOGIN send it.
pub fn watch(world: &World) {
    let entra = world.entra().clone();
    let secrets = move || {
        let mut secrets = entra.secrets();
        entra.with_options(|options| {
            for user in options.users.iter().map(|user| &user.address) {
                secrets.extend([format!("\0{user}\0pass"), format!("\"{user}\" \"pass\"")]);
            }
        });
        secrets
    };
    SECRETS.lock().unwrap().push(Box::new(secrets));
}

/// Searches what was logged; lets go of the worlds.
pub fn assert_kept_secret() {
    let secrets: Vec<String> =
        std::mem::take(&mut *SECRETS.lock().unwrap()).iter().flat_map(|secrets| secrets()).collect();
    let log = std::mem::take(&mut *LOG.lock().unwrap());
    assert!(!log.is_empty(), "nothing was heard");
    let leaks = Scanner::new(secrets.iter().map(String::as_str)).leaks(&log);
    assert!(leaks.is_empty(), "secrets in the log: {leaks:#?}");
}
