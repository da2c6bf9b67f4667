//! Administration: apps, files of mailboxes, distribution, invitations, rotation of credentials.

pub mod app_migration;
pub mod browser;
pub mod discovery;
pub mod distribute;
pub mod guide;
pub mod import;
pub mod invite;
pub mod providers;
pub mod rotation;
pub mod verify;
