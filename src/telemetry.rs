//! The only door to logging. Whatever level is configured, libraries that log bytes of the wire are silent:
//! at `trace` async-imap writes every LOGIN and AUTHENTICATE. That is not left to the filter's directives, of which the
//! more specific one wins: what is refused here is refused whatever the filter says.

use crate::config::LogSection;
use tracing::{Dispatch, Level, Metadata};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// What these crates say is never written: it is the wire, or what anybody who connects can make them say.
const SILENT: [&str; 5] = ["async_imap", "imap_proto", "lettre", "oauth2", "actix_http"];
/// Of these nothing below a warning.
const QUIET: [&str; 7] = ["sled", "rustls", "tokio_rustls", "reqwest", "hyper", "hyper_util", "h2"];

/// Whether a line may be written at all.
fn is_harmless(line: &Metadata<'_>) -> bool {
    let krate = line.target().split("::").next().unwrap_or_default();
    !SILENT.contains(&krate) && (!QUIET.contains(&krate) || *line.level() <= Level::WARN)
}

/// What a configuration says, on its way to a writer.
///
/// # Errors
/// A sentence that names what is wrong with the filter.
pub fn subscriber<W>(config: &LogSection, writer: W) -> Result<impl Into<Dispatch>, String>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let configured = EnvFilter::try_new(&config.filter)
        .map_err(|error| format!("log.filter {:?} is not a filter: {error}", config.filter))?;
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = if config.json { lines.json().boxed() } else { lines.with_ansi(false).boxed() };
    let filter = filter_fn(is_harmless).and(configured);
    Ok(tracing_subscriber::registry().with(lines.with_filter(filter)))
}

/// Starts logging to standard error.
///
/// # Errors
/// A sentence that names what is wrong with the filter.
pub fn init(config: &LogSection) -> Result<(), String> {
    let started = subscriber(config, std::io::stderr)?.try_init();
    started.map_err(|error| format!("logging cannot be started: {error}"))
}
