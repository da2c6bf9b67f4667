//! Sections of the configuration that have no file of their own, and their defaults.

use super::tls::TlsFiles;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

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
    /// How long events are kept: a reader that was away for longer gets an error that says so.
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
    /// Who gets a mail when an administrator is needed.
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
