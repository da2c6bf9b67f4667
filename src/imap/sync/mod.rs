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
mod gathered;
mod idling;
mod many_folders;
mod mass_deletion;
mod move_detection;
mod openings;
mod plan;
mod quarantine;
mod rematch;
mod renames;
mod rounds;
mod set_apart;
mod sync_loop;
mod syncer;
mod vanished;
mod visits;

pub use plan::{FlagChange, Known, Listing, Plan, plan};
pub(super) use sync_loop::{Link, SyncLoop};
pub(super) use syncer::Syncer;
