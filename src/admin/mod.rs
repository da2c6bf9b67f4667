//! Administration: apps and their credentials, mailboxes and imports, the roll-out of an app, its guide and its
//! verification. Nothing here knows of HTTP: the API hands a body over and shows what comes back.

mod app_changes;
mod app_form;
mod app_ids;
mod app_migration;
mod app_view;
mod context;
mod credential_form;
mod credential_rotation;
mod discover;
mod distribute;
mod distribution;
mod fields;
mod guide;
mod import;
mod invite;
mod lookup;
mod mailbox_changes;
mod mailbox_form;
mod mailbox_view;
mod move_app;
mod presets;
mod proofs;
mod rollout;
mod sign_in_request;
mod sign_in_rules;
mod verify;

pub(crate) use app_changes::{create_app, delete_app, patch_app, put_app};
pub(crate) use app_view::app_view;
pub(crate) use context::Context;
pub(crate) use distribute::distribute;
pub(crate) use fields::{set, typed};
pub(crate) use guide::{Guide, Language, Way, guide};
pub(crate) use import::{Imported, import};
pub(crate) use invite::{Delivery, Invitation, invite};
pub(crate) use lookup::{app, mailbox};
pub(crate) use mailbox_changes::{create_mailbox, delete_mailbox, patch_mailbox, put_mailbox, set_active};
pub(crate) use mailbox_view::{MailboxView, mailbox_view};
pub(crate) use move_app::move_app;
pub(crate) use rollout::{Distributed, Order};
pub(crate) use sign_in_request::request_sign_in;
pub(crate) use verify::{Verification, verify};
