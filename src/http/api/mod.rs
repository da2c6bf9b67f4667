//! The API's resources, one file each.

mod app_ids;
mod apps;
mod credential_form;
mod diagnoses;
mod distribute;
mod distribution;
mod doctor;
mod events;
mod folders;
mod guide;
mod idempotency;
mod import;
mod invite;
mod mailbox_form;
mod mailbox_view;
mod mailboxes;
mod master_key;
mod messages;
mod move_app;
mod moving;
mod outbox;
mod presets;
mod proofs;
mod raw;
mod rotation;
mod routes;
mod sign_ins;
mod switches;
mod verify;

pub(super) use routes::routes;
