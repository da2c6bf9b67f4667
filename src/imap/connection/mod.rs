//! One connection to an IMAP server: greeting and log-in, commands, answers, IDLE, and how long to wait for them.

pub(super) mod connect;
mod decode;
mod dialogue;
mod folder_commands;
mod idle;
mod lexer;
mod listing;
mod logout;
mod oddities;
mod pipeline;
mod read;
mod read_timeout;
mod response;
mod uid_sets;
mod wire;

pub use connect::Credentials;
pub(super) use connect::{Client, Secured, capabilities, within};
pub(super) use folder_commands::{FOLDERS, FolderList, Selected};
pub(super) use idle::{IdleEnd, Waiting};
pub(super) use listing::{ListedEnvelope, ListingDetail};
pub use listing::{ListedMessage, ListedSize};
pub(super) use oddities::Oddities;
pub(super) use pipeline::{Opened, Small};
pub(super) use read_timeout::ReadTimeout;
#[cfg(test)]
pub(super) use response::Section;
pub(super) use response::{FetchedMessage, FolderStatus, ListedFolder, Response};
pub(super) use uid_sets::{LONGEST_UID_SET, uid_sets};
pub(super) use wire::{ANSWER, Change, Connection};
