//! Checking and rebuilding the store, while no daemon runs on it.

use super::serve::{given_secret, keep_others_out, not_started};
use super::{Failure, show};
use crate::app::StartError;
use crate::config::Config;
use crate::store::fsck::{self, Findings};

/// How many lines of one kind are shown; `--json` shows all.
const SHOWN: usize = 50;

/// Checks the store, or makes it anew. Problems that a check finds are a failure.
#[allow(clippy::print_stdout)]
pub(super) fn fsck(config: &Config, rebuild: bool, json: bool) -> Result<(), Failure> {
    keep_others_out();
    let store = config.store_config(given_secret("STAFETTE_MASTER_KEY")?);
    let found =
        if rebuild { fsck::rebuild(&store, crate::imap::parse_envelope) } else { fsck::check(&store) };
    let found = found.map_err(|error| not_started(StartError::Store(error)))?;
    if json {
        show::json(&serde_json::to_value(&found).map_err(|error| Failure::io(error.to_string()))?);
    } else {
        print(&found);
    }
    if rebuild || found.problems.is_empty() {
        return Ok(());
    }
    let count = found.problems.len();
    Err(Failure::data(format!(
        "{count} problems: keep a copy of the data directory, run `stafette fsck --rebuild`"
    )))
}

#[allow(clippy::print_stdout)]
fn print(found: &Findings) {
    for (kind, lines) in [("problem", &found.problems), ("note", &found.notes)] {
        for line in lines.iter().take(SHOWN) {
            println!("{kind}: {line}");
        }
        if lines.len() > SHOWN {
            println!("{kind}: and {} more (--json shows all)", lines.len().saturating_sub(SHOWN));
        }
    }
    println!(
        "{} mailboxes, {} messages, {} records of {} bytes, {} of them unreferenced",
        found.mailboxes, found.messages, found.records, found.record_bytes, found.unreferenced
    );
}
