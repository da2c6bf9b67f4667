//! A mailbox: what its owner configured, and the states it can be in.

use super::{AppId, MailboxId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A mailbox as configured, with every default filled in. Secrets live in its grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mailbox {
    /// Its id.
    pub id: MailboxId,
    /// The mail address.
    pub address: String,
    /// Name shown in `From`.
    pub display_name: Option<String>,
    /// Name of the provider preset.
    pub provider: Option<String>,
    /// Where to receive; `None`: it only sends.
    pub imap: Option<Endpoint>,
    /// Where to send; `None`: it only receives.
    pub smtp: Option<SmtpEndpoint>,
    /// How to authenticate.
    pub auth: Auth,
    /// What to keep.
    #[serde(default)]
    pub policy: Policy,
    /// Whose it is, for the application.
    pub owner: Option<Owner>,
    /// The application's own reference.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    /// Free labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Whether it runs; `false` is the state `paused`.
    #[serde(default = "yes")]
    pub active: bool,
}

fn yes() -> bool {
    true
}

impl Mailbox {
    /// The user name a server expects: `auth.login`, else the address.
    #[must_use]
    pub fn login(&self) -> &str {
        match &self.auth {
            Auth::Oauth { login: Some(login), .. } | Auth::ServiceAccount { login: Some(login), .. } => login,
            Auth::Password { user } => user,
            Auth::Oauth { login: None, .. }
            | Auth::AppOnly { .. }
            | Auth::ServiceAccount { login: None, .. } => &self.address,
        }
    }

    /// The app that its tokens come from, if it uses one.
    #[must_use]
    pub fn app(&self) -> Option<&AppId> {
        match &self.auth {
            Auth::Oauth { app, .. } => app.as_ref(),
            Auth::AppOnly { app } | Auth::ServiceAccount { app, .. } => Some(app),
            Auth::Password { .. } => None,
        }
    }
}

/// A server to connect to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// DNS name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How the connection is protected.
    pub security: Security,
}

/// A server to send through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmtpEndpoint {
    /// DNS name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How the connection is protected.
    pub security: Security,
    /// With what to authenticate.
    #[serde(default)]
    pub auth: SmtpAuth,
}

/// How a connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Security {
    /// TLS from the first byte.
    Tls,
    /// Plain, then STARTTLS; refused if the server does not offer it.
    Starttls,
    /// No protection; loopback only unless allowed.
    None,
}

/// With what to authenticate at the SMTP server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmtpAuth {
    /// As for IMAP.
    #[default]
    Inherit,
    /// Not at all.
    None,
    /// By a name and password of its own; the password is sealed beside the grant.
    #[serde(untagged)]
    Own {
        /// Login name.
        user: String,
    },
}

/// How a mailbox authenticates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    /// A user signs in.
    Oauth {
        /// The app; `None` is the state `awaiting_app`.
        #[serde(default)]
        app: Option<AppId>,
        /// Login name if it is not the address.
        #[serde(default)]
        login: Option<String>,
        /// Other names the signed-in user may have.
        #[serde(default)]
        aliases: Vec<String>,
        /// Users who may sign in for this (shared) mailbox.
        #[serde(default)]
        delegates: Vec<String>,
    },
    /// The app itself, by client credentials.
    AppOnly {
        /// The app.
        app: AppId,
    },
    /// A Google service account, which acts for the mailbox's user by domain-wide delegation.
    ServiceAccount {
        /// The app that has its key.
        app: AppId,
        /// The user to act for if he is not the address.
        #[serde(default)]
        login: Option<String>,
    },
    /// A password; it is in the grant.
    Password {
        /// Login name.
        user: String,
    },
}

impl Auth {
    /// Whether the app gets tokens for it without anybody having signed in.
    #[must_use]
    pub fn needs_no_user(&self) -> bool {
        match self {
            Self::AppOnly { .. } | Self::ServiceAccount { .. } => true,
            Self::Oauth { .. } | Self::Password { .. } => false,
        }
    }
}

/// What to keep of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Nothing that came before this (INTERNALDATE) is fetched; `None`: everything. What is stored stays.
    pub since: Option<Timestamp>,
    /// Which folders.
    pub folders: FolderPolicy,
    /// Which bodies.
    pub bodies: BodyPolicy,
    /// Larger messages are kept as headers only, in bytes; their `size` is the server's estimate. What is stored stays as
    /// it is.
    pub max_message: u64,
    /// What a deletion on the server does here.
    pub on_server_delete: OnServerDelete,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            since: None,
            folders: FolderPolicy::All,
            bodies: BodyPolicy::All,
            max_message: 200 * 1024 * 1024,
            on_server_delete: OnServerDelete::Delete,
        }
    }
}

/// Which folders are synchronized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FolderPolicy {
    /// All but those excluded one by one.
    All,
}

/// Which bodies are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyPolicy {
    /// All up to `max_message`.
    All,
}

/// What a deletion on the server does here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnServerDelete {
    /// Delete the local copy too.
    Delete,
}

/// Whose mailbox it is, for the application.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Owner {
    /// The application's reference.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// Where to write to.
    pub notify: Option<String>,
    /// BCP 47 language.
    pub language: Option<String>,
}

/// Sign-in and receiving.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailboxState {
    /// No app is named for it yet.
    AwaitingApp,
    /// Nobody signed in yet.
    AwaitingSignIn,
    /// Not connected yet.
    Connecting,
    /// Connected; history or backlog is being fetched.
    Syncing,
    /// Connected, watching, backlog 0.
    Live,
    /// The server asked for patience.
    Throttled,
    /// Something passing failed; trying again.
    Retrying,
    /// A person has to sign in again.
    NeedsSignIn,
    /// An administrator has to act.
    NeedsAdmin,
    /// The app's registration or secret is broken.
    AppBroken,
    /// Switched off by `active: false`.
    Paused,
}

impl MailboxState {
    /// Whether somebody must act for it to go on.
    #[must_use]
    pub fn needs_attention(self) -> bool {
        matches!(self, Self::NeedsSignIn | Self::NeedsAdmin | Self::AppBroken)
    }
}

/// Sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SendState {
    /// Sends.
    Ready,
    /// Holds the outbox: something before MAIL fails.
    Held,
    /// The server asked for patience.
    Throttled,
    /// An administrator has to act.
    NeedsAdmin,
    /// A person has to sign in again.
    NeedsSignIn,
    /// The app is broken.
    AppBroken,
    /// This mailbox does not send.
    Off,
}
