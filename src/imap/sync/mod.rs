//! Keeping a mailbox's folders in step: what to do next is decided from listings, and done folder by folder.

mod adopt;
mod announce;
mod backoff;
mod batches;
mod folder_list;
pub mod folder_names;
mod folder_status;
mod folder_sync;
mod gather;
mod idling;
mod listing;
mod many_folders;
mod mass_deletion;
mod move_detection;
mod plan;
mod rematch;
mod renames;
mod rounds;
mod set_apart;
mod sync_loop;
mod vanished;
mod visits;
mod wakeup;

pub(super) use announce::Announcer;
pub(super) use folder_sync::Syncer;
pub(super) use gather::Gathered;
pub(super) use idling::Way;
pub(super) use listing::{Ask, ListedEnvelope, ListedMessage, ListedSize};
pub(super) use mass_deletion::Doubts;
pub(super) use move_detection::Twins;
pub(super) use plan::uid_sets;
pub(super) use set_apart::Openings;
pub(super) use sync_loop::{Link, Rider};
pub(super) use wakeup::Bell;
