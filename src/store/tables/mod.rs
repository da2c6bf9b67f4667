//! The store's verbs, a file for each topic.

mod app_credentials;
mod app_facts;
mod app_migrations;
mod app_states;
pub(super) mod apps;
mod create_many;
mod events_log;
#[cfg(test)]
mod events_tests;
mod folders;
mod grants;
#[cfg(test)]
mod lists_tests;
pub(super) mod mailboxes;
mod messages;
mod notices;
pub(super) mod outbox;
pub(super) mod sign_ins;
pub(super) mod take_over;

pub use app_credentials::Replaced;
pub use app_facts::{AppFacts, FoundTenant, Proof, ProvedBy, ToldExpiry};
pub use app_migrations::Move;
pub use create_many::NewMailbox;
pub use mailboxes::{MailboxStatus, StoredMailbox};
pub use messages::{FolderPage, MessageFilter};
pub use notices::{Cause, Notice};
pub use outbox::Keyed;
pub(crate) use sign_ins::with_id;
pub use sign_ins::{Attempt, DeviceAttempt, Imported, SignIn, SignInState};
pub use take_over::TakeOver;
