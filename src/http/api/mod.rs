//! The API's resources, one file each.

mod apps;
mod diagnoses;
mod distribute;
mod doctor;
mod events;
mod folders;
mod guide;
mod idempotency;
mod import;
mod invite;
mod mailboxes;
mod master_key;
mod messages;
mod outbox;
mod raw;
mod routes;
mod sign_ins;
mod switches;
mod verify;

pub(super) use routes::routes;
