//! Configuration: a file, then the environment, over defaults that start with neither.
//!
//! Unknown keys are errors. The commented file `config/stafette.toml` shows every key with its default.

mod env;
mod net;
mod providers;
mod signin;
mod timing;
mod tls;

pub use net::{IpFamily, NetSection};
pub use providers::{OauthPreset, Provider, TenantPreset};
pub use signin::SignInSection;
pub use timing::Timing;
pub use tls::{TlsFiles, TlsSection};

use crate::domain::Secret;
use crate::store::{MasterKeySource, StoreConfig};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {source}: name another with --config, or none", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file or the environment does not say what it must.
    #[error("configuration: {0}")]
    Invalid(String),
}

/// Everything that can be configured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where everything is kept; `./stafette-data` if it is not named.
    pub data_dir: DataDir,
    /// The HTTP API.
    pub http: HttpConfig,
    /// The users' sign-in pages.
    pub signin: SignInSection,
    /// The store.
    pub store: StoreSection,
    /// The event log.
    pub events: EventsSection,
    /// Connections.
    pub net: NetSection,
    /// Trust.
    pub tls: TlsSection,
    /// Intervals and deadlines.
    pub timing: Timing,
    /// What is written to the log.
    pub log: LogSection,
    /// Mail to users and administrators.
    pub notify: NotifySection,
}

/// The data directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DataDir(pub PathBuf);

impl Default for DataDir {
    fn default() -> Self {
        Self(PathBuf::from("./stafette-data"))
    }
}

/// The HTTP API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// The address users see in links and redirect URIs; the listening address if it is not named.
    pub public_url: Option<Url>,
    /// Makes this listener speak TLS.
    pub tls: Option<TlsFiles>,
    /// Largest request body, in bytes: bounds a submission with its attachments.
    pub max_body: usize,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8035)),
            public_url: None,
            tls: None,
            max_body: 50 << 20,
        }
    }
}

/// The store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSection {
    /// Bytes of memory the store may use as cache.
    pub cache: u64,
    /// Bytes at which a pack file is full.
    pub pack_limit: u64,
    /// Bytes of disk that messages and submissions leave free; 0: none.
    pub min_free: u64,
    /// Share of a pack, 0 to 1, that must belong to deleted messages for it to be rewritten.
    pub compact_at: f64,
    /// A file that holds the master key, 32 bytes in base64.
    pub master_key_file: Option<PathBuf>,
}

impl Default for StoreSection {
    fn default() -> Self {
        Self {
            cache: 32 << 20,
            pack_limit: 256 << 20,
            min_free: 256 << 20,
            compact_at: 0.5,
            master_key_file: None,
        }
    }
}

/// The event log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventsSection {
    /// How long events are kept: whoever was away for longer is told that he missed some.
    #[serde(with = "humantime_serde")]
    pub retention: Duration,
}

impl Default for EventsSection {
    fn default() -> Self {
        Self { retention: Duration::from_secs(30 * 24 * 60 * 60) }
    }
}

/// What is written to the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSection {
    /// A filter as of `tracing`: a level, or `stafette::imap=debug,info`.
    pub filter: String,
    /// One JSON object per line instead of text.
    pub json: bool,
}

impl Default for LogSection {
    fn default() -> Self {
        Self { filter: String::from("info"), json: false }
    }
}

/// Mail to users and administrators.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NotifySection {
    /// The mailbox that sends; none: no mail is sent.
    pub sender: Option<String>,
    /// Who is told of what needs an administrator.
    pub admins: Vec<String>,
    /// Language of mail to administrators, and to users who name none: `en` or `de`.
    pub language: String,
    /// Between an invitation and its reminders.
    #[serde(with = "humantime_serde")]
    pub remind_after: Duration,
    /// Between two mails about a cause that lasts.
    #[serde(with = "humantime_serde")]
    pub repeat_after: Duration,
    /// A folder with texts to use instead of ours.
    pub templates: Option<PathBuf>,
}

impl Default for NotifySection {
    fn default() -> Self {
        let day = Duration::from_secs(24 * 60 * 60);
        Self {
            sender: None,
            admins: Vec::new(),
            language: String::from("en"),
            remind_after: day * 3,
            repeat_after: day,
            templates: None,
        }
    }
}

impl Config {
    /// The address users see, without a slash at its end: the configured one, else that of the listener of their
    /// pages, which is bound to `pages`.
    #[must_use]
    pub fn public_url(&self, pages: SocketAddr) -> String {
        let tls = if self.signin.listen.is_some() { &self.signin.tls } else { &self.http.tls };
        match &self.http.public_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => format!("{}://{pages}", if tls.is_some() { "https" } else { "http" }),
        }
    }

    /// Reads a file, if one is named, and lays `STAFETTE_*` variables over it.
    ///
    /// # Errors
    /// [`ConfigError`] that names the key at fault.
    pub fn load(
        file: Option<&Path>,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let text = match file {
            Some(path) => std::fs::read_to_string(path)
                .map_err(|source| ConfigError::Read { path: path.to_path_buf(), source })?,
            None => String::new(),
        };
        let mut table: toml::Table =
            text.parse().map_err(|error: toml::de::Error| invalid(file, &located(&error, &text)))?;
        env::overlay(&mut table, variables)?;
        toml::Value::Table(table)
            .try_into()
            .map_err(|error: toml::de::Error| invalid(file, &error.to_string()))
    }

    /// How to open the store; a master key in the environment wins over a file.
    #[must_use]
    pub fn store_config(&self, master_key: Option<Secret>) -> StoreConfig {
        let master_key = match (master_key, &self.store.master_key_file) {
            (Some(key), _) => MasterKeySource::Given(key),
            (None, Some(path)) => MasterKeySource::File(path.clone()),
            (None, None) => MasterKeySource::DataDir,
        };
        StoreConfig {
            data_dir: self.data_dir.0.clone(),
            master_key,
            cache: self.store.cache,
            pack_limit: self.store.pack_limit,
            min_free: self.store.min_free,
        }
    }
}

fn invalid(file: Option<&Path>, what: &str) -> ConfigError {
    let place = file.map_or_else(String::new, |path| format!("{}: ", path.display()));
    let lines: Vec<&str> = what.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    ConfigError::Invalid(format!("{place}{}", lines.join(" ")))
}

/// In a line, without the drawing of the place.
fn located(error: &toml::de::Error, text: &str) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    format!("line {}: {}", before.matches('\n').count().saturating_add(1), error.message())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_configured_is_the_defaults() {
        assert_eq!(Config::load(None, std::iter::empty()).unwrap(), Config::default());
    }

    #[test]
    fn the_commented_file_holds_every_default() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/stafette.toml");
        let shown = Config::load(Some(&file), std::iter::empty()).unwrap();
        assert_eq!(shown, Config::default());
        let text = std::fs::read_to_string(&file).unwrap();
        let all = toml::Table::try_from(Config::default()).unwrap();
        for (section, keys) in &all {
            for key in keys.as_table().into_iter().flat_map(toml::Table::keys) {
                assert!(
                    text.contains(&format!("{key} =")),
                    "{section}.{key} is missing in the commented file"
                );
            }
        }
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let variables = [
            ("STAFETTE_HTTP__LISTEN", "127.0.0.1:1"),
            ("STAFETTE_DATA_DIR", "/x"),
            ("STAFETTE_TIMING__CONNECT", "3s"),
            ("STAFETTE_HTTP__MAX_BODY", "7"),
            ("STAFETTE_NET__ALLOW_PLAIN_REMOTE", "true"),
            ("HOME", "/root"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = Config::load(None, variables.into_iter()).unwrap();
        assert_eq!(config.http.listen.port(), 1);
        assert_eq!(config.data_dir.0, Path::new("/x"));
        assert_eq!(config.timing.connect, Duration::from_secs(3));
        assert_eq!(config.http.max_body, 7);
        assert!(config.net.allow_plain_remote);
    }

    #[test]
    fn an_unknown_key_is_named() {
        let variables = [(String::from("STAFETTE_HTTP__LISTNE"), String::from("x"))];
        let error = Config::load(None, variables.into_iter()).unwrap_err().to_string();
        assert!(error.contains("listne"), "{error}");
    }
}
