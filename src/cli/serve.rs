//! The daemon itself: telemetry, configuration, build, run, drain.

use super::Failure;
use crate::app::{Engine, StartError};
use crate::config::Config;
use crate::descriptors;
use crate::domain::Secret;
use crate::http::{BindError, Bound};
use crate::store::StoreError;
use crate::telemetry;
use std::io::ErrorKind;
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

/// Runs until SIGTERM or SIGINT.
pub(super) fn serve(config: &Config) -> Result<(), Failure> {
    keep_others_out();
    telemetry::init(&config.log).map_err(Failure::config)?;
    no_core_dumps();
    descriptors::raise();
    let master_key = given_secret("STAFETTE_MASTER_KEY")?;
    let admin_key = given_secret("STAFETTE_ADMIN_KEY")?;
    actix::System::new().block_on(async {
        // from now on a signal is no sudden end
        let broken = |error: std::io::Error| Failure::io(format!("signals cannot be waited for: {error}"));
        let mut terminate = signal(SignalKind::terminate()).map_err(broken)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(broken)?;
        let engine = Engine::start(config, master_key).await.map_err(not_started)?;
        let Bound { server, address, public_url, ending } =
            engine.listen(config, admin_key).map_err(not_started)?;
        let handle = server.handle();
        let serving = actix::spawn(server.run());
        tracing::info!(%address, %public_url, "serving");
        if !public_url.starts_with("https:") {
            tracing::warn!(
                "http.public_url is not https: providers accept redirects to https or loopback only"
            );
        }
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("draining");
        let drained = async {
            engine.drain().await;
            ending.send_replace(true);
            handle.stop(true).await;
        };
        if tokio::time::timeout(config.timing.drain, drained).await.is_err() {
            tracing::warn!("drain took too long, ending all the same");
        }
        serving.abort();
        Ok(())
    })
}

/// A secret that is given at start: the file that `<name>_FILE` names, systemd's credential of that name in small letters
/// without the prefix (systemd.exec(5), `LoadCredential=`), or the variable itself, which whoever may read this
/// process's environment reads, too.
pub(super) fn given_secret(name: &str) -> Result<Option<Secret>, Failure> {
    let credential = name.strip_prefix("STAFETTE_").unwrap_or(name).to_lowercase();
    let variable = format!("{name}_FILE");
    let named = std::env::var_os(&variable).map(PathBuf::from);
    let loaded =
        std::env::var_os("CREDENTIALS_DIRECTORY").map(|folder| PathBuf::from(folder).join(credential));
    let file = named.or_else(|| loaded.filter(|path| path.is_file()));
    if let Some(path) = file {
        crate::store::warn_if_readable(&path);
        let text = std::fs::read_to_string(&path).map(Zeroizing::new);
        let text = text.map_err(|error| {
            Failure::config(format!("{}: {error}: {variable} has to name a readable file", path.display()))
        })?;
        return Ok(Some(Secret::new(text.trim())));
    }
    Ok(std::env::var(name).ok().filter(|value| !value.is_empty()).map(Secret::new))
}

/// Whatever is written from here on is for this user alone.
pub(super) fn keep_others_out() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
}

/// A core dump, or a debugger of the same user, would find every token in memory.
fn no_core_dumps() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "debuggers cannot be kept out");
    }
    if let Err(error) = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }) {
        tracing::warn!(%error, "core dumps cannot be switched off");
    }
}

// the kinds of I/O errors grow with the standard library
#[allow(clippy::wildcard_enum_match_arm)]
pub(super) fn not_started(error: StartError) -> Failure {
    let message = error.to_string();
    match error {
        StartError::Store(StoreError::Locked { .. }) => Failure::temporary(message),
        StartError::Store(StoreError::Vault { .. }) | StartError::Net(_) | StartError::Config { .. } => {
            Failure::config(message)
        }
        StartError::Store(StoreError::Io { source, .. }) => match source.kind() {
            ErrorKind::PermissionDenied => {
                Failure::permission(format!("{message}: give this user the data directory, or name another"))
            }
            ErrorKind::NotADirectory => {
                Failure::config(format!("{message}: name a directory in data_dir, or let it be made"))
            }
            _ => Failure::io(format!(
                "{message}: data_dir has to name a directory on a disk that can be written"
            )),
        },
        StartError::Store(StoreError::Full { .. }) => Failure::temporary(message),
        StartError::Store(_) => Failure::io(message),
        StartError::Listen(BindError::Certificate(_)) => Failure::config(message),
        StartError::Listen(BindError::Listen { .. }) | StartError::Ended => Failure::unavailable(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};

    #[test]
    fn neither_a_core_dump_nor_a_debugger_finds_what_is_in_memory() {
        no_core_dumps();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        assert_eq!(getrlimit(Resource::Core).maximum, Some(0));
    }
}
