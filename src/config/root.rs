//! The whole configuration: read from a file, with the environment laid over it.

use super::brand::BrandSection;
use super::env::overlay;
use super::error::ConfigError;
use super::net::NetSection;
use super::sections::{DataDir, EventsSection, HttpConfig, LogSection, NotifySection, StoreSection};
use super::signin::SignInSection;
use super::timing::Timing;
use super::tls::TlsSection;
use crate::domain::Secret;
use crate::store::{MasterKeySource, StoreConfig};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::Path;

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
    /// Whose pages users see.
    pub brand: BrandSection,
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
        overlay(&mut table, variables)?;
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
    use std::time::Duration;

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
