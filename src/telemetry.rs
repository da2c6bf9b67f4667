//! The only door to logging. Whatever level is configured, libraries that log bytes of the wire are silent:
//! at `trace` async-imap writes every LOGIN and AUTHENTICATE.

use crate::config::LogSection;
use tracing_subscriber::EnvFilter;

/// Targets that are cut down whatever the configuration says.
const SILENCED: [&str; 11] = [
    "async_imap=off",
    "imap_proto=off",
    "lettre=off",
    "oauth2=off",
    "sled=warn",
    "rustls=warn",
    "tokio_rustls=warn",
    "reqwest=warn",
    "hyper=warn",
    "hyper_util=warn",
    "h2=warn",
];

/// What a configured filter lets through: never what libraries say of the wire.
///
/// # Errors
/// A sentence that names what is wrong with the filter.
pub fn filter(configured: &str) -> Result<EnvFilter, String> {
    let mut filter = EnvFilter::try_new(configured)
        .map_err(|error| format!("log.filter {configured:?} is not a filter: {error}"))?;
    for directive in SILENCED {
        filter = filter.add_directive(directive.parse().map_err(|error| format!("{directive}: {error}"))?);
    }
    Ok(filter)
}

/// Starts logging to standard error.
///
/// # Errors
/// A sentence that names what is wrong with the filter.
pub fn init(config: &LogSection) -> Result<(), String> {
    let filter = filter(&config.filter)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if config.json { builder.json().try_init() } else { builder.with_ansi(false).try_init() };
    started.map_err(|error| format!("logging cannot be started: {error}"))
}
