//! What can be typed.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Keeps many mailboxes in step with an application.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Arguments {
    /// Configuration file.
    #[arg(long, global = true, env = "STAFETTE_CONFIG")]
    pub config: Option<PathBuf>,
    /// The daemon's address; by default the configured listening address.
    #[arg(long, global = true, env = "STAFETTE_URL")]
    pub url: Option<String>,
    /// The API key; by default that in the data directory.
    #[arg(long, global = true, env = "STAFETTE_KEY", hide_env_values = true)]
    pub key: Option<String>,
    /// Print JSON as the API answers it.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon.
    Serve,
    /// Show how all mailboxes are.
    Status,
    /// Check every row and every record of the store. No daemon may run on it.
    Fsck {
        /// Make the state anew from what can be read, and restore messages from the packs.
        #[arg(long)]
        rebuild: bool,
    },
    /// Try everything a mailbox needs and say what is wrong; changes nothing.
    Doctor {
        /// The mailbox.
        mailbox: String,
    },
    /// Put another master key in place of the present one while the daemon runs.
    RotateMasterKey {
        /// Read the new key (32 bytes in base64) from standard input; else one is made.
        #[arg(long)]
        key_stdin: bool,
    },
    /// App registrations.
    #[command(subcommand)]
    App(AppCommand),
    /// Mailboxes.
    #[command(subcommand)]
    Mailbox(MailboxCommand),
    /// Folders of a mailbox.
    Folder {
        /// The mailbox.
        mailbox: String,
    },
    /// Messages of a mailbox.
    #[command(subcommand)]
    Message(MessageCommand),
    /// Send a message.
    Send(Send),
    /// Submissions of a mailbox.
    #[command(subcommand)]
    Outbox(OutboxCommand),
    /// Print events.
    Events {
        /// After this cursor; `earliest` or `latest`.
        #[arg(long, default_value = "earliest")]
        after: String,
        /// Go on as they come.
        #[arg(long)]
        follow: bool,
        /// Of this mailbox.
        #[arg(long)]
        mailbox: Option<String>,
    },
}

/// App registrations.
#[derive(Debug, Subcommand)]
pub enum AppCommand {
    /// Replace the client secret or certificate: it is tried, and taken back if it is refused.
    Rotate(AppRotate),
    /// Add one; the client secret is read from standard input.
    Add(AppAdd),
    /// List them.
    List,
    /// Show one.
    Show {
        /// Its id.
        id: String,
    },
    /// Say how it is registered, step by step, for this installation.
    Guide {
        /// Its id.
        id: String,
        /// `redirect`, `native`, `device`, `app_only` or `service_account`; by default what fits the app.
        #[arg(long)]
        way: Option<String>,
        /// `en` or `de`.
        #[arg(long, default_value = "en")]
        language: String,
    },
    /// Prove what can be proved of it without a user.
    Verify {
        /// Its id.
        id: String,
        /// Also print a link to a trial sign-in, which proves redirect and consent and stores nothing.
        #[arg(long)]
        sign_in: bool,
    },
    /// Give it to all like mailboxes without a sign-in, or move those of another app (`--from`); only says what would
    /// change unless `--apply`.
    Distribute(Distribute),
    /// Remove one that no mailbox uses.
    Remove {
        /// Its id.
        id: String,
    },
}

/// Giving an app to mailboxes.
#[derive(Debug, Args)]
pub struct Distribute {
    /// The app's id.
    pub app: String,
    /// Only to mailboxes on this server; else to those that fit the app's domains or provider.
    #[arg(long)]
    pub server: Option<String>,
    /// Move the mailboxes of this app: it works on until their users signed in through the new one.
    #[arg(long)]
    pub from: Option<String>,
    /// Do it.
    #[arg(long, requires = "expect")]
    pub apply: bool,
    /// As many mailboxes as the dry run showed.
    #[arg(long)]
    pub expect: Option<u64>,
    /// Ask their users by mail to sign in.
    #[arg(long, requires = "apply")]
    pub invite: bool,
    /// Write a link for each into this CSV file, for whoever delivers them.
    #[arg(long, requires = "apply", conflicts_with = "invite")]
    pub links: Option<PathBuf>,
}

/// A new app.
#[derive(Debug, Args)]
pub struct AppAdd {
    /// Its id.
    pub id: String,
    /// `office365`, `office365_us`, `office365_cn`, `outlook`, `google`, `yahoo`, `fastmail` or `oidc`.
    #[arg(
        long,
        default_value = "office365",
        default_value_if("service_account", clap::builder::ArgPredicate::IsPresent, "google")
    )]
    pub provider: String,
    /// Tenant id, or a domain of the tenant.
    #[arg(long)]
    pub tenant: Option<String>,
    /// Application (client) id; a service account's is in its key file.
    #[arg(long, required_unless_present = "service_account")]
    pub client_id: Option<String>,
    /// Read the client secret (its value, not its id) from standard input.
    #[arg(long)]
    pub secret_stdin: bool,
    /// Prove the app by this certificate instead: a PEM file that holds its private key, too.
    #[arg(long, value_name = "FILE", conflicts_with = "secret_stdin")]
    pub certificate: Option<PathBuf>,
    /// When the secret ends (RFC 3339).
    #[arg(long, conflicts_with = "certificate")]
    pub expires_at: Option<String>,
    /// The app is a Google service account: its key file (JSON).
    #[arg(long, value_name = "FILE", conflicts_with_all = ["secret_stdin", "certificate"])]
    pub service_account: Option<PathBuf>,
    /// Another authority than the provider's own.
    #[arg(long)]
    pub authority: Option<String>,
    /// Domains whose mailboxes use it without naming it.
    #[arg(long = "domain")]
    pub domains: Vec<String>,
}

/// A new credential.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("credential").required(true).args(["secret_stdin", "certificate", "service_account"])))]
pub struct AppRotate {
    /// The app's id.
    pub id: String,
    /// Read the new client secret (its value, not its id) from standard input.
    #[arg(long)]
    pub secret_stdin: bool,
    /// The new certificate: a PEM file that holds its private key, too.
    #[arg(long, value_name = "FILE")]
    pub certificate: Option<PathBuf>,
    /// The new key file (JSON) of a Google service account.
    #[arg(long, value_name = "FILE")]
    pub service_account: Option<PathBuf>,
    /// When the secret ends (RFC 3339).
    #[arg(long)]
    pub expires_at: Option<String>,
}

/// Mailboxes.
#[derive(Debug, Subcommand)]
pub enum MailboxCommand {
    /// Add one.
    Add(MailboxAdd),
    /// Add all of a CSV, TOML or JSON file, or none.
    Import {
        /// The file; CSV as Excel writes it, its first line names the columns.
        file: PathBuf,
        /// Only say what would be imported.
        #[arg(long)]
        dry_run: bool,
    },
    /// List them.
    List,
    /// Show one.
    Show {
        /// Its id.
        id: String,
    },
    /// Remove one and erase its mail here.
    Remove {
        /// Its id.
        id: String,
    },
    /// Pause one.
    Pause {
        /// Its id.
        id: String,
    },
    /// Resume one.
    Resume {
        /// Its id.
        id: String,
    },
    /// Look at the server now.
    Sync {
        /// Its id.
        id: String,
    },
    /// Ask its user by mail to sign in.
    Invite {
        /// Its id.
        id: String,
        /// Send nothing: append the link to this CSV file.
        #[arg(long)]
        links: Option<PathBuf>,
    },
    /// Make a personal sign-in link.
    SignIn {
        /// Its id.
        id: String,
    },
}

/// A new mailbox.
#[derive(Debug, Args)]
pub struct MailboxAdd {
    /// The mail address.
    pub address: String,
    /// Its id; generated if left out.
    #[arg(long)]
    pub id: Option<String>,
    /// The app it signs in through.
    #[arg(long)]
    pub app: Option<String>,
    /// Sign in with a password read from standard input, not by OAuth.
    #[arg(long)]
    pub password_stdin: bool,
    /// Login name if it is not the address.
    #[arg(long)]
    pub user: Option<String>,
    /// `host:port:tls|starttls|none`.
    #[arg(long)]
    pub imap: Option<String>,
    /// `host:port:tls|starttls|none`.
    #[arg(long)]
    pub smtp: Option<String>,
}

/// Messages.
#[derive(Debug, Subcommand)]
pub enum MessageCommand {
    /// List them, newest first.
    List {
        /// The mailbox.
        mailbox: String,
        /// In this folder.
        #[arg(long)]
        folder: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Show one.
    Show {
        /// The mailbox.
        mailbox: String,
        /// Its id.
        id: String,
    },
    /// Write one as the server sent it to standard output.
    Raw {
        /// The mailbox.
        mailbox: String,
        /// Its id.
        id: String,
    },
}

/// A message to send.
#[derive(Debug, Args)]
pub struct Send {
    /// From this mailbox.
    pub mailbox: String,
    /// To these addresses.
    #[arg(long, required = true)]
    pub to: Vec<String>,
    /// Subject.
    #[arg(long, default_value = "")]
    pub subject: String,
    /// Text; read from standard input if left out.
    #[arg(long)]
    pub text: Option<String>,
    /// Files to attach.
    #[arg(long)]
    pub attach: Vec<PathBuf>,
    /// A key against sending it twice.
    #[arg(long)]
    pub idempotency_key: Option<String>,
}

/// Submissions.
#[derive(Debug, Subcommand)]
pub enum OutboxCommand {
    /// List them.
    List {
        /// The mailbox.
        mailbox: String,
    },
    /// Show one.
    Show {
        /// The mailbox.
        mailbox: String,
        /// Its id.
        id: String,
    },
    /// Take one back that is not sent yet.
    Cancel {
        /// The mailbox.
        mailbox: String,
        /// Its id.
        id: String,
    },
}
